/**
 * Shadow page tables: one for each table of the guest, level and upper-level rights, entry by entry, so that a write to
 * the guest's table touches the same entry of its shadows. Guest tables are write-protected, and writes to them traced.
 */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { ENTRY, type GuestSpace, indexAt, type Walk } from './guest-space.ts'
import type { Ledger } from './ledger.ts'
import { addressOf, type TechniqueHost } from './technique.ts'

export interface ShadowOptions {
  /** Ring compression: the guest's kernel runs at CPL 3, so that its pages must be user pages. */
  readonly everythingUser: boolean
  /** Root entry that the hypervisor keeps for itself: index and value; undefined: it lives elsewhere. */
  readonly hole: { readonly index: number; readonly entry: number } | undefined
}

interface ShadowTable {
  readonly page: PageNumber
  readonly guestTable: PageNumber
  readonly level: number
}

/** What a fault in the shadow tables turned out to be. */
export type ShadowFault =
  | { readonly kind: 'hidden' }
  | { readonly kind: 'guest'; readonly error: number }
  | { readonly kind: 'registers'; readonly address: number }
  /** A write to one of the guest's tables. */
  | { readonly kind: 'traced'; readonly address: number }
  /** The linear address belongs to the hypervisor. `page` is where the guest maps it. */
  | { readonly kind: 'hole'; readonly address: number }

/** Role of a shadow table that cuts a large page of the guest into small ones. */
const LARGE = 4

const TABLE_RIGHTS = ENTRY.P | ENTRY.W | ENTRY.U | ENTRY.A

export class ShadowPaging {
  readonly #host: TechniqueHost
  readonly #space: GuestSpace
  readonly #ledger: Ledger
  readonly #options: ShadowOptions
  /** Forgets cached translations of the guest after rights were taken away. */
  readonly #flush: () => void
  readonly #tables = new Map<string, ShadowTable>()
  readonly #ofGuestTable = new Map<PageNumber, ShadowTable[]>()
  /** Writable entries by the guest page they map: their addresses. */
  readonly #writable = new Map<PageNumber, Set<number>>()
  /** Pages write-protected for other reasons than being tables: translated code. */
  readonly #protected = new Set<PageNumber>()

  constructor(
    host: TechniqueHost,
    space: GuestSpace,
    ledger: Ledger,
    options: ShadowOptions,
    flush: () => void,
  ) {
    this.#host = host
    this.#space = space
    this.#ledger = ledger
    this.#options = options
    this.#flush = flush
  }

  /** Physical address of the shadow of an address space. */
  root(cr3: number): number {
    const { levels } = this.#space.format
    return addressOf(this.#table(Math.floor(cr3 / PAGE_SIZE), levels, 0).page)
  }

  #table(guestTable: PageNumber, level: number, role: number): ShadowTable {
    const key = `${guestTable}:${level}:${role}`
    const known = this.#tables.get(key)
    if (known !== undefined) return known
    const table = { page: this.#host.allocate(), guestTable, level }
    this.#tables.set(key, table)
    this.#ledger.count('shadowTableAllocated', `level${level}`)
    if ((role & LARGE) !== 0) return table
    const siblings = this.#ofGuestTable.get(guestTable)
    if (siblings === undefined) {
      this.#ofGuestTable.set(guestTable, [table])
      this.#takeWriteRights(guestTable)
    } else siblings.push(table)
    const { hole } = this.#options
    if (hole !== undefined && level === this.#space.format.levels) this.#write(table, hole.index, hole.entry)
    return table
  }

  #entryAddress({ page }: ShadowTable, index: number): number {
    return addressOf(page) + index * this.#space.format.entryBytes
  }

  #write(table: ShadowTable, index: number, value: number): void {
    this.#host.machine.writeDword(this.#entryAddress(table, index), value >>> 0)
  }

  /** Write-protects a page, and traces writes to it from now on. */
  protect(page: PageNumber): void {
    if (this.#protected.has(page)) return
    this.#protected.add(page)
    this.#takeWriteRights(page)
  }

  unprotect(page: PageNumber): void {
    this.#protected.delete(page)
  }

  isTable(page: PageNumber): boolean {
    return this.#ofGuestTable.has(page)
  }

  #takeWriteRights(page: PageNumber): void {
    const entries = this.#writable.get(page)
    if (entries === undefined) return
    const { machine } = this.#host
    for (const address of entries) machine.writeDword(address, machine.readDword(address) & ~ENTRY.W)
    this.#writable.delete(page)
    this.#flush()
  }

  /** Answers a page fault of the guest at a linear address. */
  fault(
    state: { readonly cr3: number; readonly cr0: number },
    low: number,
    high: number,
    access: { readonly write: boolean; readonly user: boolean },
  ): ShadowFault {
    const space = this.#space
    const inHole = this.#options.hole?.index === indexAt(space.format, space.format.levels, low, high)
    const walk = space.walk(state.cr3, state.cr0, low, high, access, true)
    if (walk.kind === 'fault') return { kind: 'guest', error: walk.error }
    const address = walk.page * PAGE_SIZE + (low & 0xfff)
    if (inHole) return { kind: 'hole', address }
    const hostPage = space.hostPage(walk.page)
    if (hostPage < 0) return { kind: 'registers', address }
    const traced = this.#ofGuestTable.has(walk.page) || this.#protected.has(walk.page)
    if (access.write && traced) return { kind: 'traced', address }
    this.#fill(state.cr3, low, high, walk, hostPage)
    this.#ledger.count('hiddenFault', access.write ? 'write' : 'read')
    return { kind: 'hidden' }
  }

  #fill(
    cr3: number,
    low: number,
    high: number,
    walk: Extract<Walk, { kind: 'mapped' }>,
    hostPage: PageNumber,
  ): void {
    const { format } = this.#space
    let table = this.#table(Math.floor(cr3 / PAGE_SIZE), format.levels, 0)
    let role = 0
    for (let level = format.levels; level > 1; level--) {
      const index = indexAt(format, level, low, high)
      const visited = walk.path[format.levels - level]
      const entry = visited?.entry ?? 0
      // Below a large page of the guest the shadow goes on with a table of its own, which no table of the guest matches.
      if (level === 2 && (entry & ENTRY.PS) !== 0) role |= LARGE
      if ((entry & ENTRY.W) === 0) role |= 1
      if ((entry & ENTRY.U) === 0) role |= 2
      const child = this.#table(Math.floor((entry >>> 0) / PAGE_SIZE), level - 1, role)
      this.#write(table, index, addressOf(child.page) | TABLE_RIGHTS)
      table = child
    }
    const mayWrite = walk.writable && walk.dirty
    const traced = this.#ofGuestTable.has(walk.page) || this.#protected.has(walk.page)
    const rights =
      ENTRY.P |
      ENTRY.A |
      (mayWrite && !traced ? ENTRY.W | ENTRY.D : 0) |
      (walk.user || this.#options.everythingUser ? ENTRY.U : 0)
    const index = indexAt(format, 1, low, high)
    this.#write(table, index, addressOf(hostPage) | rights)
    if ((rights & ENTRY.W) === 0) return
    const entries = this.#writable.get(walk.page) ?? new Set()
    this.#writable.set(walk.page, entries)
    entries.add(this.#entryAddress(table, index))
  }

  /** The guest wrote its own table: what the entry's shadows hold is no longer so. */
  entryWritten(address: number): void {
    const { entryBytes } = this.#space.format
    const tables = this.#ofGuestTable.get(Math.floor(address / PAGE_SIZE)) ?? []
    const index = Math.floor((address % PAGE_SIZE) / entryBytes)
    for (const table of tables) {
      const isHole = table.level === this.#space.format.levels && index === this.#options.hole?.index
      if (!isHole) this.#write(table, index, 0)
      const entry = this.#entryAddress(table, index)
      for (const entries of this.#writable.values()) entries.delete(entry)
    }
    this.#flush()
  }

  /** INVLPG of the guest: shadows follow every traced write at once, so only cached translations are old. */
  invalidate(): void {
    this.#flush()
  }
}
