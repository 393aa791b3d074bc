/** Which functions use their device-TLBs and send page requests, and what their entries say of it. */
import { NorthbridgeError, type RequesterId } from '../../core/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { DeviceScopes } from './device-scopes.ts'
import {
  deviceTlbOf,
  disableDeviceTlb,
  disablePageRequests,
  enableDeviceTlb,
  enablePageRequests,
} from './device-tlb.ts'
import type { PageRequestHandler, TranslationDomain } from './domain.ts'
import type { RemappingUnitDriver, Requester } from './remapping-unit-driver.ts'

export class DeviceTlbs {
  readonly #scopes: DeviceScopes | undefined
  readonly #allowed: boolean
  /** Functions that may ask for pages, and who answers. */
  readonly #pageRequesters = new Map<HostPciFunction, PageRequestHandler>()

  /** @param allowed false after `pci=noats`. */
  constructor(scopes: DeviceScopes | undefined, allowed: boolean) {
    this.#scopes = scopes
    this.#allowed = allowed
  }

  /** Whether a function in a domain has its device-TLB on: unit, function and firmware agree. */
  uses(unit: RemappingUnitDriver, fn: HostPciFunction, domain: TranslationDomain): boolean {
    return (
      this.#allowed &&
      unit.canUseDeviceTlbs(domain) &&
      deviceTlbOf(fn) !== undefined &&
      this.#scopes?.allowsDeviceTlb(fn, unit.scalable) === true
    )
  }

  /** What the entries of these requester ids, which are of these functions, are to say. */
  requesters(
    unit: RemappingUnitDriver,
    members: readonly HostPciFunction[],
    rids: readonly RequesterId[],
    domain: TranslationDomain,
  ): Requester[] {
    return rids.map(rid => {
      const fn = members.find(member => member.rid === rid)
      if (fn === undefined || !this.uses(unit, fn, domain)) return { rid }
      return { rid, deviceTlb: deviceTlbOf(fn), pageRequests: this.#pageRequesters.has(fn) }
    })
  }

  /** Behind the writing of entries: a device that asks earlier is refused. */
  enable(unit: RemappingUnitDriver, members: readonly HostPciFunction[], domain: TranslationDomain): void {
    for (const fn of members) if (this.uses(unit, fn, domain)) enableDeviceTlb(fn)
  }

  /** Before entries go: a device-TLB that is disabled is empty, and must not be told what to forget. */
  disable(unit: RemappingUnitDriver, members: readonly HostPciFunction[], domain: TranslationDomain): void {
    for (const fn of members) {
      this.servePageRequests(fn, undefined)
      if (domain.removeDeviceTlb(unit, fn.rid) !== undefined) disableDeviceTlb(fn)
    }
  }

  /** Functions that may ask for pages. */
  save(): readonly string[] {
    return [...this.#pageRequesters.keys()].map(({ address }) => address).sort()
  }

  /** Throws `unsupported` if there are any: who answers them is code. */
  load(saved: readonly string[]): void {
    if (saved.length === 0) return
    throw new NorthbridgeError(
      'unsupported',
      `the saved state has a handler of page requests of ${saved[0]}, which cannot be restored`,
    )
  }

  /**
   * Lets a function ask for pages, which `handler` answers; with undefined, no longer. VFs share their PF's interface,
   * which stays on while one uses it.
   */
  servePageRequests(fn: HostPciFunction, handler: PageRequestHandler | undefined): void {
    const asked = this.#pageRequesters.has(fn)
    if (handler !== undefined) {
      this.#pageRequesters.set(fn, handler)
      if (!asked) enablePageRequests(fn)
      return
    }
    this.#pageRequesters.delete(fn)
    const shared = [...this.#pageRequesters.keys()].some(
      other => (other.physical ?? other) === (fn.physical ?? fn),
    )
    if (asked && !shared) disablePageRequests(fn)
  }

  pageHandlerOf(fn: HostPciFunction): PageRequestHandler | undefined {
    return this.#pageRequesters.get(fn)
  }
}
