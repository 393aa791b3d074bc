/**
 * Where a unit that follows the specification may answer otherwise than the recordings do, though they carry no tag there.
 * With the quirks of the recorded implementation none of this applies.
 */
import { get } from '../core/index.ts'
import { CCMD } from '../vtd/formats/index.ts'

export interface AllowedDifference {
  readonly name: string
  readonly recorded: string
  readonly ours: string
  /** Section of the specification that allows both. */
  readonly section: string
}

export const ALLOWED_DIFFERENCES: readonly AllowedDifference[] = [
  {
    name: 'context-domain-invalidation',
    recorded: 'CCMD.CAIG is 01b (global) after a domain-selective invalidation of the context cache',
    ours: '10b: what was asked for is what was done',
    section: 'Context Command Register: hardware may carry out a coarser invalidation than requested',
  },
  {
    name: 'cached-not-present',
    recorded: 'with CAP.CM=1 an entry that became present is seen at once',
    ours: 'a cached not-present entry may answer until it is invalidated',
    section: 'Caching Mode; the steps are marked implementation-defined',
  },
  {
    name: 'outside-ram',
    recorded: 'a 2-MiB page that overlaps 0xFEEx_xxxx is refused as a whole, with a fault record',
    ours: 'only an access that lands in the range is; elsewhere nobody answers, and that is no remapping fault',
    section: 'Interrupt Address Range',
  },
]

const GLOBAL = 1
const DOMAIN = 2

/** Whether two values of a register differ only in what the specification leaves open. */
export function mayDiffer(offset: number, recorded: bigint, got: bigint): boolean {
  if (offset !== CCMD.offset) return false
  const { CAIG } = CCMD.f
  const caig = (value: bigint): number => get(CAIG, wordsOf(value))
  const others = (value: bigint): bigint => value & ~(BigInt(CAIG.mask) << BigInt(32 * CAIG.word))
  return caig(recorded) === GLOBAL && caig(got) === DOMAIN && others(recorded) === others(got)
}

const wordsOf = (value: bigint): number[] => [Number(value & 0xffff_ffffn), Number(value >> 32n)]
