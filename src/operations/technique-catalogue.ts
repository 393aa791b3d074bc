/** The workloads and cost tables that ship with Northbridge, by name. */
import { readdirSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NorthbridgeError, packageFile } from '../core/index.ts'
import { parseWorkload, type Workload } from '../guest/index.ts'
import { type CostTable, parseCostTable } from '../hypervisor/index.ts'
import { readDocument } from './documents.ts'

const WORKLOADS = fileURLToPath(packageFile('workloads'))
const COSTS = fileURLToPath(packageFile('costs'))

const namesIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter(file => extname(file) !== '')
    .sort()
    .map(file => basename(file, extname(file)))

function pathOf(folder: string, kind: string, name: string): string {
  const file = readdirSync(folder).find(entry => basename(entry, extname(entry)) === name)
  if (file !== undefined) return join(folder, file)
  const known = namesIn(folder).join(', ')
  throw new NorthbridgeError('notFound', `There is no ${kind} "${name}"; there are ${known}`)
}

export const shippedWorkloads = (): readonly Workload[] =>
  namesIn(WORKLOADS).map(name => shippedWorkload(name))

/** Throws `notFound`. */
export const shippedWorkload = (name: string): Workload =>
  parseWorkload(readDocument(pathOf(WORKLOADS, 'workload', name)))

/** Throws `notFound`. */
export const shippedCosts = (name: string): CostTable =>
  parseCostTable(readDocument(pathOf(COSTS, 'cost table', name)))

export const generations = (): readonly string[] => namesIn(COSTS)
