/**
 * What a step of a program should do: as it was recorded, or, where the recorded unit departs from the specification
 * and the unit under test does not, as the program's `spec` says.
 */
import { hexToBytes, parsePhysical } from '../core/index.ts'
import { FAULT, FSTS } from '../vtd/formats/index.ts'
import { dmaRecord, type FaultRecord, type FaultState, interruptRecord, withAddress } from './fault-state.ts'
import type { ByteChange } from './memory-watch.ts'
import type { Expectation, ExpectedPart } from './observation.ts'
import type { ReplayMemory } from './replay-machine.ts'
import type { StepOf, VectorFunction } from './vtd-vectors.ts'

const PFO = FSTS.f.PFO.mask
const PPF = FSTS.f.PPF.mask

/** What expectations are made from, besides the step. */
export interface StepContext {
  readonly memory: ReplayMemory
  readonly fn: VectorFunction
  /** Before the step. */
  readonly faults: FaultState
  /** Bits of a guest address: CAP.MGAW + 1. */
  readonly guestAddressWidth: number
}

const NOTHING = {
  parts: [],
  outcome: undefined,
  interrupt: undefined,
  changes: [],
  optional: [],
  reasons: undefined,
  newFault: undefined,
} as const

/** The bytes of stores that differ from what memory held; of several stores to a byte the last one counts. */
export function changesOf(
  memory: ReplayMemory,
  stores: Iterable<{ readonly addr: string; readonly bytes: string }>,
): ByteChange[] {
  const bytes = new Map<number, number>()
  for (const { addr, bytes: text } of stores) {
    const base = parsePhysical(addr)
    for (const [i, value] of hexToBytes(text).entries()) bytes.set(base + i, value)
  }
  return [...bytes]
    .map(([address, value]) => ({ address, value }))
    .filter(({ address, value }) => memory.before(address) !== value)
}

/** A quadword as bytes, lowest first. */
export const quadwordBytes = (value: string): string => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes.toString('hex')
}

const quadwords = (list: readonly { addr: string; u64: string }[] | undefined) =>
  (list ?? []).map(({ addr, u64 }) => ({ addr, bytes: quadwordBytes(u64) }))

const recordOf = (frcd: readonly [string, string] | undefined): FaultRecord | undefined =>
  frcd && [BigInt(frcd[0]), BigInt(frcd[1])]

const codes = (list: readonly string[] | undefined): number[] | undefined => list?.map(Number)

// DMA

/** The stores of the parts of a write that get through. */
function storesOf(step: StepOf<'dma'>, parts: readonly ExpectedPart[]): { addr: string; bytes: string }[] {
  if (step.dir !== 'write') return []
  const data = step.data ?? ''
  let done = 0
  return parts.flatMap(({ ok, physical, length }) => {
    const bytes = data.slice(done * 2, (done + length) * 2)
    done += length
    return ok && physical !== undefined ? [{ addr: `0x${physical.toString(16)}`, bytes }] : []
  })
}

const expectedParts = ({ expect: { parts } }: StepOf<'dma'>): ExpectedPart[] =>
  parts.map(({ addr, len, outcome, pa, data }) => ({
    address: BigInt(addr),
    length: len,
    ok: outcome === 'ok',
    physical: pa === undefined ? undefined : parsePhysical(pa),
    data,
  }))

export function recordedDma(step: StepOf<'dma'>, { memory }: StepContext): Expectation {
  const { expect } = step
  const parts = expectedParts(step)
  return {
    ...NOTHING,
    parts,
    outcome: expect.outcome,
    changes: changesOf(memory, [...storesOf(step, parts), ...(expect.memory ?? [])]),
    fsts: Number(expect.fsts),
    record: recordOf(expect.frcd),
    newFault:
      expect.newFault === undefined
        ? 'none'
        : { ...expect.newFault, address: `0x${BigInt(expect.newFault.address).toString(16)}` },
    events: expect.events ?? [],
  }
}

/** Every way to end that `spec` allows. */
export function specifiedDma(step: StepOf<'dma'>, context: StepContext): Expectation[] {
  const { expect, spec = {}, quirk = [] } = step
  const parts = expectedParts(step).map((part): ExpectedPart => {
    const other = spec.parts?.find(({ addr }) => BigInt(addr) === part.address)
    if (other === undefined) return part
    const physical = other.pa === undefined ? part.physical : parsePhysical(other.pa)
    return { ...part, ok: other.outcome === 'ok', physical }
  })
  const reasons = codes(spec.reasons ?? spec.parts?.flatMap(part => part.reasons ?? []))
  const blocked = spec.parts?.some(({ outcome }) => outcome === 'fault') ?? false
  const walkMayMark = quirk.includes('accessed-set-on-faulting-walk')
  const marks = expect.memory ?? []
  const base = {
    ...NOTHING,
    parts,
    changes: changesOf(context.memory, [
      ...storesOf(step, parts),
      // What a blocked access would have marked stays unmarked.
      ...(blocked || walkMayMark ? [] : [...marks, ...quadwords(spec.memory)]),
    ]),
    optional: walkMayMark ? changesOf(context.memory, marks) : [],
    reasons: reasons?.length ? reasons : undefined,
    events: undefined,
  }
  return specifiedFaults(step, parts, context, base.reasons !== undefined).map(faults => ({
    ...base,
    ...faults,
  }))
}

type Faults = Pick<Expectation, 'fsts' | 'record'>

/** @param departs whether `spec` names reason codes of its own. */
function specifiedFaults(
  step: StepOf<'dma'>,
  parts: readonly ExpectedPart[],
  { fn, faults, guestAddressWidth }: StepContext,
  departs: boolean,
): Faults[] {
  const { expect, spec = {}, quirk = [] } = step
  const faulting = parts.filter(({ ok }) => !ok)
  const status = spec.fsts === undefined ? undefined : Number(spec.fsts)
  const unchanged = { record: faults.record, fsts: status ?? faults.fsts }
  if (faulting.length === 0) return [unchanged]
  const recorded = recordOf(expect.frcd)
  const moved =
    recorded && spec.address !== undefined ? withAddress(recorded, BigInt(spec.address)) : recorded
  const asRecorded = { record: moved, fsts: status ?? Number(expect.fsts) }
  const first = firstRecord(step, faulting[0]!, fn.sourceId, guestAddressWidth)
  const several = faulting.length > 1 ? PFO : 0
  if (expect.newFault !== undefined) {
    const answers: Faults[] = [asRecorded]
    if (quirk.includes('permission-fault-on-iotlb-hit-not-recorded')) {
      answers.push({ record: first, fsts: status ?? Number(expect.fsts) | several })
    }
    // By the specification the fault is qualified and not recorded.
    if (quirk.includes('pasid-fpd-not-honoured')) answers.push(unchanged)
    return answers
  }
  if (!departs) return [asRecorded]
  if (faults.record !== undefined) {
    return [{ record: faults.record, fsts: status ?? faults.fsts | PFO }]
  }
  return [{ record: first, fsts: status ?? faults.fsts | PPF | several }]
}

/** The record of the first part that faults; the reason is among those of `spec`. */
function firstRecord(
  { dir }: StepOf<'dma'>,
  { address }: ExpectedPart,
  sourceId: number,
  guestAddressWidth: number,
): FaultRecord {
  const inside = address & ((1n << BigInt(guestAddressWidth)) - 1n)
  return dmaRecord(sourceId, inside >> 12n, dir === 'write', 0)
}

// Interrupts

export function recordedMsi({ expect }: StepOf<'msi'>): Expectation {
  return {
    ...NOTHING,
    interrupt: expect.outcome === 'blocked' ? 'blocked' : (expect.interrupt ?? 'delivered'),
    fsts: Number(expect.fsts),
    record: recordOf(expect.frcd),
    newFault: expect.newFault ?? 'none',
    events: expect.events ?? [],
  }
}

export function specifiedMsi(step: StepOf<'msi'>, { fn, faults }: StepContext): Expectation[] {
  const { expect, spec = {} } = step
  const outcome = spec.outcome ?? expect.outcome
  const status = spec.fsts === undefined ? undefined : Number(spec.fsts)
  if (outcome === 'delivered') {
    return [
      {
        ...NOTHING,
        interrupt: spec.interrupt ?? expect.interrupt ?? 'delivered',
        fsts: status ?? faults.fsts,
        record: faults.record,
        events: undefined,
      },
    ]
  }
  const reasons = codes(spec.reasons)
  const pending = faults.record !== undefined
  const fresh =
    expect.newFault === undefined
      ? interruptRecord(fn.sourceId, indexIn(step, reasons ?? []), reasons?.[0] ?? 0)
      : recordOf(expect.frcd)
  return [
    {
      ...NOTHING,
      interrupt: 'blocked',
      fsts: status ?? (pending ? faults.fsts | PFO : faults.fsts | PPF),
      record: pending ? faults.record : fresh,
      reasons: pending ? undefined : reasons,
      events: undefined,
    },
  ]
}

/** "Interrupt Remapping Fault Conditions": the index is recorded, but for requests that name none. */
function indexIn({ addr, data }: StepOf<'msi'>, reasons: readonly number[]): number {
  if (reasons.every(code => code === FAULT.compatibilityBlocked || code === FAULT.interruptRequestReserved))
    return 0
  const address = Number(BigInt(addr) & 0xffff_ffffn)
  const handle = ((address >>> 5) & 0x7fff) | ((address & 4) << 13)
  return (handle + (address & 8 ? Number(data) & 0xffff : 0)) & 0xffff
}

// Register writes

/** What is not said about the fault registers is not compared: `after` is what they hold. */
export const recordedWrite = (
  { expect }: StepOf<'reg.write'>,
  memory: ReplayMemory,
  after: FaultState,
): Expectation => ({
  ...NOTHING,
  changes: changesOf(memory, expect?.memory ?? []),
  fsts: undefined,
  record: after.record,
  events: expect?.events ?? [],
})

export const specifiedWrite = (
  { expect, spec }: StepOf<'reg.write'>,
  memory: ReplayMemory,
  after: FaultState,
): Expectation => ({
  ...NOTHING,
  changes: changesOf(memory, [...(expect?.memory ?? []), ...quadwords(spec?.memory)]),
  fsts: spec?.fsts === undefined ? undefined : Number(spec.fsts),
  record: after.record,
  events: undefined,
})
