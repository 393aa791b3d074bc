/**
 * Loads and stores of guest code: registers and memory alike are guest-physical addresses. Those of a ring in memory
 * complete at once and allocate nothing; `peek…` and `poke…` are for loops over many of them.
 */
import { OVER, type Software } from '../engine/index.ts'
import type { GuestPort } from './guest-port.ts'

const WORD = 8

type Width = 1 | 2 | 4 | 8

export class GuestAccess {
  readonly #port: GuestPort
  /** Reused by attempts. What an attempt has not done is executed anew: meanwhile others may attempt something. */
  readonly #load: { op: 'read'; address: number; width: Width } = { op: 'read', address: 0, width: 4 }
  readonly #value: [low: number, high: number] = [0, 0]
  readonly #store: { op: 'write'; address: number; width: Width; value: [low: number, high: number] } = {
    op: 'write',
    address: 0,
    width: 4,
    value: this.#value,
  }

  constructor(port: GuestPort) {
    this.#port = port
  }

  /** Reads if nothing comes in between; undefined: the same read has to follow. Its result is reused by the next access. */
  #attemptRead(address: number, width: Width): { readonly low: number; readonly high: number } | undefined {
    this.#load.address = address
    this.#load.width = width
    return this.#port.attempt(this.#load)
  }

  *#read(address: number, width: Width): Software<{ readonly low: number; readonly high: number }> {
    return yield* this.#port.execute({ op: 'read', address, width })
  }

  #attemptWrite(address: number, width: Width, low: number, high: number): boolean {
    this.#store.address = address
    this.#store.width = width
    this.#value[0] = low
    this.#value[1] = high
    return this.#port.attempt(this.#store) !== undefined
  }

  /** Writes now; what it returns is still to be done if something comes in between. */
  #write(address: number, width: Width, low: number, high = 0): Software {
    return this.#attemptWrite(address, width, low, high) ? OVER : this.#execute(address, width, low, high)
  }

  *#execute(address: number, width: Width, low: number, high: number): Software {
    yield* this.#port.execute({ op: 'write', address, width, value: [low, high] })
  }

  /** A dword, at once; -1 if something comes in between: {@link read32} has to follow. */
  peek32(address: number): number {
    return this.#attemptRead(address, 4)?.low ?? -1
  }

  /** As {@link peek32}. */
  peek16(address: number): number {
    return this.#attemptRead(address, 2)?.low ?? -1
  }

  /** As {@link peek32}. */
  peek8(address: number): number {
    return this.#attemptRead(address, 1)?.low ?? -1
  }

  /** Eight bytes, at once; false if something comes in between: {@link write64} has to follow. */
  poke64(address: number, low: number, high: number): boolean {
    return this.#attemptWrite(address, 8, low >>> 0, high >>> 0)
  }

  /** As {@link poke64}. */
  poke32(address: number, value: number): boolean {
    return this.#attemptWrite(address, 4, value >>> 0, 0)
  }

  /** As {@link poke64}. */
  poke16(address: number, value: number): boolean {
    return this.#attemptWrite(address, 2, value & 0xffff, 0)
  }

  *read32(address: number): Software<number> {
    return (this.#attemptRead(address, 4) ?? (yield* this.#read(address, 4))).low
  }

  write32(address: number, value: number): Software {
    return this.#write(address, 4, value >>> 0)
  }

  *read16(address: number): Software<number> {
    return (this.#attemptRead(address, 2) ?? (yield* this.#read(address, 2))).low
  }

  write16(address: number, value: number): Software {
    return this.#write(address, 2, value & 0xffff)
  }

  *read8(address: number): Software<number> {
    return (this.#attemptRead(address, 1) ?? (yield* this.#read(address, 1))).low
  }

  write8(address: number, value: number): Software {
    return this.#write(address, 1, value & 0xff)
  }

  write64(address: number, low: number, high: number): Software {
    return this.#write(address, 8, low >>> 0, high >>> 0)
  }

  /** Copies out of memory, eight bytes at a time. */
  *readBytes(address: number, length: number): Software<Uint8Array> {
    const bytes = new Uint8Array(length)
    const view = new DataView(bytes.buffer)
    let at = 0
    for (; at + WORD <= length; at += WORD) {
      const { low, high } = this.#attemptRead(address + at, WORD) ?? (yield* this.#read(address + at, WORD))
      view.setUint32(at, low, true)
      view.setUint32(at + 4, high, true)
    }
    for (; at < length; at++) bytes[at] = yield* this.read8(address + at)
    return bytes
  }

  /** Copies into memory. */
  *writeBytes(address: number, bytes: Uint8Array): Software {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    for (; at + WORD <= bytes.length; at += WORD) {
      const low = view.getUint32(at, true)
      const high = view.getUint32(at + 4, true)
      if (!this.poke64(address + at, low, high)) yield* this.write64(address + at, low, high)
    }
    for (; at < bytes.length; at++) yield* this.write8(address + at, bytes[at]!)
  }

  *zero(address: number, length: number): Software {
    for (let at = 0; at < length; at += WORD) {
      if (!this.poke64(address + at, 0, 0)) yield* this.write64(address + at, 0, 0)
    }
  }
}
