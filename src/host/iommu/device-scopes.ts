/** Which remapping unit translates a function, and which memory it must always reach: the DMAR table read as rules. */
import { pageOf } from '../../core/index.ts'
import { PORT_TYPE } from '../../pcie/formats/index.ts'
import {
  ATSR_FLAGS,
  type Atsr,
  type DeviceScope,
  type Dmar,
  DRHD_FLAGS,
  type Drhd,
  type Rmrr,
  SATC_FLAGS,
  type Satc,
  SCOPE_TYPE,
} from '../../platform/formats/acpi/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'

/** Reserved memory of a function, in pages. */
export interface ReservedPages {
  readonly first: number
  readonly pages: number
}

export class DeviceScopes {
  /** In the order of the table. */
  readonly units: readonly Drhd[]
  readonly #reserved: readonly Rmrr[]
  readonly #atsPorts: readonly Atsr[]
  readonly #integratedCaches: readonly Satc[]

  constructor(dmar: Dmar) {
    this.units = dmar.structures.filter(structure => structure.kind === 'DRHD')
    this.#reserved = dmar.structures.filter(structure => structure.kind === 'RMRR')
    this.#atsPorts = dmar.structures.filter(structure => structure.kind === 'ATSR')
    this.#integratedCaches = dmar.structures.filter(structure => structure.kind === 'SATC')
  }

  /** Position in {@link units}; undefined if none translates the function. VFs go with their PF. */
  unitOf(fn: HostPciFunction): number | undefined {
    const of = fn.physical ?? fn
    const named = this.units.findIndex(
      unit => unit.segment === of.segment && unit.scopes.some(scope => covers(scope, of)),
    )
    if (named >= 0) return named
    const all = this.units.findIndex(
      unit => unit.segment === of.segment && (unit.flags & DRHD_FLAGS.INCLUDE_PCI_ALL) !== 0,
    )
    return all >= 0 ? all : undefined
  }

  /**
   * "Root Port ATS Capability Reporting", "SoC Integrated Address Translation Cache": whether a function may use its
   * device-TLB. One that a SATC calls required switches it on by itself in legacy mode, and software must not.
   */
  allowsDeviceTlb(fn: HostPciFunction, scalable: boolean): boolean {
    const of = fn.physical ?? fn
    const { segment } = of
    const integrated = this.#integratedCaches.find(
      entry => entry.segment === segment && entry.scopes.some(scope => leadsTo(scope, of)),
    )
    if (integrated !== undefined) return scalable || (integrated.flags & SATC_FLAGS.ATC_REQUIRED) === 0
    let port = of.above
    if (port === undefined) return true
    while (port.expressType !== PORT_TYPE.rootPort) {
      if (port.above === undefined || port.expressType < 0) return false
      port = port.above
    }
    const root = port
    return this.#atsPorts.some(
      entry =>
        entry.segment === segment &&
        ((entry.flags & ATSR_FLAGS.ALL_PORTS) !== 0 || entry.scopes.some(scope => leadsTo(scope, root))),
    )
  }

  /** "Reserved Memory Region Reporting": what the function, or a bridge above it, must always reach. */
  reservedMemory(fn: HostPciFunction): readonly ReservedPages[] {
    return this.#reserved
      .filter(({ segment, scopes }) => segment === fn.segment && scopes.some(scope => covers(scope, fn)))
      .map(({ base, limit }) => ({ first: pageOf(base), pages: pageOf(limit) - pageOf(base) + 1 }))
  }
}

/** An endpoint scope names one function; a bridge scope that bridge and everything below it. */
function covers(scope: DeviceScope, fn: HostPciFunction): boolean {
  if (scope.type === SCOPE_TYPE.endpoint) return leadsTo(scope, fn)
  if (scope.type !== SCOPE_TYPE.bridge) return false
  for (let at: HostPciFunction | undefined = fn; at !== undefined; at = at.above) {
    if (leadsTo(scope, at)) return true
  }
  return false
}

/** Whether the path ends at the function: each step after the first goes through the bridge before it. */
function leadsTo({ startBus, path }: DeviceScope, fn: HostPciFunction): boolean {
  let at: HostPciFunction | undefined = fn
  for (let step = path.length - 1; step >= 0; step--) {
    const { device, fn: number } = path[step]!
    if (at === undefined || (at.rid & 0xff) !== ((device << 3) | number)) return false
    if (step === 0) return at.rid >>> 8 === startBus
    at = at.above
  }
  return false
}
