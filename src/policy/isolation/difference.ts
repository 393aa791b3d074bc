/** What changed between two isolation reports: what each function can reach now and could not, and the other way round. */
import type { PhysicalOwner } from './facts.ts'
import type { FunctionReport, IsolationReport } from './report.ts'

export interface IsolationChange {
  readonly change: 'gained' | 'lost'
  readonly function: string
  readonly what: 'read' | 'write' | 'interrupt' | 'registers' | 'mate'
  /** Whose memory; else what. */
  readonly owner?: PhysicalOwner
  /** Physical address and bytes of memory. */
  readonly address?: number
  readonly size?: number
  readonly target?: string
}

export interface VerdictChange {
  readonly vms: readonly [string, string]
  /** Null: one of them was not there. */
  readonly before: boolean | null
  readonly after: boolean | null
}

export interface IsolationDifference {
  readonly changes: readonly IsolationChange[]
  readonly verdicts: readonly VerdictChange[]
}

export function compareIsolation(before: IsolationReport, after: IsolationReport): IsolationDifference {
  const earlier = new Map(before.functions.map(fn => [fn.function, fn]))
  const later = new Map(after.functions.map(fn => [fn.function, fn]))
  const addresses = [...new Set([...earlier.keys(), ...later.keys()])].sort()
  return {
    changes: addresses.flatMap(address => [
      ...gains(earlier.get(address), later.get(address)).map(gain => ({
        change: 'gained' as const,
        ...gain,
      })),
      ...gains(later.get(address), earlier.get(address)).map(gain => ({ change: 'lost' as const, ...gain })),
    ]),
    verdicts: verdicts(before, after),
  }
}

type Gain = Omit<IsolationChange, 'change'>

/** What a function has in one report and not in the other. */
function gains(without: FunctionReport | undefined, having: FunctionReport | undefined): Gain[] {
  if (having === undefined) return []
  const { function: address } = having
  return [
    ...(['read', 'write'] as const).flatMap(what =>
      memoryGains(
        without?.memory.filter(range => range[what]) ?? [],
        having.memory.filter(range => range[what]),
      ).map(gain => ({ function: address, what, ...gain })),
    ),
    ...missing(vectorNames(without), vectorNames(having)).map(target => ({
      function: address,
      what: 'interrupt' as const,
      target,
    })),
    ...missing(peerNames(without), peerNames(having)).map(target => ({
      function: address,
      what: 'registers' as const,
      target,
    })),
    ...missing(mateNames(without), mateNames(having)).map(target => ({
      function: address,
      what: 'mate' as const,
      target,
    })),
  ]
}

const vectorNames = (fn: FunctionReport | undefined): readonly string[] =>
  fn === undefined
    ? []
    : fn.anyVector
      ? ['any vector of any processor']
      : fn.vectors.map(({ target }) => target)
const peerNames = (fn: FunctionReport | undefined): readonly string[] =>
  fn?.peers.map(({ function: peer }) => peer) ?? []
const mateNames = (fn: FunctionReport | undefined): readonly string[] =>
  fn?.mates.map(({ function: mate }) => mate) ?? []

const missing = (from: readonly string[], all: readonly string[]): string[] =>
  [...new Set(all)].filter(name => !from.includes(name)).sort()

type Range = FunctionReport['memory'][number]

/** Host memory in `all` that is not in `from`, ascending. The same page reached by several addresses counts once. */
function memoryGains(from: readonly Range[], all: readonly Range[]): Omit<Gain, 'function' | 'what'>[] {
  const covered = union(from)
  const result: { owner: PhysicalOwner; address: number; size: number }[] = []
  for (const { owner, first, end } of union(all)) {
    let at = first
    for (const other of covered) {
      if (other.end <= at || other.first >= end) continue
      if (!sameOwner(other.owner, owner)) continue
      if (other.first > at) result.push({ owner, address: at * 4096, size: (other.first - at) * 4096 })
      at = Math.max(at, other.end)
    }
    if (at < end) result.push({ owner, address: at * 4096, size: (end - at) * 4096 })
  }
  return result
}

interface Extent {
  readonly owner: PhysicalOwner
  readonly first: number
  end: number
}

function union(ranges: readonly Range[]): Extent[] {
  const result: Extent[] = []
  for (const { owner, frame, pages } of [...ranges].sort((a, b) => a.frame - b.frame)) {
    const last = result.at(-1)
    if (last !== undefined && frame <= last.end && sameOwner(last.owner, owner)) {
      last.end = Math.max(last.end, frame + pages)
    } else result.push({ owner, first: frame, end: frame + pages })
  }
  return result
}

const sameOwner = (a: PhysicalOwner, b: PhysicalOwner): boolean =>
  a.kind === b.kind && ('name' in a ? a.name : '') === ('name' in b ? b.name : '')

function verdicts(before: IsolationReport, after: IsolationReport): VerdictChange[] {
  const key = ([a, b]: readonly [string, string]): string => `${a}/${b}`
  const earlier = new Map(before.pairs.map(pair => [key(pair.vms), pair]))
  const later = new Map(after.pairs.map(pair => [key(pair.vms), pair]))
  return [...new Map([...earlier, ...later]).values()]
    .map(({ vms }) => ({
      vms,
      before: earlier.get(key(vms))?.isolated ?? null,
      after: later.get(key(vms))?.isolated ?? null,
    }))
    .filter(change => change.before !== change.after)
    .sort((a, b) => (key(a.vms) < key(b.vms) ? -1 : 1))
}
