/** What becomes of translations when tables change: which of them caches may still know, and until when. */
import type { PageNumber } from '../../core/index.ts'
import { type DomainTables, type Leaf, leafAt } from './table-snapshot.ts'

/** A translation that caches may still know. */
export interface Pending {
  readonly domain: number
  readonly input: PageNumber
  readonly pages: number
  readonly frame: PageNumber
  /** It lost rights only. */
  readonly narrowed: boolean
}

/** Translations of a domain that its tables no longer hold, or with fewer rights. */
export function lostTranslations(before: DomainTables, now: DomainTables | undefined): Pending[] {
  const lost: Pending[] = []
  for (const leaf of before.leaves.values()) {
    const same = now?.leaves.get(leaf.input)
    if (same !== undefined && isAlike(same, leaf)) continue
    for (let at = 0; at < leaf.pages; ) {
      const { input, frame } = { input: leaf.input + at, frame: leaf.frame + at }
      const other = leafAt(now, input)
      const run =
        other === undefined ? leaf.pages - at : Math.min(leaf.pages - at, other.input + other.pages - input)
      const kept = other !== undefined && other.frame + input - other.input === frame
      const pages = other === undefined ? runWithout(now, input, run) : run
      if (!kept || (other.rights & leaf.rights) !== leaf.rights) {
        lost.push({ domain: before.id, input, pages, frame, narrowed: kept })
      }
      at += pages
    }
  }
  return lost
}

export const overlap = (a: number, pages: number, b: number, others: number): boolean =>
  a < b + others && b < a + pages

export const isAlike = (a: Leaf, b: Leaf): boolean =>
  a.frame === b.frame && a.pages === b.pages && a.rights === b.rights

/** Pages from `input` on, at most `most`, that no leaf translates. */
function runWithout(domain: DomainTables | undefined, input: PageNumber, most: number): number {
  if (domain === undefined) return most
  let count = 1
  while (count < most && leafAt(domain, input + count) === undefined) count++
  return count
}

/** What of a pending translation is left when a range of pages was invalidated. */
export function without(entry: Pending, page: PageNumber | undefined, pages: number): Pending[] {
  if (page === undefined) return []
  const end = entry.input + entry.pages
  if (page >= end || page + pages <= entry.input) return [entry]
  const left: Pending[] = []
  if (page > entry.input) left.push({ ...entry, pages: page - entry.input })
  if (page + pages < end) {
    const skipped = page + pages - entry.input
    left.push({ ...entry, input: page + pages, frame: entry.frame + skipped, pages: end - page - pages })
  }
  return left
}
