/**
 * Many hosts become virtual machines of one: each moves in, uses memory as it was measured to, and computes; then it is
 * told what each got of processors and memory, by what means, and whether they are apart.
 */
import type { Software } from '../../engine/index.ts'
import type { VmMemoryView } from '../../hypervisor/index.ts'
import { judgeIsolation } from '../../policy/isolation/index.ts'
import { isolationFacts } from '../isolation/facts.ts'
import { FIRST_PROGRAM_MIB, useMemory } from '../memory/use-memory.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import { type Placement, planConsolidation, type SourceHost } from './plan.ts'

export interface ConsolidationOptions {
  readonly hosts: readonly SourceHost[]
  /** Virtual time for which they compute. */
  readonly nanoseconds: number
  readonly sliceNs?: number
}

export interface ConsolidatedHost {
  readonly vm: string
  readonly vcpus: number
  readonly memoryMiB: number
  readonly shares: number
  /** Processors, on average: what it would use, is entitled to by the claims and loads of all, and had. */
  readonly demand: number
  readonly entitled: number
  readonly used: number
  /** Of what it had from what it was entitled to, percent of the latter. */
  readonly deviationPercent: number
  readonly function: string | null
  readonly memory: Pick<VmMemoryView, 'resident' | 'shared' | 'swapped' | 'ballooned'>
  /** Pages that its programs wrote and found again afterwards, and how many those were. */
  readonly pagesHeld: number
  readonly pagesUsed: number
}

export interface ConsolidationReport {
  readonly hosts: readonly ConsolidatedHost[]
  readonly processors: number
  readonly vcpus: number
  readonly grantedMiB: number
  readonly hostMiB: number
  /** Pages of host memory that were saved by each means when all had moved in. */
  readonly savedBySharing: number
  readonly ballooned: number
  readonly swapped: number
  readonly largestDeviationPercent: number
  readonly isolation: {
    readonly pairs: number
    readonly isolated: number
    readonly breaches: readonly string[]
  }
}

const PAGES_PER_MIB = 256

/** Throws what the plan refuses, with nothing changed; `outOfMemory` and what attaching a function throws. */
export function* consolidate(
  platform: SimulatedPlatform,
  { hosts, nanoseconds, sliceNs }: ConsolidationOptions,
): Software<ConsolidationReport> {
  const { hypervisor } = platform
  const placements = planConsolidation(platform, hosts)
  for (const placement of placements) {
    const { commonMiB, ownMiB, cacheMiB, memoryMiB } = placement.host
    // What it will touch; all of it, where a device may.
    const room = placement.fn === undefined ? commonMiB + ownMiB + cacheMiB : memoryMiB
    yield* hypervisor.memory.balance((FIRST_PROGRAM_MIB + room) * PAGES_PER_MIB)
    yield* moveIn(platform, placement)
  }
  const memory = new Map(hypervisor.memory.views().map(view => [view.vm, view]))
  const { sharedPages, sharedBy } = hypervisor.memory.hostView
  yield* hypervisor.cpu.run(nanoseconds, sliceNs)
  const rows: ConsolidatedHost[] = []
  for (const placement of placements) {
    rows.push(yield* measured(platform, placement, nanoseconds, memory.get(placement.host.name)!))
  }
  const { pairs } = judgeIsolation(yield* isolationFacts(platform))
  const sum = (value: (row: ConsolidatedHost) => number): number =>
    rows.reduce((total, row) => total + value(row), 0)
  return {
    hosts: rows,
    processors: platform.hardware.processors.length,
    vcpus: sum(({ vcpus }) => vcpus),
    grantedMiB: sum(({ memoryMiB }) => memoryMiB),
    hostMiB: platform.hardware.memory.ranges.reduce((total, { size }) => total + size, 0) / 2 ** 20,
    savedBySharing: sharedBy - sharedPages,
    ballooned: sum(row => row.memory.ballooned),
    swapped: sum(row => row.memory.swapped),
    largestDeviationPercent: Math.max(0, ...rows.map(({ deviationPercent }) => deviationPercent)),
    isolation: {
      pairs: pairs.length,
      isolated: pairs.filter(({ isolated }) => isolated).length,
      breaches: pairs.flatMap(({ breaches }) => breaches.map(({ text }) => text)),
    },
  }
}

/** The machine is made, gets its function, and its programs use memory as they did. */
function* moveIn(platform: SimulatedPlatform, { host, fn }: Placement): Software {
  const { hypervisor } = platform
  const { name: vm, processors: vcpus, memoryMiB, commonMiB, ownMiB, cacheMiB } = host
  const memorySettings = { reservationMiB: host.reservationMiB ?? 0 }
  yield* hypervisor.createVm({
    name: vm,
    vcpus,
    memoryMiB,
    backing: 'paged',
    hugePages: 'none',
    memorySettings,
  })
  hypervisor.cpu.set(vm, {
    loadPercent: host.loadPercent,
    ...(host.shares !== undefined && { shares: host.shares }),
    ...(host.reservationPercent !== undefined && { reservationPercent: host.reservationPercent }),
  })
  if (fn !== undefined) yield* hypervisor.attach(vm, fn)
  const own = FIRST_PROGRAM_MIB + commonMiB
  if (commonMiB > 0) {
    yield* useMemory(hypervisor, {
      vm,
      firstMiB: FIRST_PROGRAM_MIB,
      mebibytes: commonMiB,
      contents: 'common',
    })
  }
  if (ownMiB > 0) yield* useMemory(hypervisor, { vm, firstMiB: own, mebibytes: ownMiB, contents: 'own' })
  if (cacheMiB > 0) {
    const cache = { vm, firstMiB: own + ownMiB, mebibytes: cacheMiB, contents: 'own', release: true } as const
    yield* useMemory(hypervisor, cache)
  }
}

function* measured(
  { hypervisor }: SimulatedPlatform,
  { host, fn }: Placement,
  nanoseconds: number,
  { resident, shared, swapped, ballooned }: VmMemoryView,
): Software<ConsolidatedHost> {
  const { name: vm, commonMiB, ownMiB } = host
  const { vcpus, shares, usedNs } = hypervisor.cpu.view(vm)
  const entitled = hypervisor.cpu.entitlements().get(vm) ?? 0
  const had = usedNs / nanoseconds
  const used = commonMiB + ownMiB
  const read = { vm, firstMiB: FIRST_PROGRAM_MIB, mebibytes: used } as const
  const { held, pages } = used === 0 ? { held: 0, pages: 0 } : yield* useMemory(hypervisor, read)
  return {
    vm,
    vcpus,
    memoryMiB: host.memoryMiB,
    shares,
    demand: (vcpus * host.loadPercent) / 100,
    entitled,
    used: had,
    deviationPercent: entitled === 0 ? 0 : (Math.abs(had - entitled) / entitled) * 100,
    function: fn ?? null,
    memory: { resident, shared, swapped, ballooned },
    pagesHeld: held,
    pagesUsed: pages,
  }
}
