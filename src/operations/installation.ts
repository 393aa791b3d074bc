/** A fresh context with the topologies that ship with Northbridge. */
import { existsSync, readdirSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageFile } from '../core/index.ts'
import { parseTopology, type Topology } from '../platform/index.ts'
import {
  createContext,
  type InstallationOptions,
  type OperationContext,
  type TopologyEntry,
} from './context.ts'
import { readDocument } from './documents.ts'

const FOLDER = fileURLToPath(packageFile('topologies'))

export function installation(options: InstallationOptions = {}): OperationContext {
  const context = createContext(options)
  for (const [name, entry] of shippedTopologies(FOLDER)) context.topologies.set(name, entry)
  return context
}

/** Documents below a folder by file name, which is the topology's name too. Read when first asked for. */
function shippedTopologies(folder: string): readonly (readonly [string, TopologyEntry])[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => ['.json', '.yaml', '.yml'].includes(extname(file)))
    .sort()
    .map(file => [basename(file, extname(file)), new ShippedTopology(join(folder, file))] as const)
}

class ShippedTopology implements TopologyEntry {
  readonly shipped = true
  readonly #path: string
  #topology: Topology | undefined

  constructor(path: string) {
    this.#path = path
  }

  get topology(): Topology {
    this.#topology ??= parseTopology(readDocument(this.#path))
    return this.#topology
  }
}
