/** Which functions use their device-TLBs and send page requests, and what their entries say of it. */
import type { RequesterId } from '../../core/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { DeviceScopes } from './device-scopes.ts'
import {
  deviceTlbOf,
  disableDeviceTlb,
  disablePageRequests,
  enableDeviceTlb,
  enablePageRequests,
} from './device-tlb.ts'
import type { TranslationDomain } from './domain.ts'
import type { RemappingUnitDriver, Requester } from './remapping-unit-driver.ts'

export class DeviceTlbs {
  readonly #scopes: DeviceScopes | undefined
  readonly #allowed: boolean
  /** Functions that may ask for pages. */
  readonly #pageRequesters = new Set<HostPciFunction>()

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
      this.allowPageRequests(fn, false)
      if (domain.removeDeviceTlb(unit, fn.rid) !== undefined) disableDeviceTlb(fn)
    }
  }

  /** Functions that may ask for pages. */
  save(): readonly string[] {
    return [...this.#pageRequesters].map(({ address }) => address).sort()
  }

  load(saved: readonly string[], find: (address: string) => HostPciFunction): void {
    for (const address of saved) this.#pageRequesters.add(find(address))
  }

  /** Switches a function's page requests on or off. VFs share their PF's interface, which stays while one uses it. */
  allowPageRequests(fn: HostPciFunction, on: boolean): void {
    const { size } = this.#pageRequesters
    if (on) this.#pageRequesters.add(fn)
    else this.#pageRequesters.delete(fn)
    if (this.#pageRequesters.size === size) return
    if (on) enablePageRequests(fn)
    else if (![...this.#pageRequesters].some(other => (other.physical ?? other) === (fn.physical ?? fn))) {
      disablePageRequests(fn)
    }
  }
}
