/** What may be said of a live migration, and what is told of it. */
import { NorthbridgeError, PAGE_SIZE } from '../../core/index.ts'
import type { DirtyTracking, TrackingCost } from '../../hypervisor/index.ts'

/** Bytes on the channel besides contents: what names a page, and all of a page of zeros. */
export const PAGE_HEADER = 8
export const PAGE_BYTES = PAGE_SIZE + PAGE_HEADER
export const ZERO_PAGE_BYTES = PAGE_HEADER + 1

/** What the guest does meanwhile: it writes one dword after the other, a page further each time, round and round. */
export interface GuestLoad {
  /** Default 0. */
  readonly vcpu?: number
  /** Guest-physical, of the first page. */
  readonly address: number
  readonly pages: number
  /** Pages written in a second while nobody holds the guest back. */
  readonly pagesPerSecond: number
}

export interface MigrationOptions {
  /** Of the channel, megabits (10^6) per second. */
  readonly bandwidthMbps: number
  /** One way, nanoseconds. */
  readonly latencyNs: number
  /** The guest is stopped once the rest can be sent in this time. */
  readonly downtimeLimitNs: number
  /** Rounds, the first copy of everything included, after which something else is done. */
  readonly maxRounds: number
  /** What is done then: `stopAndCopy` takes the downtime that it takes; `cancel` leaves the machine where it is. */
  readonly ifNotConverging: 'stopAndCopy' | 'cancel'
  /** The guest is held back while it writes faster than is sent. */
  readonly autoConverge: boolean
  /** Rounds after which the guest goes on at the target before the rest of its memory has come. */
  readonly postCopyAfter?: number
  readonly tracking: DirtyTracking
  /**
   * Failover teaming: the function of the target that the machine gets for the one that it has, for which its standby stands
   * in meanwhile.
   */
  readonly primary?: string
  readonly load?: GuestLoad
  /** Switches of the target for those of the source; default: those of the same names. */
  readonly switches?: Readonly<Record<string, string>>
  /** Functions of the target for assigned ones whose state can go with them. */
  readonly functions?: Readonly<Record<string, string>>
}

/** As of QEMU, but for the number of rounds, which is Xen's. */
export const MIGRATION_DEFAULTS: MigrationOptions = {
  bandwidthMbps: 10_000,
  latencyNs: 50_000,
  downtimeLimitNs: 300_000_000,
  maxRounds: 30,
  ifNotConverging: 'stopAndCopy',
  autoConverge: false,
  tracking: 'accessedDirty',
}

/** One pass over what had to be sent. */
export interface MigrationRound {
  readonly round: number
  /** Pages of memory, those of zeros among them, and pages of the disk. */
  readonly pages: number
  readonly zeroPages: number
  readonly diskPages: number
  readonly bytes: number
  readonly durationNs: number
  /** Pages that changed meanwhile, and how many that is in a second. */
  readonly dirtied: number
  readonly dirtyPagesPerSecond: number
  /** Percent of its time that the guest was held back. */
  readonly throttle: number
  /** Time that sending what is left and the machine's state would take. */
  readonly expectedDowntimeNs: number
}

export interface PostCopyReport {
  /** Pages that were not there when the guest went on. */
  readonly pages: number
  /** Of them: asked for by the guest, and by the hypervisor itself; the others were pushed. */
  readonly faults: number
  readonly hostFaults: number
  /** Time that the guest waited for pages. */
  readonly stalledNs: number
  readonly durationNs: number
}

export interface MigrationReport {
  readonly vm: string
  readonly from: string
  readonly to: string
  readonly outcome: 'migrated' | 'cancelled'
  /** Whether the rest could be sent in the time allowed. */
  readonly converged: boolean
  readonly rounds: readonly MigrationRound[]
  /** Of processors and devices. */
  readonly stateBytes: number
  /** Sent while the guest was stopped: pages that were left, and the state. */
  readonly finalPages: number
  readonly finalBytes: number
  readonly bytes: number
  readonly downtimeNs: number
  readonly totalNs: number
  readonly postCopy: PostCopyReport | null
  /** With failover teaming: what the machine let go of, how long its guest took for it, and what it has now. */
  readonly primary: { readonly released: string; readonly releaseNs: number; readonly taken: string } | null
  /** Frames for the machine that came while it was stopped. */
  readonly framesLost: number
  readonly tracking: DirtyTracking
  readonly cost: TrackingCost
}

/** Throws `invalidArgument`. */
export function checkMigration(
  options: MigrationOptions,
  memory: (address: number, length: number) => boolean,
): void {
  const { bandwidthMbps, latencyNs, downtimeLimitNs, maxRounds, postCopyAfter, load } = options
  const refuse = (field: string, rule: string): never => {
    throw new NorthbridgeError('invalidArgument', `${field} must be ${rule}`, {
      issues: [{ path: `/${field}`, message: `must be ${rule}` }],
    })
  }
  if (!(bandwidthMbps >= 1 && bandwidthMbps <= 1e7)) refuse('bandwidthMbps', 'from 1 to 10 000 000')
  if (!(Number.isInteger(latencyNs) && latencyNs >= 0)) refuse('latencyNs', 'a whole number')
  if (!(Number.isInteger(downtimeLimitNs) && downtimeLimitNs >= 0))
    refuse('downtimeLimitNs', 'a whole number')
  if (!(Number.isInteger(maxRounds) && maxRounds >= 1)) refuse('maxRounds', 'at least 1')
  if (postCopyAfter !== undefined && !(Number.isInteger(postCopyAfter) && postCopyAfter >= 0))
    refuse('postCopyAfter', 'a whole number')
  if (load === undefined) return
  const { address, pages, pagesPerSecond } = load
  if (!(pagesPerSecond >= 0 && pagesPerSecond <= 1e9)) refuse('load/pagesPerSecond', 'from 0 to 10^9')
  if (!Number.isInteger(pages) || pages < 1) refuse('load/pages', 'at least 1')
  if (address % PAGE_SIZE !== 0 || !memory(address, pages * PAGE_SIZE))
    refuse('load/address', 'that of pages which are memory of the machine')
}
