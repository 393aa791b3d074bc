/** What the `resource` file of a function tells: sizes and kinds of its BARs, its ROM, the ranges it decodes. */
import { NorthbridgeError } from '../../core/index.ts'
import type { ListedRegion } from '../lspci/details.ts'
import { RESOURCE, RESOURCE_LINES } from './resources.ts'

export interface ResourceDetails {
  readonly regions: readonly ListedRegion[]
  readonly romSize: number | undefined
  /** Size by first byte, VF apertures included. */
  readonly ranges: ReadonlyMap<number, number>
}

const LINE = /^0x([0-9a-f]{1,16})\s+0x([0-9a-f]{1,16})\s+0x([0-9a-f]{1,16})$/i
const BARS = 6

/** Throws `malformedInput` naming the line. */
export function readResources(address: string, text: string): ResourceDetails {
  const regions: ListedRegion[] = []
  const ranges = new Map<number, number>()
  let romSize: number | undefined
  for (const [index, line] of text.trim().split('\n').entries()) {
    if (line === '') continue
    const match = LINE.exec(line.trim())
    if (match === null) {
      throw new NorthbridgeError(
        'malformedInput',
        `${address}/resource, line ${index + 1}: not start, end and flags in hexadecimal: "${line.slice(0, 80)}"`,
      )
    }
    const [start, end, flags] = match.slice(1).map(digits => Number.parseInt(digits, 16)) as [
      number,
      number,
      number,
    ]
    if (flags === 0 || end < start || index >= RESOURCE_LINES.windows) continue
    const size = end - start + 1
    if (start > 0) ranges.set(start, size)
    if (index === RESOURCE_LINES.rom) romSize = size
    if (index >= BARS) continue
    const is64 = Math.floor(flags / RESOURCE.MEMORY_64) % 2 === 1
    const memory = is64 ? 'memory64' : 'memory32'
    const prefetchable = (flags & RESOURCE.PREFETCH) !== 0
    regions.push({ index, kind: flags & RESOURCE.IO ? 'io' : memory, prefetchable, size })
  }
  return { regions, romSize, ranges }
}
