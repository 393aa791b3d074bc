/** Serial ATA AHCI 1.3.1: registers of the emulated controller, and commands that cannot be. Literals throughout. */
import { describe, expect, it } from 'vitest'
import { drive } from '../../../src/engine/index.ts'
import { AhciController, MemoryBackend } from '../../../src/hypervisor/storage/index.ts'
import { DiskMachine } from './disk-machine.ts'

const PORT = 0x100
const LIST = 0x30_0000
const RECEIVED = 0x30_1000
const TABLE = 0x30_2000
const DATA = 0x30_4000

class Bench {
  readonly machine = new DiskMachine()
  readonly controller: AhciController

  constructor() {
    const { hardware, host } = this.machine.platform
    this.controller = new AhciController(new MemoryBackend(hardware.port, host.memory, 1024))
    this.machine.run(this.machine.platform.hypervisor.plug('guest', this.controller))
    for (const [offset, value] of [
      [PORT, LIST],
      [PORT + 0x08, RECEIVED],
      [PORT + 0x14, 0x6000_0001],
      [PORT + 0x18, 0x11],
    ] as const) {
      this.write(offset, value)
    }
  }

  read(offset: number): number {
    return this.controller.readRegister(5, offset) >>> 0
  }

  write(offset: number, value: number): void {
    drive(this.controller.writeRegister(5, offset, value, 0xffff_ffff), () => false)
  }

  /** Issues an ATA command in slot 0 with one region. Returns PxIS. */
  issue(
    command: number,
    { sector = 0, count = 1, data = DATA, length = 512, type = 0x27, write = false } = {},
  ): number {
    const words = (address: number, ...values: number[]): void =>
      this.machine.poke(address, new Uint8Array(Uint32Array.from(values).buffer))
    words(LIST, (1 << 16) | (write ? 0x40 : 0) | 5, 0, TABLE, 0)
    words(TABLE, type | 0x8000 | (command << 16), sector & 0xff_ffff, 0, count)
    words(TABLE + 0x80, data, 0, 0, length - 1)
    this.write(PORT + 0x10, 0xffff_ffff)
    this.write(PORT + 0x38, 1)
    return this.read(PORT + 0x10)
  }
}

describe('the controller', () => {
  it('tells of one port with a disk', () => {
    const bench = new Bench()
    expect([0x0c, 0x10, PORT + 0x24, PORT + 0x28].map(at => bench.read(at))).toEqual([
      1, 0x0001_0301, 0x101, 0x123,
    ])
    expect(bench.read(PORT + 0x18) & 0xc011).toBe(0xc011)
  })

  it('writes, reads, and tells how many bytes it moved', () => {
    const bench = new Bench()
    const bytes = Uint8Array.from({ length: 512 }, (_, i) => i & 0xff)
    bench.machine.poke(DATA, bytes)
    expect(bench.issue(0x35, { sector: 9, write: true })).toBe(1)
    expect(bench.issue(0x25, { sector: 9, data: DATA + 0x1000 })).toBe(1)
    expect(bench.machine.peek(DATA + 0x1000, 512)).toEqual(bytes)
    expect([...bench.machine.peek(LIST + 4, 4)]).toEqual([0, 2, 0, 0])
    // The D2H register FIS.
    expect([...bench.machine.peek(RECEIVED + 0x40, 3)]).toEqual([0x34, 0x40, 0x50])
    expect(bench.read(PORT + 0x38)).toBe(0)
  })

  it.each<[string, Parameters<Bench['issue']>, number, number]>([
    ['sectors beyond the disk', [0x25, { sector: 1023, count: 2, length: 1024 }], 0x4000_0000, 0x1041],
    ['a command that there is not', [0xa1], 0x4000_0000, 0x0441],
    ['a FIS that is no command', [0x25, { type: 0x46 }], 0x4000_0000, 0x0441],
    ['data outside memory', [0x25, { data: 0x7000_0000 }], 0x2000_0000, 0x50],
    ['regions that are too short', [0x25, { count: 2, length: 512 }], 0x2000_0000, 0x50],
  ])('stops at %s, until it is started again', (_, command, status, taskFile) => {
    const bench = new Bench()
    expect(bench.issue(...command)).toBe(status)
    expect(bench.read(PORT + 0x20)).toBe(taskFile)
    expect(bench.read(PORT + 0x38)).toBe(1)
    bench.write(PORT + 0x18, 0x10)
    expect(bench.read(PORT + 0x38)).toBe(0)
    bench.write(PORT + 0x18, 0x11)
    expect(bench.issue(0x25)).toBe(1)
  })

  it('reaches no command list outside memory', () => {
    const bench = new Bench()
    bench.write(PORT, 0x7000_0000)
    expect(bench.issue(0x25)).toBe(0x2000_0000)
    expect(bench.controller.disk.counters.errors).toBe(1)
  })
})
