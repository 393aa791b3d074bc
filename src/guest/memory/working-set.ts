/** A program that uses memory: it writes or reads a word of each page, one behind the other. */
import { pause, type Software } from '../../engine/index.ts'
import { pageBehind } from '../free-memory.ts'
import type { GuestAccess } from '../guest-access.ts'

const PAGE = 4096
const PAGES_PER_PAUSE = 4096
/** In the first word of every page that it writes. */
const MARK = 0x4e42_0000

/** `own`: what no other machine has in its pages. `common`: the same in each machine, another in each page. */
export const WORKING_SET_CONTENTS = ['own', 'common'] as const
export type WorkingSetContents = (typeof WORKING_SET_CONTENTS)[number]

export interface WorkingSet {
  /** The first page, counted from 0 through all of the guest's memory. */
  readonly first: number
  readonly pages: number
  /** What it writes; absent: it reads. */
  readonly contents?: WorkingSetContents
  /** Tells its machine from others. */
  readonly identity: number
}

/** Returns how many of the pages that it read hold what this program writes. */
export function* useWorkingSet(
  access: GuestAccess,
  { first, pages, contents, identity }: WorkingSet,
): Software<number> {
  let held = 0
  for (let i = first; i < first + pages; i++) {
    const address = pageBehind(i) * PAGE
    if (contents === undefined) {
      let mark = access.peek32(address + 4)
      if (mark < 0) mark = yield* access.read32(address + 4)
      if (mark === MARK + (i & 0xffff)) held++
    } else {
      const low = contents === 'own' ? identity : 0
      const high = MARK + (i & 0xffff)
      if (!access.poke64(address, low, high)) yield* access.write64(address, low, high)
    }
    if ((i - first) % PAGES_PER_PAUSE === PAGES_PER_PAUSE - 1) yield* pause()
  }
  return held
}
