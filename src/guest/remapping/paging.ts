/** Paging structures that the guest writes for its devices: "Second-Stage" or "First-Stage Paging Entries", four levels. */
import { NorthbridgeError, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { FIRST_STAGE_ENTRY, SECOND_STAGE_ENTRY } from '../../vtd/formats/index.ts'
import type { GuestAccess } from '../guest-access.ts'

const LEVELS = 4
const FAN_OUT = 512
/** Pages of an entry by its level. */
const SPAN = [0, 1, FAN_OUT, FAN_OUT ** 2, FAN_OUT ** 3] as const
/** The highest leaf: 2 MiB. */
const LARGE = 2

export interface Rights {
  readonly read: boolean
  readonly write: boolean
}

/** Bits of the low word. */
export interface Stage {
  readonly present: number
  readonly table: number
  readonly large: number
  leaf(rights: Rights): number
}

const { R, W, PS } = SECOND_STAGE_ENTRY
export const SECOND_STAGE: Stage = {
  present: R.mask | W.mask,
  table: R.mask | W.mask,
  large: PS.mask,
  leaf: ({ read, write }) => (read ? R.mask : 0) | (write ? W.mask : 0),
}

const { P, RW, US } = FIRST_STAGE_ENTRY
export const FIRST_STAGE: Stage = {
  present: P.mask,
  table: P.mask | RW.mask | US.mask,
  large: FIRST_STAGE_ENTRY.PS.mask,
  // What may be written may be read.
  leaf: ({ write }) => P.mask | US.mask | (write ? RW.mask : 0),
}

/** Takes a page of zeros for a table. Throws `outOfMemory`. */
export type TakePage = () => Software<number>

export class GuestPaging {
  /** Guest-physical address of the top table. */
  readonly root: number
  readonly #access: GuestAccess
  readonly #stage: Stage

  constructor(access: GuestAccess, root: number, stage: Stage) {
    this.root = root
    this.#access = access
    this.#stage = stage
  }

  /** Throws `invalidArgument` where something is mapped already, `outOfMemory`; what was mapped until then stays. */
  *map(page: PageNumber, frame: PageNumber, pages: number, rights: Rights, take: TakePage): Software {
    for (let done = 0; done < pages; ) {
      const at = page + done
      const whole = (at | (frame + done)) % SPAN[LARGE] === 0 && pages - done >= SPAN[LARGE]
      const level = whole ? LARGE : 1
      const entry = yield* this.#entry(at, level, take)
      if ((yield* this.#access.read32(entry)) & this.#stage.present) {
        throw new NorthbridgeError(
          'invalidArgument',
          `the guest has mapped I/O virtual address 0x${at.toString(16)}000`,
        )
      }
      yield* this.#write(entry, frame + done, this.#stage.leaf(rights) | (whole ? this.#stage.large : 0))
      done += SPAN[level]
    }
  }

  /** Clears what is mapped of a range, whole leaves. Returns the number of leaves. Tables stay for the next mapping. */
  *unmap(page: PageNumber, pages: number): Software<number> {
    let leaves = 0
    for (let at = page; at < page + pages; ) {
      const { entry, level } = yield* this.#find(at)
      const low = entry < 0 ? 0 : yield* this.#access.read32(entry)
      if ((low & this.#stage.present) !== 0) {
        yield* this.#access.write64(entry, 0, 0)
        leaves++
      }
      at += SPAN[level]! - (at % SPAN[level]!)
    }
    return leaves
  }

  /** The address of the entry of a page at a level, with every table above it. */
  *#entry(page: PageNumber, level: number, take: TakePage): Software<number> {
    let table = this.root
    for (let at = LEVELS; at > level; at--) {
      const entry = table + index(page, at) * 8
      const low = yield* this.#access.read32(entry)
      if ((low & this.#stage.present) === 0) {
        table = yield* take()
        yield* this.#write(entry, table / PAGE_SIZE, this.#stage.table)
      } else table = yield* this.#frame(entry, low)
    }
    return table + index(page, level) * 8
  }

  /** The leaf of a page, or the entry above it that leads nowhere. */
  *#find(page: PageNumber): Software<{ readonly entry: number; readonly level: number }> {
    let table = this.root
    for (let level = LEVELS; ; level--) {
      const entry = table + index(page, level) * 8
      const low = yield* this.#access.read32(entry)
      if ((low & this.#stage.present) === 0) return { entry: -1, level }
      if (level === 1 || (low & this.#stage.large) !== 0) return { entry, level }
      table = yield* this.#frame(entry, low)
    }
  }

  *#frame(entry: number, low: number): Software<number> {
    const high = yield* this.#access.read32(entry + 4)
    return (high & 0xf_ffff) * 2 ** 32 + ((low & ~0xfff) >>> 0)
  }

  *#write(entry: number, frame: PageNumber, attributes: number): Software {
    const high = Math.floor(frame / 2 ** 20)
    yield* this.#access.write64(entry, (((frame % 2 ** 20) << 12) | attributes) >>> 0, high)
  }
}

const index = (page: PageNumber, level: number): number => Math.floor(page / SPAN[level]!) % FAN_OUT
