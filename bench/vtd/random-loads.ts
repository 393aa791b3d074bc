/** What the machine itself takes for a load that no prefetcher foresees: the page-table entries of a shuffled miss are such. */
import type { Contestant } from '../measure.ts'
import { shuffle } from './tables.ts'

/** As many bytes as the page-table entries of the misses have. */
const BYTES = 2 * 2 ** 20
const LINE_WORDS = 16

/** Each load tells where the next one goes, so that none begins before the last has ended. */
export function randomLoads(): Contestant {
  const words = new Uint32Array(BYTES / 4)
  const order = shuffle(Uint32Array.from({ length: words.length / LINE_WORDS }, (_, i) => i * LINE_WORDS))
  for (let i = 0; i < order.length; i++) words[order[i]!] = order[(i + 1) % order.length]!
  let at = 0
  return {
    name: 'a load from 2 MiB',
    count: 200_000,
    run: count => {
      for (let i = 0; i < count; i++) at = words[at]!
    },
  }
}
