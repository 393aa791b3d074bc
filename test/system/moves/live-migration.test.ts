/** Live migration: what arrives is what was there, and what is told equals what can be computed beforehand. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { within } from '../../../src/engine/index.ts'
import { GuestKernel } from '../../../src/guest/index.ts'
import { portOf } from '../../../src/operations/network/nics.ts'
import type { SimulatedPlatform } from '../../../src/system/index.ts'
import {
  LiveMigration,
  type Meanwhile,
  MIGRATION_DEFAULTS,
  type MigrationOptions,
  type MigrationReport,
  PAGE_BYTES,
  TwoPlatforms,
  undoneOnFailure,
  ZERO_PAGE_BYTES,
} from '../../../src/system/index.ts'
import { done, MovingWorld, seenOf, shipped } from './moving-world.ts'

const VM = 'vm0'
const MEMORY_MIB = 16
const PAGES = MEMORY_MIB * 256

function world(interrupts: 'emulated' | 'virtualized' | 'posted' = 'emulated') {
  const moving = new MovingWorld()
  const a = moving.add('a')
  const b = moving.add('b', shipped('hot-plug'))
  moving.run('createVm', { platform: 'a', name: VM, vcpus: 2, memoryMiB: MEMORY_MIB, interrupts })
  return { moving, a, b }
}

const migrate = (
  a: SimulatedPlatform,
  b: SimulatedPlatform,
  options: Partial<MigrationOptions>,
  meanwhile?: Meanwhile,
): MigrationReport =>
  done(
    undoneOnFailure(
      [a, b],
      new LiveMigration(new TwoPlatforms(a, b), VM, { ...MIGRATION_DEFAULTS, ...options }, meanwhile).run(),
    ),
  )

const memoryOf = ({ hypervisor }: SimulatedPlatform): Buffer =>
  Buffer.from(hypervisor.readGuest(VM, 0, MEMORY_MIB << 20))

/** The same by arithmetic alone: see "The closed formula" in docs/migration.md. */
function computed(options: MigrationOptions, zeroPages: number, stateBytes: number) {
  const { bandwidthMbps, latencyNs, downtimeLimitNs, maxRounds, load } = options
  const time = (bytes: number): number => Math.floor((bytes * 8000) / bandwidthMbps)
  const writesBy = (at: number): number => Math.floor((load!.pagesPerSecond * at) / 1e9)
  let bytes = (PAGES - zeroPages) * PAGE_BYTES + zeroPages * ZERO_PAGE_BYTES
  const rounds: { bytes: number; durationNs: number; dirtied: number }[] = []
  let at = 0
  for (;;) {
    const durationNs = time(bytes)
    const dirtied = Math.min(load!.pages, writesBy(at + durationNs) - writesBy(at))
    rounds.push({ bytes, durationNs, dirtied })
    at += durationNs
    bytes = dirtied * PAGE_BYTES
    if (time(bytes + stateBytes) + latencyNs <= downtimeLimitNs || rounds.length === maxRounds) break
  }
  return { rounds, downtimeNs: time(bytes + stateBytes) + latencyNs, finalBytes: bytes + stateBytes }
}

describe('live migration', () => {
  it('carries memory, processors and devices over, and leaves nothing behind', () => {
    const { moving, a, b } = world('posted')
    for (const platform of ['a', 'b']) moving.run('createSwitch', { platform, name: 'vs0', uplinks: [] })
    const mac = '02:00:00:00:00:01'
    moving.run('addNetworkDevice', { platform: 'a', vm: VM, model: 'paravirtual', mac, switch: 'vs0' })
    moving.run('openDisk', { platform: 'a', vm: VM, model: 'paravirtual' })
    moving.run('writeBlocks', { platform: 'a', vm: VM, sector: 9, data: 'ab'.repeat(512) })
    moving.run('writeMemory', { platform: 'a', vm: VM, address: '0x400000', data: '00112233' })
    const before = { memory: memoryOf(a), seen: seenOf(a, VM) }
    const report = migrate(a, b, {})
    expect(report).toMatchObject({ outcome: 'migrated', converged: true, rounds: [{ pages: PAGES }] })
    expect(memoryOf(b).equals(before.memory)).toBe(true)
    expect(seenOf(b, VM)).toEqual(before.seen)
    expect(a.hypervisor.vms()).toEqual([])
    expect(a.networking.devices).toEqual([])
    expect(b.networking.device(VM)).toMatchObject({ switch: 'vs0' })
    const read = moving.run('readBlocks', { platform: 'b', vm: VM, sector: 9, count: 1 })
    expect(read.data).toBe('ab'.repeat(512))
    expect(b.engine.now).toBeGreaterThanOrEqual(report.totalNs)
  })

  for (const tracking of ['accessedDirty', 'pml'] as const) {
    it(`prints what the closed formula gives at a constant dirty rate (${tracking})`, () => {
      fc.assert(
        fc.property(
          fc.record({
            bandwidthMbps: fc.integer({ min: 500, max: 40_000 }),
            pagesPerSecond: fc.integer({ min: 0, max: 200_000 }),
            pages: fc.integer({ min: 1, max: PAGES - 1024 }),
            downtimeLimitNs: fc.integer({ min: 50_000, max: 3_000_000 }),
            maxRounds: fc.integer({ min: 1, max: 6 }),
          }),
          ({ bandwidthMbps, pagesPerSecond, pages, downtimeLimitNs, maxRounds }) => {
            const { a, b } = world()
            const load = { address: 0x40_0000, pages, pagesPerSecond }
            const options = {
              ...MIGRATION_DEFAULTS,
              bandwidthMbps,
              downtimeLimitNs,
              maxRounds,
              tracking,
              load,
            }
            const report = migrate(a, b, options)
            const { rounds, downtimeNs, finalBytes } = computed(
              options,
              report.rounds[0]!.zeroPages,
              report.stateBytes,
            )
            expect(
              report.rounds.map(({ bytes, durationNs, dirtied }) => ({ bytes, durationNs, dirtied })),
            ).toEqual(rounds)
            expect(report.downtimeNs).toBe(downtimeNs)
            expect(report.finalBytes).toBe(finalBytes)
            expect(report.bytes).toBe(rounds.reduce((sum, { bytes }) => sum + bytes, 0) + finalBytes)
          },
        ),
        { numRuns: 6, seed: 1 },
      )
    })
  }

  it('is held back by auto-converge until the rest is small enough', () => {
    const { a, b } = world()
    const load = { address: 0x40_0000, pages: 2048, pagesPerSecond: 400_000 }
    a.hypervisor.writeGuest(VM, load.address, new Uint8Array(load.pages * 4096).fill(1))
    const options = { bandwidthMbps: 10_000, downtimeLimitNs: 2_000_000, maxRounds: 40, load }
    expect(migrate(a, b, { ...options, ifNotConverging: 'cancel', maxRounds: 5 })).toMatchObject({
      outcome: 'cancelled',
      converged: false,
    })
    expect(b.hypervisor.vms()).toEqual([])
    const report = migrate(a, b, { ...options, autoConverge: true })
    expect(report).toMatchObject({ outcome: 'migrated', converged: true })
    const throttles = [...new Set(report.rounds.map(({ throttle }) => throttle))]
    expect(throttles.slice(0, 3)).toEqual([0, 20, 30])
    expect(report.downtimeNs).toBeLessThanOrEqual(options.downtimeLimitNs)
  })

  it('by post-copy has the guest wait for what it needs, and brings the rest', () => {
    const { moving, a, b } = world('virtualized')
    for (let page = 0; page < 512; page++) {
      const address = `0x${(0x60_0000 + page * 4096).toString(16)}`
      moving.run('writeMemory', { platform: 'a', vm: VM, address, data: 'c0ffee00' })
    }
    const before = memoryOf(a)
    const load = { address: 0x80_0000, pages: 100, pagesPerSecond: 50_000 }
    const report = migrate(a, b, { postCopyAfter: 0, load, bandwidthMbps: 1000 })
    expect(report).toMatchObject({ outcome: 'migrated', rounds: [], postCopy: { pages: PAGES } })
    expect(report.postCopy!.faults).toBeGreaterThan(0)
    expect(report.postCopy!.stalledNs).toBeGreaterThan(0)
    expect(report.downtimeNs).toBeLessThan(1_000_000)
    const after = memoryOf(b)
    // But for what the guest has written since, and for what its kernel counts.
    expect(after.subarray(0x10_0000, 0x80_0000).equals(before.subarray(0x10_0000, 0x80_0000))).toBe(true)
    expect(after.readUInt32LE(0x80_0000)).toBeGreaterThan(0)
    expect(a.hypervisor.vms()).toEqual([])
  })

  it('sends again what is written from outside in every way while it runs', () => {
    const { a, b } = world()
    let slices = 0
    const written = new Map<number, number>()
    // biome-ignore lint/correctness/useYield: others wait here
    function* meanwhile() {
      slices++
      const address = 0x20_0000 + (slices % 700) * 4096 + 8
      a.hypervisor.writeGuest(VM, address, Uint8Array.of(slices & 0xff, 1))
      written.set(address, slices & 0xff)
    }
    const report = migrate(a, b, { bandwidthMbps: 1000, downtimeLimitNs: 1_000_000, maxRounds: 3 }, meanwhile)
    expect(report.rounds.length).toBeGreaterThan(1)
    for (const [address, value] of written)
      expect(b.hypervisor.readGuest(VM, address, 2)).toEqual(Uint8Array.of(value, 1))
  })

  it('is refused with an assigned function, and for a place that is taken; then nothing has changed', () => {
    const { moving, a, b } = world()
    moving.run('createVm', { platform: 'b', name: VM, vcpus: 1, memoryMiB: 2 })
    const hashes = () => [a.stateHash(), b.stateHash()]
    const before = hashes()
    expect(() => migrate(a, b, {})).toThrow(expect.objectContaining({ code: 'nameTaken' }))
    expect(hashes()).toEqual(before)
    moving.run('deleteVm', { platform: 'b', vm: VM })
    moving.run('setNumVfs', { platform: 'a', function: '0000:03:00.0', numVfs: 1 })
    const vf = a.host.functions().find(({ kind }) => kind === 'VF')!.address
    moving.run('attach', { platform: 'a', vm: VM, function: vf })
    const attached = hashes()
    expect(() => migrate(a, b, {})).toThrow(
      expect.objectContaining({ code: 'notMigratable', message: expect.stringContaining(vf) }),
    )
    expect(hashes()).toEqual(attached)
  })
})

describe('failover teaming', () => {
  const PF = '0000:01:00.0'
  const MAC = '02:00:00:00:00:07'
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 7)

  function hostWithVfs(moving: MovingWorld, id: string): { platform: SimulatedPlatform; vf: string } {
    const platform = moving.add(id)
    moving.run('createSwitch', { platform: id, name: 'vs0', uplinks: [PF] })
    const { virtualFunctions } = moving.run('setNumVfs', { platform: id, function: PF, numVfs: 2 })
    return { platform, vf: virtualFunctions![1]! }
  }

  function teamed() {
    const moving = new MovingWorld()
    const a = hostWithVfs(moving, 'a')
    const b = hostWithVfs(moving, 'b')
    moving.run('createVm', { platform: 'a', name: VM, vcpus: 1, memoryMiB: MEMORY_MIB })
    const device = { platform: 'a', vm: VM, mac: MAC } as const
    moving.run('addNetworkDevice', { ...device, model: 'paravirtual', switch: 'vs0', standby: true })
    moving.run('addNetworkDevice', { ...device, model: 'sriov', function: a.vf })
    return { moving, a, b }
  }

  /** What the guest's team has heard since it was asked last. */
  const heard = (platform: SimulatedPlatform): number =>
    platform.hypervisor.lookAtGuest(VM, 0, kernel =>
      kernel instanceof GuestKernel ? kernel.team(mac).takeFrames().length : 0,
    )

  const activeOf = (platform: SimulatedPlatform): string | undefined =>
    platform.hypervisor.lookAtGuest(VM, 0, kernel =>
      kernel instanceof GuestKernel ? kernel.team(mac).active?.name : undefined,
    )

  /** A frame from outside, and what it causes. */
  function* arrives(platform: SimulatedPlatform) {
    const port = portOf(platform, PF)
    const frame = new Uint8Array(60)
    frame.set(mac, 0)
    frame.set([2, 0, 0, 0, 0, 0x99], 6)
    frame[12] = 8
    expect(platform.wires.send(port, frame)).toBe(true)
    yield* within(platform.engine, platform.elapse(200_000))
  }

  it('lets a machine with a function of its host go, and loses no frame', () => {
    const { a, b } = teamed()
    expect(activeOf(a.platform)).toBe('igbvf')
    let sent = 0
    let received = 0
    const send = function* (platform: SimulatedPlatform) {
      sent++
      yield* arrives(platform)
      received += heard(platform)
    }
    done(send(a.platform))
    expect(received).toBe(1)
    const load = { address: 0x40_0000, pages: 1024, pagesPerSecond: 50_000 }
    a.platform.hypervisor.writeGuest(VM, load.address, new Uint8Array(load.pages * 4096).fill(1))
    const seen = new Set<string | undefined>()
    const report = migrate(
      a.platform,
      b.platform,
      { primary: b.vf, load, bandwidthMbps: 1000, downtimeLimitNs: 2_000_000 },
      function* () {
        seen.add(activeOf(a.platform))
        yield* send(a.platform)
      },
    )
    expect(sent).toBeGreaterThan(10)
    expect([...seen]).toEqual(['virtio_net'])
    expect(report).toMatchObject({
      outcome: 'migrated',
      primary: { released: a.vf, taken: b.vf },
      framesLost: 0,
    })
    expect(activeOf(b.platform)).toBe('igbvf')
    done(send(b.platform))
    expect(received).toBe(sent)
    expect(a.platform.host.functions().filter(({ owner }) => owner.kind === 'vm')).toEqual([])
  })

  it('names frames that come while the guest stands still', () => {
    const { moving, a, b } = teamed()
    moving.run('pauseVm', { platform: 'a', vm: VM })
    moving.run('resumeVm', { platform: 'a', vm: VM })
    moving.run('removeNetworkDevice', { platform: 'a', vm: VM, slot: 2 })
    moving.run('pauseVm', { platform: 'a', vm: VM })
    done(arrives(a.platform))
    expect(a.platform.networking.framesToPaused(VM)).toBe(1)
    expect(heard(a.platform)).toBe(0)
    expect(b.platform.hypervisor.vms()).toEqual([])
  })

  it('is refused for a machine without a standby, with nothing changed', () => {
    const { moving, a, b } = teamed()
    moving.run('removeNetworkDevice', { platform: 'a', vm: VM, slot: 1 })
    const hashes = () => [a.platform.stateHash(), b.platform.stateHash()]
    const before = hashes()
    expect(() => migrate(a.platform, b.platform, { primary: b.vf })).toThrow(
      expect.objectContaining({ code: 'notMigratable', message: expect.stringContaining(a.vf) }),
    )
    expect(hashes()).toEqual(before)
  })
})
