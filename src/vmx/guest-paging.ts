/**
 * "Paging": how linear addresses of the running program become physical (in a guest: guest-physical) ones by the tables
 * in memory that CR3 names. 32-bit, PAE and 4-level paging, with accessed and dirty flags, PCIDs and global pages.
 */
import type { Core } from './core.ts'
import { ACCESS } from './extended-page-tables.ts'
import { SECONDARY } from './formats/controls.ts'
import { CR0, CR4, EFER, PAGE_FAULT, RFLAGS } from './formats/msrs.ts'
import { linearTag, MAPPING } from './linear-cache.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'
import { WALKS } from './walk-counters.ts'

const VPID = slot('virtualProcessorIdentifier')

/** Fields of a paging-structure entry. */
const ENTRY = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80, G: 0x100 } as const
const NX = 0x8000_0000
/** Bits 12 of a large page's entry is PAT; the others below the page's own size are reserved. */
const LARGE_RESERVED = { 2: 0x1f_e000, 3: 0x3fff_e000 } as const
/** Bit 21 of a PDE that maps 4 MiB; its bits 20:13 are bits 39:32 of the address. */
const PSE_RESERVED = 0x20_0000

/** Who accesses: a program at CPL 3, one at a lower CPL, or the processor itself for descriptor tables. */
export const ACCESSOR = { supervisor: 0, user: 1, implicit: 2 } as const

/** How the tables are reached: as physical memory, or through EPT. */
export interface TableAccess {
  /** Words of the page that holds a table; undefined if the access failed, or (`noMemory`) nothing answers. */
  table(page: number, write: boolean): Uint32Array | undefined
}

export const TABLE_FAILED = -2
export const PAGE_FAULTED = -1

export class GuestPaging {
  readonly #core: Core
  readonly #access: TableAccess
  /** Tables of the walk in progress by level, as page and word index. */
  readonly #tablePages = new Float64Array(6)
  readonly #indices = new Uint32Array(6)
  readonly #words: (Uint32Array | undefined)[] = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]
  /** After {@link PAGE_FAULTED}. */
  errorCode = 0
  /** Rights of the last translation: a union of MAPPING. */
  rights = 0

  constructor(core: Core, access: TableAccess) {
    this.#core = core
    this.#access = access
  }

  get vpid(): number {
    const core = this.#core
    if (core.svm.guest) return core.svm.asid
    return core.guestHasSecondary(SECONDARY.enableVpid) ? core.vmcs[VPID]! : 0
  }

  get tag(): number {
    const { registers } = this.#core
    const pcid = (registers[REGISTER.cr4]! & CR4.PCIDE) !== 0 ? registers[REGISTER.cr3]! & 0xfff : 0
    return linearTag(this.vpid, pcid)
  }

  /** Guest-physical page of a linear page; or {@link PAGE_FAULTED}, or {@link TABLE_FAILED}. Only with CR0.PG set. */
  translate(linearPage: number, access: number, accessor: number, root: number): number {
    const { linear } = this.#core
    const tag = this.tag
    const cached = linear.find(linearPage, tag, root)
    if (cached !== 0 && this.#denied(cached, access, accessor) === false) {
      if ((access & ACCESS.write) === 0 || (cached & MAPPING.dirty) !== 0) {
        this.rights = cached
        return linear.page
      }
    }
    const page = this.#walk(linearPage, access, accessor)
    if (page >= 0) linear.fill(linearPage, tag, root, page, this.rights)
    else linear.invalidatePage(linearPage, tag >>> 12)
    return page
  }

  #walk(linearPage: number, access: number, accessor: number): number {
    const { registers, walks } = this.#core
    walks[WALKS.misses]!++
    const longMode = this.#core.ia32eMode
    if (!longMode && (registers[REGISTER.cr4]! & CR4.PAE) === 0)
      return this.#walk32(linearPage, access, accessor)
    let table: number
    let level: number
    if (longMode) {
      table = registers[REGISTER.cr3 + 1]! * 2 ** 20 + (registers[REGISTER.cr3]! >>> 12)
      level = (registers[REGISTER.cr4]! & CR4.LA57) !== 0 ? 5 : 4
    } else {
      const pdpte = REGISTER.pdpte0 + ((linearPage >>> 18) & 3) * 2
      if ((registers[pdpte]! & ENTRY.P) === 0) return this.#fault(0, access, accessor)
      table = registers[pdpte + 1]! * 2 ** 20 + (registers[pdpte]! >>> 12)
      level = 2
    }
    const top = level
    let rights = MAPPING.user | MAPPING.write | MAPPING.execute
    for (; ; level--) {
      const words = this.#access.table(table, false)
      walks[WALKS.paging]!++
      if (words === undefined) return TABLE_FAILED
      const index = (Math.floor(linearPage / 512 ** (level - 1)) & 511) * 2
      const low = words[index]! | 0
      const high = words[index + 1]! | 0
      if ((low & ENTRY.P) === 0) return this.#fault(0, access, accessor)
      const leaf = level === 1 || ((low & ENTRY.PS) !== 0 && level < 4)
      if (this.#reserved(low, high, level, leaf)) {
        return this.#fault(PAGE_FAULT.present | PAGE_FAULT.reserved, access, accessor)
      }
      this.#tablePages[level] = table
      this.#words[level] = words
      this.#indices[level] = index
      if ((low & ENTRY.W) === 0) rights &= ~MAPPING.write
      if ((low & ENTRY.U) === 0) rights &= ~MAPPING.user
      if ((high & NX) !== 0) rights &= ~MAPPING.execute
      const page = (high & 0xf_ffff) * 2 ** 20 + (low >>> 12)
      if (!leaf) {
        table = page
        continue
      }
      const within = 512 ** (level - 1)
      return this.#finish(
        page - (page % within) + (linearPage % within),
        low,
        rights,
        level,
        top,
        access,
        accessor,
      )
    }
  }

  #walk32(linearPage: number, access: number, accessor: number): number {
    const { registers, walks } = this.#core
    let table = registers[REGISTER.cr3]! >>> 12
    let rights = MAPPING.user | MAPPING.write | MAPPING.execute
    for (let level = 2; ; level--) {
      const words = this.#access.table(table, false)
      walks[WALKS.paging]!++
      if (words === undefined) return TABLE_FAILED
      const index = level === 2 ? (linearPage >>> 10) & 1023 : linearPage & 1023
      const entry = words[index]! | 0
      if ((entry & ENTRY.P) === 0) return this.#fault(0, access, accessor)
      const leaf = level === 1 || ((entry & ENTRY.PS) !== 0 && (registers[REGISTER.cr4]! & CR4.PSE) !== 0)
      if (leaf && level === 2 && (entry & PSE_RESERVED) !== 0) {
        return this.#fault(PAGE_FAULT.present | PAGE_FAULT.reserved, access, accessor)
      }
      this.#tablePages[level] = table
      this.#words[level] = words
      this.#indices[level] = index
      if ((entry & ENTRY.W) === 0) rights &= ~MAPPING.write
      if ((entry & ENTRY.U) === 0) rights &= ~MAPPING.user
      if (!leaf) {
        table = entry >>> 12
        continue
      }
      const page =
        level === 1
          ? entry >>> 12
          : ((entry >>> 13) & 0xff) * 2 ** 20 + (entry >>> 22) * 1024 + (linearPage & 1023)
      return this.#finish(page, entry, rights, level, 2, access, accessor)
    }
  }

  /** The leaf is found: permissions, then accessed and dirty flags. */
  #finish(
    page: number,
    leaf: number,
    granted: number,
    leafLevel: number,
    top: number,
    access: number,
    accessor: number,
  ): number {
    let rights = granted
    if (this.#denied(rights, access, accessor)) return this.#fault(PAGE_FAULT.present, access, accessor)
    const write = (access & ACCESS.write) !== 0
    for (let level = top; level >= leafLevel; level--) {
      const flags = ENTRY.A | (level === leafLevel && write ? ENTRY.D : 0)
      const index = this.#indices[level]!
      if ((this.#words[level]![index]! & flags) === flags) continue
      const words = this.#access.table(this.#tablePages[level]!, true)
      if (words === undefined) return TABLE_FAILED
      words[index]! |= flags
    }
    if (write || (leaf & ENTRY.D) !== 0) rights |= MAPPING.dirty
    if (leafLevel > 1) rights |= MAPPING.large
    const globalPages = (this.#core.registers[REGISTER.cr4]! & CR4.PGE) !== 0
    if (globalPages && (leaf & ENTRY.G) !== 0) rights |= MAPPING.global
    this.rights = rights
    return page
  }

  #reserved(low: number, high: number, level: number, leaf: boolean): boolean {
    const { registers } = this.#core
    if ((high & NX) !== 0 && (registers[REGISTER.efer]! & EFER.NXE) === 0) return true
    // Bits 62:52 are software's; in PAE entries they are reserved.
    if (this.#core.beyondWidth(high & 0xf_ffff)) return true
    if (!this.#core.ia32eMode && (high & 0x7ff0_0000) !== 0) return true
    if (level >= 4) return (low & ENTRY.PS) !== 0
    return leaf && level > 1 && (low & LARGE_RESERVED[level as 2 | 3]) !== 0
  }

  /** "Determination of Access Rights". */
  #denied(rights: number, access: number, accessor: number): boolean {
    const { registers } = this.#core
    const cr4 = registers[REGISTER.cr4]!
    const userPage = (rights & MAPPING.user) !== 0
    const fetch = (access & ACCESS.fetch) !== 0
    if (fetch && (rights & MAPPING.execute) === 0) return true
    const write = (access & ACCESS.write) !== 0
    if (accessor === ACCESSOR.user) return !userPage || (write && (rights & MAPPING.write) === 0)
    if (fetch) return userPage && (cr4 & CR4.SMEP) !== 0
    if (userPage && (cr4 & CR4.SMAP) !== 0) {
      if (accessor === ACCESSOR.implicit || (registers[REGISTER.rflags]! & RFLAGS.AC) === 0) return true
    }
    return write && (rights & MAPPING.write) === 0 && (registers[REGISTER.cr0]! & CR0.WP) !== 0
  }

  #fault(code: number, access: number, accessor: number): number {
    const { registers } = this.#core
    const tellsFetch =
      (registers[REGISTER.cr4]! & CR4.SMEP) !== 0 ||
      ((registers[REGISTER.cr4]! & CR4.PAE) !== 0 && (registers[REGISTER.efer]! & EFER.NXE) !== 0)
    this.errorCode =
      code |
      ((access & ACCESS.write) !== 0 ? PAGE_FAULT.write : 0) |
      (accessor === ACCESSOR.user ? PAGE_FAULT.user : 0) |
      ((access & ACCESS.fetch) !== 0 && tellsFetch ? PAGE_FAULT.fetch : 0)
    return PAGE_FAULTED
  }
}
