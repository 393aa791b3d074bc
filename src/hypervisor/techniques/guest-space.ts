/**
 * A guest's memory as its hypervisor sees it: guest-physical pages in host memory, and the guest's own page tables,
 * walked in software as the processor would, accessed and dirty flags included.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { CR0, PAGE_FAULT } from '../../vmx/formats/msrs.ts'
import type { TechniqueHost } from './technique.ts'

/** Bits of paging-structure entries. */
export const ENTRY = { P: 1, W: 2, U: 4, A: 0x20, D: 0x40, PS: 0x80 } as const

export interface Access {
  readonly write: boolean
  readonly user: boolean
}

/** One level of a walk: where its entry lies, and what it holds. Levels count down to 1. */
export interface Visited {
  readonly level: number
  /** Guest-physical address of the entry, and of the table. */
  readonly address: number
  readonly entry: number
}

export type Walk =
  | { readonly kind: 'fault'; readonly error: number }
  | {
      readonly kind: 'mapped'
      /** Guest page. */
      readonly page: number
      readonly writable: boolean
      readonly user: boolean
      readonly dirty: boolean
      readonly path: readonly Visited[]
    }

/** How linear addresses are cut into indices. */
export interface PagingFormat {
  readonly levels: number
  readonly indexBits: number
  readonly entryBytes: number
}
export const FORMATS: Readonly<Record<32 | 64, PagingFormat>> = {
  32: { levels: 2, indexBits: 10, entryBytes: 4 },
  64: { levels: 4, indexBits: 9, entryBytes: 8 },
}

/** Index into the table of a level, of a linear address as low and high word. */
export function indexAt({ indexBits }: PagingFormat, level: number, low: number, high: number): number {
  const page = (high >>> 0) * 2 ** 20 + (low >>> 12)
  return Math.floor(page / 2 ** (indexBits * (level - 1))) % 2 ** indexBits
}

export class GuestSpace {
  readonly format: PagingFormat
  readonly #host: TechniqueHost

  constructor(host: TechniqueHost) {
    this.#host = host
    this.format = FORMATS[host.bits]
  }

  /** Host page of a guest page, or -1 where the guest has no memory. */
  hostPage(page: number): number {
    return page < this.#host.guestPages ? this.#host.guestBase + page : -1
  }

  #hostAddress(address: number): number {
    const page = this.hostPage(Math.floor(address / PAGE_SIZE))
    return page < 0 ? -1 : page * PAGE_SIZE + (address % PAGE_SIZE)
  }

  read(address: number): number {
    const at = this.#hostAddress(address)
    return at < 0 ? 0xffff_ffff : this.#host.machine.readDword(at)
  }

  write(address: number, value: number, lanes = 0xffff_ffff): void {
    const at = this.#hostAddress(address)
    if (at >= 0) this.#host.machine.writeDword(at, value >>> 0, lanes)
  }

  /**
   * Walks the guest's tables. `mark`: set accessed and dirty flags, as an access does. Entries' high words are 0 in this
   * guest: its memory lies below 4 GiB, and it uses no execute-disable.
   */
  walk(cr3: number, cr0: number, low: number, high: number, access: Access, mark: boolean): Walk {
    const { format } = this
    const path: Visited[] = []
    const code = (access.write ? PAGE_FAULT.write : 0) | (access.user ? PAGE_FAULT.user : 0)
    let table = cr3 - (cr3 % PAGE_SIZE)
    let writable = true
    let user = true
    for (let level = format.levels; ; level--) {
      const address = table + indexAt(format, level, low, high) * format.entryBytes
      const entry = this.read(address)
      if ((entry & ENTRY.P) === 0) return { kind: 'fault', error: code }
      path.push({ level, address, entry })
      writable &&= (entry & ENTRY.W) !== 0
      user &&= (entry & ENTRY.U) !== 0
      table = entry - (entry % PAGE_SIZE)
      if (level > 1 && !(level === 2 && (entry & ENTRY.PS) !== 0)) continue
      const denied =
        access.user && !user ? true : access.write && !writable && (access.user || (cr0 & CR0.WP) !== 0)
      if (denied) return { kind: 'fault', error: code | PAGE_FAULT.present }
      if (mark) this.#mark(path, access.write)
      const within = level === 1 ? 0 : indexAt(format, 1, low, high)
      const dirty = access.write ? mark : (entry & ENTRY.D) !== 0
      return { kind: 'mapped', page: table / PAGE_SIZE + within, writable, user, dirty, path }
    }
  }

  #mark(path: readonly Visited[], write: boolean): void {
    for (const [i, { address, entry }] of path.entries()) {
      const flags = ENTRY.A | (write && i === path.length - 1 ? ENTRY.D : 0)
      if ((entry & flags) !== flags) this.write(address, entry | flags)
    }
  }
}
