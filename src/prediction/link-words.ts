/** Wire and link of a record: as it says them, or as adapters of the time had them. */
import type { Settings } from './settings.ts'

export interface Link {
  readonly generation: number
  readonly lanes: number
  readonly mps: number
  readonly mrrs: number
}

const GIGABITS = /(\d+) ?g(?:be|b\/s|bps|bit|b ethernet)/
const MEGABITS = /(\d+) ?m(?:be|b\/s|bps|bit|b ethernet)/
/** First years in which servers had adapters of ten gigabits, and of one. */
const TEN_SINCE = 2007
const ONE_SINCE = 2003

export function lineOf(settings: Settings, year: number = TEN_SINCE): number {
  const stated = settings.number('linkGbps')
  if (stated !== undefined) return stated
  const gigabits = GIGABITS.exec(settings.words)
  if (gigabits) return Number(gigabits[1])
  const megabits = MEGABITS.exec(settings.words)
  if (megabits) return Number(megabits[1]) / 1000
  if (year >= TEN_SINCE) return 10
  return year >= ONE_SINCE ? 1 : 0.1
}

const STATED = /gen ?(\d) ?x ?(\d+)/
/** The smallest link that carries a wire, among those that adapters have. */
const LINKS = [
  { upTo: 40, generation: 3, lanes: 8 },
  { upTo: 100, generation: 3, lanes: 16 },
  { upTo: 200, generation: 4, lanes: 16 },
  { upTo: Number.POSITIVE_INFINITY, generation: 5, lanes: 16 },
]

export function linkOf(settings: Settings, lineGbps: number): Link {
  const stated = STATED.exec(settings.text('pcie'))
  const link = stated
    ? { generation: Number(stated[1]), lanes: Number(stated[2]) }
    : LINKS.find(({ upTo }) => lineGbps <= upTo)!
  return {
    generation: link.generation,
    lanes: link.lanes,
    mps: settings.number('mps') ?? 256,
    mrrs: settings.number('mrrs') ?? 512,
  }
}
