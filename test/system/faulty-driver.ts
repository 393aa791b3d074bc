/**
 * A driver of a remapping unit as somebody might write it: it knows registers, tables and descriptors, and leaves out
 * whatever step it is told to leave out. It takes one function away from the kernel's driver and gives it tables of
 * its own, through the kernel's root table and invalidation queue.
 */
import { get, type PageNumber, set } from '../../src/core/index.ts'
import type { SimulatedPlatform } from '../../src/system/index.ts'
import { CONTEXT_ENTRY, IOTLB_INVALIDATE, IQA, IQT, ROOT_ENTRY, RTADDR } from '../../src/vtd/formats/index.ts'

const DOMAIN = 77
const LEVELS = 4
const ALL = 0xffff_ffff

export class FaultyDriver {
  readonly #platform: SimulatedPlatform
  readonly #registers: number
  readonly #rid: number
  readonly tables: PageNumber[] = []

  constructor(platform: SimulatedPlatform, address: string) {
    this.#platform = platform
    this.#registers = platform.hardware.port.board.remapping.units[0]!.registerBase
    this.#rid = Number(platform.host.find(address).rid)
    for (let level = LEVELS; level > 0; level--) this.tables.push(this.allocate())
    for (const [at, table] of this.tables.slice(0, -1).entries())
      this.#write(table, 0, this.tables[at + 1]!, 3)
    this.writeContext()
    this.invalidateContext()
    this.invalidateDomain()
  }

  get #machine() {
    return this.#platform.hardware.port
  }

  allocate(): PageNumber {
    const page = this.#platform.host.memory.allocate(1)
    this.#machine.zeroPages(page, 1)
    return page
  }

  free(page: PageNumber): void {
    this.#platform.host.memory.free(page, 1)
  }

  /** Below 2 MiB: one page table. */
  map(page: PageNumber, frame: PageNumber): void {
    this.#write(this.tables.at(-1)!, page, frame, 3)
  }

  unmap(page: PageNumber): void {
    this.#write(this.tables.at(-1)!, page, 0, 0)
  }

  /** Links another page table in the place of the one in use, and returns that one. */
  replaceTable(): PageNumber {
    const old = this.tables.pop()!
    this.tables.push(this.allocate())
    this.#write(this.tables.at(-2)!, 0, this.tables.at(-1)!, 3)
    return old
  }

  #write(table: PageNumber, index: number, frame: PageNumber, rights: number): void {
    const at = table * 4096 + index * 8
    this.#machine.writeDword(at + 4, Math.floor(frame / 0x10_0000))
    this.#machine.writeDword(at, ((frame << 12) | rights) >>> 0)
  }

  /** Points the function at its tables, or at others. */
  writeContext(root: PageNumber = this.tables[0]!): void {
    const words = new Uint32Array(4)
    set(CONTEXT_ENTRY.P, words, 1)
    set(CONTEXT_ENTRY.SSPTPTR, words, root)
    set(CONTEXT_ENTRY.AW, words, LEVELS - 2)
    set(CONTEXT_ENTRY.DID, words, DOMAIN)
    const at = this.#contextTable * 4096 + (this.#rid & 0xff) * 16
    for (const [index, word] of words.entries()) this.#machine.writeDword(at + index * 4, word)
  }

  get #contextTable(): PageNumber {
    const low = this.#machine.readDword(this.#registers + RTADDR.offset)
    const high = this.#machine.readDword(this.#registers + RTADDR.offset + 4)
    const at = high * 2 ** 32 + ((low & ~0xfff) >>> 0) + (this.#rid >>> 8) * 16
    return get(ROOT_ENTRY.CTP, [this.#machine.readDword(at), this.#machine.readDword(at + 4), 0, 0])
  }

  invalidateDomain(): void {
    this.#submit([2 | (2 << 4) | (DOMAIN << 16), 0, 0, 0])
  }

  invalidateEverything(): void {
    this.#submit([2 | (1 << 4), 0, 0, 0])
  }

  invalidatePage(page: PageNumber): void {
    const words = new Uint32Array(4)
    const { TYPE, G, DID, ADDR } = IOTLB_INVALIDATE
    set(TYPE, words, 2)
    set(G, words, 3)
    set(DID, words, DOMAIN)
    set(ADDR, words, page)
    this.#submit(words)
  }

  invalidateContext(): void {
    this.#submit([1 | (1 << 4), 0, 0, 0])
  }

  invalidateInterruptEntries(): void {
    this.#submit([4, 0, 0, 0])
  }

  #submit(words: ArrayLike<number>): void {
    const base = (this.#machine.readDword(this.#registers + IQA.offset) & ~0xfff) >>> 0
    const tail = this.#machine.readDword(this.#registers + IQT.offset)
    for (let word = 0; word < 4; word++)
      this.#machine.writeDword(base + tail + word * 4, words[word]! >>> 0, ALL)
    this.#machine.writeDword(this.#registers + IQT.offset, (tail + 16) % 4096)
  }
}
