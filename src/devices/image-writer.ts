/** Writes registers of a configuration space image by their declared fields, and links its capability lists. */
import { assert, type Field, type Fields, type Register, set } from '../core/index.ts'
import { CAPABILITIES_POINTER, COMMAND_STATUS, EXTENDED_HEADER } from '../pcie/formats/index.ts'

export class ImageWriter {
  readonly #words: Uint32Array
  #last = 0
  #lastExtended = 0

  /** @param size bytes, 256 or 4096. */
  constructor(size: number) {
    this.#words = new Uint32Array(size >>> 2)
  }

  /** Sets fields of a register of the block at `base`, by name. */
  write<F extends Fields>(
    base: number,
    register: Register<F>,
    values: Partial<Record<keyof F & string, number>>,
  ): void {
    for (const [name, value] of Object.entries(values)) {
      const field: Field | undefined = register.f[name]
      assert(field !== undefined && value !== undefined, `${register.name} has a field ${name}`)
      set(field, this.#words, value as number, (base >>> 2) + register.at)
    }
  }

  /** Stores a whole dword. */
  dword(offset: number, value: number): void {
    this.#words[offset >>> 2] = value
  }

  /** Sets one byte, of which nothing was set before. */
  byte(offset: number, value: number): void {
    this.#words[offset >>> 2]! |= value << ((offset & 3) * 8)
  }

  /** Begins a PCI-compatible capability at the end of the list. */
  capability(base: number, id: number): void {
    const from = this.#last === 0 ? CAPABILITIES_POINTER : this.#last
    const shift = this.#last === 0 ? 0 : 8
    this.#words[from >>> 2]! |= base << shift
    this.#words[base >>> 2]! |= id
    this.#words[COMMAND_STATUS.at]! |= COMMAND_STATUS.f.CAP.mask
    this.#last = base
  }

  /** Begins an extended capability at the end of the list, whose first entry is at 100h. */
  extended(base: number, id: number, version: number): void {
    if (this.#lastExtended > 0) this.write(this.#lastExtended, EXTENDED_HEADER, { NEXT: base })
    this.write(base, EXTENDED_HEADER, { ID: id, VERSION: version })
    this.#lastExtended = base
  }

  /** Little-endian, as configuration space is read. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#words.length * 4)
    const view = new DataView(bytes.buffer)
    for (const [i, word] of this.#words.entries()) view.setUint32(i * 4, word, true)
    return bytes
  }
}
