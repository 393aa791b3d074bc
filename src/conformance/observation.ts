/** What a machine did in one step, and the comparison with what it should have done. */
import { hex } from '../core/index.ts'
import { decodeCompatibility, InterruptMessage } from '../interrupts/index.ts'
import {
  decodedDmaFault,
  decodedInterruptFault,
  type FaultRecord,
  type FaultState,
  reasonOf,
  tellRecord,
  withReason,
} from './fault-state.ts'
import type { ByteChange } from './memory-watch.ts'

export interface SeenPart {
  readonly address: bigint
  readonly length: number
  readonly ok: boolean
  /** Where it landed, if it was ok. */
  readonly physical: number
  /** What a read returned, as hexadecimal digits. */
  readonly data: string | undefined
  readonly reason: number
}

export interface SeenInterrupt {
  readonly destination: number
  readonly destinationMode: 'physical' | 'logical'
  readonly deliveryMode: number
  readonly vector: number
  readonly trigger: 'edge' | 'level'
}

export interface Observation {
  /** Of a DMA transfer. */
  readonly parts: readonly SeenPart[]
  /** Of an interrupt request: undefined if it was blocked. */
  readonly interrupt: SeenInterrupt | undefined
  readonly changes: readonly ByteChange[]
  readonly before: FaultState
  readonly after: FaultState
  readonly events: readonly InterruptMessage[]
}

export interface ExpectedPart {
  readonly address: bigint
  readonly length: number
  readonly ok: boolean
  readonly physical: number | undefined
  readonly data: string | undefined
}

/** One way in which a step may end. What is undefined is not compared. */
export interface Expectation {
  readonly parts: readonly ExpectedPart[]
  /** Of all parts together. */
  readonly outcome: 'ok' | 'fault' | 'partial' | undefined
  /** `blocked`, what arrives, or `delivered` for anything; undefined for steps that are no interrupt requests. */
  readonly interrupt: SeenInterrupt | 'blocked' | 'delivered' | undefined
  /** Every byte that changes, and bytes that may. */
  readonly changes: readonly ByteChange[]
  readonly optional: readonly ByteChange[]
  readonly fsts: number | undefined
  readonly record: FaultRecord | undefined
  /** Reason codes that will do, in the record and in faulting parts; undefined: the record's own. */
  readonly reasons: readonly number[] | undefined
  /** The decoded record that is new in this step, `none` for no new one. */
  readonly newFault: DecodedFault | 'none' | undefined
  readonly events: readonly ExpectedMessage[] | undefined
}

/** Fields of a fault record by the names that recordings use; addresses as text. */
export type DecodedFault = Readonly<Record<string, number | string>>

export interface ExpectedMessage {
  readonly address: string
  readonly data: string
}

/** Why a step did not go as expected. */
export interface Difference {
  readonly expected: string
  readonly got: string
}

export function differenceOf(expectation: Expectation, seen: Observation): Difference | undefined {
  return (
    partDifference(expectation, seen) ??
    interruptDifference(expectation, seen) ??
    changeDifference(expectation, seen.changes) ??
    faultDifference(expectation, seen) ??
    newFaultDifference(expectation, seen) ??
    eventDifference(expectation.events, seen.events)
  )
}

/** Two runs of the same step that ended alike. */
export const alike = (a: Observation, b: Observation): boolean =>
  [a.parts, a.interrupt, a.changes, a.after, a.events.length].every((value, i) =>
    same(value, [b.parts, b.interrupt, b.changes, b.after, b.events.length][i]),
  )

const same = (a: unknown, b: unknown): boolean => text(a) === text(b)
const text = (value: unknown): string =>
  JSON.stringify(value, (_key, member) =>
    typeof member === 'bigint' ? `0x${member.toString(16)}` : member,
  ) ?? 'undefined'

function partDifference({ parts, outcome, reasons }: Expectation, seen: Observation): Difference | undefined {
  if (parts.length !== seen.parts.length) {
    return { expected: `${parts.length} parts`, got: `${seen.parts.length}` }
  }
  for (const [i, expected] of parts.entries()) {
    const got = seen.parts[i]!
    const at = `part 0x${expected.address.toString(16)}+${expected.length}`
    if (got.address !== expected.address || got.length !== expected.length) {
      return { expected: at, got: `0x${got.address.toString(16)}+${got.length}` }
    }
    if (got.ok !== expected.ok) {
      return { expected: `${at} ${expected.ok ? 'ok' : 'fault'}`, got: outcomeOf(got) }
    }
    if (got.ok && got.physical !== expected.physical) {
      return { expected: `${at} at ${hex(expected.physical ?? -1)}`, got: hex(got.physical) }
    }
    if (got.ok && expected.data !== undefined && got.data !== expected.data) {
      return { expected: `${at} reading ${expected.data}`, got: got.data ?? 'nothing' }
    }
    if (!got.ok && reasons !== undefined && !reasons.includes(got.reason)) {
      return { expected: `${at} fault ${reasons.map(code => hex(code)).join(' or ')}`, got: outcomeOf(got) }
    }
  }
  const whole = outcomeOfAll(seen.parts)
  if (outcome !== undefined && outcome !== whole) return { expected: `the outcome ${outcome}`, got: whole }
  return undefined
}

function outcomeOfAll(parts: readonly SeenPart[]): 'ok' | 'fault' | 'partial' {
  if (parts.every(({ ok }) => ok)) return 'ok'
  return parts.some(({ ok }) => ok) ? 'partial' : 'fault'
}

const outcomeOf = ({ ok, reason, physical }: SeenPart): string =>
  ok ? `ok at ${hex(physical)}` : `fault ${hex(reason)}`

function interruptDifference({ interrupt }: Expectation, seen: Observation): Difference | undefined {
  if (interrupt === undefined) return undefined
  const got = seen.interrupt ?? 'blocked'
  const fits = interrupt === 'delivered' ? got !== 'blocked' : same(interrupt, got)
  return fits ? undefined : { expected: `message ${text(interrupt)}`, got: text(got) }
}

function changeDifference(
  { changes, optional }: Expectation,
  seen: readonly ByteChange[],
): Difference | undefined {
  const got = new Map(seen.map(({ address, value }) => [address, value]))
  for (const { address, value } of changes) {
    if (got.get(address) !== value) {
      return {
        expected: `byte ${hex(address)} becoming ${hex(value)}`,
        got: got.has(address) ? hex(got.get(address)!) : 'no change',
      }
    }
    got.delete(address)
  }
  for (const { address, value } of optional) if (got.get(address) === value) got.delete(address)
  for (const [address, value] of got) {
    return { expected: `byte ${hex(address)} staying as it was`, got: hex(value) }
  }
  return undefined
}

function faultDifference(
  { record, reasons, fsts }: Expectation,
  { after }: Observation,
): Difference | undefined {
  const got = after.record
  const fits =
    record === undefined || got === undefined
      ? record === got
      : reasons !== undefined
        ? reasons.includes(reasonOf(got)) && same(withReason(record, 0), withReason(got, 0))
        : same(record, got)
  if (!fits) {
    const choice = reasons === undefined ? '' : ` with reason ${reasons.map(code => hex(code)).join(' or ')}`
    return { expected: `${tellRecord(record)}${choice}`, got: tellRecord(got) }
  }
  if (fsts === undefined || fsts === after.fsts) return undefined
  return { expected: `FSTS ${hex(fsts)}`, got: hex(after.fsts) }
}

function newFaultDifference({ newFault }: Expectation, seen: Observation): Difference | undefined {
  if (newFault === undefined) return undefined
  const { record } = seen.after
  if (record === undefined || seen.before.record !== undefined) {
    return newFault === 'none' ? undefined : { expected: `new fault ${text(newFault)}`, got: 'none' }
  }
  if (newFault === 'none') return { expected: 'no new fault', got: tellRecord(record) }
  const all: DecodedFault = { ...decodedInterruptFault(record), ...decodedDmaFault(record) }
  const got = Object.fromEntries(Object.keys(newFault).map(name => [name, all[name]]))
  return same(newFault, got) ? undefined : { expected: `new fault ${text(newFault)}`, got: text(got) }
}

export function eventDifference(
  expected: readonly ExpectedMessage[] | undefined,
  got: readonly InterruptMessage[],
): Difference | undefined {
  if (expected === undefined) return undefined
  const wanted = expected.map(event => tellMessage(decoded(event)))
  const sent = got.map(tellMessage)
  return same(wanted, sent)
    ? undefined
    : { expected: `events [${wanted.join('; ')}]`, got: `[${sent.join('; ')}]` }
}

/** Address bits 63:40 hold destination bits 31:8 in extended interrupt mode, and are 0 otherwise. */
function decoded({ address, data }: ExpectedMessage): InterruptMessage {
  const message = new InterruptMessage()
  const at = BigInt(address)
  decodeCompatibility(Number(at & 0xffff_ffffn), Number(data), message)
  message.destination += Number((at >> 32n) & 0xffff_ff00n)
  return message
}

const tellMessage = (message: InterruptMessage): string =>
  `vector ${hex(message.vector)} mode ${message.deliveryMode} to ${hex(message.destination)}` +
  `${message.logical ? ' logical' : ''}${message.redirectionHint ? ' hinted' : ''}`
