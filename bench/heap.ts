/** What work leaves on the heap. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface HeapGrowth {
  /** Bytes allocated per operation while it was done, garbage included. */
  readonly allocated: number
  /** Bytes per operation still there after garbage was collected. */
  readonly kept: number
}

/**
 * Does `count` operations to warm up, then as many in each of `rounds` rounds: few enough that nothing is collected
 * meanwhile. What is allocated is the median of the rounds.
 */
export function heapOf(run: (count: number) => void, count: number, rounds = 5): HeapGrowth {
  run(count)
  const allocated: number[] = []
  collect()
  const start = process.memoryUsage().heapUsed
  for (let round = 0; round < rounds; round++) {
    collect()
    const before = process.memoryUsage().heapUsed
    run(count)
    allocated.push(process.memoryUsage().heapUsed - before)
  }
  collect()
  const kept = process.memoryUsage().heapUsed - start
  return {
    allocated: Math.max(0, allocated.sort((a, b) => a - b)[rounds >>> 1]!) / count,
    kept: Math.max(0, kept) / (count * rounds),
  }
}
