/** What the tables of a unit say at one moment: which translations every domain has, and in which pages. */
import { get, type PageNumber } from '../../core/index.ts'
import type { PhysicalMemory } from '../../memory/index.ts'
import {
  AW_LEVELS_OFFSET,
  CONTEXT_ENTRY,
  FIRST_STAGE_ENTRY,
  FIRST_STAGE_PAGING_MODE,
  PASID_DIRECTORY_ENTRY,
  PASID_GRANULAR_TRANSLATION_TYPE,
  PASID_TABLE_ENTRY,
  ROOT_ENTRY,
  SCALABLE_CONTEXT_ENTRY,
  SCALABLE_ROOT_ENTRY,
  SECOND_STAGE_ENTRY,
  TRANSLATION_TYPE,
} from '../../vtd/formats/index.ts'
import type { RemappingUnit } from '../../vtd/index.ts'

export interface Leaf {
  readonly input: PageNumber
  readonly pages: number
  readonly frame: PageNumber
  /** R and W. */
  readonly rights: number
}

export interface DomainTables {
  readonly unit: RemappingUnit
  readonly id: number
  /** Requester ids that point here. */
  readonly requesters: Set<number>
  /** By first page. */
  readonly leaves: Map<PageNumber, Leaf>
  readonly tables: Set<PageNumber>
  /** All frames of its leaves are from the one to below the other. */
  firstFrame: PageNumber
  endFrame: PageNumber
}

export interface UnitTables {
  readonly unit: RemappingUnit
  readonly domains: ReadonlyMap<number, DomainTables>
  /** Words of the present context entries, by requester id. */
  readonly contexts: ReadonlyMap<number, string>
  /** Every page that a walk may read, tables of domains included. */
  readonly pages: ReadonlySet<PageNumber>
}

export type SavedTables = {
  readonly domains: readonly {
    readonly id: number
    readonly requesters: readonly number[]
    /** Input, pages, frame and rights of each leaf. */
    readonly leaves: Float64Array
    readonly tables: readonly number[]
  }[]
  readonly contexts: readonly (readonly [rid: number, words: string])[]
  readonly pages: readonly number[]
}

export const savedTables = ({ domains, contexts, pages }: UnitTables): SavedTables => ({
  domains: [...domains.values()].map(({ id, requesters, leaves, tables }) => ({
    id,
    requesters: [...requesters],
    leaves: Float64Array.from(
      [...leaves.values()].flatMap(leaf => [leaf.input, leaf.pages, leaf.frame, leaf.rights]),
    ),
    tables: [...tables],
  })),
  contexts: [...contexts],
  pages: [...pages],
})

export function tablesIn({ domains, contexts, pages }: SavedTables, unit: RemappingUnit): UnitTables {
  const made = domains.map(({ id, requesters, leaves, tables }): DomainTables => {
    const domain = newDomain(unit, id, requesters, tables)
    for (let i = 0; i < leaves.length; i += 4) {
      const [input, pages, frame, rights] = leaves.subarray(i, i + 4) as unknown as Four
      addLeaf(domain, { input, pages, frame, rights })
    }
    return domain
  })
  return {
    unit,
    domains: new Map(made.map(domain => [domain.id, domain])),
    contexts: new Map(contexts),
    pages: new Set(pages),
  }
}

const newDomain = (
  unit: RemappingUnit,
  id: number,
  requesters: Iterable<number> = [],
  tables: Iterable<PageNumber> = [],
): DomainTables => ({
  unit,
  id,
  requesters: new Set(requesters),
  leaves: new Map(),
  tables: new Set(tables),
  firstFrame: Number.POSITIVE_INFINITY,
  endFrame: 0,
})

function addLeaf(domain: DomainTables, leaf: Leaf): void {
  domain.leaves.set(leaf.input, leaf)
  domain.firstFrame = Math.min(domain.firstFrame, leaf.frame)
  domain.endFrame = Math.max(domain.endFrame, leaf.frame + leaf.pages)
}

type Four = readonly [number, number, number, number]

export function tablesOf(unit: RemappingUnit, memory: PhysicalMemory): UnitTables {
  return new Scan(unit, memory).run()
}

class Scan {
  readonly #unit: RemappingUnit
  readonly #memory: PhysicalMemory
  readonly #domains = new Map<number, DomainTables>()
  readonly #contexts = new Map<number, string>()
  readonly #pages = new Set<PageNumber>()
  readonly #roots = new Set<string>()

  constructor(unit: RemappingUnit, memory: PhysicalMemory) {
    this.#unit = unit
    this.#memory = memory
  }

  run(): UnitTables {
    const { root, scalable } = this.#unit.rootTable
    const words = this.#read(root)
    for (let bus = 0; words !== undefined && bus < 256; bus++) {
      const at = bus * 4
      if (!scalable) {
        if (get(ROOT_ENTRY.P, words, at) === 1) this.#legacyContexts(bus, get(ROOT_ENTRY.CTP, words, at))
        continue
      }
      const { LP, LCTP, UP, UCTP } = SCALABLE_ROOT_ENTRY
      if (get(LP, words, at) === 1) this.#scalableContexts(bus << 8, get(LCTP, words, at))
      if (get(UP, words, at) === 1) this.#scalableContexts((bus << 8) | 0x80, get(UCTP, words, at))
    }
    return { unit: this.#unit, domains: this.#domains, contexts: this.#contexts, pages: this.#pages }
  }

  #read(page: PageNumber): Uint32Array | undefined {
    this.#pages.add(page)
    return this.#memory.page(page)?.words
  }

  #legacyContexts(bus: number, table: PageNumber): void {
    const words = this.#read(table)
    for (let devfn = 0; words !== undefined && devfn < 256; devfn++) {
      const at = devfn * 4
      if (get(CONTEXT_ENTRY.P, words, at) === 0) continue
      const rid = (bus << 8) | devfn
      this.#contexts.set(rid, words.subarray(at, at + 4).join())
      const domain = this.#domain(get(CONTEXT_ENTRY.DID, words, at))
      domain.requesters.add(rid)
      if (get(CONTEXT_ENTRY.TT, words, at) === TRANSLATION_TYPE.passThrough) continue
      const levels = get(CONTEXT_ENTRY.AW, words, at) + AW_LEVELS_OFFSET
      this.#paging(domain, get(CONTEXT_ENTRY.SSPTPTR, words, at), levels, true)
    }
  }

  #scalableContexts(firstRid: number, table: PageNumber): void {
    const words = this.#read(table)
    for (let index = 0; words !== undefined && index < 128; index++) {
      const at = index * 8
      if (get(SCALABLE_CONTEXT_ENTRY.P, words, at) === 0) continue
      const rid = firstRid + index
      this.#contexts.set(rid, words.subarray(at, at + 8).join())
      const directory = get(SCALABLE_CONTEXT_ENTRY.PASIDDIRPTR, words, at)
      const tables = 2 ** (get(SCALABLE_CONTEXT_ENTRY.PDTS, words, at) + 7)
      for (let page = 0; page * 512 < tables; page++)
        this.#pasids(rid, directory + page, Math.min(tables, 512))
    }
  }

  #pasids(rid: number, directory: PageNumber, count: number): void {
    const words = this.#read(directory)
    for (let index = 0; words !== undefined && index < count; index++) {
      if (get(PASID_DIRECTORY_ENTRY.P, words, index * 2) === 0) continue
      const entries = this.#read(get(PASID_DIRECTORY_ENTRY.SMPTBLPTR, words, index * 2))
      for (let pasid = 0; entries !== undefined && pasid < 64; pasid++) this.#pasid(rid, entries, pasid * 16)
    }
  }

  #pasid(rid: number, words: Uint32Array, at: number): void {
    if (get(PASID_TABLE_ENTRY.P, words, at) === 0) return
    const domain = this.#domain(get(PASID_TABLE_ENTRY.DID, words, at))
    domain.requesters.add(rid)
    const type = get(PASID_TABLE_ENTRY.PGTT, words, at)
    const { firstStage, secondStage, nested } = PASID_GRANULAR_TRANSLATION_TYPE
    if (type === firstStage) {
      const five = get(PASID_TABLE_ENTRY.FSPM, words, at) === FIRST_STAGE_PAGING_MODE.fiveLevel
      this.#paging(domain, get(PASID_TABLE_ENTRY.FSPTPTR, words, at), five ? 5 : 4, false)
    } else if (type === secondStage || type === nested) {
      const levels = get(PASID_TABLE_ENTRY.AW, words, at) + AW_LEVELS_OFFSET
      this.#paging(domain, get(PASID_TABLE_ENTRY.SSPTPTR, words, at), levels, true)
    }
  }

  #domain(id: number): DomainTables {
    let domain = this.#domains.get(id)
    if (domain === undefined) {
      domain = newDomain(this.#unit, id)
      this.#domains.set(id, domain)
    }
    return domain
  }

  #paging(domain: DomainTables, root: PageNumber, levels: number, secondStage: boolean): void {
    const key = `${domain.id}/${root}/${levels}`
    if (this.#roots.has(key)) return
    this.#roots.add(key)
    this.#table(domain, root, levels, 0, 3, secondStage)
  }

  #table(
    domain: DomainTables,
    table: PageNumber,
    level: number,
    first: PageNumber,
    above: number,
    secondStage: boolean,
  ): void {
    const words = this.#read(table)
    if (words === undefined) return
    domain.tables.add(table)
    const span = 512 ** (level - 1)
    const { PS, ADDR } = secondStage ? SECOND_STAGE_ENTRY : FIRST_STAGE_ENTRY
    for (let index = 0; index < 512; index++) {
      const low = words[index * 2]!
      // The first stage has P and R/W where the second has R and W: present means readable there.
      const rights = secondStage ? low & above & 3 : (low & 1) === 0 ? 0 : low & above & 3
      if (rights === 0) continue
      const input = first + index * span
      const target = get(ADDR, words, index * 2)
      if (level === 1 || get(PS, words, index * 2) === 1) {
        addLeaf(domain, { input, pages: span, frame: target, rights })
      } else this.#table(domain, target, level - 1, input, rights, secondStage)
    }
  }
}

const SIZES = [1, 512, 512 ** 2]

/** The leaf that translates a page. */
export function leafAt(domain: DomainTables | undefined, page: PageNumber): Leaf | undefined {
  if (domain === undefined) return undefined
  for (const size of SIZES) {
    const leaf = domain.leaves.get(page - (page % size))
    if (leaf !== undefined && leaf.pages >= size) return leaf
  }
  return undefined
}
