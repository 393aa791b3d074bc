/** Machines and devices of the record's words (`costs/systems/known-systems.json`): which cost files stand for them. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { packageFile } from '../core/index.ts'
import type { FigureRecord } from './record.ts'

const machine = {
  machine: z.string(),
  cores: z.number().int().positive(),
  gigahertz: z.number().positive().optional(),
}
const knownSystemsSchema = z.strictObject({
  processors: z.array(z.strictObject({ words: z.string(), ...machine })),
  years: z.array(z.strictObject({ until: z.number().int(), ...machine })),
  devices: z.array(z.strictObject({ words: z.string(), device: z.string() })),
})

let shipped: z.output<typeof knownSystemsSchema> | undefined

/** Read when it is first asked for: most commands never do. */
const knownSystems = () =>
  (shipped ??= knownSystemsSchema.parse(
    JSON.parse(readFileSync(packageFile('costs/systems/known-systems.json'), 'utf8')),
  ))

export interface System {
  /** Names of the cost files. */
  readonly machine: string
  readonly device?: string
  readonly cores: number
  readonly gigahertz?: number
}

/** The documented default: a machine of the year in which the study appeared, or of 2018. */
const DEFAULT_YEAR = 2018

const matches = (words: string, text: string): boolean => new RegExp(words, 'i').test(text)

export function systemOf({ cpu, system, year, configuration }: FigureRecord): System {
  // The name of a remapping unit tells the architecture too.
  const text = `${cpu} ${system} ${configuration['iommu'] ?? ''}`
  const known = knownSystems()
  const host =
    known.processors.find(({ words }) => matches(words, text)) ??
    known.years.find(({ until }) => (year ?? DEFAULT_YEAR) <= until)!
  const device = known.devices.find(({ words }) => matches(words, text))?.device
  const { machine, cores, gigahertz } = host
  return {
    machine,
    cores,
    ...(gigahertz !== undefined && { gigahertz }),
    ...(device !== undefined && { device }),
  }
}
