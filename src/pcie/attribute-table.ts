/**
 * The attributes of a configuration space: its capability lists, and what is more than read-only bytes in it. Functions
 * of one kind differ in their bytes and hardly ever in these, so that equal tables are kept once.
 */
import { type AttributeBuilder, EFFECT, type Effect } from './attribute-builder.ts'
import type { CapabilityEntry } from './formats/capability-list.ts'

/** From the one that spares nothing to the one that spares most. */
export type ResetKind = 'fundamental' | 'hot' | 'functionLevel'

/** Scratch of {@link AttributeTable.sparedBits}. */
const spared = new Uint32Array(1024)

export class AttributeTable {
  readonly capabilities: readonly CapabilityEntry[]
  /** Index in the space of each dword that has attributes, ascending; the other arrays are parallel to it. */
  readonly #dwords: Uint16Array
  readonly #rw: Uint32Array
  readonly #rw1c: Uint32Array
  readonly #preset: Uint32Array
  readonly #reset: Uint32Array
  readonly #sticky: Uint32Array
  readonly #spared: Uint32Array
  readonly #effects: Uint8Array
  /** Position in the arrays plus one, by dword of the space; 0 for a dword without attributes. */
  readonly #positions: Uint16Array

  constructor(builder: AttributeBuilder, capabilities: readonly CapabilityEntry[], size: number) {
    const dwords = builder.touched().slice()
    const select = (from: Uint32Array): Uint32Array => Uint32Array.from(dwords, at => from[at]!)
    this.capabilities = capabilities
    this.#dwords = dwords
    this.#rw = select(builder.rw)
    this.#rw1c = select(builder.rw1c)
    this.#preset = select(builder.preset)
    this.#reset = select(builder.reset)
    this.#sticky = select(builder.sticky)
    this.#spared = select(builder.spared)
    this.#effects = Uint8Array.from(dwords, at => builder.effects[at]!)
    this.#positions = new Uint16Array(size >>> 2)
    for (const [position, at] of dwords.entries()) this.#positions[at] = position + 1
  }

  /** Bits of dword `at` that software may write. */
  writable(at: number): number {
    return this.#rw[this.#positions[at]! - 1] ?? 0
  }

  /** Bits of dword `at` that software clears by writing 1. */
  clearable(at: number): number {
    return this.#rw1c[this.#positions[at]! - 1] ?? 0
  }

  effectOf(at: number): Effect {
    return (this.#effects[this.#positions[at]! - 1] ?? EFFECT.none) as Effect
  }

  /** Puts what is declared of reset into a space that holds its image. */
  preset(words: Uint32Array): void {
    const dwords = this.#dwords
    for (let i = 0; i < dwords.length; i++) {
      const at = dwords[i]!
      words[at] = (words[at]! & ~this.#preset[i]!) | this.#reset[i]!
    }
  }

  /** What a reset leaves of a space: valid until the next call. */
  sparedBits(words: Uint32Array, kind: ResetKind): Uint32Array {
    const kept = this.#keptIn(kind)
    for (let i = 0; i < kept.length; i++) spared[i] = words[this.#dwords[i]!]! & kept[i]!
    return spared
  }

  /** Puts back what {@link sparedBits} took. */
  restore(words: Uint32Array, kind: ResetKind, bits: Uint32Array): void {
    const kept = this.#keptIn(kind)
    for (let i = 0; i < kept.length; i++) {
      const at = this.#dwords[i]!
      words[at] = (words[at]! & ~kept[i]!) | bits[i]!
    }
  }

  #keptIn(kind: ResetKind): Uint32Array {
    return kind === 'hot' ? this.#sticky : this.#spared
  }

  /** Whether a builder has declared just this table. */
  equals(builder: AttributeBuilder, capabilities: readonly CapabilityEntry[], size: number): boolean {
    const touched = builder.touched()
    return (
      touched.length === this.#dwords.length &&
      size >>> 2 === this.#positions.length &&
      sameList(capabilities, this.capabilities) &&
      touched.every(
        (at, i) =>
          this.#dwords[i] === at &&
          this.#rw[i] === builder.rw[at] &&
          this.#rw1c[i] === builder.rw1c[at] &&
          this.#preset[i] === builder.preset[at] &&
          this.#reset[i] === builder.reset[at] &&
          this.#sticky[i] === builder.sticky[at] &&
          this.#spared[i] === builder.spared[at] &&
          this.#effects[i] === builder.effects[at],
      )
    )
  }
}

const sameList = (one: readonly CapabilityEntry[], other: readonly CapabilityEntry[]): boolean =>
  one.length === other.length &&
  one.every(({ id, extended, offset, version }, i) => {
    const entry = other[i]!
    return (
      entry.id === id && entry.extended === extended && entry.offset === offset && entry.version === version
    )
  })

/** Every table in use below one host bridge. */
export class AttributeTables {
  readonly #byDigest = new Map<number, AttributeTable[]>()

  /** The one table with these contents. */
  share(builder: AttributeBuilder, capabilities: readonly CapabilityEntry[], size: number): AttributeTable {
    const digest = digestOf(builder)
    let alike = this.#byDigest.get(digest)
    if (alike === undefined) this.#byDigest.set(digest, (alike = []))
    let table = alike.find(candidate => candidate.equals(builder, capabilities, size))
    if (table === undefined) alike.push((table = new AttributeTable(builder, capabilities, size)))
    return table
  }
}

/** FNV-1a over what tells tables apart. */
function digestOf(builder: AttributeBuilder): number {
  const { rw, reset } = builder
  let digest = 0x811c_9dc5
  for (const at of builder.touched()) {
    digest = Math.imul(digest ^ at, 0x0100_0193)
    digest = Math.imul(digest ^ rw[at]!, 0x0100_0193)
    digest = Math.imul(digest ^ reset[at]!, 0x0100_0193)
  }
  return digest
}
