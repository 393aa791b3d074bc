/** Physical memory that knows what changed in it since it was last looked at, to the byte. */
import type { PageNumber } from '../core/index.ts'
import { type Page, PhysicalMemory } from '../memory/index.ts'

/** One byte that differs from what it was. */
export interface ByteChange {
  readonly address: number
  readonly value: number
}

/** The watched memory. Whoever writes to it must have asked for the page here, at least once. */
export class WatchedMemory extends PhysicalMemory {
  /** Every page that was ever handed out for writing, with what it held when it was last looked at. */
  readonly #seen = new Map<PageNumber, { readonly page: Page; readonly before: Buffer }>()

  override pageForWrite(page: PageNumber): Page | undefined {
    const found = super.pageForWrite(page)
    if (found !== undefined && !this.#seen.has(page)) {
      this.#seen.set(page, { page: found, before: Buffer.from(found.bytes) })
    }
    return found
  }

  /** What changed since the last call of {@link accept} or {@link settle}, by ascending page and address. */
  changes(): ByteChange[] {
    const changes: ByteChange[] = []
    for (const [number, { page, before }] of this.#seen) {
      if (before.equals(page.bytes)) continue
      for (const [i, value] of page.bytes.entries()) {
        if (value !== before[i]) changes.push({ address: number * 4096 + i, value })
      }
    }
    return changes.sort((a, b) => a.address - b.address)
  }

  /** Takes what memory holds now as the state to compare with. */
  accept(): void {
    for (const { page, before } of this.#seen.values()) before.set(page.bytes)
  }

  /** Undoes every change, and makes these instead. */
  settle(changes: readonly ByteChange[]): void {
    for (const { page, before } of this.#seen.values()) page.bytes.set(before)
    for (const { address, value } of changes) this.write(address, Uint8Array.of(value))
    this.accept()
  }

  /** What a byte held when memory was last looked at. */
  before(address: number): number {
    const page = Math.floor(address / 4096)
    return this.#seen.get(page)?.before[address % 4096] ?? 0
  }
}
