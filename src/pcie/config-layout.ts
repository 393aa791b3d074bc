/**
 * The access attributes of a configuration space. An image (from a data sheet, or captured from a running machine)
 * says what a function is; walking its header and capability lists gives, for every bit, whether software may write
 * it, what it is after reset, and which reset spares it. A capability is its bytes plus its writable bits; one that is
 * not known stays as read-only bytes.
 */
import { AttributeBuilder, type Effect } from './attribute-builder.ts'
import type { AttributeTable, AttributeTables, ResetKind } from './attribute-table.ts'
import { CAPABILITY_ATTRIBUTES } from './capability-attributes.ts'
import { configSizeOf, type FunctionDefinition, type RegisterOverride } from './definition.ts'
import { EXTENDED_CAPABILITY_ATTRIBUTES } from './extended-capability-attributes.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import {
  type CapabilityEntry,
  findCapability,
  findExtendedCapability,
  listCapabilities,
} from './formats/capability-list.ts'
import { headerAttributes } from './header-attributes.ts'
import { virtualFunctionAttributes } from './virtual-function-attributes.ts'

/** Scratch: a layout is declared from beginning to end before the next one. */
const builder = new AttributeBuilder()

export class ConfigLayout {
  readonly size: number
  /** Offsets of capabilities that are looked at often; 0 for one that there is not. */
  readonly express: number
  readonly pm: number
  readonly acs: number
  readonly #image: Uint8Array
  readonly #table: AttributeTable

  /**
   * @param virtual whether the image is a virtual function's, whose header is hard-wired.
   * @param tables where equal attributes are shared.
   */
  constructor(definition: FunctionDefinition, virtual: boolean, tables: AttributeTables) {
    this.#image = definition.image
    this.size = configSizeOf(definition)
    builder.begin(definition.image, this.size)
    const capabilities = listCapabilities(offset => builder.read(offset), this.size)
    const express = findCapability(capabilities, CAPABILITY.EXPRESS)
    if (express !== undefined) builder.setExpress(express)
    builder.sriov = findExtendedCapability(capabilities, EXTENDED_CAPABILITY.SRIOV) ?? 0
    headerAttributes(builder, definition, express !== undefined)
    for (const { id, extended, offset } of capabilities) {
      const attributes = (extended ? EXTENDED_CAPABILITY_ATTRIBUTES : CAPABILITY_ATTRIBUTES).get(id)
      attributes?.(builder, offset, definition)
    }
    if (virtual) virtualFunctionAttributes(builder, capabilities)
    for (const override of definition.overrides ?? []) applyOverride(override)
    // Makers let capabilities overlap now and then: the links of the lists are read-only whatever lies over them.
    for (const { extended, offset } of capabilities) builder.keep(offset, extended ? 0xffff_ffff : 0xffff)
    this.#table = tables.share(builder, capabilities, this.size)
    this.express = express ?? 0
    this.pm = this.find(CAPABILITY.PM)
    this.acs = this.findExtended(EXTENDED_CAPABILITY.ACS)
  }

  get capabilities(): readonly CapabilityEntry[] {
    return this.#table.capabilities
  }

  /** Offset of a PCI-compatible capability, 0 if there is none. */
  find(id: number): number {
    return findCapability(this.capabilities, id) ?? 0
  }

  /** Offset of an extended capability, 0 if there is none. */
  findExtended(id: number): number {
    return findExtendedCapability(this.capabilities, id) ?? 0
  }

  /** Bits of dword `at` that software may write. */
  writable(at: number): number {
    return this.#table.writable(at)
  }

  /** Bits of dword `at` that software clears by writing 1. */
  clearable(at: number): number {
    return this.#table.clearable(at)
  }

  /** What a write to dword `at` sets off. */
  effectOf(at: number): Effect {
    return this.#table.effectOf(at)
  }

  /** Fills a space with what it holds after power-on. */
  initialize(words: Uint32Array): void {
    words.fill(0)
    new Uint8Array(words.buffer, words.byteOffset, words.byteLength).set(this.#image)
    this.#table.preset(words)
  }

  reset(words: Uint32Array, kind: ResetKind): void {
    const spared = kind === 'fundamental' ? undefined : this.#table.sparedBits(words, kind)
    this.initialize(words)
    if (spared !== undefined) this.#table.restore(words, kind, spared)
  }
}

function applyOverride({ offset, readWrite, clearable, readOnly, reset }: RegisterOverride): void {
  if (readOnly !== undefined) builder.keep(offset, readOnly)
  if (readWrite !== undefined) builder.writable(offset, readWrite)
  if (clearable !== undefined) builder.clearable(offset, clearable)
  if (reset !== undefined) builder.resetTo(offset, reset.mask, reset.value)
}

const layouts = new WeakMap<FunctionDefinition, ConfigLayout>()

/** The layout of a definition: made once, shared by every function built from it. */
export function layoutOf(
  definition: FunctionDefinition,
  virtual: boolean,
  tables: AttributeTables,
): ConfigLayout {
  let layout = layouts.get(definition)
  if (layout === undefined) layouts.set(definition, (layout = new ConfigLayout(definition, virtual, tables)))
  return layout
}
