/** What entries of the two kinds of paging structures look like, for software that builds tables of either. */
import { union } from '../../core/index.ts'
import { FIRST_STAGE_ENTRY, SECOND_STAGE_ENTRY } from '../../vtd/formats/index.ts'

export interface Rights {
  readonly read: boolean
  readonly write: boolean
}

/** All masks are of the lower dword. */
export interface EntryFormat {
  readonly stage: 'first' | 'second'
  /** An entry is present if any of these bits is set. */
  readonly present: number
  /** What an entry that points to a table says besides. */
  readonly table: number
  readonly large: number
  readonly dirty: number
  /** Whether the upper half of the addresses has all upper bits set. */
  readonly canonical: boolean
  leaf(rights: Rights): number
}

const second = SECOND_STAGE_ENTRY
export const SECOND_STAGE: EntryFormat = {
  stage: 'second',
  present: union(second.R, second.W),
  table: union(second.R, second.W),
  large: second.PS.mask,
  dirty: second.D.mask,
  canonical: false,
  leaf: ({ read, write }) => (read ? second.R.mask : 0) | (write ? second.W.mask : 0),
}

const first = FIRST_STAGE_ENTRY
/**
 * Accessed and dirty bits are set beforehand: nobody looks at them here, and a unit whose walks are not snooped cannot
 * set them itself. Reading cannot be forbidden.
 */
export const FIRST_STAGE: EntryFormat = {
  stage: 'first',
  present: first.P.mask,
  table: union(first.P, first.RW, first.US, first.A),
  large: first.PS.mask,
  dirty: first.D.mask,
  canonical: true,
  leaf: ({ write }) => union(first.P, first.US, first.A) | (write ? union(first.RW, first.D) : 0),
}
