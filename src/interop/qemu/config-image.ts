/** The configuration space of one QEMU function while it is put together: header, capabilities, links. */
import { assert, hexToBytes } from '../../core/index.ts'
import type { SheetBar, SheetFunction } from './device-sheet.ts'

export const CONVENTIONAL_SIZE = 256
export const EXPRESS_SIZE = 4096

const CAPABILITY_LIST = 0x10
const CAPABILITIES_POINTER = 0x34
const FIRST_FREE = 0x40
const FIRST_EXTENDED = 0x100

export interface PlacedCapability {
  readonly id: number
  readonly at: number
  readonly size: number
}

export class ConfigImage {
  /** 256 or 4096 bytes. */
  readonly bytes: Uint8Array
  readonly bars: SheetBar[] = []
  romSizeBytes = 0
  readonly capabilities: PlacedCapability[] = []
  readonly extended: PlacedCapability[] = []
  readonly #used = new Uint8Array(CONVENTIONAL_SIZE)

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
    this.#used.fill(1, 0, FIRST_FREE)
  }

  /** What a sheet says of a function whose bus is an express bus or not. */
  static of(sheet: SheetFunction, express: boolean, without: readonly number[] = []): ConfigImage {
    const image = new ConfigImage(express ? EXPRESS_SIZE : CONVENTIONAL_SIZE)
    const { header } = sheet
    image.word(0x00, Number(header.vendorId))
    image.word(0x02, Number(header.deviceId))
    image.dword(0x08, Number(header.classCode) * 256 + Number(header.revision))
    image.bytes[0x3d] = header.interruptPin
    if (header.subsystem !== undefined) {
      image.word(0x2c, Number(header.subsystem.vendorId))
      image.word(0x2e, Number(header.subsystem.id))
    }
    image.bars.push(...sheet.bars)
    image.setBytes(sheet.bytes)
    for (const { id, at, size, bytes, only } of sheet.capabilities) {
      if (without.includes(Number(id)) || (only !== undefined && (only === 'express') !== express)) continue
      image.capability(Number(id), size, bytes, at === undefined ? undefined : Number(at))
    }
    if (express) {
      for (const { id, version, at, bytes } of sheet.extendedCapabilities) {
        image.extendedCapability(Number(id), version, Number(at), bytes)
      }
    }
    return image
  }

  /** Stores bytes given as text by their offset. */
  setBytes(chunks: Readonly<Record<string, string>>): void {
    for (const [at, text] of Object.entries(chunks)) this.bytes.set(hexToBytes(text), Number(at))
  }

  word(at: number, value: number): void {
    this.bytes[at] = value
    this.bytes[at + 1] = value >>> 8
  }

  dword(at: number, value: number): void {
    this.word(at, value)
    this.word(at + 2, value >>> 16)
  }

  readWord(at: number): number {
    return this.bytes[at]! | (this.bytes[at + 1]! << 8)
  }

  readDword(at: number): number {
    return (this.readWord(at) | (this.readWord(at + 2) << 16)) >>> 0
  }

  /** Adds a capability as the new head of the list; without a place, at the first free one. */
  capability(id: number, size: number, content: string, at = this.#firstFree(size)): number {
    this.#used.fill(1, at, at + size)
    this.bytes[at] = id
    this.bytes[at + 1] = this.bytes[CAPABILITIES_POINTER]!
    this.bytes.set(hexToBytes(content), at + 2)
    this.bytes[CAPABILITIES_POINTER] = at
    this.bytes[0x06]! |= CAPABILITY_LIST
    this.capabilities.unshift({ id, at, size })
    return at
  }

  #firstFree(size: number): number {
    for (let at = FIRST_FREE; at + size <= CONVENTIONAL_SIZE; at += 4) {
      if (this.#used.subarray(at, at + size).every(byte => byte === 0)) return at
    }
    assert(false, 'the capabilities of a model have room in configuration space')
  }

  /** Adds an extended capability at the end of the list. */
  extendedCapability(id: number, version: number, at: number, content: string): void {
    const size = 4 + content.length / 2
    const last = this.extended.at(-1)
    assert((at === FIRST_EXTENDED) === (last === undefined), 'the extended list begins at 100h')
    if (last !== undefined) this.word(last.at + 2, (this.readWord(last.at + 2) & 0xf) | (at << 4))
    this.word(at, id)
    this.word(at + 2, version)
    this.bytes.set(hexToBytes(content), at + 4)
    this.extended.push({ id, at, size })
  }

  /** Takes the last extended capability away, if it is this one. */
  dropLastExtended(id: number): void {
    const last = this.extended.at(-1)
    if (last?.id !== id) return
    this.extended.pop()
    this.bytes.fill(0, last.at, last.at + last.size)
    const before = this.extended.at(-1)
    if (before !== undefined) this.word(before.at + 2, this.readWord(before.at + 2) & 0xf)
  }

  find(id: number): number | undefined {
    return this.capabilities.find(entry => entry.id === id)?.at
  }

  findExtended(id: number): number | undefined {
    return this.extended.find(entry => entry.id === id)?.at
  }

  get headerType(): number {
    return this.bytes[0x0e]! & 0x7f
  }
}
