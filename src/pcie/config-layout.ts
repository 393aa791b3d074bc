/**
 * The access attributes of a configuration space. An image (from a data sheet, or captured from a running machine)
 * says what a function is; walking its header and capability lists gives, for every bit, whether software may write
 * it, what it is after reset, and which reset spares it. A capability is its bytes plus its writable bits; one that is
 * not known stays as read-only bytes.
 */
import { AttributeBuilder } from './attribute-builder.ts'
import { CAPABILITY_ATTRIBUTES } from './capability-attributes.ts'
import type { FunctionDefinition } from './definition.ts'
import { EXTENDED_CAPABILITY_ATTRIBUTES } from './extended-capability-attributes.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import {
  type CapabilityEntry,
  findCapability,
  findExtendedCapability,
  listCapabilities,
} from './formats/capability-list.ts'
import { headerAttributes, virtualFunctionAttributes } from './header-attributes.ts'

/** From the one that spares nothing to the one that spares most. */
export type ResetKind = 'fundamental' | 'hot' | 'functionLevel'

export class ConfigLayout {
  readonly size: number
  readonly capabilities: readonly CapabilityEntry[]
  readonly rw: Uint32Array
  readonly rw1c: Uint32Array
  readonly effects: Uint8Array
  readonly #reset: Uint32Array
  readonly #sticky: Uint32Array
  readonly #spared: Uint32Array

  /** @param virtual whether the image is a virtual function's, whose header is hard-wired. */
  constructor(definition: FunctionDefinition, virtual: boolean) {
    const image = wordsOf(definition.image)
    const builder = new AttributeBuilder(image)
    this.size = definition.image.length
    this.capabilities = listCapabilities(offset => builder.read(offset), this.size)
    const express = this.capabilities.some(entry => !entry.extended && entry.id === CAPABILITY.EXPRESS)
    headerAttributes(builder, definition, express)
    for (const { id, extended, offset } of this.capabilities) {
      const attributes = (extended ? EXTENDED_CAPABILITY_ATTRIBUTES : CAPABILITY_ATTRIBUTES).get(id)
      attributes?.(builder, offset, definition)
    }
    // Makers let capabilities overlap now and then: the links of the lists are read-only whatever lies over them.
    for (const { extended, offset } of this.capabilities) {
      builder.hardwire(offset, extended ? 0xffff_ffff : 0xffff, builder.read(offset))
    }
    if (virtual) virtualFunctionAttributes(builder, this.find(CAPABILITY.EXPRESS))
    this.rw = builder.rw
    this.rw1c = builder.rw1c
    this.effects = builder.effects
    this.#reset = builder.reset
    this.#sticky = builder.sticky
    this.#spared = builder.spared
  }

  /** Offset of a PCI-compatible capability, 0 if there is none. */
  find(id: number): number {
    return findCapability(this.capabilities, id) ?? 0
  }

  /** Offset of an extended capability, 0 if there is none. */
  findExtended(id: number): number {
    return findExtendedCapability(this.capabilities, id) ?? 0
  }

  initialWords(): Uint32Array {
    return this.#reset.slice()
  }

  reset(words: Uint32Array, kind: ResetKind): void {
    if (kind === 'fundamental') {
      words.set(this.#reset)
      return
    }
    const kept = kind === 'hot' ? this.#sticky : this.#spared
    for (let i = 0; i < words.length; i++) {
      words[i] = (words[i]! & kept[i]!) | (this.#reset[i]! & ~kept[i]!)
    }
  }
}

function wordsOf(image: Uint8Array): Uint32Array {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength)
  return Uint32Array.from({ length: image.length >>> 2 }, (_, i) => view.getUint32(i * 4, true))
}

const layouts = new WeakMap<FunctionDefinition, ConfigLayout>()

/** The layout of a definition: made once, shared by every function built from it. */
export function layoutOf(definition: FunctionDefinition, virtual: boolean): ConfigLayout {
  let layout = layouts.get(definition)
  if (layout === undefined) layouts.set(definition, (layout = new ConfigLayout(definition, virtual)))
  return layout
}
