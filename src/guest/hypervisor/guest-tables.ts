/** "EPT Translation Mechanism": the tables ("EPT12") that a hypervisor in a guest (L1) makes for its own guest (L2). */
import { assert, opened, PAGE_SIZE, type PageNumber, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { EPT_ENTRY, EPT_MEMORY_TYPE, EPTP, INVEPT } from '../../vmx/formats/ept.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import type { GuestPort } from '../guest-port.ts'
import type { PageRange } from './layout.ts'

const LEVELS = 4
const SPAN = [0, 1, 2 ** 9, 2 ** 18, 2 ** 27] as const
const ALL_RIGHTS = EPT_ENTRY.R.mask | EPT_ENTRY.W.mask | EPT_ENTRY.X.mask

export interface GuestMapping {
  /** 1: 4 KiB, 2: 2 MiB, 3: 1 GiB. */
  readonly level?: 1 | 2 | 3
  /** Bits 2:0 of an entry. */
  readonly rights?: number
  /** Memory type; write-back unless given. */
  readonly type?: number
}

export class GuestTables {
  readonly #port: GuestPort
  readonly #room: PageRange
  #taken = 1

  /** @param room zeroed pages of L1 for the tables, of which the first becomes the highest. */
  constructor(port: GuestPort, room: PageRange) {
    this.#port = port
    this.#room = room
  }

  /** EPTP: write-back, four levels, no accessed and dirty flags. */
  get pointer(): Word64 {
    const { first } = this.#room
    const low = EPT_MEMORY_TYPE.WB | ((LEVELS - 1) << EPTP.PWL.shift) | ((first & 0xf_ffff) << 12)
    return [low >>> 0, Math.floor(first / 2 ** 20)]
  }

  /**
   * Lets L2 find a page of L1 (`frame`), or a large one, at one of its own. False, and nothing done, where a table or a
   * larger page is in the way. What the processor may remember is dropped by {@link invalidate}.
   */
  *map(
    page: PageNumber,
    frame: PageNumber,
    { level = 1, rights = ALL_RIGHTS, type = EPT_MEMORY_TYPE.WB }: GuestMapping = {},
  ): Software<boolean> {
    const at = yield* this.#find(page, level)
    if (at === undefined) return false
    const entry = (yield* this.#port.execute({ op: 'read', address: at, width: 8 })).low
    if (level > 1 && (entry & ALL_RIGHTS) !== 0 && (entry & EPT_ENTRY.LEAF.mask) === 0) return false
    const leaf = level > 1 ? EPT_ENTRY.LEAF.mask : 0
    yield* this.#write(at, frame, rights | (type << EPT_ENTRY.MT.shift) | leaf)
    return true
  }

  /** Takes a page, or a large one, away from L2. */
  *unmap(page: PageNumber, level: 1 | 2 | 3 = 1): Software {
    yield* this.map(page, 0, { level, rights: 0, type: 0 })
  }

  /** INVEPT: L2 finds what the tables say now. */
  *invalidate(): Software {
    yield* this.#port.execute({ op: 'invept', type: INVEPT.singleContext, eptp: this.pointer })
  }

  /** Address of the entry of a level for a page; tables on the way are made. `undefined`: a larger page covers it. */
  *#find(page: PageNumber, level: number): Software<number | undefined> {
    let table = this.#room.first
    for (let now = LEVELS; ; now--) {
      const at = table * PAGE_SIZE + (Math.floor(page / SPAN[now]!) % 512) * 8
      if (now === level) return at
      const { low, high } = yield* this.#port.execute({ op: 'read', address: at, width: 8 })
      if ((low & ALL_RIGHTS) === 0) {
        assert(this.#taken < this.#room.pages, 'the tables fit their room')
        table = this.#room.first + this.#taken++
        yield* this.#write(at, table, ALL_RIGHTS)
      } else if (now < LEVELS && (low & EPT_ENTRY.LEAF.mask) !== 0) return undefined
      else table = high * 2 ** 20 + (low >>> 12)
    }
  }

  *#write(at: number, frame: PageNumber, attributes: number): Software {
    const value: Word64 = [(((frame & 0xf_ffff) << 12) | attributes) >>> 0, Math.floor(frame / 2 ** 20)]
    yield* this.#port.execute({ op: 'write', address: at, width: 8, value })
  }

  save(): Saved {
    return { version: 1, first: this.#room.first, taken: this.#taken }
  }

  load(saved: Saved): void {
    this.#taken = opened<{ taken: number }>(saved, 'the EPT of a guest', 1).taken
  }
}
