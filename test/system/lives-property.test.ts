/**
 * Everything that happens to virtual machines in their lives, in any order, with faults among it and DMA at every moment:
 * memory is what a reference model says, nobody reaches another's, and nothing is left behind.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { leaksSince, takeStock } from '../../src/system/index.ts'
import { FIRST_PAGE, FUNCTIONS, IOVA_PAGE, Lives, NAMES, PAGES } from './lives.ts'

/** Random sequences; `npm run hunt` takes many more. */
const RUNS = Number(process.env['RUNS'] ?? 4)
/** Pages of a MiB. */
const MIB = 256

interface Step {
  readonly kind: keyof typeof STEPS
  readonly vm: number
  readonly a: number
  readonly b: number
}

/** What is done to one machine. */
interface Turn {
  readonly lives: Lives
  readonly vm: string
  /** Where it is. */
  readonly at: { readonly platform: string; readonly vm: string }
  readonly other: string
  readonly a: number
  readonly b: number
}

const heldBy = ({ lives, vm }: Turn): readonly string[] =>
  lives
    .host(vm)
    .hypervisor.vm(vm)
    .devices.map(({ address }) => address)

const lifeOf = ({ lives, vm }: Turn) => lives.lives.get(vm)!

/** Functions that have left a machine have left what was mapped for them. */
function forgetMappings(turn: Turn): void {
  const held = heldBy(turn)
  for (const fn of lifeOf(turn).mapped.keys()) if (!held.includes(fn)) lifeOf(turn).mapped.delete(fn)
}

const STEPS = {
  // Memory
  use(turn: Turn) {
    const { lives, vm, at, a, b } = turn
    const firstMiB = 2 + (a % 2)
    const contents = b % 3 === 0 ? 'own' : 'common'
    lives.run('useMemory', { ...at, firstMiB, mebibytes: 1, contents })
    for (let page = firstMiB * MIB; page < (firstMiB + 1) * MIB; page++)
      lifeOf(turn).memory.set(page, lives.word(vm, page))
  },
  release(turn: Turn) {
    const { lives, at } = turn
    lives.run('useMemory', { ...at, firstMiB: 3, mebibytes: 1, contents: 'own', release: true })
    for (let page = 3 * MIB; page < 4 * MIB; page++) lifeOf(turn).memory.delete(page)
  },
  write(turn: Turn) {
    const { lives, at, a, b } = turn
    const page = FIRST_PAGE + (a % PAGES)
    const { memory } = lifeOf(turn)
    if (!memory.has(page)) return
    const bytes = new Uint8Array(8).fill(b)
    lives.run('writeMemory', {
      ...at,
      address: `0x${(page * 4096).toString(16)}`,
      data: Buffer.from(bytes).toString('hex'),
    })
    memory.set(page, bytes)
  },
  balloon: ({ lives, at, a }: Turn) => lives.run('setBalloon', { ...at, mebibytes: a % 5 }),
  swapOut: ({ lives, at, a }: Turn) => lives.run('swapOut', { ...at, mebibytes: 1 + (a % 4) }),
  collapse: ({ lives, at }: Turn) => lives.run('collapseMemory', at),
  share({ lives, at: { platform }, a, b }: Turn) {
    lives.run('setSharing', { platform, scope: (['none', 'vm', 'host'] as const)[a % 3]! })
    lives.run('sharePages', { platform, large: b % 2 === 0 })
  },
  balance: ({ lives, at: { platform } }: Turn) => lives.run('balanceMemory', { platform }),
  settings: ({ lives, at, a, b }: Turn) =>
    lives.run('setVmMemory', { ...at, shares: 1 + a, reservationMiB: a % 2, limitMiB: 2 + (b % 3) }),
  // Processors
  cpu({ lives, at, a, b }: Turn) {
    lives.run('setVmCpu', { ...at, shares: 1 + a, loadPercent: b % 101, reservationPercent: a % 40 })
    lives.run('runCpu', { platform: at.platform, nanoseconds: 20_000_000 })
  },
  // Functions
  attach: ({ lives, at, a }: Turn) =>
    lives.run('attach', { ...at, function: FUNCTIONS[a % FUNCTIONS.length]! }),
  detach(turn: Turn) {
    const { lives, at, a } = turn
    const held = heldBy(turn)
    const fn = held[a % held.length]
    if (fn === undefined) return
    lives.run('detach', { ...at, function: fn })
    forgetMappings(turn)
  },
  askBack(turn: Turn) {
    const { lives, at, a, b } = turn
    const held = heldBy(turn)
    const fn = held[a % held.length]
    if (fn === undefined) return
    lives.run('holdDevice', { ...at, function: fn, open: b % 2 === 0 })
    lives.run('requestRemoval', { ...at, function: fn, waitMs: 1 })
    forgetMappings(turn)
  },
  reset(turn: Turn) {
    const held = heldBy(turn)
    const fn = held[turn.a % held.length]
    if (fn !== undefined) turn.lives.run('resetDevice', { ...turn.at, function: fn })
  },
  dma(turn: Turn) {
    const { lives, vm, a, b } = turn
    const life = lifeOf(turn)
    const page = life.remapped && b % 4 > 0 ? IOVA_PAGE + (a % 8) : FIRST_PAGE + (a % PAGES)
    for (const fn of heldBy(turn)) lives.dma(vm, fn, page, new Uint8Array(8).fill(a ^ b))
  },
  // A remapping unit of its own
  map(turn: Turn) {
    const { lives, at, a, b } = turn
    const life = lifeOf(turn)
    const held = heldBy(turn)
    const fn = held[a % held.length]
    if (fn === undefined || !life.remapped) return
    const [iova, page] = [IOVA_PAGE + (a % 8), FIRST_PAGE + (b % PAGES)]
    const [address, guestAddress] = [iova, page].map(number => `0x${(number * 4096).toString(16)}`)
    lives.run('mapViommu', { ...at, function: fn, address: address!, guestAddress: guestAddress! })
    const mapped = life.mapped.get(fn) ?? new Map<number, number>()
    life.mapped.set(fn, mapped.set(iova, page))
  },
  unmap(turn: Turn) {
    const { lives, at, a } = turn
    const [[fn, mapped] = []] = lifeOf(turn).mapped
    const iovas = [...(mapped?.keys() ?? [])]
    const iova = iovas[a % iovas.length]
    if (fn === undefined || iova === undefined) return
    lives.run('unmapViommu', { ...at, function: fn, address: `0x${(iova * 4096).toString(16)}` })
    mapped!.delete(iova)
  },
  // Standing still, going back, two of one
  pause: ({ lives, at }: Turn) => lives.run('pauseVm', at),
  resume: ({ lives, at }: Turn) => lives.run('resumeVm', at),
  snapshot(turn: Turn) {
    const { lives, vm, at } = turn
    if (lives.snapshots.delete(vm)) lives.run('deleteSnapshot', { snapshot: vm })
    lives.run('takeSnapshot', { ...at, name: vm })
    lives.snapshots.set(vm, new Map(lifeOf(turn).memory))
  },
  rewind(turn: Turn) {
    const { lives, vm, at, b } = turn
    const earlier = lives.snapshots.get(vm)
    if (earlier === undefined) return
    lives.run('rewindVm', { ...at, snapshot: vm, paused: b % 3 === 0 })
    lives.born(vm, at.platform, false, earlier)
  },
  clone(turn: Turn) {
    const { lives, at, a } = turn
    const name = NAMES[a % NAMES.length]!
    if (lives.lives.has(name)) return
    lives.run('cloneVm', { ...at, name })
    lives.born(name, at.platform, false, lifeOf(turn).memory)
  },
  // Leaving
  migrate(turn: Turn) {
    const { lives, at, other, a, b } = turn
    const late = b % 4 === 0 ? { postCopyAfter: 1 } : {}
    const tracking = a % 2 === 0 ? 'pml' : 'accessedDirty'
    const { outcome } = lives.run('migrateVm', { ...at, to: other, bandwidthMbps: 1000, tracking, ...late })
    if (outcome === 'migrated') lifeOf(turn).where = other
    lives.protections.delete(turn.vm)
  },
  protect(turn: Turn) {
    const { lives, at, other } = turn
    const { by } = lives.run('protectVm', { ...at, to: other })
    lives.protections.set(turn.vm, by === 'checkpoint' ? new Map(lifeOf(turn).memory) : undefined)
  },
  failOver({ lives, at: { platform }, other }: Turn) {
    const { machines } = lives.run('failOver', { platform, fence: true, detectMs: 1 })
    for (const [vm, { where }] of lives.lives) if (where === platform) lives.lives.delete(vm)
    for (const { vm, outcome } of machines) {
      const kept = lives.protections.get(vm)
      lives.protections.delete(vm)
      if (outcome === 'lost') continue
      expect(outcome).toBe(kept === undefined ? 'restarted' : 'resumed')
      lives.born(vm, other, false, kept)
    }
    for (const vm of lives.protections.keys()) if (!lives.lives.has(vm)) lives.protections.delete(vm)
    lives.run('power', { platform, action: 'on' })
    lives.run('setNumVfs', { platform, function: '0000:01:00.0', numVfs: FUNCTIONS.length })
  },
  // What breaks
  fault({ lives, at: { platform }, a, b }: Turn) {
    const fn = FUNCTIONS[b % FUNCTIONS.length]!
    const faults = [
      { kind: 'poisonedCompletion', function: fn },
      { kind: 'failedReset', function: fn, durationNs: 1_000_000 },
      { kind: 'lateCompletion', unit: 'dmar0', delayNs: 10_000 },
      { kind: 'detectedError', function: fn, error: b % 2 === 0 ? 'badTlp' : 'malformedTlp' },
    ] as const
    lives.run('injectFault', { platform, fault: faults[a % faults.length]! })
  },
  delete({ lives, vm, at }: Turn) {
    lives.run('deleteVm', at)
    lives.lives.delete(vm)
    lives.protections.delete(vm)
  },
}

const KINDS = Object.keys(STEPS) as Step['kind'][]
const OFTEN = ['use', 'use', 'use', 'write', 'dma', 'dma', 'attach', 'map', 'swapOut', 'migrate'] as const

const step = fc.record<Step>({
  kind: fc.constantFrom(...KINDS, ...OFTEN),
  vm: fc.nat(NAMES.length - 1),
  a: fc.nat(1000),
  b: fc.nat(1000),
})

/** Who does not live yet begins to: with programs, and perhaps with a function. */
function take(lives: Lives, { kind, vm: number, a, b }: Step): void {
  const vm = NAMES[number]!
  const life = lives.lives.get(vm)
  if (life === undefined) {
    const platform = a % 2 === 0 ? 'p' : 'q'
    lives.create(vm, platform, b)
    const turn = { lives, vm, at: { platform, vm }, other: platform, a, b }
    STEPS.use(turn)
    if (a % 3 === 0) STEPS.attach(turn)
    return
  }
  const other = life.where === 'p' ? 'q' : 'p'
  STEPS[kind]({ lives, vm, at: { platform: life.where, vm }, other, a, b })
}

describe('lives of virtual machines', () => {
  it('leave memory as the model has it, nobody in another’s, and nothing behind', {
    timeout: 120_000,
  }, () => {
    let reached = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 50, size: 'max' }), steps => {
        const lives = new Lives()
        const stock = lives.platforms.map(platform => takeStock(platform))
        for (const one of steps) {
          try {
            take(lives, one)
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
          }
          lives.check()
        }
        for (const [vm, { where }] of lives.lives) lives.run('deleteVm', { platform: where, vm })
        for (const [i, platform] of lives.platforms.entries())
          expect(leaksSince(stock[i]!, platform)).toEqual([])
        reached += lives.reached
      }),
      { numRuns: RUNS },
    )
    expect(reached).toBeGreaterThan(10 * RUNS)
  })
})
