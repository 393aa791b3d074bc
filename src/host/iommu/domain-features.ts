/** What a domain can do only on some units: every refusal says what is missing. */
import { NorthbridgeError } from '../../core/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import { hasPageRequests } from './device-tlb.ts'
import type { DeviceTlbs } from './device-tlbs.ts'
import type { TranslationDomain } from './domain.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

const refuse = (message: string): never => {
  throw new NorthbridgeError('unsupported', message, { errno: 'EOPNOTSUPP' })
}

/** Throws `unsupported` unless every unit sets dirty bits in the domain's tables. */
export function checkDirtyTracking(units: readonly RemappingUnitDriver[], domain: TranslationDomain): void {
  const lacking = units.find(unit => !unit.canTrackDirty)
  if (lacking !== undefined) {
    refuse(`${lacking.name} does not set dirty bits: that takes scalable mode, ECAP.SSADS and ECAP.SMPWCS`)
  }
  if (domain.table?.format.stage !== 'second') {
    refuse('dirty pages are tracked in second-stage tables, and this domain has others')
  }
}

/** Why units do not walk a guest's first-stage table over a domain's own; undefined if they do. */
export function whyNotNested(
  units: readonly RemappingUnitDriver[],
  domain: TranslationDomain,
  levels: number,
): string | undefined {
  const lacking = units.find(unit => !unit.canNest)
  if (lacking !== undefined)
    return `${lacking.name} does not nest translation: that takes scalable mode, ECAP.NEST and ECAP.SMPWCS`
  if (domain.table?.format.stage !== 'second')
    return 'first-stage tables of guests are nested in second-stage tables, and this domain has others'
  const narrow = units.find(unit => levels > unit.firstStageLevels)
  return narrow && `${narrow.name} walks no first-stage tables of ${levels} levels (CAP.FS5LP)`
}

/** Throws `unsupported` unless the function can send page requests and the unit takes them. */
export function checkPageRequests(
  unit: RemappingUnitDriver,
  fn: HostPciFunction,
  domain: TranslationDomain,
  deviceTlbs: DeviceTlbs,
): void {
  if (unit.pageRequests === undefined) {
    refuse(`${unit.name} takes no page requests: that takes scalable mode, ECAP.DT and ECAP.PRS`)
  }
  if (!hasPageRequests(fn)) refuse(`${fn.address} has no Page Request capability`)
  if (!deviceTlbs.uses(unit, fn, domain)) refuse(`${fn.address} has no device-TLB in use`)
}
