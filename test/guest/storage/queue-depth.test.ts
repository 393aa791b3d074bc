/** Several commands of a disk under way together, under each model; and workloads made of them. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { DRIVERS } from '../../../src/guest/driver-table.ts'
import { GuestKernel, type GuestPort } from '../../../src/guest/index.ts'
import type { BlockCommand, BlockDriver } from '../../../src/guest/storage/block-driver.ts'
import { type BlockWorkload, BlockWorkloadRun } from '../../../src/guest/storage/block-workload.ts'
import { VirtioBlock } from '../../../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../../../src/hypervisor/virtio/index.ts'
import { DiskMachine } from '../../hypervisor/storage/disk-machine.ts'
import { inMemory, MODELS } from './disks.ts'

describe.each(Object.entries(MODELS))('%s', (_, open) => {
  let machine: DiskMachine
  let driver: BlockDriver
  beforeAll(() => {
    machine = new DiskMachine()
    driver = open(machine)
  })

  /** Makes commands ready, tells the disk of them at once, and returns how each ended. */
  function together(commands: readonly BlockCommand[]): readonly (boolean | undefined)[] {
    return machine.guest(function* () {
      const tags: number[] = []
      for (const command of commands) tags.push(yield* driver.prepare(command))
      yield* driver.commit()
      // AHCI stops at a command that fails: what is left is issued anew.
      for (let look = 0; look < commands.length; look++) yield* driver.reap()
      return tags.map(tag => driver.outcome(tag))
    }).result
  }

  const at = (kind: BlockCommand['kind'], sector: number, piece: number): BlockCommand => ({
    kind,
    sector,
    count: kind === 'flush' ? 0 : 2,
    address: driver.buffer + piece * 1024,
  })

  it('is told of eight commands by one register write, and answers them all', () => {
    const bytes = Uint8Array.from({ length: 8 * 1024 }, (_, i) => (i * 7 + (i >> 9)) & 0xff)
    machine.poke(driver.buffer, bytes)
    const pieces = Array.from({ length: 8 }, (_, i) => i)
    expect(together(pieces.map(i => at('write', 100 + 16 * i, i)))).toEqual(pieces.map(() => true))
    machine.poke(driver.buffer, new Uint8Array(8 * 1024))
    const before = driver.counters
    // Read in the opposite order, each to where it came from.
    expect(together(pieces.map(i => at('read', 100 + 16 * (7 - i), 7 - i)))).toEqual(pieces.map(() => true))
    expect(Buffer.compare(machine.peek(driver.buffer, bytes.length), bytes)).toBe(0)
    const { commands, doorbells, interrupts } = driver.counters
    // NVMe has a second doorbell: the completions were seen.
    const seen = driver.name === 'nvme' ? 1 : 0
    expect([commands, doorbells, interrupts]).toEqual([
      before.commands + 8,
      before.doorbells + 1 + seen,
      before.interrupts + 1,
    ])
  })

  it('fails the commands that are wrong, and only those', () => {
    const commands = [
      at('read', 0, 0),
      at('read', driver.sectors, 1),
      at('flush', 0, 0),
      at('write', driver.sectors - 1, 2),
      { ...at('read', 0, 0), address: 0x7000_0000 },
      at('write', 8, 3),
    ]
    expect(together(commands)).toEqual([true, false, true, false, false, true])
    expect(together([at('read', 8, 4)])).toEqual([true])
  })

  it('has as many tags as it says', () => {
    const { result } = machine.guest(function* () {
      for (let i = 0; i < driver.depth; i++)
        expect(yield* driver.prepare(at('read', i, 0))).toBeGreaterThanOrEqual(0)
      expect(yield* driver.prepare(at('read', 0, 0))).toBe(-1)
      yield* driver.commit()
      yield* driver.reap()
      return Array.from({ length: driver.depth }, (_, tag) => driver.outcome(tag))
    })
    expect(result.every(ok => ok)).toBe(true)
    expect(driver.depth).toBeGreaterThan(20)
  })

  it('does what a workload asks for, and reads what it wrote', () => {
    const workload = fc.record({
      pattern: fc.constantFrom<BlockWorkload['pattern']>('sequential', 'random'),
      sectors: fc.constantFrom(1, 3, 8),
      depth: fc.integer({ min: 1, max: 20 }),
      commands: fc.integer({ min: 1, max: 60 }),
      readPercent: fc.constantFrom(0, 50, 100),
      firstSector: fc.integer({ min: 0, max: 1000 }),
      span: fc.integer({ min: 8, max: 200 }),
      seed: fc.nat(),
    })
    fc.assert(
      fc.property(workload, asked => {
        const { result } = machine.guest(kernel => new BlockWorkloadRun(kernel.access, driver, asked).run())
        expect(result.reads + result.writes).toBe(asked.commands)
        expect(result).toMatchObject({ failed: 0, mismatches: 0 })
        if (asked.readPercent === 100) expect(result.writes).toBe(0)
        if (asked.readPercent === 0) expect(result.reads).toBe(0)
      }),
      { numRuns: 8 },
    )
  })

  it('takes fewer register writes the more commands are under way', () => {
    const doorbells = [1, 4, 16].map(depth => {
      const before = driver.counters.doorbells
      const asked = { pattern: 'sequential', sectors: 1, depth, commands: 32, readPercent: 100 } as const
      machine.guest(kernel =>
        new BlockWorkloadRun(kernel.access, driver, { ...asked, firstSector: 0, span: 64, seed: 1 }).run(),
      )
      return driver.counters.doorbells - before
    })
    const each = driver.name === 'nvme' ? 2 : 1
    expect(doorbells).toEqual([32 * each, 8 * each, 2 * each])
  })

  it('is restored without touching anything, commands under way and all', () => {
    const saved = machine.guest(function* (kernel) {
      yield* driver.prepare(at('read', 5, 0))
      yield* driver.commit()
      yield* driver.prepare(at('write', 9, 1))
      return kernel.save()
    }).result
    const untouchable: GuestPort = {
      attempt() {
        throw new Error('a restored driver attempts nothing')
      },
      execute() {
        throw new Error('a restored driver executes nothing')
      },
    }
    const kernel = new GuestKernel(untouchable, 0, DRIVERS)
    kernel.load(structuredClone(saved))
    expect(kernel.save()).toEqual(saved)
  })
})

it('a workload notices a disk that forgets', () => {
  const machine = new DiskMachine()
  const backend = inMemory(machine)
  const driver = machine.open(new VirtioDevice(new VirtioBlock(backend)))
  const { write } = backend
  // It says that it has written; every second sector it has not.
  let calls = 0
  backend.write = (sector, bytes, start, length) =>
    calls++ % 2 === 0 ? write.call(backend, sector, bytes, start, length) : backend.flush()
  const { result } = machine.guest(kernel =>
    new BlockWorkloadRun(kernel.access, driver, {
      pattern: 'sequential',
      sectors: 1,
      depth: 4,
      commands: 40,
      readPercent: 50,
      firstSector: 0,
      span: 8,
      seed: 3,
    }).run(),
  )
  expect(result.failed).toBe(0)
  expect(result.mismatches).toBeGreaterThan(0)
})
