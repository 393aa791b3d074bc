/** Each record is kept with a digest of its contents, so that one that was damaged on its way to the disk is noticed. */
import { createHash } from 'node:crypto'
import type { CommandRecord, KeptAnswer, KeptDocument, Snapshot } from './records.ts'

/** @param input as text: how a number is written must not matter */
export const commandDigest = (
  { world, sequence, operation, error, after, version }: Omit<CommandRecord, 'input'>,
  input: string,
): string => digestOf([world, sequence, operation, input, error, after.timeNs, after.told, version])

export const snapshotDigest = ({ world, sequence, version, origin, state }: Snapshot): string =>
  digestOf([world, sequence, version, origin, createHash('sha256').update(state).digest('base64')])

/** @param value as text */
export const documentDigest = ({ kind, key }: Omit<KeptDocument, 'value'>, value: string): string =>
  digestOf([kind, key, value])

/** @param headers as text */
export const answerDigest = (
  { key, fingerprint, status, body }: Omit<KeptAnswer, 'headers'>,
  headers: string,
): string => digestOf([key, fingerprint, status, headers, body])

const digestOf = (parts: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('base64')
