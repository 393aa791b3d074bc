/** Scalable mode, from source-id and PASID to a PASID-table entry: root, context, PASID directory and PASID table. */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import type { ContextCache } from './context-cache.ts'
import { FAULT } from './formats/fault-codes.ts'
import {
  SCALABLE_CONTEXT_ENTRY as C,
  PASID_DIRECTORY_ENTRY,
  PASID_TABLE_ENTRY,
  PDTS_PASID_BITS,
} from './formats/structures.ts'
import type { PasidCache } from './pasid-cache.ts'
import { PASID_FLAG, PasidEntryDecoder } from './pasid-entry.ts'
import type { Quirks } from './quirks.ts'
import { ANY_DOMAIN, ERRONEOUS } from './structure-cache.ts'
import type { TranslationCaches } from './translation-caches.ts'

/** Kind of a good entry in the context cache; those of legacy mode have their TT instead. */
export const SCALABLE_CONTEXT = 0x10

const FPD = PASID_TABLE_ENTRY.FPD.mask
/** Words of the table structures concerned: a page holds 128 contexts of 8 and 64 PASID entries of 16. */
const CONTEXT_WORDS = 8
const PASID_WORDS = 16

export class ScalableTables {
  readonly #memory: PhysicalMemory
  readonly #c: UnitCapabilities
  readonly #quirks: Quirks
  readonly #contexts: ContextCache
  readonly #pasids: PasidCache
  readonly #decoder: PasidEntryDecoder
  readonly #reservedHigh: number
  readonly #contextReserved: readonly number[]

  // The last request.
  /** Slot of the context entry, or -1. */
  contextSlot = -1
  /** Slot of the PASID-table entry, or -1. */
  pasidSlot = -1
  /** PASID by which the PASID-table entry is found: that of the request, or RID_PASID. */
  pasid = 0
  /** Whether the request counts as privileged, and as one to execute. */
  privileged = false
  execute = false
  /** OR of FPD in every entry read so far. */
  faultProcessingDisable = false
  reads = 0
  // The request that `find` answered last, if it did so out of the caches alone, and how those stood.
  #lastSourceId = -1
  #lastPasid = -1
  #lastModes = 0
  #contextChanges = 0
  #pasidChanges = 0
  /** The half of the root entry read, valid if memory answered for the context entry. */
  readonly root = new Uint32Array(2)
  /** The directory entry, valid if `directoryRead`. */
  readonly directory = new Uint32Array(2)
  directoryRead = false
  /** Frames of the tables that entries were read from (or would have been). */
  contextTable: PageNumber = 0
  directoryTable: PageNumber = 0
  pasidTable: PageNumber = 0

  constructor(
    memory: PhysicalMemory,
    c: UnitCapabilities,
    hostAddressWidth: number,
    caches: TranslationCaches,
    quirks: Quirks,
  ) {
    this.#memory = memory
    this.#c = c
    this.#quirks = quirks
    this.#contexts = caches.contexts
    this.#pasids = caches.pasids
    this.#decoder = new PasidEntryDecoder(c, hostAddressWidth, quirks)
    this.#reservedHigh = (0xffff_ffff << (hostAddressWidth - 32)) >>> 0
    const lowReserved =
      0x1e0 | (c.DT ? 0 : C.DTE.mask) | (c.PASID ? 0 : C.PASIDE.mask) | (c.PRS ? 0 : C.PRE.mask)
    const ridReserved =
      0xffe0_0000 |
      (c.RPS || quirks.ridPasidIgnoredWithoutRps ? 0 : C.RID_PASID.mask) |
      (c.RPRIVS ? 0 : C.RID_PRIV.mask)
    this.#contextReserved = [lowReserved, this.#reservedHigh, ridReserved]
  }

  #begin(): void {
    this.#lastSourceId = -1
    this.contextSlot = -1
    this.pasidSlot = -1
    this.faultProcessingDisable = false
    this.directoryRead = false
    this.reads = 0
  }

  /**
   * Finds the PASID-table entry of a request. Returns 0 with `pasidSlot` set, a reason code, or PASS: a translated
   * request, which needs none.
   */
  find(
    rootTable: PageNumber,
    sourceId: number,
    addressType: number,
    pasid: number,
    privileged: boolean,
    execute: boolean,
  ): number {
    const modes = addressType | (privileged ? 4 : 0) | (execute ? 8 : 0)
    // All that is known of a request alike stands until an entry comes or goes.
    if (this.#isLast(sourceId, pasid, modes)) return 0
    this.#begin()
    const result = this.#find(rootTable, sourceId, addressType, pasid, privileged, execute)
    if (result === 0 && this.reads === 0) this.#setLast(sourceId, pasid, modes)
    return result
  }

  #isLast(sourceId: number, pasid: number, modes: number): boolean {
    return (
      this.#lastSourceId === sourceId &&
      this.#lastPasid === pasid &&
      this.#lastModes === modes &&
      this.#contextChanges === this.#contexts.changes &&
      this.#pasidChanges === this.#pasids.changes
    )
  }

  #setLast(sourceId: number, pasid: number, modes: number): void {
    this.#lastSourceId = sourceId
    this.#lastPasid = pasid
    this.#lastModes = modes
    this.#contextChanges = this.#contexts.changes
    this.#pasidChanges = this.#pasids.changes
  }

  #find(
    rootTable: PageNumber,
    sourceId: number,
    addressType: number,
    pasid: number,
    privileged: boolean,
    execute: boolean,
  ): number {
    const contexts = this.#contexts
    let slot = contexts.lookup(sourceId)
    if (slot < 0 || contexts.kindOf(slot) < SCALABLE_CONTEXT) {
      const fault = this.#readContext(rootTable, sourceId)
      if (fault !== 0) return fault
      slot = contexts.scratch
    }
    this.contextSlot = slot
    this.faultProcessingDisable = contexts.faultProcessingDisabled(slot)
    if (contexts.kindOf(slot) >= ERRONEOUS) return contexts.kindOf(slot) - ERRONEOUS
    const flags = contexts.raw[slot * CONTEXT_WORDS]!
    if (addressType !== ADDRESS_TYPE.untranslated && (flags & C.DTE.mask) === 0) {
      return FAULT.deviceTlbDisabled
    }
    const fault = this.#checkPasid(slot, pasid)
    if (fault !== 0) return fault
    if (addressType === ADDRESS_TYPE.translated) return PASS

    const requesterWords = contexts.raw[slot * CONTEXT_WORDS + 2]!
    if (pasid >= 0) {
      this.pasid = pasid
      this.privileged = privileged
      this.execute = execute
    } else {
      this.pasid = this.#c.RPS === 0 ? 0 : requesterWords & C.RID_PASID.mask
      this.privileged = (requesterWords & C.RID_PRIV.mask) !== 0
      this.execute = false
      if (this.#c.PASID !== 0 && this.pasid >= 2 << this.#c.PSS) return FAULT.ridPasid
    }
    return this.#findPasidEntry(sourceId, slot)
  }

  /** The checks of a context entry that a page request is subject to. Returns 0 or a reason code. */
  checkPageRequest(rootTable: PageNumber, sourceId: number, pasid: number): number {
    const fault = this.find(rootTable, sourceId, ADDRESS_TYPE.translated, pasid, false, false)
    if (fault !== PASS) return fault
    const flags = this.#contexts.raw[this.contextSlot * CONTEXT_WORDS]!
    return (flags & C.PRE.mask) === 0 ? FAULT.pageRequestDisabled : 0
  }

  #checkPasid(slot: number, pasid: number): number {
    if (pasid < 0) return 0
    const contexts = this.#contexts
    if ((contexts.raw[slot * CONTEXT_WORDS]! & C.PASIDE.mask) === 0) return FAULT.pasidDisabled
    const beyond = pasid >= contexts.limitOf(slot) || pasid >= 2 << this.#c.PSS
    return beyond ? FAULT.pasidBeyondDirectory : 0
  }

  /** "Scalable-Mode Root Entry", "Scalable-Mode Context Entry". Returns a reason that no entry can be blamed for, or 0. */
  #readContext(rootTable: PageNumber, sourceId: number): number {
    const rootWords = this.#memory.words(rootTable)
    if (rootWords === undefined) return FAULT.scalableRootAccess
    const { root } = this
    const rootAt = (sourceId >>> 8) * 4 + ((sourceId & 0x80) >>> 6)
    this.reads++
    root[0] = rootWords[rootAt]!
    root[1] = rootWords[rootAt + 1]!
    if ((root[0]! & 1) === 0) return FAULT.scalableRootNotPresent
    if ((root[0]! & 0xffe) | (root[1]! & this.#reservedHigh)) return FAULT.scalableRootReserved

    this.contextTable = root[1]! * 0x10_0000 + (root[0]! >>> 12)
    const words = this.#memory.words(this.contextTable)
    if (words === undefined) return FAULT.scalableContextAccess
    const contexts = this.#contexts
    const slot = contexts.scratch
    const at = (sourceId & 0x7f) * CONTEXT_WORDS
    this.reads++
    for (let word = 0; word < CONTEXT_WORDS; word++) {
      contexts.raw[slot * CONTEXT_WORDS + word] = words[at + word]!
    }
    const fault = this.#decodeContext(slot * CONTEXT_WORDS)
    if (fault !== 0) contexts.decodeScratch(ANY_DOMAIN, ERRONEOUS + fault, 0, 0, 0)
    return 0
  }

  #decodeContext(at: number): number {
    const { raw } = this.#contexts
    const low = raw[at]!
    if ((low & 1) === 0) return FAULT.scalableContextNotPresent
    let set = 0
    for (let word = 0; word < CONTEXT_WORDS; word++) {
      set |= raw[at + word]! & (this.#contextReserved[word] ?? 0xffff_ffff)
    }
    if (set !== 0) return FAULT.scalableContextReserved
    const pasids = 2 ** (((low & C.PDTS.mask) >>> C.PDTS.shift) + PDTS_PASID_BITS)
    if (this.#c.RPS !== 0 && (raw[at + 2]! & C.RID_PASID.mask) >= pasids) {
      return FAULT.scalableContextInvalid
    }
    const directory = raw[at + 1]! * 0x10_0000 + (low >>> 12)
    this.#contexts.decodeScratch(ANY_DOMAIN, SCALABLE_CONTEXT, 0, directory, pasids)
    return 0
  }

  #findPasidEntry(sourceId: number, contextSlot: number): number {
    const pasids = this.#pasids
    let slot = pasids.find(sourceId, this.pasid)
    if (slot < 0) {
      const fault = this.#readPasidEntry(this.#contexts.rootOf(contextSlot))
      if (fault !== 0) return fault
      slot = pasids.scratch
    }
    this.pasidSlot = slot
    const kind = pasids.kindOf(slot)
    if (this.#quirks.pasidFpdNotHonoured && kind >= ERRONEOUS) return kind - ERRONEOUS
    const flags = pasids.flagsOf(slot)
    if (((pasids.raw[slot * PASID_WORDS]! & FPD) | (flags & PASID_FLAG.directoryFPD)) !== 0) {
      this.faultProcessingDisable = true
    }
    if (kind >= ERRONEOUS) return kind - ERRONEOUS
    if (this.execute && (flags & PASID_FLAG.ERE) === 0) return FAULT.executeDisabled
    if (this.privileged && (flags & PASID_FLAG.SRE) === 0) return FAULT.supervisorDisabled
    return 0
  }

  /** "PASID Directory Entry", "PASID Table Entry". Returns a reason that no PASID-table entry can be blamed for, or 0. */
  #readPasidEntry(directoryRoot: PageNumber): number {
    const { pasid, directory } = this
    this.directoryTable = directoryRoot + (pasid >>> 15)
    const directoryWords = this.#memory.words(this.directoryTable)
    if (directoryWords === undefined) return FAULT.pasidDirectoryAccess
    const directoryAt = ((pasid >>> 6) & 511) * 2
    this.reads++
    directory[0] = directoryWords[directoryAt]!
    directory[1] = directoryWords[directoryAt + 1]!
    this.directoryRead = true
    const directoryFPD = (directory[0]! & PASID_DIRECTORY_ENTRY.FPD.mask) !== 0
    if (directoryFPD && !this.#quirks.pasidFpdNotHonoured) this.faultProcessingDisable = true
    if ((directory[0]! & 1) === 0) return FAULT.pasidDirectoryNotPresent
    const reserved = (directory[0]! & 0xffc) | (directory[1]! & this.#reservedHigh)
    if (reserved !== 0 && !this.#quirks.pasidDirectoryReservedNotChecked) {
      return FAULT.pasidDirectoryReserved
    }

    this.pasidTable = directory[1]! * 0x10_0000 + (directory[0]! >>> 12)
    const words = this.#memory.words(this.pasidTable)
    if (words === undefined) return FAULT.pasidTableAccess
    const pasids = this.#pasids
    const at = (pasid & 63) * PASID_WORDS
    this.reads++
    for (let word = 0; word < PASID_WORDS; word++) {
      pasids.raw[pasids.scratch * PASID_WORDS + word] = words[at + word]!
    }
    const fault = this.#decoder.decode(pasids, directoryFPD)
    if (fault !== 0) {
      pasids.decodeScratch(0, ERRONEOUS + fault, 0, 0, 0, directoryFPD ? PASID_FLAG.directoryFPD : 0)
    }
    return 0
  }

  /** Keeps what the last request read in the caches; erroneous entries with `cachingMode` only. Returns whether anything was replaced. */
  commit(sourceId: number, cachingMode: boolean): boolean {
    if (this.reads === 0) return false
    const contexts = this.#contexts
    const pasids = this.#pasids
    const { contextSlot, pasidSlot } = this
    let replaced = false
    if (contextSlot === contexts.scratch && (cachingMode || contexts.kindOf(contextSlot) < ERRONEOUS)) {
      replaced = contexts.keepScratch(sourceId)
    }
    if (pasidSlot === pasids.scratch && (cachingMode || pasids.kindOf(pasidSlot) < ERRONEOUS)) {
      replaced = pasids.keep(sourceId, this.pasid) || replaced
    }
    return replaced
  }
}

/** A translated request may pass: its address is the host's. */
export const PASS = -3
