/** The machines that are measured on: shipped topologies. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseTopology, type Topology } from '../src/platform/index.ts'

export const loadTopology = (name: string): Topology =>
  parseTopology(JSON.parse(readFileSync(join(import.meta.dirname, `../topologies/${name}.json`), 'utf8')))
