/** The MSI-X capability and table that a guest sees: its own copy, none of it reaches the function. */
import { opened, type Saved } from '../core/index.ts'
import type { MsixLayout } from '../host/index.ts'
import { MSI_X, MSI_X_ENTRY } from '../pcie/formats/index.ts'
import type { MessageSource } from './interrupt-forwarder.ts'

const { ENABLE, FUNCTION_MASK } = MSI_X.CONTROL.f
const CONTROL_WRITABLE = (ENABLE.mask | FUNCTION_MASK.mask) >>> 0
const WORDS = MSI_X_ENTRY.SIZE / 4
const VECTOR_CONTROL = MSI_X_ENTRY.CONTROL / 4

export class VirtualMsix implements MessageSource {
  readonly kind = 'msix'
  readonly count: number
  readonly layout: MsixLayout
  /** Offset of the capability in config space. */
  readonly capability: number
  readonly #table: Uint32Array
  /** Enable and Function Mask, in place. */
  #control = 0

  constructor(layout: MsixLayout, capability: number) {
    this.layout = layout
    this.capability = capability
    this.count = layout.count
    this.#table = new Uint32Array(layout.count * WORDS)
    this.reset()
  }

  /** As after a reset: disabled, every entry masked. */
  reset(): void {
    this.#control = 0
    this.#table.fill(0)
    for (let i = 0; i < this.count; i++) this.#table[i * WORDS + VECTOR_CONTROL] = MSI_X_ENTRY.MASKED
  }

  get enabled(): boolean {
    return (this.#control & ENABLE.mask) !== 0
  }

  /** The capability's first dword, given the function's own. */
  controlOver(real: number): number {
    return ((real & ~CONTROL_WRITABLE) | this.#control) >>> 0
  }

  writeControl(value: number, lanes: number): void {
    const writable = CONTROL_WRITABLE & lanes
    this.#control = ((this.#control & ~writable) | (value & writable)) >>> 0
  }

  masked(index: number): boolean {
    return (
      !this.enabled ||
      (this.#control & FUNCTION_MASK.mask) !== 0 ||
      (this.#table[index * WORDS + VECTOR_CONTROL]! & MSI_X_ENTRY.MASKED) !== 0
    )
  }

  address(index: number): number {
    return this.#table[index * WORDS]!
  }

  data(index: number): number {
    return this.#table[index * WORDS + 2]!
  }

  /** Bytes of the table. */
  get tableSize(): number {
    return this.count * MSI_X_ENTRY.SIZE
  }

  /** Bytes of the pending bit array: whole qwords. */
  get pbaSize(): number {
    return Math.ceil(this.count / 64) * 8
  }

  /** @param offset in the table, a multiple of 4. */
  readTable(offset: number): number {
    return this.#table[offset >>> 2]!
  }

  writeTable(offset: number, value: number, lanes: number): void {
    const i = offset >>> 2
    // Bits 1:0 of the address and all of Vector Control but the mask are reserved.
    const writable = i % WORDS === 0 ? ~3 : i % WORDS === VECTOR_CONTROL ? MSI_X_ENTRY.MASKED : ~0
    this.#table[i] = (this.#table[i]! & ~(writable & lanes)) | (value & writable & lanes)
  }

  save(): Saved {
    return { version: 1, control: this.#control, table: this.#table.slice() }
  }

  load(saved: Saved): void {
    const state = opened<{ control: number; table: Uint32Array }>(saved, 'a virtual MSI-X capability', 1)
    this.#control = state.control
    this.#table.set(state.table)
  }
}
