/** Which remapping unit translates a function, and which memory it must always reach: the DMAR table read as rules. */
import { pageOf } from '../../core/index.ts'
import {
  type DeviceScope,
  type Dmar,
  DRHD_FLAGS,
  type Drhd,
  type Rmrr,
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

  constructor(dmar: Dmar) {
    this.units = dmar.structures.filter(structure => structure.kind === 'DRHD')
    this.#reserved = dmar.structures.filter(structure => structure.kind === 'RMRR')
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
