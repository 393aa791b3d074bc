/**
 * What the public drivers of both controllers do to registers when they probe and open a port, written as facts with
 * their sources (test/data/driver-sequences): every answer is one that lets the driver go on. Drivers of virtual functions
 * talk to the host's own driver of the physical one.
 */
import { describe, expect, it } from 'vitest'
import { sleep } from '../../src/engine/index.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { AdapterRig } from '../host/net/adapter-rig.ts'
import { DriverRun, driverSequence, TwoWireBus } from './driver-sequence.ts'
import { NicRig } from './nic-rig.ts'

const bench = (rig: NicRig) => ({
  read: (offset: number) => rig.read(offset),
  write: (offset: number, value: number) => rig.write(offset, value),
  wait: (microseconds: number) => rig.advance(microseconds * 1000),
})

describe.each(['igb', 'ixgbe'] as const)('%s finds what it looks for', driver => {
  const { model, phases } = driverSequence(driver)
  const rig = new NicRig(model)
  const run = new DriverRun(driver, bench(rig))
  it.each(phases)('$phase ($source)', ({ steps }) => run.follow(steps))

  it('and it has an address that the other port does not have', () => {
    const [first, second] = [0, 1].map(port => {
      const one = new NicRig(model, port)
      expect((one.read(0x8) >>> 2) & 3).toBe(port)
      return one.read(0x5404)
    })
    expect(first).not.toBe(second)
  })
})

describe.each([
  ['igbvf', 7, 6],
  ['ixgbevf', 40, 35],
] as const)('%s finds what it looks for', (driver, count, index) => {
  const { model, phases } = driverSequence(driver)
  const rig = new AdapterRig(model)
  const { host, engine } = rig.platform
  const vf = host.device(rig.virtualFunction(index, count))
  rig.adapter.configureVirtualFunction(index, { mac: Uint8Array.of(2, 0, 0, 0, 0, 0xa0) })
  const run = new DriverRun(driver, {
    read: offset => vf.readRegister(0, offset) >>> 0,
    write: (offset, value) => vf.writeRegister(0, offset, value >>> 0),
    wait: microseconds => {
      rig.settle()
      rig.run(sleep(engine, microseconds * 1000))
    },
  })
  it.each(phases)('$phase ($source)', ({ steps }) => run.follow(steps))
})

describe('the two-wire bus to the module of an 82599', () => {
  const bus = (): [TwoWireBus, NicRig] => {
    const rig = new NicRig('intel-82599')
    return [new TwoWireBus(bench(rig)), rig]
  }

  it('is silent at other addresses, and answers again after a stop', () => {
    const [two] = bus()
    two.start()
    expect(two.write(0xa4)).toBe(false)
    two.stop()
    expect(two.readByte(0)).toBe(3)
  })

  it('gives one byte after the other as long as they are acknowledged: the maker’s name', () => {
    const [two] = bus()
    two.start()
    expect([two.write(0xa0), two.write(20)]).toEqual([true, true])
    two.start()
    expect(two.write(0xa1)).toBe(true)
    const name = Array.from({ length: 10 }, (_, i) => two.read(i < 9))
    two.stop()
    expect(String.fromCharCode(...name)).toBe('Intel Corp')
  })

  it('has an identification whose checksum is right, and that nobody can write', () => {
    const [two] = bus()
    two.start()
    expect([two.write(0xa0), two.write(0), two.write(0x55)]).toEqual([true, true, true])
    two.stop()
    const bytes = Array.from({ length: 64 }, (_, at) => two.readByte(at))
    expect(bytes[0]).toBe(3)
    expect(bytes.slice(0, 63).reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(bytes[63])
  })

  it('goes on where it was when the port is restored in the middle of a byte', () => {
    const [first, rig] = bus()
    first.start()
    first.write(0xa0)
    first.write(3)
    first.start()
    first.write(0xa1)
    const other = new NicRig('intel-82599')
    other.nic.load(structuredClone(rig.nic.save()))
    const second = new TwoWireBus(bench(other))
    expect([first.read(false), second.read(false)]).toEqual([0x10, 0x10])
  })
})

type Step =
  | readonly [does: string, write: number, value: number]
  | readonly [does: string, read: number, mask: number, expected: number]

function follow(rig: NicRig, steps: readonly Step[], fn: PcieFunction = rig.pf): void {
  for (const step of steps) {
    const [does, offset, third, expected] = step
    if (expected === undefined) rig.write(offset, third, fn)
    else expect([does, (rig.read(offset, fn) & third) >>> 0]).toEqual([does, expected >>> 0])
  }
}

function mailboxRequest(
  rig: NicRig,
  vf: PcieFunction,
  register: number,
  memory: number,
  words: number[],
): void {
  rig.write(register, 0x4, vf)
  expect(rig.read(register, vf) & 0x4).toBe(0x4)
  for (const [i, word] of words.entries()) rig.write(memory + i * 4, word, vf)
  rig.write(register, 0x1, vf)
}

describe('the mailbox, register by register', () => {
  it('of the 82576: reset, request, answer, acknowledgement', () => {
    const rig = new NicRig('intel-82576')
    const [vf] = rig.enableVfs(2)
    rig.enableMsiX(rig.pf, 10, 0x40)
    follow(rig, [
      ['STATUS.IOV_MODE and NUM_VFS', 0x8, 0x7_c000, (1 << 18) | (2 << 14)],
      ['port reset', 0x0, 1 << 26],
      ['GPIE', 0x1514, 0xc000_0010],
      ['IVAR_MISC: other causes at vector 0', 0x1740, 0x8000],
      ['EIAC: the message acknowledges', 0x152c, 0x1],
      ['EIMS', 0x1524, 0x1],
      ['IMS: mailbox', 0x1508, 0x100],
    ])
    follow(rig, [['V2PMAILBOX.RSTI: the physical function is in reset', 0xc40, 0x40, 0x40]], vf)
    rig.set(0x18, 1 << 14)
    follow(
      rig,
      [
        ['V2PMAILBOX.RSTD: no more', 0xc40, 0xc0, 0x80],
        ['told once', 0xc40, 0xc0, 0],
        ['VTCTRL.RST', 0x0, 1 << 26],
        ['reset done', 0xc40, 0xc0, 0x80],
        ['VTEIMC', 0x1528, 0x7],
        ['VTSTATUS: link up', 0x8, 0x2, 0x2],
      ],
      vf,
    )
    expect(rig.read(0xc88)).toBe(1)
    rig.write(0xc88, 1)
    expect(rig.read(0xc88)).toBe(0)
    expect(rig.read(0x1500) & 0x100).toBe(0x100)
    const before = rig.messages.length
    mailboxRequest(rig, vf!, 0xc40, 0x800, [1, 2, 3])
    expect(rig.messages.length).toBe(before + 1)
    expect(rig.read(0xc80) & 0xff).toBe(1)
    expect([rig.read(0x800), rig.read(0x804), rig.read(0x808)]).toEqual([1, 2, 3])
    // The physical function answers: acknowledge, take the buffer, write, tell.
    rig.write(0xc80, 1)
    rig.write(0xc00, 0x2)
    rig.write(0xc00, 0x8)
    expect(rig.read(0xc00) & 0x8).toBe(0x8)
    rig.write(0x800, 0x8000_0001)
    rig.write(0xc00, 0x1)
    expect(rig.read(0xc40, vf) & 0x30).toBe(0x30)
    expect(rig.read(0x800, vf)).toBe(0x8000_0001)
    rig.write(0xc40, 0x2, vf)
    expect(rig.read(0xc80) >>> 16).toBe(1)
  })

  it('of the 82599: reset, request and message of its own vector', () => {
    const rig = new NicRig('intel-82599')
    const vfs = rig.enableVfs(20)
    const vf = vfs[17]!
    rig.enableMsiX(rig.pf, 64, 0x40)
    follow(rig, [
      ['STATUS.IOV_ACTIVE', 0x8, 1 << 18, 1 << 18],
      ['port reset', 0x0, 1 << 26],
      ['VT_CTL', 0x51b0, 0x4000_0001 | (20 << 7)],
      ['MRQC: 64 pools', 0x5818, 0x8],
      ['GPIE', 0x898, 0xc000_c010],
      ['IVAR_MISC: other causes at vector 5', 0xa00, 0x8500],
      ['EIMS: mailbox', 0x880, 1 << 19],
    ])
    follow(rig, [['RSTI', 0x2fc, 0x40, 0x40]], vf)
    rig.set(0x18, 1 << 14)
    follow(
      rig,
      [
        ['RSTD', 0x2fc, 0xc0, 0x80],
        ['VFCTRL.RST', 0x0, 1 << 26],
        ['reset done', 0x2fc, 0xc0, 0x80],
        ['VFLINKS', 0x10, 0x7000_0000, 0x7000_0000],
        ['VFRXDCTL1', 0x1068, 0x0200_0000],
        ['enabled', 0x1068, 0x0200_0000, 0x0200_0000],
        ['a third queue is not there', 0x10a8, 0xffff_ffff, 0],
      ],
      vf,
    )
    expect(rig.read(0x600)).toBe(1 << 17)
    rig.write(0x700, 1 << 17)
    expect(rig.read(0x600)).toBe(0)
    // Its second queue is number 35 of the port.
    expect(rig.read(0x1000 + 35 * 0x40 + 0x28) & 0x0200_0000).toBe(0x0200_0000)
    rig.read(0x800)
    rig.messages.length = 0
    mailboxRequest(rig, vf, 0x2fc, 0x200, [1, 7])
    expect(rig.messages.map(({ data }) => data)).toEqual([0x45])
    expect(rig.read(0x714)).toBe(1 << 1)
    expect(rig.read(0x1_3000 + 17 * 64 + 4)).toBe(7)
    rig.write(0x714, 0xffff_ffff)
    expect(rig.read(0x714)).toBe(0)
    // Vector 2 of the virtual function is its mailbox's.
    rig.enableMsiX(vf, 3, 0x80)
    rig.write(0x140, 0x82, vf)
    rig.write(0x108, 0x4, vf)
    rig.write(0x4b00 + 17 * 4, 0x1)
    expect(rig.messages.at(-1)).toEqual({ requesterId: vf.rid, address: 0xfee0_0000, data: 0x82 })
    expect(rig.read(0x100, vf)).toBe(0x4)
  })
})
