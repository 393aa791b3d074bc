/** How long machines of very many functions take to build, and what they hold. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { drive, Engine } from '../../src/engine/index.ts'
import { Platform, parseTopology, type TopologyDocument } from '../../src/platform/index.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface BuildPrice {
  readonly functions: number
  /** Milliseconds to judge the document, to build the machine, and to reset it. */
  readonly parse: number
  readonly build: number
  readonly reset: number
  /** Bytes per function that stay beyond the document and beyond configuration space. */
  readonly resident: number
}

export function priceOf(document: TopologyDocument): BuildPrice {
  const start = performance.now()
  const topology = parseTopology(document)
  const parsed = performance.now()
  const before = held()
  const begin = performance.now()
  const platform = drive(Platform.build(topology, new Engine()), () => false)
  const built = performance.now()
  const all = platform.fabric.functions()
  const configuration = all.reduce((sum, fn) => sum + fn.words.byteLength, 0)
  const functions = all.length
  const resident = (held() - before - configuration) / functions
  const resetBegin = performance.now()
  platform.fabric.conventionalReset()
  const reset = performance.now() - resetBegin
  return { functions, parse: parsed - start, build: built - begin, reset, resident }
}

function held(): number {
  // Finalizers of one collection free what only the next one counts.
  for (let i = 0; i < 3; i++) collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
