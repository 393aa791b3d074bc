/** Loads and stores of guest code: registers and memory alike are guest-physical addresses. */
import type { Software } from '../engine/index.ts'
import type { GuestPort } from './guest-port.ts'

const WORD = 8

export class GuestAccess {
  readonly #port: GuestPort

  constructor(port: GuestPort) {
    this.#port = port
  }

  *read32(address: number): Software<number> {
    return (yield* this.#port.execute({ op: 'read', address, width: 4 })).low
  }

  *write32(address: number, value: number): Software {
    yield* this.#port.execute({ op: 'write', address, width: 4, value: [value >>> 0, 0] })
  }

  *read16(address: number): Software<number> {
    return (yield* this.#port.execute({ op: 'read', address, width: 2 })).low
  }

  *write16(address: number, value: number): Software {
    yield* this.#port.execute({ op: 'write', address, width: 2, value: [value & 0xffff, 0] })
  }

  *read8(address: number): Software<number> {
    return (yield* this.#port.execute({ op: 'read', address, width: 1 })).low
  }

  *write8(address: number, value: number): Software {
    yield* this.#port.execute({ op: 'write', address, width: 1, value: [value & 0xff, 0] })
  }

  *write64(address: number, low: number, high: number): Software {
    yield* this.#port.execute({ op: 'write', address, width: 8, value: [low >>> 0, high >>> 0] })
  }

  /** Copies out of memory, eight bytes at a time. */
  *readBytes(address: number, length: number): Software<Uint8Array> {
    const bytes = new Uint8Array(length)
    const view = new DataView(bytes.buffer)
    let at = 0
    for (; at + WORD <= length; at += WORD) {
      const { low, high } = yield* this.#port.execute({ op: 'read', address: address + at, width: 8 })
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
      yield* this.write64(address + at, view.getUint32(at, true), view.getUint32(at + 4, true))
    }
    for (; at < bytes.length; at++) yield* this.write8(address + at, bytes[at]!)
  }

  *zero(address: number, length: number): Software {
    for (let at = 0; at < length; at += WORD) yield* this.write64(address + at, 0, 0)
  }
}
