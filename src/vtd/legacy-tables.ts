/** Legacy mode, from source-id to a context entry: root table and context table. */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import type { ContextCache } from './context-cache.ts'
import { FAULT } from './formats/fault-codes.ts'
import {
  ADDRESS_WIDTHS,
  AW_LEVELS_OFFSET,
  CONTEXT_ENTRY_WORDS,
  SCALABLE_CONTEXT_ENTRY_WORDS,
  TRANSLATION_TYPE,
} from './formats/structures.ts'
import { ERRONEOUS } from './structure-cache.ts'

export class LegacyTables {
  readonly #memory: PhysicalMemory
  readonly #capabilities: UnitCapabilities
  readonly #contexts: ContextCache
  /** Pages below CAP.MGAW + 1 bits. */
  readonly #guestPages: number
  readonly #reservedHigh: number
  readonly #domainMask: number

  // The last context read.
  reads = 0
  /** The root entry read. */
  readonly root = new Uint32Array(4)

  constructor(
    memory: PhysicalMemory,
    capabilities: UnitCapabilities,
    hostAddressWidth: number,
    contexts: ContextCache,
  ) {
    this.#memory = memory
    this.#capabilities = capabilities
    this.#contexts = contexts
    this.#guestPages = 2 ** (capabilities.MGAW + 1 - 12)
    this.#reservedHigh = (0xffff_ffff << (hostAddressWidth - 32)) >>> 0
    this.#domainMask = (1 << (4 + 2 * capabilities.ND)) - 1
  }

  /**
   * "Root Entry", "Context Entry": reads both and decodes the latter into the scratch slot of the cache. Returns a reason
   * that no context entry can be blamed for, or 0.
   */
  readContext(rootTable: PageNumber, sourceId: number): number {
    this.reads = 0
    const rootWords = this.#memory.words(rootTable)
    if (rootWords === undefined) return FAULT.rootAccess
    const { root } = this
    const rootAt = (sourceId >>> 8) * 4
    this.reads++
    for (let word = 0; word < 4; word++) root[word] = rootWords[rootAt + word]!
    if ((root[0]! & 1) === 0) return FAULT.rootNotPresent
    if ((root[0]! & 0xffe) | (root[1]! & this.#reservedHigh) | root[2]! | root[3]!) return FAULT.rootReserved

    const words = this.#memory.words(root[1]! * 0x10_0000 + (root[0]! >>> 12))
    if (words === undefined) return FAULT.contextAccess
    const { raw, scratch } = this.#contexts
    const from = (sourceId & 0xff) * CONTEXT_ENTRY_WORDS
    const at = scratch * SCALABLE_CONTEXT_ENTRY_WORDS
    this.reads++
    for (let word = 0; word < CONTEXT_ENTRY_WORDS; word++) raw[at + word] = words[from + word]!
    for (let word = CONTEXT_ENTRY_WORDS; word < SCALABLE_CONTEXT_ENTRY_WORDS; word++) raw[at + word] = 0
    const fault = this.#decode(raw[at]!, raw[at + 1]!, raw[at + 2]!, raw[at + 3]!)
    // Caching mode keeps erroneous entries, tagged with the domain-id that is reserved for them.
    if (fault !== 0) this.#contexts.decodeScratch(0, ERRONEOUS + fault, 0, 0, 0)
    return 0
  }

  #decode(low: number, high: number, upper: number, last: number): number {
    const c = this.#capabilities
    if ((low & 1) === 0) return FAULT.contextNotPresent
    const translationType = (low >>> 2) & 3
    const domainId = (upper >>> 8) & 0xffff
    const passThrough = translationType === TRANSLATION_TYPE.passThrough
    if ((low & 0xff0) | (upper & 0xff00_0080) | last) return FAULT.contextReserved
    if (domainId & ~this.#domainMask) return FAULT.contextReserved
    // SSPTPTR is ignored for pass-through, bits beyond the host's width included.
    if (!passThrough && (high & this.#reservedHigh) !== 0) return FAULT.contextReserved

    const aw = upper & 7
    const width = ADDRESS_WIDTHS[aw]
    if (width === undefined || ((c.SAGAW >>> aw) & 1) === 0) return FAULT.contextInvalid
    if (translationType === 3 || (passThrough && c.PT === 0)) return FAULT.contextInvalid
    if (translationType === TRANSLATION_TYPE.secondStageWithDeviceTlb && c.DT === 0) {
      return FAULT.contextInvalid
    }
    this.#contexts.decodeScratch(
      domainId,
      translationType,
      aw + AW_LEVELS_OFFSET,
      high * 0x10_0000 + (low >>> 12),
      Math.min(this.#guestPages, 2 ** (width.bits - 12)),
    )
    return 0
  }
}
