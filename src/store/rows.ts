/**
 * Records as rows of a relational database, and back. Columns are named alike in every kind of database; a row is
 * whole if the digest that it was written with is still its own.
 */
import { NorthbridgeError } from '../core/index.ts'
import { answerDigest, commandDigest, documentDigest, snapshotDigest } from './digest.ts'
import type { CommandRecord, KeptAnswer, KeptDocument, Snapshot } from './records.ts'

/** Columns by name; numbers may come as text or bigint, as the database likes. */
export type Row = Readonly<Record<string, unknown>>

export const COMMAND_COLUMNS = [
  'world',
  'sequence',
  'operation',
  'input',
  'error',
  'time_ns',
  'told',
  'version',
  'digest',
] as const

/** Values in the order of {@link COMMAND_COLUMNS}. */
export function commandRow(command: CommandRecord): (string | number | null)[] {
  const { world, sequence, operation, error, after, version } = command
  const input = JSON.stringify(command.input)
  const digest = commandDigest(command, input)
  return [world, sequence, operation, input, error, after.timeNs, after.told, version, digest]
}

/** Undefined if the row is damaged. */
export function commandOf(row: Row): CommandRecord | undefined {
  const input = String(row['input'])
  const command = {
    world: String(row['world']),
    sequence: Number(row['sequence']),
    operation: String(row['operation']),
    error: row['error'] === null ? null : String(row['error']),
    after: { timeNs: Number(row['time_ns']), told: Number(row['told']) },
    version: String(row['version']),
  }
  return row['digest'] === commandDigest(command, input)
    ? { ...command, input: JSON.parse(input) as unknown }
    : undefined
}

export const SNAPSHOT_COLUMNS = ['world', 'sequence', 'version', 'origin', 'state', 'digest'] as const

/** Values in the order of {@link SNAPSHOT_COLUMNS}; `origin` is 0 or 1. */
export function snapshotRow(snapshot: Snapshot): (string | number | Uint8Array)[] {
  const { world, sequence, version, origin, state } = snapshot
  return [world, sequence, version, origin ? 1 : 0, state, snapshotDigest(snapshot)]
}

/** Undefined if the row is damaged. */
export function snapshotOf(row: Row): Snapshot | undefined {
  const snapshot = {
    world: String(row['world']),
    sequence: Number(row['sequence']),
    version: String(row['version']),
    origin: Number(row['origin']) === 1,
    state: row['state'] as Uint8Array,
  }
  return row['digest'] === snapshotDigest(snapshot) ? snapshot : undefined
}

export const DOCUMENT_COLUMNS = ['kind', 'key', 'value', 'digest'] as const

/** Values in the order of {@link DOCUMENT_COLUMNS}. */
export function documentRow(document: KeptDocument): string[] {
  const value = JSON.stringify(document.value)
  return [document.kind, document.key, value, documentDigest(document, value)]
}

/** Undefined if the row is damaged. */
export function documentOf(row: Row): KeptDocument | undefined {
  const text = String(row['value'])
  const document = { kind: String(row['kind']), key: String(row['key']) }
  return row['digest'] === documentDigest(document, text)
    ? { ...document, value: JSON.parse(text) as unknown }
    : undefined
}

export const ANSWER_COLUMNS = ['key', 'fingerprint', 'status', 'headers', 'body', 'digest'] as const

/** Values in the order of {@link ANSWER_COLUMNS}. */
export function answerRow(answer: KeptAnswer): (string | number)[] {
  const { key, fingerprint, status, body } = answer
  const headers = JSON.stringify(answer.headers)
  return [key, fingerprint, status, headers, body, answerDigest(answer, headers)]
}

/** Undefined if the row is damaged. */
export function answerOf(row: Row): KeptAnswer | undefined {
  const headers = String(row['headers'])
  const answer = {
    key: String(row['key']),
    fingerprint: String(row['fingerprint']),
    status: Number(row['status']),
    body: String(row['body']),
  }
  return row['digest'] === answerDigest(answer, headers)
    ? { ...answer, headers: JSON.parse(headers) as Record<string, string> }
    : undefined
}

/** A record that somebody has asked for. Throws `storeFailed` if it is damaged. */
export function whole<Part>(part: Part | undefined, what: string): Part {
  if (part === undefined) throw new NorthbridgeError('storeFailed', `${what} is damaged`)
  return part
}
