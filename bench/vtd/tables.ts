/** Remapping structures written into memory the plain way, for the machines that are measured. */
import type { PhysicalMemory } from '../../src/memory/index.ts'

/** Bits of an entry that points on or to a page: R and W of the second stage; P, R/W, U/S, A and D of the first. */
export const SECOND_STAGE = 3
export const FIRST_STAGE = 0x67

export class Tables {
  readonly #memory: PhysicalMemory
  #next: number
  readonly #made = new Map<string, number>()

  /** @param first address from which on pages are taken for tables. */
  constructor(memory: PhysicalMemory, first: number) {
    this.#memory = memory
    this.#next = first
  }

  page(): number {
    this.#next += 4096
    return this.#next - 4096
  }

  store(address: number, value: number, high = Math.floor(value / 2 ** 32)): void {
    this.#memory.writeDword(address, value % 2 ** 32)
    this.#memory.writeDword(address + 4, high)
  }

  /** Maps one page below a table of `levels` levels, with the tables in between. */
  map(top: number, levels: number, page: number, frame: number, bits: number): void {
    let table = top
    for (let level = levels; level > 1; level--) {
      const prefix = Math.floor(page / 512 ** (level - 1))
      const key = `${top}:${level}:${prefix}`
      let next = this.#made.get(key)
      if (next === undefined) {
        this.#made.set(key, (next = this.page()))
        this.store(table + (prefix % 512) * 8, next + bits)
      }
      table = next
    }
    this.store(table + (page % 512) * 8, frame * 4096 + bits)
  }

  /** Root and context entry of a requester in legacy mode: four levels of second-stage tables. */
  context(root: number, sourceId: number, domainId: number, top: number): void {
    const bus = sourceId >>> 8
    let table = this.#made.get(`${root}:${bus}`)
    if (table === undefined) {
      this.#made.set(`${root}:${bus}`, (table = this.page()))
      this.store(root + bus * 16, table + 1)
    }
    this.store(table + (sourceId & 0xff) * 16, top + 1)
    this.store(table + (sourceId & 0xff) * 16 + 8, domainId * 256 + 2)
  }
}

/** Register accesses as a driver makes them. */
export interface Registers {
  writeDword(offset: number, value: number, lanes: number): void
}

const ALL = 0xffff_ffff

export function write64(unit: Registers, offset: number, value: number): void {
  unit.writeDword(offset, value % 2 ** 32, ALL)
  unit.writeDword(offset + 4, Math.floor(value / 2 ** 32), ALL)
}

/** Sets the root table pointer and turns translation on. */
export function enableTranslation(unit: Registers, rootAddress: number): void {
  write64(unit, 0x20, rootAddress)
  unit.writeDword(0x18, 0x4000_0000, ALL)
  unit.writeDword(0x18, 0x8000_0000, ALL)
}

/** A reproducible shuffle. */
export function shuffle(items: Uint32Array): Uint32Array {
  let random = 12_345
  for (let i = items.length - 1; i > 0; i--) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
    const j = random % (i + 1)
    const kept = items[i]!
    items[i] = items[j]!
    items[j] = kept
  }
  return items
}
