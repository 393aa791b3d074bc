/** "MSI-X Capability and Table Structure": one address, data and mask per vector in a table behind a BAR. */
import { get, type Saved } from '../core/index.ts'
import { MSI_X, MSI_X_ENTRY } from './formats/capabilities.ts'
import { composeMessage } from './message-sender.ts'
import type { MemoryRequest } from './request.ts'

const { FUNCTION_MASK, ENABLE, TABLE_SIZE } = MSI_X.CONTROL.f
const WORDS_PER_ENTRY = MSI_X_ENTRY.SIZE / 4
const CONTROL_WORD = MSI_X_ENTRY.CONTROL / 4

export class MsiX {
  readonly vectors: number
  readonly #words: Uint32Array
  readonly #control: number
  readonly #tableBar: number
  readonly #tableOffset: number
  readonly #pbaBar: number
  readonly #pbaOffset: number
  readonly #unmasked: () => void
  /** Four words per vector; made on first use, so that idle functions cost little. */
  #table: Uint32Array | undefined
  #pending: Uint32Array | undefined

  /**
   * @param base offset of the capability in the configuration space `words`.
   * @param unmasked called after a write to the table that may have lifted a mask.
   */
  constructor(words: Uint32Array, base: number, unmasked: () => void) {
    this.#words = words
    this.#control = base >>> 2
    this.#unmasked = unmasked
    this.vectors = get(TABLE_SIZE, words, this.#control) + 1
    this.#tableBar = get(MSI_X.TABLE.f.BIR, words, this.#control + 1)
    this.#tableOffset = (words[this.#control + 1]! & MSI_X.TABLE.f.OFFSET.mask) >>> 0
    this.#pbaBar = get(MSI_X.PBA.f.BIR, words, this.#control + 2)
    this.#pbaOffset = (words[this.#control + 2]! & MSI_X.PBA.f.OFFSET.mask) >>> 0
  }

  get enabled(): boolean {
    return (this.#words[this.#control]! & ENABLE.mask) !== 0
  }

  liesIn(bar: number): boolean {
    return bar === this.#tableBar || bar === this.#pbaBar
  }

  /** Whether the dword at `offset` of a BAR belongs to the table or to the pending bit array. */
  covers(bar: number, offset: number): boolean {
    return this.#inTable(bar, offset) || this.#inPending(bar, offset)
  }

  #inTable(bar: number, offset: number): boolean {
    const at = offset - this.#tableOffset
    return bar === this.#tableBar && at >= 0 && at < this.vectors * MSI_X_ENTRY.SIZE
  }

  #inPending(bar: number, offset: number): boolean {
    const at = offset - this.#pbaOffset
    return bar === this.#pbaBar && at >= 0 && at < Math.ceil(this.vectors / 64) * 8
  }

  readDword(bar: number, offset: number): number {
    if (!this.#inTable(bar, offset)) return this.#pending?.[(offset - this.#pbaOffset) >>> 2] ?? 0
    const at = (offset - this.#tableOffset) >>> 2
    if (this.#table !== undefined) return this.#table[at]!
    return at % WORDS_PER_ENTRY === CONTROL_WORD ? MSI_X_ENTRY.MASKED : 0
  }

  writeDword(bar: number, offset: number, value: number, lanes: number): void {
    if (!this.#inTable(bar, offset)) return // the pending bits are read-only
    const at = (offset - this.#tableOffset) >>> 2
    const word = at % WORDS_PER_ENTRY
    const writable = (word === CONTROL_WORD ? MSI_X_ENTRY.MASKED : word === 0 ? ~3 : -1) & lanes
    const table = this.#entries()
    table[at] = (table[at]! & ~writable) | (value & writable)
    if (word === CONTROL_WORD && !(table[at]! & MSI_X_ENTRY.MASKED) && this.#pending) this.#unmasked()
  }

  /** Whether the function's or the vector's own mask holds the message back. */
  isMasked(vector: number): boolean {
    if (this.#words[this.#control]! & FUNCTION_MASK.mask) return true
    return ((this.#table?.[vector * WORDS_PER_ENTRY + CONTROL_WORD] ?? 1) & MSI_X_ENTRY.MASKED) !== 0
  }

  setPending(vector: number): void {
    const pending = (this.#pending ??= new Uint32Array(Math.ceil(this.vectors / 64) * 2))
    pending[vector >>> 5]! |= 1 << vector
  }

  /** Takes the lowest message that is pending and not masked; -1 if there is none. */
  takePending(): number {
    const pending = this.#pending
    if (pending === undefined || !this.enabled) return -1
    for (let word = 0; word < pending.length; word++) {
      for (let bits = pending[word]!; bits !== 0; bits &= bits - 1) {
        const vector = word * 32 + 31 - Math.clz32(bits & -bits)
        if (this.isMasked(vector)) continue
        pending[word]! &= ~(1 << vector)
        return vector
      }
    }
    return -1
  }

  compose(vector: number, request: MemoryRequest, payload: Uint8Array): void {
    const table = this.#entries()
    const at = vector * WORDS_PER_ENTRY
    composeMessage(request, payload, table[at]!, table[at + 1]!, table[at + 2]!)
  }

  #entries(): Uint32Array {
    if (this.#table === undefined) {
      this.#table = new Uint32Array(this.vectors * WORDS_PER_ENTRY)
      for (let at = CONTROL_WORD; at < this.#table.length; at += WORDS_PER_ENTRY) {
        this.#table[at] = MSI_X_ENTRY.MASKED
      }
    }
    return this.#table
  }

  reset(): void {
    this.#table = undefined
    this.#pending = undefined
  }

  /** What differs from the state after reset, so that a table that was only looked at hashes as an untouched one. */
  save(): Saved {
    const isReset = (word: number, at: number): boolean =>
      word === (at % WORDS_PER_ENTRY === CONTROL_WORD ? MSI_X_ENTRY.MASKED : 0)
    const table = this.#table?.every(isReset) === false ? this.#table.slice() : undefined
    const pending = this.#pending?.some(word => word !== 0) ? this.#pending.slice() : undefined
    return table === undefined && pending === undefined ? null : { table, pending }
  }

  load(saved: Saved): void {
    const { table, pending } = (saved ?? {}) as { table?: Uint32Array; pending?: Uint32Array }
    this.#table = table?.slice()
    this.#pending = pending?.slice()
  }
}
