/** What the guest's driver writes of its functions: root and context entries, in scalable mode PASID entries, too. */
import { type Fields, PAGE_SIZE, set } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  AW_LEVELS_OFFSET,
  CONTEXT_ENTRY,
  CONTEXT_ENTRY_WORDS,
  FIRST_STAGE_PAGING_MODE,
  PASID_DIRECTORY_ENTRY,
  PASID_GRANULAR_TRANSLATION_TYPE,
  PASID_TABLE_ENTRY,
  PASID_TABLE_ENTRY_WORDS,
  ROOT_ENTRY,
  ROOT_ENTRY_WORDS,
  SCALABLE_CONTEXT_ENTRY,
  SCALABLE_CONTEXT_ENTRY_WORDS,
  SCALABLE_ROOT_ENTRY,
} from '../../vtd/formats/index.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { TakePage } from './paging.ts'

const FOUR_LEVELS = 4

/** Tables of one requester, guest-physical. */
export interface RequesterEntry {
  readonly devfn: number
  readonly domainId: number
  /** Of the paging structures. */
  readonly root: number
}

/** All functions are on bus 0. The first context table serves device functions up to 127. */
export class RequesterTables {
  readonly root: number
  readonly #access: GuestAccess
  readonly #contexts: number
  readonly #scalable: boolean

  constructor(access: GuestAccess, root: number, contexts: number, scalable: boolean) {
    this.root = root
    this.#access = access
    this.#contexts = contexts
    this.#scalable = scalable
  }

  get contexts(): number {
    return this.#contexts
  }

  /** The one root entry that is used. */
  *start(): Software {
    const page = this.#contexts / PAGE_SIZE
    if (this.#scalable)
      yield* this.#store(this.root, ROOT_ENTRY_WORDS, SCALABLE_ROOT_ENTRY, { LP: 1, LCTP: page })
    else yield* this.#store(this.root, ROOT_ENTRY_WORDS, ROOT_ENTRY, { P: 1, CTP: page })
  }

  /** Points a requester at its paging structures. Returns the pages taken for that. */
  *point({ devfn, domainId, root }: RequesterEntry, take: TakePage): Software<number[]> {
    if (!this.#scalable) {
      yield* this.#store(this.#contextAt(devfn), CONTEXT_ENTRY_WORDS, CONTEXT_ENTRY, {
        P: 1,
        SSPTPTR: root / PAGE_SIZE,
        AW: FOUR_LEVELS - AW_LEVELS_OFFSET,
        DID: domainId,
      })
      return []
    }
    const directory = yield* take()
    const table = yield* take()
    yield* this.#store(table, PASID_TABLE_ENTRY_WORDS, PASID_TABLE_ENTRY, {
      P: 1,
      PGTT: PASID_GRANULAR_TRANSLATION_TYPE.firstStage,
      FSPM: FIRST_STAGE_PAGING_MODE.fourLevel,
      FSPTPTR: root / PAGE_SIZE,
      DID: domainId,
      // Accessed and dirty flags are set in the tables by walks that are snooped.
      PWSNP: 1,
    })
    yield* this.#store(directory, 2, PASID_DIRECTORY_ENTRY, { P: 1, SMPTBLPTR: table / PAGE_SIZE })
    yield* this.#store(this.#contextAt(devfn), SCALABLE_CONTEXT_ENTRY_WORDS, SCALABLE_CONTEXT_ENTRY, {
      P: 1,
      PASIDDIRPTR: directory / PAGE_SIZE,
    })
    return [directory, table]
  }

  *clear(devfn: number): Software {
    const words = this.#scalable ? SCALABLE_CONTEXT_ENTRY_WORDS : CONTEXT_ENTRY_WORDS
    yield* this.#access.zero(this.#contextAt(devfn), words * 4)
  }

  #contextAt(devfn: number): number {
    const words = this.#scalable ? SCALABLE_CONTEXT_ENTRY_WORDS : CONTEXT_ENTRY_WORDS
    return this.#contexts + devfn * words * 4
  }

  /** The lowest words last: they hold the present bit. */
  *#store(
    address: number,
    words: number,
    fields: Fields,
    values: Readonly<Record<string, number>>,
  ): Software {
    const entry = new Uint32Array(words)
    for (const [name, value] of Object.entries(values)) set(fields[name]!, entry, value)
    for (let word = words - 2; word >= 0; word -= 2)
      yield* this.#access.write64(address + word * 4, entry[word]!, entry[word + 1]!)
  }
}
