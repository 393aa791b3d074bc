/** "Page Request Message": a function asks software for a page through the root complex. */
import type { PageNumber } from '../core/index.ts'

export interface PageRequest {
  readonly sourceId: number
  /** -1 without PASID. */
  readonly pasid: number
  readonly page: PageNumber
  readonly read: boolean
  readonly write: boolean
  readonly execute: boolean
  readonly privileged: boolean
  /** Page Request Group Index, 0 to 511. */
  readonly groupIndex: number
  /** Whether it is the last of its group: the one that is answered. */
  readonly last: boolean
}

/** "Stop Marker": the last message of a PASID that the function has stopped using. It asks for no page and no answer. */
export const isStopMarker = ({ pasid, read, write, last }: PageRequest): boolean =>
  pasid >= 0 && last && !read && !write

/** Response Code of a "PRG Response Message". */
export const PAGE_RESPONSE_CODE = { success: 0, invalidRequest: 1, failure: 15 } as const
