/** What requests leave on the heap. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { eightDevices } from './devices.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface HeapGrowth {
  /** Bytes allocated per request while they were made, garbage included. */
  readonly allocated: number
  /** Bytes per request still there after garbage was collected. */
  readonly kept: number
}

/**
 * DMAs of 64 bytes to addresses above 4 GiB by eight kinds of device in turn, hits and misses, after a warm-up of a
 * tenth as many.
 */
export function heapPerRequest(requests: number): HeapGrowth {
  const { send } = eightDevices()
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) send(i & 7, (i >>> 3) & 0xff)
  }
  run(Math.max(requests / 10, 200_000))
  collect()
  const before = process.memoryUsage().heapUsed
  run(requests)
  const used = process.memoryUsage().heapUsed
  collect()
  const after = process.memoryUsage().heapUsed
  return { allocated: Math.max(used - before, 0) / requests, kept: Math.max(after - before, 0) / requests }
}
