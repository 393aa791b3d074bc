/**
 * Transfers of a device as the benchmarks of PCI Express measure them: latency of one, bandwidth of many, over a window of
 * memory that the translation cache and the last-level cache may or may not hold.
 */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, paced, part, summed, valued } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'
import { readUse, writeUse } from './link.ts'

const DEFAULT_BYTES = 64
const SUPERPAGE = 2 ** 21
const PAGE = 4096
const MEBIBYTE = 2 ** 20

/** Of accesses spread evenly over `used` equal pieces, those that a cache of `held` pieces misses. */
const missShare = (held: number, used: number): number => Math.max(0, 1 - held / used)

interface Memory {
  readonly translationMisses: number
  readonly cacheMisses: number
  /** Of a translation that missed: the walk, which finds everything but the last entry cached. */
  readonly walk: number
  readonly dram: number
  readonly remote: number
}

function memoryOf(scenario: Scenario, costs: Costs): Memory {
  const { windowBytes, translated, superpages, coldCache, remoteMemory } = scenario
  const pages = Math.ceil(windowBytes / (superpages ? SUPERPAGE : PAGE))
  return {
    translationMisses: translated ? missShare(costs.iotlbEntries, pages) : 0,
    cacheMisses: coldCache ? 1 : missShare(costs.inputOutputCacheMiB * MEBIBYTE, windowBytes),
    walk: costs.walkStart + costs.tableRead,
    dram: costs.dramExtra,
    remote: remoteMemory ? costs.remoteSocketExtra : 0,
  }
}

/** The median transfer: it misses a cache if most do. */
const typical = (misses: number, extra: number): number => (misses > 0.5 ? extra : 0)

/** The engine deals with a transfer in pieces of its memory's width. */
const readIssue = (costs: Costs, bytes: number): number =>
  costs.deviceReadIssue + costs.deviceReadChunkIssue * (Math.ceil(bytes / costs.deviceReadChunk) - 1)
const writeIssue = (costs: Costs, bytes: number): number =>
  costs.deviceWriteIssue + costs.deviceWriteChunkIssue * (Math.ceil(bytes / costs.deviceWriteChunk) - 1)

export function transferLatency(scenario: Scenario, costs: Costs): Modelled {
  const bytes = scenario.messageBytes ?? DEFAULT_BYTES
  const memory = memoryOf(scenario, costs)
  const { link, direction } = scenario
  const { up, down } = readUse(link, costs, bytes)
  const read = [
    part('device', 'engine', costs.deviceLatency + readIssue(costs, bytes)),
    part('root complex', 'there and back', costs.rootComplexLatency + costs.uncoreWake),
    part('memory', 'read', costs.cacheRead),
    part('memory', 'another socket', memory.remote),
    part('memory', 'DRAM', typical(memory.cacheMisses, memory.dram)),
    part('remapping unit', 'walk', typical(memory.translationMisses, memory.walk)),
    part('link', 'request and completions', up + down),
  ]
  if (direction === 'read') return summed('ns', read)
  // A posted write ends nowhere that a device could see; what is measured is a read behind it, which pushes it.
  return summed('ns', [
    ...read,
    part('device', 'engine, of the write', writeIssue(costs, bytes)),
    part('link', 'write', writeUse(link, costs, bytes).up),
    part('root complex', 'write made visible', costs.rootComplexLatency / 2 + costs.writeCommit),
  ])
}

export function transferBandwidth(scenario: Scenario, costs: Costs): Modelled {
  const bytes = scenario.messageBytes ?? DEFAULT_BYTES
  const memory = memoryOf(scenario, costs)
  const { link, direction } = scenario
  const reads = direction !== 'write'
  const writes = direction !== 'read'
  const read = readUse(link, costs, bytes)
  const write = writeUse(link, costs, bytes)
  const inFlight =
    costs.rootComplexLatency +
    costs.cacheRead +
    memory.remote +
    memory.cacheMisses * memory.dram +
    memory.translationMisses * memory.walk
  const pace = paced('ns', [
    part('device engine', 'issue', writes ? writeIssue(costs, bytes) : readIssue(costs, bytes)),
    part('link to root complex', 'write data', writes ? write.up : 0),
    part('link to root complex', 'read requests', reads ? read.up : 0),
    part('link to device', 'completions', reads ? read.down : 0),
    part('root complex', 'posted writes', writes ? write.requests * costs.rootComplexWrite : 0),
    part('read tags', 'requests under way', reads ? (read.requests * inFlight) / costs.deviceReadTags : 0),
    part('page walkers', 'walks', (memory.translationMisses * memory.walk) / costs.pageWalkers),
  ])
  return valued(pace, (bytes * 8) / pace.value)
}

/** What is left of the bits of a link for data, with the link-layer packets at the rates that the specification recommends. */
export function linkBandwidth(scenario: Scenario, costs: Costs): Modelled {
  const bytes = scenario.messageBytes ?? DEFAULT_BYTES
  const { link, direction } = scenario
  const read = readUse(link, costs, bytes)
  const write = writeUse(link, costs, bytes)
  const pace = paced('ns', [
    part('link to root complex', 'packets', direction === 'read' ? read.up : write.up),
    part('link to device', 'packets', direction === 'read' ? read.down : 0),
  ])
  return valued(pace, (bytes * 8) / pace.value)
}
