/**
 * "I/O Advanced Programmable Interrupt Controller": pins and redirection entries that turn levels and edges into
 * interrupt messages. A message leaves as a DWORD write, so that whoever routes it may remap it.
 */
import { get, type Saved, union } from '../core/index.ts'
import type { EndOfInterruptListener } from './apic-bus.ts'
import { IO_APIC, IO_APIC_INDEX, REMAPPABLE_RTE, RTE } from './formats/io-apic.ts'
import { compatibilityAddress, DELIVERY_MODE, remappableAddress } from './formats/message.ts'

export interface IoApicOptions {
  /** 4-bit identifier after reset. */
  readonly id: number
  /** Number of pins and redirection entries. */
  readonly entries: number
  /** Sends a message: a write of `data` to the 32-bit address `addressLow`, under this I/O APIC's own requester id. */
  readonly send: (addressLow: number, data: number) => void
}

/** One redirection entry for display. */
export interface RedirectionView {
  readonly pin: number
  readonly masked: boolean
  readonly level: boolean
  readonly vector: number
  readonly remoteIrr: boolean
  readonly asserted: boolean
  /** Present in remappable format. */
  readonly irteIndex?: number
}

const { V, DLM, DM, POL, RIRR, TM, M, DST } = RTE
const { INDEX_15, FORMAT, INDEX } = REMAPPABLE_RTE
const LOW_WRITABLE = union(V, DLM, DM, POL, TM, M)
const HIGH_WRITABLE = union(FORMAT, INDEX)
/** Version 20H: it has an EOI register. */
const VERSION = 0x20
/** Message data: level assert. De-assertion is never sent. */
const ASSERT = 1 << 14

export class IoApic implements EndOfInterruptListener {
  readonly #options: IoApicOptions
  /** Two words per entry, low first. */
  readonly #table: Uint32Array
  /** Electrical level of each pin, 1 is high. */
  readonly #lines: Uint8Array
  #select = 0
  #id = 0

  constructor(options: IoApicOptions) {
    this.#options = options
    this.#table = new Uint32Array(options.entries * 2)
    this.#lines = new Uint8Array(options.entries)
    this.reset()
  }

  reset(): void {
    this.#select = 0
    this.#id = this.#options.id & 0xf
    for (let i = 0; i < this.#table.length; i += 2) {
      this.#table[i] = M.mask
      this.#table[i + 1] = 0
    }
  }

  /** Number of pins. */
  get entries(): number {
    return this.#lines.length
  }

  /** Drives a pin: `level` true is high. What counts as asserted is the entry's polarity. */
  assertLine(pin: number, level: boolean): void {
    const before = this.#asserted(pin)
    this.#lines[pin] = level ? 1 : 0
    const low = this.#table[pin * 2]!
    if ((low & TM.mask) !== 0) this.#serviceLevel(pin)
    else if (!before && this.#asserted(pin) && (low & M.mask) === 0) this.#emit(pin)
  }

  #asserted(pin: number): boolean {
    return (this.#lines[pin] === 1) !== ((this.#table[pin * 2]! & POL.mask) !== 0)
  }

  /** A level entry sends once, then waits for its EOI (Remote IRR). */
  #serviceLevel(pin: number): void {
    const low = this.#table[pin * 2]!
    if ((low & (M.mask | RIRR.mask)) !== 0 || (low & TM.mask) === 0 || !this.#asserted(pin)) return
    const mode = get(DLM, this.#table, pin * 2)
    if (mode === DELIVERY_MODE.fixed || mode === DELIVERY_MODE.lowestPriority)
      this.#table[pin * 2]! |= RIRR.mask
    this.#emit(pin)
  }

  #emit(pin: number): void {
    const table = this.#table
    const base = pin * 2
    const low = table[base]!
    const mode = get(DLM, table, base)
    const remappable = get(FORMAT, table, base) === 1
    const address = remappable
      ? remappableAddress(get(INDEX, table, base) | (get(INDEX_15, table, base) << 15), false)
      : compatibilityAddress(
          get(DST, table, base),
          (low & DM.mask) !== 0,
          mode === DELIVERY_MODE.lowestPriority,
        )
    this.#options.send(address, ((low & (V.mask | DLM.mask | TM.mask)) | ASSERT) >>> 0)
  }

  /** An EOI message or a write to the EOI register: clears Remote IRR wherever the vector stands, then looks again. */
  endOfInterrupt(vector: number): void {
    const table = this.#table
    for (let pin = 0; pin < this.#lines.length; pin++) {
      const low = table[pin * 2]!
      if ((low & TM.mask) === 0 || (low & V.mask) !== vector) continue
      table[pin * 2] = low & ~RIRR.mask
      this.#serviceLevel(pin)
    }
  }

  readDword(offset: number): number {
    if (offset === IO_APIC.IOREGSEL) return this.#select
    return offset === IO_APIC.IOWIN ? this.#readIndirect() : 0
  }

  writeDword(offset: number, value: number, lanes: number): void {
    if ((lanes & 0xff) === 0) return
    if (offset === IO_APIC.IOREGSEL) this.#select = value & 0xff
    else if (offset === IO_APIC.IOWIN) this.#writeIndirect(value, lanes)
    else if (offset === IO_APIC.EOI) this.endOfInterrupt(value & 0xff)
  }

  #readIndirect(): number {
    const index = this.#select
    if (index === IO_APIC_INDEX.ID || index === IO_APIC_INDEX.ARB) return this.#id << 24
    if (index === IO_APIC_INDEX.VER) return ((this.#lines.length - 1) << 16) | VERSION
    return this.#table[index - IO_APIC_INDEX.RTE] ?? 0
  }

  #writeIndirect(value: number, lanes: number): void {
    const index = this.#select
    if (index === IO_APIC_INDEX.ID && (lanes & 0x0f00_0000) !== 0) this.#id = (value >>> 24) & 0xf
    const word = index - IO_APIC_INDEX.RTE
    const table = this.#table
    if (word < 0 || word >= table.length) return
    const writable = (word & 1 ? HIGH_WRITABLE : LOW_WRITABLE) & lanes
    table[word] = (table[word]! & ~writable) | (value & writable)
    if (word & 1) return
    if ((table[word]! & TM.mask) === 0) table[word]! &= ~RIRR.mask
    this.#serviceLevel(word >>> 1)
  }

  view(): RedirectionView[] {
    const table = this.#table
    return Array.from(this.#lines, (_, pin) => ({
      pin,
      masked: get(M, table, pin * 2) === 1,
      level: get(TM, table, pin * 2) === 1,
      vector: get(V, table, pin * 2),
      remoteIrr: get(RIRR, table, pin * 2) === 1,
      asserted: this.#asserted(pin),
      ...(get(FORMAT, table, pin * 2) === 1 && {
        irteIndex: get(INDEX, table, pin * 2) | (get(INDEX_15, table, pin * 2) << 15),
      }),
    }))
  }

  save(): Saved {
    return {
      version: 1,
      table: this.#table.slice(),
      lines: this.#lines.slice(),
      select: this.#select,
      id: this.#id,
    }
  }

  load(saved: Saved): void {
    const state = saved as { table: Uint32Array; lines: Uint8Array; select: number; id: number }
    this.#table.set(state.table)
    this.#lines.set(state.lines)
    this.#select = state.select
    this.#id = state.id
  }
}
