/** A virtual machine that moves with a device of the host: the state of the device arrives bit for bit. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { within } from '../../../src/engine/index.ts'
import { interruptCountAddress } from '../../../src/guest/index.ts'
import { DeviceMigration } from '../../../src/host/index.ts'
import {
  LiveMigration,
  MIGRATION_DEFAULTS,
  type SimulatedPlatform,
  TwoPlatforms,
  undoneOnFailure,
} from '../../../src/system/index.ts'
import type { Operation } from '../../../src/vmx/formats/operations.ts'
import { done, MovingWorld, shipped } from './moving-world.ts'

const VM = 'vm0'
const DEVICE = '0000:01:00.0'
const OTHER = '0000:02:00.0'
// Offsets of src/devices/formats/copier.ts, once more.
const [SOURCE, DESTINATION, LENGTH, CONTROL, STATUS, COPIES, SCRATCH] = [
  0x00, 0x08, 0x10, 0x14, 0x18, 0x1c, 0x40,
]
const WINDOW = 0x1000
const BUSY = 1
const DONE = 2

function worldWithCopier(interrupts: 'emulated' | 'posted' = 'emulated') {
  const world = new MovingWorld()
  const a = world.add('a', shipped('migratable-device'))
  const b = world.add('b', shipped('migratable-device'))
  world.run('createVm', { platform: 'a', name: VM, vcpus: 1, memoryMiB: 16, interrupts })
  world.run('attach', { platform: 'a', vm: VM, function: DEVICE })
  return { world, a, b }
}

const barOf = ({ hypervisor }: SimulatedPlatform): number =>
  hypervisor.vm(VM).devices[0]!.bars[0]!.guestAddress!

function operate(platform: SimulatedPlatform, operations: readonly Operation[]): number[] {
  const { results } = done(within(platform.engine, platform.hypervisor.runVcpu(VM, 0, operations)))
  return results.map(({ low }) => low)
}

const write = (address: number, value: number): Operation => ({
  op: 'write',
  address,
  width: 4,
  value: [value >>> 0, 0],
})
const read = (address: number): Operation => ({ op: 'read', address, width: 4 })

/** Everything that the guest can read of the device. */
const registersOf = (platform: SimulatedPlatform): number[] => {
  const bar = barOf(platform)
  return operate(
    platform,
    [...Array(8).keys(), ...[...Array(16).keys()].map(i => SCRATCH / 4 + i)].map(i => read(bar + 4 * i)),
  )
}

function startCopy(platform: SimulatedPlatform, from: number, to: number, length: number): void {
  const bar = barOf(platform)
  operate(platform, [
    write(bar + SOURCE, from),
    write(bar + DESTINATION, to),
    write(bar + LENGTH, length),
    write(bar + CONTROL, 1),
  ])
}

const migrate = (a: SimulatedPlatform, b: SimulatedPlatform, to: string, bandwidthMbps: number) =>
  done(
    undoneOnFailure(
      [a, b],
      new LiveMigration(new TwoPlatforms(a, b), VM, {
        ...MIGRATION_DEFAULTS,
        bandwidthMbps,
        downtimeLimitNs: 2_000_000,
        functions: { [DEVICE]: to },
      }).run(),
    ),
  )

describe('a migratable device', () => {
  it('takes its state with it bit for bit, and goes on with a copy that it was at', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { minLength: 16, maxLength: 16 }),
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 200, max: 20_000 }),
        fc.constantFrom('emulated' as const, 'posted' as const),
        (scratch, pages, bandwidthMbps, interrupts) => {
          const { a, b } = worldWithCopier(interrupts)
          const bar = barOf(a)
          operate(
            a,
            scratch.map((value, i) => write(bar + SCRATCH + 4 * i, value)),
          )
          const data = Uint8Array.from({ length: pages * 4096 }, (_, i) => (i * 7 + (i >>> 12)) & 0xff)
          a.hypervisor.writeGuest(VM, 0x20_0000, data)
          startCopy(a, 0x20_0000, 0x80_0000, data.length)
          const before = registersOf(a)
          expect(before[STATUS / 4]).toBe(BUSY)
          const report = migrate(a, b, OTHER, bandwidthMbps)
          expect(report.outcome).toBe('migrated')
          expect(a.host.functions().filter(({ owner }) => owner.kind === 'vm')).toEqual([])
          expect(b.hypervisor.vm(VM).devices).toMatchObject([
            { address: OTHER, guestAddress: '0000:00:01.0' },
          ])
          const after = registersOf(b)
          // But for the copy, which went on.
          const steady = (words: number[]): number[] =>
            words.filter((_, i) => i !== STATUS / 4 && i !== COPIES / 4)
          expect(steady(after)).toEqual(steady(before))
          done(within(b.engine, b.elapse(1000 * pages + 10_000)))
          expect(registersOf(b)[STATUS / 4]).toBe(DONE)
          expect(registersOf(b)[COPIES / 4]).toBe(1)
          expect(Buffer.from(b.hypervisor.readGuest(VM, 0x80_0000, data.length)).equals(data)).toBe(true)
          // Its interrupt came once, on whichever host the copy ended.
          const { guestVector } = b.hypervisor.vm(VM).devices[0]!.vectors[0]!
          const counted = b.hypervisor.readGuest(VM, interruptCountAddress(0, guestVector), 4)
          expect(new DataView(counted.buffer).getUint32(0, true)).toBe(1)
        },
      ),
      { numRuns: 5, seed: 3 },
    )
  })

  it('reaches at the target only memory of its machine there, and nothing of the source any more', () => {
    const { a, b } = worldWithCopier()
    migrate(a, b, DEVICE, 10_000)
    const own = b.hypervisor.hostMemoryOf(VM)
    const report = done(within(b.engine, b.dma(DEVICE, true, 0x500, 0, Uint8Array.of(1, 2, 3))))
    const { physicalPage } = report.parts[0]!
    expect(
      own.some(({ hostPage, pages }) => physicalPage! >= hostPage && physicalPage! < hostPage + pages),
    ).toBe(true)
    const stray = done(within(a.engine, a.dma(DEVICE, true, 0x500, 0, Uint8Array.of(1, 2, 3))))
    expect(stray.parts[0]!.status).not.toBe(report.parts[0]!.status)
  })

  it('hides its migration window from its guest', () => {
    const { a } = worldWithCopier()
    const bar = barOf(a)
    expect(
      operate(a, [write(bar + WINDOW + 8, 0), read(bar + WINDOW), read(bar + WINDOW + 8)]).slice(1),
    ).toEqual([0, 0])
    startCopy(a, 0x20_0000, 0x80_0000, 4096)
    done(within(a.engine, a.elapse(5000)))
    expect(registersOf(a)[STATUS / 4]).toBe(DONE)
  })

  it('goes between the states of VFIO migration by the arcs that there are', () => {
    const { a } = worldWithCopier()
    const region = a.hypervisor.vm(VM).devices[0]!.bars[0]!
    const function_ = a.host.find(DEVICE)
    const regions = [{ ...region, prefetchable: false }]
    const migration = DeviceMigration.of(a.hardware.port, { function: function_, regions } as never)!
    expect(migration.answers).toBe(true)
    for (const state of [
      'STOP_COPY',
      'RUNNING',
      'PRE_COPY',
      'STOP',
      'RESUMING',
      'STOP',
      'RUNNING',
    ] as const) {
      migration.set(state)
      expect(migration.state).toBe(state)
    }
    expect(() => migration.set('ERROR')).toThrow(expect.objectContaining({ code: 'invalidArgument' }))
    expect(migration.state).toBe('RUNNING')
  })

  it('is refused where no function is named for it, or another device; then nothing has changed', () => {
    const { world, a, b } = worldWithCopier()
    const hashes = () => [a.stateHash(), b.stateHash()]
    const before = hashes()
    expect(() => migrate(a, b, 'nowhere', 10_000)).toThrow(expect.objectContaining({ code: 'notFound' }))
    expect(() => world.run('migrateVm', { platform: 'a', vm: VM, to: 'b' })).toThrow(
      expect.objectContaining({ code: 'invalidArgument', message: expect.stringContaining(DEVICE) }),
    )
    expect(hashes()).toEqual(before)
    const c = world.add('c')
    const hash = c.stateHash()
    expect(() => migrate(a, c, '0000:01:00.0', 10_000)).toThrow(
      expect.objectContaining({ code: 'notMigratable' }),
    )
    expect([...hashes(), c.stateHash()]).toEqual([...before, hash])
  })
})
