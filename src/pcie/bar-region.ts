/**
 * What answers inside one BAR of a function: its MSI-X table and pending bits where they lie in this BAR, elsewhere the
 * behaviour that a device model installed, else plain storage that reads 0 until written.
 */
import { PAGE_SIZE, pageOf, type Saved } from '../core/index.ts'
import type { MmioTarget } from '../memory/index.ts'
import type { MsiX } from './msi-x.ts'

/** A device model's registers behind a BAR. */
export interface BarBehaviour extends MmioTarget {
  /** Called when the function is reset. */
  reset?(): void
}

export class BarRegion implements MmioTarget {
  readonly size: number
  readonly #msiX: MsiX | undefined
  readonly #bar: number
  readonly #accessed: (() => void) | undefined
  #behaviour: BarBehaviour | undefined
  /** Page number within the BAR to its words; made when first written. */
  #pages: Map<number, Uint32Array> | undefined

  /** @param accessed called when something is accessed that no behaviour was installed for: one may be, then. */
  constructor(bar: number, size: number, msiX: MsiX | undefined, accessed?: () => void) {
    this.#bar = bar
    this.size = size
    this.#msiX = msiX?.liesIn(bar) ? msiX : undefined
    this.#accessed = accessed
  }

  install(behaviour: BarBehaviour): void {
    this.#behaviour = behaviour
  }

  readDword(offset: number): number {
    if (this.#msiX?.covers(this.#bar, offset)) return this.#msiX.readDword(this.#bar, offset)
    if (this.#behaviour !== undefined) return this.#behaviour.readDword(offset)
    if (this.#accessed !== undefined && this.#begin()) return this.#behaviour!.readDword(offset)
    return this.#pages?.get(pageOf(offset))?.[(offset % PAGE_SIZE) >>> 2] ?? 0
  }

  writeDword(offset: number, value: number, lanes: number): void {
    if (this.#msiX?.covers(this.#bar, offset)) this.#msiX.writeDword(this.#bar, offset, value, lanes)
    else if (this.#behaviour !== undefined) this.#behaviour.writeDword(offset, value, lanes)
    else if (this.#accessed !== undefined && this.#begin()) {
      this.#behaviour!.writeDword(offset, value, lanes)
    } else this.#store(offset, value, lanes)
  }

  /** Says that something is accessed; whether there is a behaviour for it now. */
  #begin(): boolean {
    this.#accessed!()
    return this.#behaviour !== undefined
  }

  #store(offset: number, value: number, lanes: number): void {
    const pages = (this.#pages ??= new Map())
    const number = pageOf(offset)
    let words = pages.get(number)
    if (words === undefined) {
      pages.set(number, (words = new Uint32Array(Math.min(this.size, PAGE_SIZE) >>> 2)))
    }
    const at = (offset % PAGE_SIZE) >>> 2
    words[at] = (words[at]! & ~lanes) | (value & lanes)
  }

  reset(): void {
    this.#pages = undefined
    this.#behaviour?.reset?.()
  }

  /** Plain storage, ascending; a behaviour saves itself. */
  save(): Saved {
    const pages = [...(this.#pages ?? [])].sort(([a], [b]) => a - b)
    return pages
      .filter(([, words]) => words.some(word => word !== 0))
      .map(([page, words]) => [page, words.slice()])
  }

  load(saved: Saved): void {
    const pages = saved as readonly (readonly [number, Uint32Array])[]
    this.#pages =
      pages.length === 0 ? undefined : new Map(pages.map(([page, words]) => [page, words.slice()]))
  }
}

/** A region that holds nothing: what an expansion ROM without contents reads as. */
export const ERASED_ROM: MmioTarget = {
  readDword: () => 0xffff_ffff,
  writeDword: () => {},
}
