/**
 * "Address Translation Services" of a function: accesses with addresses that it had translated before, the page requests
 * for those that are not there, and what root complex and software tell it. A virtual function makes page requests and
 * uses PASIDs as its physical function is enabled to.
 */
import type { PageNumber, Saved } from '../core/index.ts'
import type { ConfigLayout } from './config-layout.ts'
import { DeviceTlb, TRANSLATION_FLAG } from './device-tlb.ts'
import { EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { ATS, PASID } from './formats/extended-capabilities.ts'
import { PAGE_RESPONSE_CODE } from './page-request.ts'
import { PageRequestInterface } from './page-request-interface.ts'
import type { FunctionNode } from './parts.ts'
import { ADDRESS_TYPE, MemoryRequest, PERMISSION, STATUS } from './request.ts'
import { climbWithPageRequest } from './routing.ts'

/** Entries of a device-TLB whose definition does not say. */
const DEFAULT_ENTRIES = 32

type Translating = FunctionNode & { readonly layout: ConfigLayout }

export class AddressTranslation {
  readonly #function: Translating
  readonly #shared: AddressTranslation | undefined
  readonly #ats: number
  readonly #pasid: number
  readonly #pasidWords: Uint32Array
  readonly pageRequests: PageRequestInterface | undefined
  /** Made at the first translation: most functions never ask for one. */
  #tlb: DeviceTlb | undefined
  #asking: MemoryRequest | undefined
  /** Stimulus: nanoseconds after which it says that an invalidation is done; a negative number: never. */
  invalidationDelay = 0
  /** For so many invalidations; afterwards it answers at once again. */
  delayedInvalidations = Number.MAX_SAFE_INTEGER

  /** @param shared of a virtual function, the services of its physical function. */
  constructor(fn: Translating, shared?: AddressTranslation) {
    this.#function = fn
    const { layout } = fn
    this.#shared = shared
    this.#ats = layout.findExtended(EXTENDED_CAPABILITY.ATS) >>> 2
    const pri = layout.findExtended(EXTENDED_CAPABILITY.PRI)
    this.#pasid = shared === undefined ? layout.findExtended(EXTENDED_CAPABILITY.PASID) >>> 2 : shared.#pasid
    this.#pasidWords = shared === undefined ? fn.words : shared.#pasidWords
    this.pageRequests =
      shared === undefined && pri > 0 ? new PageRequestInterface(fn.words, pri) : shared?.pageRequests
  }

  /** Whether a layout has any of the capabilities. */
  static in(layout: ConfigLayout): boolean {
    const { ATS: ats, PASID: pasid } = EXTENDED_CAPABILITY
    return layout.findExtended(ats) > 0 || layout.findExtended(pasid) > 0
  }

  /** Whether the function caches translations at all. */
  get supported(): boolean {
    return this.#ats > 0
  }

  get enabled(): boolean {
    return this.#ats > 0 && (this.#control & ATS.CONTROL.f.ENABLE.mask) !== 0
  }

  get #control(): number {
    return this.#function.words[this.#ats + (ATS.CONTROL.offset >>> 2)]!
  }

  /** Pages in the smallest translation that the function takes: "Smallest Translation Unit", of the PF for a VF. */
  get #smallest(): number {
    const { STU } = ATS.CONTROL.f
    const owner = this.#shared?.supported ? this.#shared : this
    return 2 ** ((owner.#control & STU.mask) >>> STU.shift)
  }

  /** Whether the function may send requests with a PASID, and with these modes requested. */
  permitsPasid(privileged: boolean, execute: boolean): boolean {
    if (this.#pasid === 0) return false
    const { ENABLE, PRIVILEGED, EXECUTE } = PASID.CONTROL.f
    const needed = ENABLE.mask | (privileged ? PRIVILEGED.mask : 0) | (execute ? EXECUTE.mask : 0)
    return (this.#pasidWords[this.#pasid + (PASID.CONTROL.offset >>> 2)]! & needed) === needed
  }

  /**
   * Sends a request as the device-TLB says: with a translated address, after asking for one if it has none. With ATS
   * disabled it is sent untranslated. Returns the page request group that was opened if the page is not there, else -1;
   * the status of the request says which.
   */
  issue(request: MemoryRequest): number {
    if (!this.enabled) {
      this.#function.issue(request)
      return -1
    }
    const { page, pasid, privileged, execute } = request
    const tlb = (this.#tlb ??= new DeviceTlb(this.#function.definition.deviceTlbEntries ?? DEFAULT_ENTRIES))
    const wanted =
      (request.write || request.atomic ? PERMISSION.write : 0) |
      (!request.write || request.atomic ? PERMISSION.read : 0) |
      (execute ? PERMISSION.execute : 0)
    let slot = tlb.lookup(pasid, privileged, page)
    if (slot < 0 || (tlb.attributesOf(slot) & wanted) !== wanted) slot = this.#ask(request, tlb)
    if (slot === REFUSED) return -1
    if (slot < 0 || (tlb.attributesOf(slot) & wanted) !== wanted) return this.#requestPage(request)
    if (tlb.attributesOf(slot) & TRANSLATION_FLAG.untranslatedOnly) {
      this.#function.issue(request)
      return -1
    }
    request.page = tlb.translate(slot, page)
    request.addressType = ADDRESS_TYPE.translated
    request.pasid = -1
    request.privileged = false
    request.execute = false
    this.#function.issue(request)
    request.page = page
    request.pasid = pasid
    request.privileged = privileged
    request.execute = execute
    return -1
  }

  /** "Translation Request". Returns the entry made, -1 if there is no translation, REFUSED if the request was. */
  #ask(request: MemoryRequest, tlb: DeviceTlb): number {
    const asking = (this.#asking ??= new MemoryRequest())
    const smallest = this.#smallest
    asking.page = Math.floor(request.page / smallest) * smallest
    asking.offset = 0
    asking.length = 8
    asking.addressType = ADDRESS_TYPE.translationRequest
    asking.write = request.write || request.atomic
    asking.atomic = false
    asking.pasid = request.pasid
    asking.privileged = request.privileged
    asking.execute = request.execute
    this.#function.issue(asking)
    if (asking.status !== STATUS.successful) {
      request.begin()
      request.segment = asking.segment
      request.requesterId = asking.requesterId
      request.status = asking.status
      request.faultReason = asking.faultReason
      request.unit = asking.unit
      request.tableReads = asking.tableReads
      return REFUSED
    }
    // A translation of less than the smallest unit is malformed: it is not used.
    if (asking.permissions === 0 || asking.size < smallest) return -1
    const flags =
      (asking.untranslatedOnly ? TRANSLATION_FLAG.untranslatedOnly : 0) |
      (asking.nonSnooped ? TRANSLATION_FLAG.nonSnooped : 0) |
      (asking.global ? TRANSLATION_FLAG.global : 0)
    const { pasid, privileged, page, size, translatedPage, permissions } = asking
    return tlb.fill(pasid, privileged, page, size, translatedPage, permissions | flags)
  }

  /** The access cannot be made now: asks software for the page, if it may. Returns the group, or -1. */
  #requestPage(request: MemoryRequest): number {
    const { pageRequests } = this
    const { unit, tableReads, requesterId, segment } = this.#asking ?? request
    request.begin()
    request.segment = segment
    request.requesterId = requesterId
    request.unit = unit
    request.tableReads = tableReads
    request.status = STATUS.translationDenied
    if (pageRequests === undefined || !pageRequests.enabled) return -1
    request.status = STATUS.pageRequested
    const group = pageRequests.open()
    if (group < 0) return -1
    const sent = climbWithPageRequest(this.#function, {
      sourceId: this.#function.rid,
      pasid: request.pasid,
      page: request.page,
      read: !request.write || request.atomic,
      write: request.write || request.atomic,
      execute: request.execute,
      privileged: request.privileged,
      groupIndex: group,
      last: true,
    })
    if (sent) return group
    pageRequests.answered(group, PAGE_RESPONSE_CODE.invalidRequest)
    pageRequests.take(group)
    request.status = STATUS.translationDenied
    return -1
  }

  /** "Stop Marker Message": tells software that no page request with a PASID follows. */
  sendStopMarker(pasid: number): void {
    climbWithPageRequest(this.#function, {
      sourceId: this.#function.rid,
      pasid,
      page: 0,
      read: false,
      write: false,
      execute: false,
      privileged: false,
      groupIndex: 0,
      last: true,
    })
  }

  /**
   * "Invalidate Request": drops translations; `pasid` is -1 for those without PASID, -2 for those of every PASID. Returns
   * after how many nanoseconds the completion is sent, a negative number if never.
   */
  invalidate(page: PageNumber, count: number, pasid: number): number {
    this.#tlb?.invalidate(pasid, page, count)
    const delay = this.invalidationDelay
    if (delay !== 0 && this.delayedInvalidations !== Number.MAX_SAFE_INTEGER) {
      if (--this.delayedInvalidations === 0) this.delayInvalidations(0)
    }
    return delay
  }

  /** Stimulus: the next `times` invalidations are answered late, or never. */
  delayInvalidations(delay: number, times = Number.MAX_SAFE_INTEGER): void {
    this.invalidationDelay = delay
    this.delayedInvalidations = times
  }

  /** After a write to a control register of one of the capabilities. */
  controlWritten(): void {
    // Translations do not outlive the time that ATS is enabled.
    if (!this.enabled) this.#tlb?.clear()
    if (this.#function.physicalFunction === undefined) this.pageRequests?.controlWritten()
  }

  /** What the device-TLB holds, for inspection. */
  entries() {
    return this.#tlb?.entries() ?? []
  }

  reset(): void {
    this.#tlb?.clear()
    if (this.#function.physicalFunction === undefined) this.pageRequests?.reset()
  }

  save(): Saved {
    const own = this.#function.physicalFunction === undefined ? this.pageRequests : undefined
    return {
      invalidationDelay: this.invalidationDelay,
      delayedInvalidations: this.delayedInvalidations,
      tlb: this.#tlb?.save() ?? [],
      pageRequests: own?.save() ?? [],
    }
  }

  load(saved: Saved): void {
    const { invalidationDelay, delayedInvalidations, tlb, pageRequests } = saved as {
      invalidationDelay: number
      delayedInvalidations: number
      tlb: Saved
      pageRequests: Saved
    }
    this.delayInvalidations(invalidationDelay, delayedInvalidations)
    if (!Array.isArray(tlb)) {
      this.#tlb ??= new DeviceTlb(this.#function.definition.deviceTlbEntries ?? DEFAULT_ENTRIES)
      this.#tlb.load(tlb)
    } else this.#tlb = undefined
    if (!Array.isArray(pageRequests)) this.pageRequests?.load(pageRequests)
  }
}

/** The translation request itself was refused. */
const REFUSED = -2
