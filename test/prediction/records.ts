/** Records for tests: the fields that matter, the others as a study would fill them. */
import { readFileSync } from 'node:fs'
import { type FigureRecord, parseRecords } from '../../src/prediction/index.ts'

export function record(fields: Readonly<Record<string, unknown>>): FigureRecord {
  return parseRecords([{ id: 'one', metric: 'throughput', unit: 'Gb/s', configuration: {}, ...fields }])[0]!
}

const data = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../data/figures/${name}`, import.meta.url), 'utf8'))

export const published = (): readonly FigureRecord[] => parseRecords(data('calibrate.json'))

/** Of studies that no fit ever sees. */
export const independent = (): readonly FigureRecord[] => parseRecords(data('independent.json'))

export interface Vocabulary {
  readonly metrics: Readonly<Record<string, readonly string[]>>
  readonly x: readonly string[]
  readonly values: { readonly mode: string[]; readonly iommu: string[]; readonly invalidation: string[] }
}
export const vocabulary = (): Vocabulary => data('vocabulary.json') as Vocabulary
