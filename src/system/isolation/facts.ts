/** Gathers what an isolation report is judged from. Nothing is sent and nothing is changed. */
import { formatFunctionAddress, type RequesterId } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import type { HostFunction } from '../../host/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../../interrupts/formats/message.ts'
import { ACS_BIT } from '../../pcie/formats/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type {
  FunctionFacts,
  GroupChange,
  IsolationFacts,
  ReachedPeer,
  ReachedRange,
} from '../../policy/isolation/index.ts'
import { TableJudge } from '../../vtd/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import { armedTargets, presentEntries, vectorsOf } from './interrupt-reach.ts'
import { MemoryOwners } from './memory-owners.ts'
import {
  apertureReach,
  decidingEntry,
  type Mapping,
  pasidsOf,
  type TableReach,
  tableReach,
} from './table-reach.ts'
import { claimsAbove, entryOf, passesDown, type WayEnd, wayOf } from './ways.ts'

/** Wider than what any window or BAR can contain: who sends it asks for the way to the root complex and nothing else. */
const BEYOND_CLAIMS = 2 ** 45

interface JudgedUnit {
  readonly judge: TableJudge
  readonly present: readonly number[]
}

export function* isolationFacts(platform: SimulatedPlatform): Software<IsolationFacts> {
  const gatherer = new Gatherer(platform)
  const functions: FunctionFacts[] = []
  for (const fn of platform.host.functions()) {
    functions.push(gatherer.factsOf(fn))
    yield* pause()
  }
  const groups = new Set(
    functions.flatMap(({ owner, group }) => (owner.kind === 'vm' && group !== null ? [group] : [])),
  )
  const groupChanges = new Map<number, readonly GroupChange[]>()
  for (const group of groups) groupChanges.set(group, (yield* platform.host.groupRepairs(group)).repairs)
  return { vms: platform.hypervisor.vms().map(({ name }) => name), functions, groupChanges }
}

class Gatherer {
  readonly #platform: SimulatedPlatform
  readonly #owners: MemoryOwners
  readonly #units: readonly JudgedUnit[]
  readonly #functions: readonly HostFunction[]

  constructor(platform: SimulatedPlatform) {
    const { memory, units } = platform.hardware
    this.#platform = platform
    this.#owners = new MemoryOwners(platform)
    this.#functions = platform.host.functions()
    this.#units = units.map(unit => {
      const judge = new TableJudge(unit, memory, platform.topology.hostAddressWidth)
      return { judge, present: presentEntries(judge, memory) }
    })
  }

  factsOf(fn: HostFunction): FunctionFacts {
    const { hardware } = this.#platform
    const silicon = hardware.fabric.functionAt(fn.segment, fn.rid)
    const base = { function: fn.address, owner: fn.owner, group: fn.group }
    const nothing = {
      memory: [],
      complete: true,
      vectors: [],
      anyVector: false,
      armed: [],
      peers: [],
      trusted: false,
    }
    if (silicon === undefined) {
      const closed = { at: fn.address, because: 'absent' }
      return { ...base, ...nothing, requesterId: fn.address, unit: null, closed }
    }
    const way = wayOf(silicon, BEYOND_CLAIMS, 0, true)
    const unit = hardware.unitOf(fn.segment, fn.rid)
    const judged = this.#units.find(({ judge }) => judge.unit === unit)
    const ids = {
      requesterId: formatFunctionAddress(fn.segment, way.requesterId as RequesterId),
      unit: unit?.id ?? hardware.aperture?.id ?? null,
    }
    const peers = this.#peersOf(silicon, fn)
    const armed = armedTargets(silicon, judged?.judge, way.requesterId)
    if (way.target !== 'rootComplex') {
      const closed = { at: addressOf(way.at as PcieFunction), because: way.because }
      return { ...base, ...nothing, ...ids, closed, peers, armed }
    }
    const remaps = judged?.judge.remapsInterrupts === true
    return {
      ...base,
      ...ids,
      ...this.#memoryOf(silicon, fn, way, judged?.judge),
      vectors: remaps ? vectorsOf(judged.judge, judged.present, way.requesterId) : [],
      anyVector: !remaps || judged.judge.passesCompatibilityFormat,
      armed,
      peers,
      trusted: this.#isTrusted(silicon, way, judged?.judge),
    }
  }

  #isTrusted(fn: PcieFunction, way: WayEnd, judge: TableJudge | undefined): boolean {
    return fn.translation?.supported === true && judge?.passesTranslated(way.requesterId, 0) === true
  }

  #memoryOf(
    fn: PcieFunction,
    of: HostFunction,
    way: WayEnd,
    judge: TableJudge | undefined,
  ): { readonly memory: ReachedRange[]; readonly complete: boolean } {
    const { memory, aperture } = this.#platform.hardware
    const rid = way.requesterId
    const ranges: ReachedRange[] = []
    let complete = true
    const take = (reach: TableReach, pasid: number): void => {
      complete &&= reach.complete
      for (const mapping of reach.mappings) {
        for (const range of this.#rangesOf(fn, way, mapping, judge, pasid))
          ranges.push({ ...range, ...this.#wanted(of, range) })
      }
    }
    if (judge === undefined) {
      take(aperture === undefined ? UNTRANSLATED : apertureReach(aperture), -1)
      return { memory: ranges, complete }
    }
    take(tableReach(judge, memory, rid, -1), -1)
    if (fn.translation?.permitsPasid(false, false) === true) {
      for (const pasid of pasidsOf(judge, memory, rid)) take(tableReach(judge, memory, rid, pasid), pasid)
    }
    return { memory: ranges, complete }
  }

  /** Asked only of what no machine is to reach: a mapping has many pages. */
  #wanted({ address, owner }: HostFunction, range: ReachedRange): Pick<ReachedRange, 'wanted'> {
    const { entry, owner: reached } = range
    const own = reached.kind === 'vm' && owner.kind === 'vm' && reached.name === owner.name
    if (own || owner.kind !== 'vm' || entry.level === undefined || entry.address === undefined) return {}
    const wanted = this.#platform.host.wantedEntry(address, Number(entry.address))
    return wanted === undefined ? {} : { wanted }
  }

  /** A mapping, without what is taken on the way and what nobody answers at, in pieces of one owner. */
  *#rangesOf(
    fn: PcieFunction,
    way: WayEnd,
    mapping: Mapping,
    judge: TableJudge | undefined,
    pasid: number,
  ): Generator<ReachedRange> {
    const { fabric, memory, aperture } = this.#platform.hardware
    for (const piece of openPieces(fn, mapping, pasid)) {
      const offset = piece.first - mapping.input
      for (const { frame, pages, owner, offset: start } of this.#owners.cut(
        mapping.frame + offset,
        piece.end - piece.first,
      )) {
        const skipped = frame - mapping.frame
        let read = mapping.read && piece.read
        let write = mapping.write && piece.write
        if (owner.kind === 'function') {
          read &&= passesDown(fabric, entryOf(way), frame, start, false)
          write &&= passesDown(fabric, entryOf(way), frame, start, true)
        }
        if (!read && !write) continue
        const entry =
          judge === undefined
            ? aperture === undefined
              ? ({ table: 'none' } as const)
              : ({ unit: aperture.id, table: 'aperture' } as const)
            : decidingEntry(judge, memory, way.requesterId, pasid, mapping.inTables + skipped)
        yield {
          input: mapping.input + skipped,
          pages,
          frame,
          read,
          write,
          ...(pasid < 0 ? {} : { pasid }),
          owner,
          ...(mapping.atMost ? { atMost: true as const } : {}),
          entry,
        }
      }
    }
  }

  /** Functions whose registers requests turn to before they reach the root complex. */
  #peersOf(silicon: PcieFunction, from: HostFunction): ReachedPeer[] {
    const peers: ReachedPeer[] = []
    if (!silicon.busMasterEnabled) return peers
    for (const to of this.#functions) {
      if (to === from) continue
      let found: ReachedPeer | undefined
      for (const { kind, address } of to.bars) {
        if (kind === 'io' || address === 0) continue
        const page = Math.floor(address / 4096)
        const reads = wayOf(silicon, page, address % 4096, false)
        const writes = wayOf(silicon, page, address % 4096, true)
        const turned = writes.target === 'peer' ? writes : reads
        if (turned.target !== 'peer') continue
        const at = turned.turnedAt ?? silicon
        found = {
          function: to.address,
          read: found?.read === true || reads.target === 'peer',
          write: found?.write === true || writes.target === 'peer',
          at: addressOf(at as PcieFunction),
          offersRedirect: offers(at as PcieFunction, ACS_BIT.RR),
        }
      }
      if (found !== undefined) peers.push(found)
    }
    return peers
  }
}

const UNTRANSLATED: TableReach = {
  complete: true,
  mappings: [{ input: 0, inTables: 0, pages: 2 ** 40, frame: 0, read: true, write: true, atMost: false }],
}

const addressOf = (fn: PcieFunction): string => formatFunctionAddress(fn.bus.host.segment, fn.rid)

/** Whether the ACS Capability of a function has a bit to be set. */
const offers = ({ layout, words }: PcieFunction, bit: number): boolean =>
  layout.acs > 0 && (words[(layout.acs + 4) >>> 2]! & bit) !== 0

interface OpenPiece {
  readonly first: number
  readonly end: number
  readonly read: boolean
  readonly write: boolean
}

/** The parts of a mapping whose requests reach the root complex: not claimed on the way, and not interrupts. */
function* openPieces(fn: PcieFunction, { input, pages }: Mapping, pasid: number): Generator<OpenPiece> {
  const last = input + pages
  const cuts = claimsAbove(fn)
  if (pasid < 0) cuts.push({ first: INTERRUPT_FIRST_PAGE, end: INTERRUPT_LAST_PAGE + 1 })
  const inside = cuts.filter(({ first, end }) => end > input && first < last)
  const borders = new Set([input, last])
  for (const { first, end } of inside) {
    if (first > input) borders.add(first)
    if (end < last) borders.add(end)
  }
  const sorted = [...borders].sort((a, b) => a - b)
  for (const [index, first] of sorted.slice(0, -1).entries()) {
    const end = sorted[index + 1]!
    if (pasid < 0 && first >= INTERRUPT_FIRST_PAGE && first <= INTERRUPT_LAST_PAGE) continue
    const claimed = inside.some(claim => first >= claim.first && end <= claim.end)
    const read = !claimed || wayOf(fn, first, 0, false).target === 'rootComplex'
    const write = !claimed || wayOf(fn, first, 0, true).target === 'rootComplex'
    if (read || write) yield { first, end, read, write }
  }
}
