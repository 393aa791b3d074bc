/** Definitions of functions that a document brings along. Those of one machine are much alike: what they share is kept once. */

import { registerOverrides } from '../devices/index.ts'
import { HEADER_SIZE } from '../pcie/formats/index.ts'
import type { BarDefinition, FunctionDefinition, SriovDefinition } from '../pcie/index.ts'
import type { ImportedFunction } from './imported-function-schema.ts'

type BarDocument = ImportedFunction['bars'][number]
type SriovDocument = NonNullable<ImportedFunction['sriov']>

/** Bytes of one piece that images are cut from. */
const PIECE = 0x4_0000

export class ImportedDefinitions {
  readonly #images = new Map<string, Uint8Array>()
  readonly #bars = new Map<number, (readonly BarDefinition[])[]>()
  readonly #sriovs = new Map<Uint8Array, SriovDefinition[]>()
  #piece = new Uint8Array(0)
  #used = 0

  /** @param functionNumber which function of its device it is. */
  definition(imported: ImportedFunction, functionNumber: number): FunctionDefinition {
    const { registerModel } = imported
    const { name, kind, image, configSizeBytes, overrides, romSizeBytes, sriov } = imported
    return {
      model: name,
      kind,
      image: this.#image(image, configSizeBytes),
      configSize: configSizeBytes,
      bars: this.#barsOf(imported.bars),
      romSize: romSizeBytes,
      ...(overrides && { overrides: registerOverrides(overrides) }),
      ...(imported.keepsStateInD3 && { keepsStateInD3: true }),
      ...(imported.resetTimeNs !== undefined && { resetTimeNs: imported.resetTimeNs }),
      ...(imported.hotPlugRegisters && { hotPlugRegisters: imported.hotPlugRegisters.map(Number) }),
      ...(imported.internalPeerToPeer !== undefined && { internalPeerToPeer: imported.internalPeerToPeer }),
      ...(registerModel !== undefined && { registerModel, functionNumber }),
      ...(sriov && { sriov: this.#sriovOf(sriov, configSizeBytes) }),
    }
  }

  /** Without the zeros at the end, of which most of a captured space consists. */
  #image(hexText: string, size: number): Uint8Array {
    let image = this.#images.get(hexText)
    if (image === undefined) {
      let digits = Math.min(hexText.length, size * 2)
      while (digits > 0 && hexText.charCodeAt(digits - 1) === DIGIT_0) digits--
      image = this.#take(Math.max((digits + 1) >>> 1, HEADER_SIZE))
      for (let i = 0; i < digits; i += 2) {
        image[i >>> 1] = (digit(hexText.charCodeAt(i)) << 4) | digit(hexText.charCodeAt(i + 1))
      }
      this.#images.set(hexText, image)
    }
    return image
  }

  /** Zeroed bytes. */
  #take(length: number): Uint8Array {
    if (this.#used + length > this.#piece.length) {
      this.#piece = new Uint8Array(PIECE)
      this.#used = 0
    }
    const bytes = this.#piece.subarray(this.#used, this.#used + length)
    this.#used += length
    return bytes
  }

  #barsOf(bars: readonly BarDocument[]): readonly BarDefinition[] {
    let digest = 0
    for (const { index, sizeBytes } of bars)
      digest = Math.imul(digest, 31) + index * 64 + Math.log2(sizeBytes)
    const alike = entryOf(this.#bars, digest)
    let made = alike.find(candidate => sameBars(candidate, bars))
    if (made === undefined) alike.push((made = bars.map(barOf)))
    return made
  }

  #sriovOf(document: SriovDocument, configSize: number): SriovDefinition {
    const { ari, nonAri, overrides, enableTimeNs } = document
    const image = this.#image(document.image, configSize)
    const bars = this.#barsOf(document.bars)
    const alike = entryOf(this.#sriovs, image)
    let made = alike.find(
      other =>
        other.bars === bars &&
        sameRouting(other.ari, ari) &&
        sameRouting(other.nonAri, nonAri) &&
        other.enableTimeNs === enableTimeNs &&
        other.overrides === undefined,
    )
    if (made === undefined || overrides !== undefined) {
      made = {
        ari,
        nonAri,
        bars,
        image,
        ...(overrides && { overrides: registerOverrides(overrides) }),
        ...(enableTimeNs !== undefined && { enableTimeNs }),
      }
      alike.push(made)
    }
    return made
  }
}

function entryOf<Key, Value>(map: Map<Key, Value[]>, key: Key): Value[] {
  let values = map.get(key)
  if (values === undefined) map.set(key, (values = []))
  return values
}

const sameBars = (made: readonly BarDefinition[], bars: readonly BarDocument[]): boolean =>
  made.length === bars.length &&
  made.every(({ index, kind, prefetchable, size }, i) => {
    const bar = bars[i]!
    return (
      index === bar.index && kind === bar.kind && prefetchable === bar.prefetchable && size === bar.sizeBytes
    )
  })

const sameRouting = (one: SriovDefinition['ari'], other: SriovDefinition['ari']): boolean =>
  one.offset === other.offset && one.stride === other.stride

const barOf = ({ index, kind, prefetchable, sizeBytes }: BarDocument): BarDefinition => ({
  index,
  kind,
  prefetchable,
  size: sizeBytes,
})

const DIGIT_0 = 0x30

/** Value of a hexadecimal digit that the schema has judged: letters have bit 6 set, and 'a' is 61h. */
const digit = (code: number): number => (code & 0xf) + (code & 0x40 ? 9 : 0)
