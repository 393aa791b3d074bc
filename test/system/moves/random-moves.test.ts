/**
 * Machines that are written to, paused, put back, copied and moved between two hosts, in any order, with devices that write to
 * them: memory is what a reference model says, nobody reaches another's, and nothing is left behind.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../../src/core/index.ts'
import { within } from '../../../src/engine/index.ts'
import {
  captureVm,
  LiveMigration,
  leaksSince,
  MIGRATION_DEFAULTS,
  placeVm,
  type SimulatedPlatform,
  strayResources,
  TwoPlatforms,
  takeStock,
  undoneOnFailure,
  type VmDocument,
} from '../../../src/system/index.ts'
import { done, MovingWorld, shipped } from './moving-world.ts'

const MEMORY_MIB = 4
const DEVICES = ['0000:01:00.0', '0000:02:00.0'] as const
/** Where the model is kept; the guest's kernel and its drivers are below. */
const FIRST = 0x20_0000
const PAGES = 200

interface Step {
  readonly kind:
    | 'create'
    | 'write'
    | 'dma'
    | 'attach'
    | 'detach'
    | 'migrate'
    | 'snapshot'
    | 'rewind'
    | 'pause'
    | 'resume'
    | 'delete'
  readonly vm: number
  readonly a: number
  readonly b: number
}

const step = fc.record<Step>({
  kind: fc.constantFrom(
    'create',
    'create',
    'write',
    'write',
    'dma',
    'dma',
    'attach',
    'attach',
    'detach',
    'migrate',
    'migrate',
    'snapshot',
    'rewind',
    'pause',
    'resume',
    'delete',
  ),
  vm: fc.integer({ min: 0, max: 2 }),
  a: fc.integer({ min: 0, max: PAGES - 1 }),
  b: fc.integer({ min: 1, max: 255 }),
})

/** The guest has its copier copy a byte, which takes a microsecond. Offsets of src/devices/formats/copier.ts, once more. */
function* copies(platform: SimulatedPlatform, vm: string, bar: number, from: number, to: number) {
  const registers = [
    [0x00, from],
    [0x08, to],
    [0x10, 1],
    [0x14, 1],
  ] as const
  const operations = registers.map(
    ([offset, value]) => ({ op: 'write', address: bar + offset, width: 4, value: [value, 0] }) as const,
  )
  yield* platform.hypervisor.runVcpu(vm, 0, operations)
  yield* platform.elapse(2000)
}

class Model {
  readonly world = new MovingWorld()
  readonly platforms: readonly SimulatedPlatform[]
  /** First byte of each page, by machine. */
  readonly memory = new Map<string, Uint8Array>()
  readonly snapshots = new Map<string, { readonly document: VmDocument; readonly memory: Uint8Array }>()

  constructor() {
    this.platforms = ['a', 'b'].map(id => this.world.add(id, shipped('migratable-device')))
  }

  where(vm: string): SimulatedPlatform | undefined {
    return this.platforms.find(({ hypervisor }) => hypervisor.vms().some(({ name }) => name === vm))
  }

  do({ kind, vm: number, a, b }: Step): void {
    const vm = `vm${number}`
    const here = this.where(vm)
    if (here === undefined) {
      if (kind !== 'create') return
      const host = this.platforms[a % 2]!
      done(within(host.engine, host.hypervisor.createVm({ name: vm, vcpus: 1, memoryMiB: MEMORY_MIB })))
      this.memory.set(vm, new Uint8Array(PAGES))
      return
    }
    const { hypervisor, engine } = here
    const memory = this.memory.get(vm)!
    const own = hypervisor.vm(vm).devices.map(({ address }) => address)
    const address = FIRST + a * 4096
    switch (kind) {
      case 'create':
        return
      case 'write':
        hypervisor.writeGuest(vm, address, Uint8Array.of(b))
        memory[a] = b
        return
      case 'dma':
        if (own[0] === undefined) return
        done(within(engine, here.dma(own[0], true, address / 4096, 0, Uint8Array.of(b))))
        // It was let out of its machine only with Bus Master Enable, which its guest has set.
        memory[a] = hypervisor.readGuest(vm, address, 1)[0]!
        expect(memory[a]).toBe(b)
        return
      case 'attach':
        done(within(engine, hypervisor.attach(vm, DEVICES[a % 2]!)))
        return
      case 'detach':
        if (own[0] !== undefined) done(within(engine, hypervisor.detach(vm, own[0])))
        return
      case 'migrate':
        this.migrate(vm, here, own, a, b)
        return
      case 'snapshot':
        this.snapshots.set(vm, {
          document: done(within(engine, captureVm(here, vm))),
          memory: memory.slice(),
        })
        return
      case 'rewind': {
        const snapshot = this.snapshots.get(vm)
        if (snapshot === undefined) return
        const functions = Object.fromEntries(DEVICES.map(one => [one, one]))
        const again = function* () {
          yield* hypervisor.deleteVm(vm)
          yield* placeVm(here, snapshot.document, { functions })
          yield* hypervisor.moves.resume(vm)
        }
        done(undoneOnFailure([here], within(engine, again())))
        this.memory.set(vm, snapshot.memory.slice())
        return
      }
      case 'pause':
        hypervisor.moves.pause(vm)
        return
      case 'resume':
        done(within(engine, hypervisor.moves.resume(vm)))
        return
      case 'delete':
        done(within(engine, hypervisor.deleteVm(vm)))
        this.memory.delete(vm)
    }
  }

  /** While it moves, its device and its administrator write to it. */
  migrate(vm: string, from: SimulatedPlatform, own: readonly string[], a: number, b: number): void {
    const to = this.platforms.find(platform => platform !== from)!
    const memory = this.memory.get(vm)!
    const written = memory.slice()
    let slices = 0
    const paused = from.hypervisor.moves.isPaused(vm)
    const bar = own[0] === undefined ? undefined : from.hypervisor.vm(vm).devices[0]!.bars[0]!.guestAddress!
    function* meanwhile() {
      const page = (a + 7 * ++slices) % PAGES
      const address = FIRST + page * 4096
      if (bar !== undefined && !paused && slices % 2 === 0) {
        const source = (page + 3) % PAGES
        yield* within(from.engine, copies(from, vm, bar, FIRST + source * 4096, address))
        written[page] = written[source]!
        return
      }
      const value = (b + slices) & 0xff
      from.hypervisor.writeGuest(vm, address, Uint8Array.of(value))
      written[page] = value
    }
    const migration = new LiveMigration(
      new TwoPlatforms(from, to),
      vm,
      {
        ...MIGRATION_DEFAULTS,
        bandwidthMbps: 1000,
        downtimeLimitNs: 200_000,
        maxRounds: 1 + (b % 4),
        tracking: b % 2 === 0 ? 'pml' : 'accessedDirty',
        ifNotConverging: b % 5 === 0 ? 'cancel' : 'stopAndCopy',
        ...(b % 7 === 0 && { postCopyAfter: 1 }),
        functions: Object.fromEntries(DEVICES.map((one, i) => [one, DEVICES[(i + b) % 2]!])),
      },
      // At the target it is somebody else who writes.
      b % 7 === 0 ? undefined : meanwhile,
    )
    done(undoneOnFailure([from, to], migration.run()))
    memory.set(written)
  }

  check(): void {
    for (const [vm, memory] of this.memory) {
      const here = this.where(vm)!
      for (const [page, value] of memory.entries())
        expect(here.hypervisor.readGuest(vm, FIRST + page * 4096, 1)[0], `${vm}, page ${page}`).toBe(value)
    }
    for (const platform of this.platforms) {
      const owned = platform.hypervisor.vms().flatMap(({ name }) => platform.hypervisor.hostMemoryOf(name))
      const pages = owned.flatMap(({ hostPage, pages: count }) => [[hostPage, hostPage + count] as const])
      pages.sort(([x], [y]) => x - y)
      for (const [i, [first]] of pages.entries())
        if (i > 0) expect(first).toBeGreaterThanOrEqual(pages[i - 1]![1])
      expect(strayResources(platform)).toEqual([])
    }
  }
}

describe('machines that move in any order', () => {
  it('keep their memory, reach nobody else’s, and leave nothing behind', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 30 }), steps => {
        const model = new Model()
        const stock = model.platforms.map(platform => takeStock(platform))
        for (const one of steps) {
          const before = model.platforms.map(platform => platform.hypervisor.vms().length)
          try {
            model.do(one)
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
            expect(model.platforms.map(platform => platform.hypervisor.vms().length)).toEqual(before)
          }
          model.check()
        }
        for (const platform of model.platforms) {
          for (const { name } of platform.hypervisor.vms())
            done(within(platform.engine, platform.hypervisor.deleteVm(name)))
        }
        for (const [i, platform] of model.platforms.entries())
          expect(leaksSince(stock[i]!, platform)).toEqual([])
      }),
      { numRuns: Number(process.env['RUNS'] ?? 6), seed: 9 },
    )
  })
})
