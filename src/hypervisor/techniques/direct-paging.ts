/**
 * Direct paging: the processor walks the guest's own tables, which therefore hold machine frames. The hypervisor validates
 * every entry before it goes in; table pages are never writable to the guest.
 */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { ENTRY, type GuestSpace } from './guest-space.ts'
import type { Ledger } from './ledger.ts'
import { addressOf, type TechniqueHost } from './technique.ts'

const FLAGS = 0xfff

export class DirectPaging {
  readonly #host: TechniqueHost
  readonly #space: GuestSpace
  readonly #ledger: Ledger
  readonly #hole: { readonly index: number; readonly entry: number }
  /** Pages that are tables, by level: 2 directories, 1 page tables. */
  readonly #levels = new Map<PageNumber, number>()
  /** Entries as the guest wrote them, in guest frames. */
  readonly #written = new Map<number, number>()

  constructor(
    host: TechniqueHost,
    space: GuestSpace,
    ledger: Ledger,
    hole: { readonly index: number; readonly entry: number },
  ) {
    this.#host = host
    this.#space = space
    this.#ledger = ledger
    this.#hole = hole
  }

  isTable(page: PageNumber): boolean {
    return this.#levels.has(page)
  }

  /** Physical address of a directory, validated and pinned when first used. */
  root(cr3: number): number {
    const page = Math.floor(cr3 / PAGE_SIZE)
    if (!this.#levels.has(page)) this.pin(page)
    return addressOf(this.#host.guestBase + page)
  }

  /** Validates a directory and the tables below it: PIN_L2_TABLE. */
  pin(directory: PageNumber): void {
    const tables: PageNumber[] = []
    this.#levels.set(directory, 2)
    for (let i = 0; i < 1024; i++) {
      const entry = this.#space.read(addressOf(directory) + i * 4)
      if ((entry & ENTRY.P) === 0 || i === this.#hole.index) continue
      const table = Math.floor((entry >>> 0) / PAGE_SIZE)
      if (!this.#levels.has(table)) {
        this.#levels.set(table, 1)
        tables.push(table)
      }
    }
    for (const page of [...tables, directory]) this.#convert(page)
  }

  #convert(page: PageNumber): void {
    for (let i = 0; i < 1024; i++) {
      const address = addressOf(page) + i * 4
      const entry = this.#space.read(address)
      const isHole = this.#levels.get(page) === 2 && i === this.#hole.index
      if (entry !== 0 || isHole) this.#install(address, entry)
    }
  }

  /** An entry of the guest, in guest frames, becomes one of the processor. */
  #install(address: number, entry: number): void {
    this.#ledger.count('validatedEntry')
    this.#written.set(address, entry >>> 0)
    this.#space.write(address, this.#machineEntry(address, entry))
  }

  #machineEntry(address: number, entry: number): number {
    const level = this.#levels.get(Math.floor(address / PAGE_SIZE))
    const isHole = level === 2 && (address % PAGE_SIZE) / 4 === this.#hole.index
    if (isHole) return this.#hole.entry
    if ((entry & ENTRY.P) === 0) return entry
    const page = Math.floor((entry >>> 0) / PAGE_SIZE)
    const host = this.#space.hostPage(page)
    // Frames that are not the guest's stay out of its tables.
    if (host < 0) return 0
    const flags = entry & FLAGS & (level === 1 && this.#levels.has(page) ? ~ENTRY.W : ~0)
    return addressOf(host) | flags
  }

  /** One request of mmu_update: a 32-bit entry. */
  update(address: number, entry: number): void {
    this.#install(address, entry)
  }

  /** What the guest would read of its tables: guest frames, with the flags that the processor has set since. */
  read(address: number): number {
    const written = this.#written.get(address)
    const real = this.#space.read(address)
    if (written === undefined) return real
    const level = this.#levels.get(Math.floor(address / PAGE_SIZE))
    const isHole = level === 2 && (address % PAGE_SIZE) / 4 === this.#hole.index
    if ((written & ENTRY.P) === 0 || isHole) return written
    return (written | (real & (ENTRY.A | ENTRY.D))) >>> 0
  }
}
