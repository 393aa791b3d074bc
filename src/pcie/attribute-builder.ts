/** How headers and capabilities declare access, reset value and effect of every bit of a configuration space. */
import { type Field, type Fields, get, type Register } from '../core/index.ts'

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
} as const
export type Effect = (typeof EFFECT)[keyof typeof EFFECT]

/** What headers and capabilities declare their bits through while a layout is made. */
export class AttributeBuilder {
  readonly image: Uint32Array
  readonly rw: Uint32Array
  readonly rw1c: Uint32Array
  readonly reset: Uint32Array
  /** Sticky bits, spared by hot reset; and bits spared by function level reset. */
  readonly sticky: Uint32Array
  readonly spared: Uint32Array
  readonly effects: Uint8Array

  constructor(image: Uint32Array) {
    this.image = image
    const length = image.length
    this.rw = new Uint32Array(length)
    this.rw1c = new Uint32Array(length)
    this.reset = image.slice()
    this.sticky = new Uint32Array(length)
    this.spared = new Uint32Array(length)
    this.effects = new Uint8Array(length)
  }

  /** A dword of the image; 0 beyond its end. */
  read(offset: number): number {
    return this.image[offset >>> 2] ?? 0
  }

  /** A field as the image has it. */
  field(f: Field, base: number, register: Register): number {
    return get(f, this.image, (base + register.offset) >>> 2)
  }

  /** Makes the fields of a register what their declaration says; writable ones are 0 after reset. */
  declare(base: number, register: Register<Fields>, effect: Effect = EFFECT.none): void {
    for (const { access, mask } of Object.values(register.f)) {
      if (access === 'RW') this.writable(base + register.offset, mask)
      else if (access === 'RW1C') this.clearable(base + register.offset, mask)
    }
    if (effect !== EFFECT.none) this.effect(base + register.offset, effect)
  }

  /** Read/write bits and their value after reset. */
  writable(offset: number, mask: number, value = 0): void {
    const at = offset >>> 2
    if (at >= this.rw.length) return
    this.rw[at]! |= mask
    this.reset[at] = (this.reset[at]! & ~mask) | (value & mask)
  }

  clearable(offset: number, mask: number): void {
    const at = offset >>> 2
    if (at >= this.rw.length) return
    this.rw1c[at]! |= mask
    this.reset[at]! &= ~mask
  }

  /** Makes bits read-only with a value, whatever was declared or captured. */
  hardwire(offset: number, mask: number, value = 0): void {
    const at = offset >>> 2
    if (at >= this.rw.length) return
    this.rw[at]! &= ~mask
    this.rw1c[at]! &= ~mask
    this.reset[at] = (this.reset[at]! & ~mask) | (value & mask)
  }

  hardwireRange(offset: number, length: number): void {
    for (let at = offset; at < offset + length; at += 4) this.hardwire(at, 0xffff_ffff)
  }

  /** Bits that keep their value in a hot reset, and so in a function level reset too. */
  stick(offset: number, mask: number): void {
    const at = offset >>> 2
    if (at >= this.rw.length) return
    this.sticky[at]! |= mask
    this.spared[at]! |= mask
  }

  /** Bits that keep their value in a function level reset. */
  spare(offset: number, mask: number): void {
    if (offset >>> 2 < this.rw.length) this.spared[offset >>> 2]! |= mask
  }

  effect(offset: number, effect: Effect): void {
    if (offset >>> 2 < this.rw.length) this.effects[offset >>> 2] = effect
  }
}
