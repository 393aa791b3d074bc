/** How headers and capabilities declare access, reset value and effect of every bit of a configuration space. */
import type { Field, Fields, Register } from '../core/index.ts'
import { EXPRESS } from './formats/capabilities.ts'

/** What a write to a dword sets off in the function beyond storing bits. */
export const EFFECT = {
  none: 0,
  command: 1,
  decode: 2,
  bridgeControl: 3,
  msi: 4,
  msiX: 5,
  deviceControl: 6,
  powerManagement: 7,
  advancedFeatures: 8,
  sriov: 9,
  addressTranslation: 10,
  /** Link, slot, root and containment registers of a port. */
  port: 11,
  busNumbers: 12,
  resizableBar: 13,
  resizableVirtualBar: 14,
  vitalProductData: 15,
  hotPlugController: 16,
} as const
export type Effect = (typeof EFFECT)[keyof typeof EFFECT]

/** Dwords of the largest configuration space. */
const MOST_DWORDS = 1024

/**
 * What headers and capabilities declare their bits through while a layout is made. One builder serves many layouts, one
 * after another: what one of them declared is cleared by {@link begin}.
 */
export class AttributeBuilder {
  readonly rw = new Uint32Array(MOST_DWORDS)
  readonly rw1c = new Uint32Array(MOST_DWORDS)
  /** Bits whose reset value is declared, and that value; all others are after reset as the image has them. */
  readonly preset = new Uint32Array(MOST_DWORDS)
  readonly reset = new Uint32Array(MOST_DWORDS)
  /** Sticky bits, spared by hot reset; and bits spared by function level reset. */
  readonly sticky = new Uint32Array(MOST_DWORDS)
  readonly spared = new Uint32Array(MOST_DWORDS)
  readonly effects = new Uint8Array(MOST_DWORDS)
  /** Offset of the PCI Express capability, 0 without one; and its Device/Port Type, else -1. */
  express = 0
  portType = -1
  /** Offset of the SR-IOV capability, 0 without one. */
  sriov = 0
  #image: Uint8Array = new Uint8Array(0)
  /** Dwords of the space. */
  #length = 0
  /** Indexes of the dwords that something was declared of. */
  readonly #touched = new Uint16Array(MOST_DWORDS)
  #count = 0
  #sorted = false
  readonly #isTouched = new Uint8Array(MOST_DWORDS)

  /** @param image the space from offset 0; zeros at its end may be missing. @param size bytes of the space. */
  begin(image: Uint8Array, size: number): void {
    for (const at of this.touched()) {
      this.rw[at] = 0
      this.rw1c[at] = 0
      this.preset[at] = 0
      this.reset[at] = 0
      this.sticky[at] = 0
      this.spared[at] = 0
      this.effects[at] = 0
      this.#isTouched[at] = 0
    }
    this.#count = 0
    this.#image = image
    this.#length = size >>> 2
    this.express = 0
    this.portType = -1
    this.sriov = 0
  }

  /** Says where the PCI Express capability is. */
  setExpress(offset: number): void {
    this.express = offset
    this.portType = this.field(EXPRESS.CAPABILITIES.f.TYPE, offset, EXPRESS.CAPABILITIES)
  }

  /** Indexes of the dwords with attributes, ascending. */
  touched(): Uint16Array {
    const touched = this.#touched.subarray(0, this.#count)
    if (!this.#sorted) touched.sort()
    this.#sorted = true
    return touched
  }

  /** A dword of the image; 0 beyond its end. */
  read(offset: number): number {
    const image = this.#image
    const byte = offset & ~3
    return (
      ((image[byte] ?? 0) |
        ((image[byte + 1] ?? 0) << 8) |
        ((image[byte + 2] ?? 0) << 16) |
        ((image[byte + 3] ?? 0) << 24)) >>>
      0
    )
  }

  /** A field as the image has it. */
  field(f: Field, base: number, register: Register): number {
    return (this.read(base + register.offset) & f.mask) >>> f.shift
  }

  /** Makes the fields of a register what their declaration says; writable ones are 0 after reset. */
  declare(base: number, register: Register<Fields>, effect: Effect = EFFECT.none): void {
    const offset = base + register.offset
    for (const name in register.f) {
      const { access, mask } = register.f[name]!
      if (access === 'RW') this.writable(offset, mask)
      else if (access === 'RW1C') this.clearable(offset, mask)
    }
    if (effect !== EFFECT.none) this.effect(offset, effect)
  }

  /** Read/write bits and their value after reset. */
  writable(offset: number, mask: number, value = 0): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.rw[at]! |= mask
    this.preset[at]! |= mask
    this.reset[at] = (this.reset[at]! & ~mask) | (value & mask)
  }

  /** Read/write bits that are after reset as the image has them. */
  writableFromImage(offset: number, mask: number): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.rw[at]! |= mask
    this.#fromImage(at, mask)
  }

  clearable(offset: number, mask: number): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.rw1c[at]! |= mask
    this.preset[at]! |= mask
    this.reset[at]! &= ~mask
  }

  /** Makes bits read-only with a value, whatever was declared or captured. */
  hardwire(offset: number, mask: number, value = 0): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.rw[at]! &= ~mask
    this.rw1c[at]! &= ~mask
    this.preset[at]! |= mask
    this.reset[at] = (this.reset[at]! & ~mask) | (value & mask)
  }

  /** Makes bits read-only as the image has them, whatever was declared. */
  keep(offset: number, mask: number): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.rw[at]! &= ~mask
    this.rw1c[at]! &= ~mask
    this.#fromImage(at, mask)
  }

  hardwireRange(offset: number, length: number): void {
    for (let at = offset; at < offset + length; at += 4) this.hardwire(at, 0xffff_ffff)
  }

  /** Sets the value after reset of bits, leaving their access as it is. */
  resetTo(offset: number, mask: number, value: number): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.preset[at]! |= mask
    this.reset[at] = (this.reset[at]! & ~mask) | (value & mask)
  }

  /** Bits that keep their value in a hot reset, and so in a function level reset too. */
  stick(offset: number, mask: number): void {
    const at = this.#touch(offset)
    if (at < 0) return
    this.sticky[at]! |= mask
    this.spared[at]! |= mask
  }

  /** Bits that keep their value in a function level reset. */
  spare(offset: number, mask: number): void {
    const at = this.#touch(offset)
    if (at >= 0) this.spared[at]! |= mask
  }

  effect(offset: number, effect: Effect): void {
    const at = this.#touch(offset)
    if (at >= 0) this.effects[at] = effect
  }

  #fromImage(at: number, mask: number): void {
    this.preset[at]! &= ~mask
    this.reset[at]! &= ~mask
  }

  /** Index of a dword that something is declared of; -1 beyond the end of the space. */
  #touch(offset: number): number {
    const at = offset >>> 2
    if (at >= this.#length) return -1
    if (this.#isTouched[at] === 0) {
      this.#isTouched[at] = 1
      this.#touched[this.#count++] = at
      this.#sorted = false
    }
    return at
  }
}
