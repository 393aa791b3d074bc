/** "VF Enable": when virtual functions begin to answer, where they spill over to, and what their PF decides for them. */
import { describe, expect, it } from 'vitest'
import {
  Fabric,
  type FunctionDefinition,
  HostBridge,
  type PcieFunction,
  STATUS,
} from '../../src/pcie/index.ts'
import { definition } from './images.ts'
import { ALL, Notes, part, request, rid } from './machine.ts'

const MS = 1_000_000
// The SR-IOV capability of the functions below lies at 100h.
const CONTROL = 0x108
const NUM_VFS = 0x110
const PAGE_SIZE = 0x120
const VF_BAR0 = 0x124
const VFE = 0x01
const MSE = 0x08
const ARI = 0x10

interface Shape {
  readonly totalVfs: number
  readonly offset: number
  readonly stride: number
  readonly barSize?: number
  readonly enableTimeNs?: number
  /** Supported sizes of VF BAR 0 (VF Resizable BAR Capability). */
  readonly sizes?: number
}

function physical({
  totalVfs,
  offset,
  stride,
  barSize = 0x4000,
  enableTimeNs,
  sizes,
}: Shape): FunctionDefinition {
  const routing = { offset, stride }
  const sriov = {
    id: 0x10,
    dwords: [0, 0, (totalVfs << 16) | totalVfs, 0, (stride << 16) | offset, 0x1234_0000, 0x553, 1],
  }
  const resizable = sizes === undefined ? [] : [{ id: 0x24, dwords: [sizes, 1 << 5] }]
  const { image } = definition({ extended: [{ id: 0x0e }, { id: 0x0f, dwords: [0x20] }] })
  return definition(
    { extended: [sriov, { id: 0x0e }, { id: 0x0f, dwords: [0x20] }, ...resizable] },
    {
      sriov: {
        ari: routing,
        nonAri: routing,
        bars: [{ index: 0, kind: 'memory64', prefetchable: true, size: barSize }],
        image,
        ...(enableTimeNs !== undefined && { enableTimeNs }),
      },
    },
  )
}

/** A function below a root port with ARI forwarding, buses 1 to 3, and a clock that the test turns. */
function withFunction(shape: Shape, clock?: { now: number }) {
  const notes = new Notes()
  const fabric = new Fabric()
  const host = new HostBridge({ segment: 0, bus: 0, lastBus: 255, ...(clock && { clock }) }, notes)
  fabric.add(host)
  const port = host.addFunction(1, 0, part('root-port'))
  const pf = host.addFunction(0, 0, physical(shape), port)
  const config = (bus: number, devfn: number, offset: number, value: number, lanes = ALL) =>
    fabric.writeConfig(0, bus, devfn, offset, value, lanes)
  config(0, 8, 0x18, 0x0003_0100)
  config(0, 8, 0x24, 0xdff0_c001)
  config(0, 8, 0x04, 6, 0xffff)
  config(0, 8, 0xb8, 0x20, 0xffff)
  const write = (offset: number, value: number) => config(1, 0, offset, value)
  const read = (bus: number, devfn: number, offset: number) => fabric.readConfig(0, bus, devfn, offset) >>> 0
  return { fabric, notes, pf, write, read }
}

function enable({ write }: ReturnType<typeof withFunction>, count: number, control = VFE | MSE): void {
  write(CONTROL, ARI)
  write(VF_BAR0, 0xc000_0000)
  write(NUM_VFS, count)
  write(CONTROL, ARI | control)
}

const sends = (fn: PcieFunction): number => {
  const message = request(0x1000)
  fn.issue(message)
  return message.status
}

describe('after VF Enable was set', () => {
  const shape = { totalVfs: 4, offset: 1, stride: 1 }

  it('virtual functions do not answer before their time, by default 100 ms', () => {
    const clock = { now: 5 * MS }
    const machine = withFunction(shape, clock)
    enable(machine, 2)
    const seen = () => [machine.read(1, 1, 0x08), machine.fabric.readMemory(0xc000_0000) >>> 0]
    expect(seen()).toEqual([ALL, ALL])
    clock.now = 105 * MS - 1
    expect(seen()).toEqual([ALL, ALL])
    clock.now = 105 * MS
    expect(seen()).toEqual([0xff00_0000, 0])
  })

  it('they answer earlier where the device is quicker, and at once where time stands still', () => {
    const clock = { now: 0 }
    const quick = withFunction({ ...shape, enableTimeNs: 3 * MS }, clock)
    enable(quick, 1)
    expect(quick.read(1, 1, 0x08)).toBe(ALL)
    clock.now = 3 * MS
    expect(quick.read(1, 1, 0x08)).toBe(0xff00_0000)
    const timeless = withFunction(shape)
    enable(timeless, 1)
    expect(timeless.read(1, 1, 0x08)).toBe(0xff00_0000)
  })

  it('a configuration write that comes too early is lost', () => {
    const clock = { now: 0 }
    const machine = withFunction(shape, clock)
    enable(machine, 1)
    machine.fabric.writeConfig(0, 1, 1, 0x04, 4, 0xffff)
    clock.now = 100 * MS
    expect(machine.read(1, 1, 0x04) & 4).toBe(0)
  })

  it('the time begins anew when they are enabled again, and is saved with the function', () => {
    const clock = { now: 0 }
    const machine = withFunction(shape, clock)
    enable(machine, 1)
    clock.now = 100 * MS
    machine.write(CONTROL, ARI)
    machine.write(CONTROL, ARI | VFE)
    expect(machine.read(1, 1, 0x08)).toBe(ALL)
    const other = withFunction(shape, clock)
    other.fabric.load(machine.fabric.save())
    clock.now = 199 * MS
    expect(other.read(1, 1, 0x08)).toBe(ALL)
    clock.now = 200 * MS
    expect(other.read(1, 1, 0x08)).toBe(0xff00_0000)
  })
})

describe('bus numbers', () => {
  it('virtual functions spill over to as many buses as they need', () => {
    const machine = withFunction({ totalVfs: 600, offset: 4, stride: 1 })
    enable(machine, 600)
    const { pf, read } = machine
    expect([0, 251, 252, 507, 508, 599].map(n => pf.virtualFunctions[n]!.rid)).toEqual([
      rid(1, 0, 4),
      rid(1, 31, 7),
      rid(2, 0, 0),
      rid(2, 31, 7),
      rid(3, 0, 0),
      rid(3, 11, 3),
    ])
    expect(read(3, 0x5b, 0x08)).toBe(0xff00_0000)
    expect(read(3, 0x5c, 0x08)).toBe(ALL)
  })
})

describe('what a virtual function takes from its physical function', () => {
  const shape = { totalVfs: 4, offset: 1, stride: 1 }

  it('memory is decoded with VF MSE, and requests are sent with Bus Master Enable of its own', () => {
    const machine = withFunction(shape)
    enable(machine, 1, VFE)
    const vf = machine.pf.virtualFunctions[0]!
    expect(machine.fabric.readMemory(0xc000_0000)).toBe(ALL)
    expect(sends(vf)).toBe(STATUS.notIssued)
    machine.fabric.writeConfig(0, 1, 1, 0x04, 4, 0xffff)
    expect(sends(vf)).toBe(STATUS.successful)
    // Memory Space Enable and Bus Master Enable of the PF say nothing about its VFs.
    machine.write(CONTROL, ARI | VFE | MSE)
    expect([machine.fabric.readMemory(0xc000_0000), machine.read(1, 0, 0x04) & 6]).toEqual([0, 0])
  })

  it('Smallest Translation Unit is hard-wired to 0', () => {
    const machine = withFunction(shape)
    enable(machine, 1)
    machine.fabric.writeConfig(0, 1, 1, 0x204, 0x801f_0000, ALL)
    expect(machine.read(1, 1, 0x204)).toBe(0x8000_0020)
  })

  it('System Page Size widens the aperture: VF i begins i pages behind VF BAR 0', () => {
    const machine = withFunction(shape)
    machine.write(PAGE_SIZE, 0x10)
    machine.write(VF_BAR0, ALL)
    expect(machine.read(1, 0, VF_BAR0)).toBe(0xffff_000c)
    enable(machine, 3)
    const { fabric, pf } = machine
    expect(pf.virtualFunctions.map(vf => vf.barAddress(0))).toEqual([0xc000_0000, 0xc001_0000, 0xc002_0000])
    expect(fabric.functionDecoding(0xc002_0000)).toBe(pf.virtualFunctions[2])
  })

  it('VF Resizable BAR Control sizes the apertures while VF Enable is clear', () => {
    const machine = withFunction({ ...shape, barSize: 2 ** 20, sizes: 0x31 << 4 })
    const control = 0x408
    machine.write(control, 4 << 8)
    enable(machine, 2)
    expect(machine.pf.virtualFunctions.map(vf => vf.barAddress(0))).toEqual([0xc000_0000, 0xc100_0000])
    machine.write(control, 5 << 8)
    expect(machine.read(1, 0, control)).toBe((4 << 8) | (1 << 5))
    machine.write(CONTROL, 0)
    machine.write(control, 1 << 8)
    expect(machine.read(1, 0, control)).toBe((4 << 8) | (1 << 5))
    machine.write(control, 5 << 8)
    expect(machine.read(1, 0, control)).toBe((5 << 8) | (1 << 5))
  })
})

describe('ARI Capable Hierarchy', () => {
  const shape = { totalVfs: 4, offset: 8, stride: 1 }
  const plug = (...places: [device: number, fn: number][]) => {
    const host = new HostBridge({ segment: 0, bus: 0, lastBus: 255 }, new Notes())
    return places.map(([device, fn]) => host.addFunction(device, fn, physical(shape)))
  }

  it('exists in the lowest-numbered physical function of a device, and reads 0 in the others', () => {
    const [first, second] = plug([3, 0], [3, 1])
    for (const fn of [first!, second!]) fn.writeConfig(CONTROL, ARI, ALL)
    expect([first!.readConfig(CONTROL), second!.readConfig(CONTROL)]).toEqual([ARI, 0])
  })

  it('does not change while any of the device has VF Enable set; other devices do not matter', () => {
    const [first, second, other] = plug([3, 0], [3, 1], [4, 0])
    second!.writeConfig(CONTROL, VFE, ALL)
    first!.writeConfig(CONTROL, ARI, ALL)
    other!.writeConfig(CONTROL, ARI, ALL)
    expect([first!.readConfig(CONTROL), other!.readConfig(CONTROL)]).toEqual([0, ARI])
  })
})
