/**
 * What x86/intel-iommu.c of kvm-unit-tests does to a real or emulated unit, told anew: a guest kernel of its own that
 * brings the unit up, lets a device copy four bytes through a mapping, and takes an interrupt by the I/O APIC and one
 * by MSI. It knows the machine port, addresses and layouts, nothing else.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import type { DmaEngine } from '../../src/devices/index.ts'
import { Engine } from '../../src/engine/index.ts'
import {
  type MachinePort,
  Platform,
  parseTopology,
  type TopologyNodeDocument,
} from '../../src/platform/index.ts'
import { image, topology } from '../platform/documents.ts'

const UNIT = 0xfed9_0000
const [CAP, GCMD, GSTS, RTADDR, FSTS, IRTA] = [0x08, 0x18, 0x1c, 0x20, 0x34, 0xb8]
const [SIRTP, IRE, QIE, SRTP, TE] = [24, 25, 26, 30, 31]
const IO_APIC = 0xfec0_0000
/** As the DMAR table says. */
const IO_APIC_ID = 0xff00
const DEVICE = 0x0010 // 00:02.0
const CONFIG = 0x8000_0000 + DEVICE * 4096
const MSI = 0x80
const LINE = 10
const WORD = 0x1234_5678

/** The guest's side: a page allocator, tables, and the device's driver. */
class GuestKernel {
  readonly port: MachinePort
  #next = 0x100_0000
  #interrupts = 0

  constructor(port: MachinePort) {
    this.port = port
  }

  page(): number {
    this.#next += 4096
    return this.#next
  }

  read(register: number): number {
    return this.port.readDword(UNIT + register) >>> 0
  }

  write64(register: number, value: number): void {
    this.port.writeDword(UNIT + register, value % 2 ** 32)
    this.port.writeDword(UNIT + register + 4, Math.floor(value / 2 ** 32))
  }

  /** Sets a command bit on top of everything the status shows, one-shot bits that are still up included. */
  command(bit: number): void {
    this.port.writeDword(UNIT + GCMD, (this.read(GSTS) | (1 << bit)) >>> 0)
  }

  status(bit: number): boolean {
    return ((this.read(GSTS) >>> bit) & 1) === 1
  }

  start(): void {
    this.command(QIE)
    this.write64(RTADDR, this.page())
    this.command(SRTP)
    // 65536 entries, of which only the first page is ever used.
    this.write64(IRTA, this.page() + 0xf)
    this.command(SIRTP)
    this.command(TE)
    this.command(IRE)
    this.#localApic(0xf0, 0x1ff)
    this.port.processors[0]!.execute({ op: 'sti' })
  }

  #child(entry: number, bits: number): number {
    const found = this.port.readDword(entry)
    if (found & 3) return found & ~0xfff
    const made = this.page()
    this.port.writeDword(entry, made + bits)
    return made
  }

  /** One 4-KiB page by three levels; root and context entry are made as needed, with reporting off. */
  map(sid: number, iova: number, address: number): void {
    const contexts = this.#child(this.port.readDword(UNIT + RTADDR) + (sid >>> 8) * 16, 1)
    const context = contexts + (sid & 0xff) * 16
    this.port.writeDword(context + 8, sid * 256 + 1)
    let table = this.#child(context, 3)
    for (const shift of [30, 21]) table = this.#child(table + ((iova >>> shift) & 511) * 8, 3)
    this.port.writeDword(table + ((iova >>> 12) & 511) * 8, address + 3)
  }

  /** An entry for one source and one vector on processor 0, edge-triggered; its index. */
  interrupt(sid: number, vector: number): number {
    const index = ++this.#interrupts
    const entry = (this.port.readDword(UNIT + IRTA) & ~0xfff) + index * 16
    this.port.writeDword(entry + 4, 0)
    this.port.writeDword(entry + 8, 0x4_0000 + sid)
    this.port.writeDword(entry, vector * 0x1_0000 + 3)
    return index
  }

  ioApicEntry(line: number, index: number, vector: number): void {
    this.port.writeDword(IO_APIC, 0x11 + line * 2)
    this.port.writeDword(IO_APIC + 0x10, ((index & 0x7fff) << 17) | (1 << 16))
    this.port.writeDword(IO_APIC, 0x10 + line * 2)
    this.port.writeDword(IO_APIC + 0x10, vector | ((index >>> 15) << 11))
  }

  messageSignalled(index: number): void {
    this.port.writeDword(CONFIG + MSI + 4, (0xfee0_0010 | ((index & 0x7fff) << 5)) >>> 0)
    this.port.writeDword(CONFIG + MSI + 8, 0)
    this.port.writeDword(CONFIG + MSI + 12, 0)
    this.port.writeDword(CONFIG + MSI, 0x1_0000, 0xffff_0000)
  }

  /** The vector taken by processor 0, acknowledged; -1 if none is there. */
  taken(): number {
    const vector = this.port.processors[0]!.takeInterrupt()
    if (vector >= 0) {
      this.#localApic(0xb0, 0)
      this.port.processors[0]!.execute({ op: 'sti' })
    }
    return vector
  }

  #localApic(register: number, value: number): void {
    this.port.processors[0]!.execute({
      op: 'write',
      address: 0xfee0_0000 + register,
      width: 4,
      value: [value, 0],
    })
  }
}

/** An endpoint with a PCI Express capability at 40h and a 64-bit MSI capability at 80h. */
const device: TopologyNodeDocument = {
  at: '02.0',
  imported: {
    name: 'test device',
    kind: 'endpoint',
    configSizeBytes: 4096,
    image: image({
      0: [4, 0x11e8_1234],
      6: [2, 0x0010],
      52: [1, 0x40],
      64: [4, 0x0002_8010],
      128: [4, 0x0080_0005],
    }),
    bars: [{ index: 0, kind: 'memory32', sizeBytes: 0x10_0000 }],
  },
}

let platform: Platform
let kernel: GuestKernel
let engine: DmaEngine

beforeEach(() => {
  const time = new Engine()
  platform = time.run(Platform.build(parseTopology(topology([device])), time))
  platform.powerOn()
  kernel = new GuestKernel(platform.port)
  kernel.port.writeDword(CONFIG + 4, 6)
  engine = platform.engineOf(platform.fabric.functionAt(0, DEVICE as never)!)
  kernel.start()
})

describe('bringing the unit up', () => {
  test('leaves no fault behind', () => expect(kernel.read(FSTS)).toBe(0))
  test.each([
    ['queued invalidation', QIE],
    ['the root table', SRTP],
    ['the interrupt table', SIRTP],
    ['translation', TE],
    ['interrupt remapping', IRE],
  ])('%s is on, though later commands repeated earlier ones', (_, bit) => {
    expect(kernel.status(bit)).toBe(true)
  })
  test('39-bit tables and large pages are there', () => {
    expect((kernel.read(CAP) >>> 9) & 1).toBe(1)
    expect((kernel.read(CAP + 4) >>> 2) & 3).not.toBe(0)
  })
})

test('four bytes out of a mapped page and back into it', () => {
  const page = kernel.page()
  kernel.port.writeDword(page, WORD)
  kernel.map(DEVICE, 0, page)
  const buffer = new Uint8Array(4)
  expect(engine.dma(false, 0, 0, buffer)).toMatchObject([{ status: 0, physicalPage: page / 4096 }])
  expect(engine.dma(true, 0, 4, buffer)).toMatchObject([{ status: 0, physicalPage: page / 4096 }])
  expect(kernel.port.readDword(page + 4)).toBe(WORD)
})

test('what is not mapped stays out of reach, and with reporting off nothing is recorded', () => {
  kernel.map(DEVICE, 0, kernel.page())
  expect(engine.dma(true, 1, 0, new Uint8Array(4))).toMatchObject([{ faultReason: 0x05 }])
  expect(kernel.read(FSTS)).toBe(0)
})

describe('an interrupt', () => {
  test('of the line comes by the I/O APIC and its entry', () => {
    kernel.ioApicEntry(LINE, kernel.interrupt(IO_APIC_ID, 0xed), 0xed)
    platform.ioApic.assertLine(LINE, true)
    expect(kernel.taken()).toBe(0xed)
    platform.ioApic.assertLine(LINE, false)
    expect(kernel.taken()).toBe(-1)
  })

  test("of the line does not come under the source-id of the device: the request is the I/O APIC's", () => {
    kernel.ioApicEntry(LINE, kernel.interrupt(DEVICE, 0xed), 0xed)
    platform.ioApic.assertLine(LINE, true)
    expect(kernel.taken()).toBe(-1)
  })

  test('of the function comes by MSI and its entry', () => {
    kernel.messageSignalled(kernel.interrupt(DEVICE, 0xee))
    expect(engine.fire(0).signal).toBe('sent')
    expect(kernel.taken()).toBe(0xee)
  })

  test('of both comes to the vector of each', () => {
    kernel.ioApicEntry(LINE, kernel.interrupt(IO_APIC_ID, 0xed), 0xed)
    kernel.messageSignalled(kernel.interrupt(DEVICE, 0xee))
    platform.ioApic.assertLine(LINE, true)
    engine.fire(0)
    expect([kernel.taken(), kernel.taken(), kernel.taken()]).toEqual([0xee, 0xed, -1])
  })
})
