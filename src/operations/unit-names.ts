/**
 * Units by the topology's ids, which users see. A remapping unit has a second name: the host kernel's, which counts in
 * the order of the DMAR table. Wiring tells which is which.
 */
import { formatFunctionAddress, NorthbridgeError, parseFunctionAddress } from '../core/index.ts'
import type { ApertureUnit } from '../gart/index.ts'
import type { HostFunction } from '../host/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'

/** Every unit that translates: remapping units, or the one with an aperture. */
export const translatingUnits = ({
  hardware,
}: SimulatedPlatform): readonly (RemappingUnit | ApertureUnit)[] =>
  hardware.aperture === undefined ? hardware.units : [hardware.aperture]

/** A unit by its id. Throws `notFound`. */
export function translatingUnit(platform: SimulatedPlatform, id: string): RemappingUnit | ApertureUnit {
  const unit = translatingUnits(platform).find(candidate => candidate.id === id)
  if (unit === undefined) throw new NorthbridgeError('notFound', `There is no remapping unit "${id}"`)
  return unit
}

/** What the topology says of a unit; an aperture is there for every function of every segment. */
export function describedUnit({ topology: { iommu } }: SimulatedPlatform, id: string) {
  const unit = iommu.kind === 'intel-vtd' ? iommu.units.find(candidate => candidate.id === id) : undefined
  return {
    segment: unit?.segment ?? 0,
    includeAll: unit?.includeAll ?? iommu.kind === 'gart',
    numaNode: unit?.numaNode ?? -1,
  }
}

/** The requester id of a function in a unit's segment. Throws `invalidArgument`. */
export function sourceIn(platform: SimulatedPlatform, unit: string, source: string): number {
  const { segment, rid } = parseFunctionAddress(source)
  if (platform.hardware.aperture === undefined && segment !== describedUnit(platform, unit).segment) {
    const message = `${formatFunctionAddress(segment, rid)} is in another segment than unit ${unit}`
    throw new NorthbridgeError('invalidArgument', message, { issues: [{ path: '/source', message }] })
  }
  return rid
}

/** Id of the unit that translates a function; null if the host knows of none. */
export const unitIdOf = ({ hardware }: SimulatedPlatform, fn: HostFunction): string | null =>
  fn.remappingUnit === null ? null : (hardware.unitOf(fn.segment, fn.rid)?.id ?? null)

/** The host's name of a unit. */
export function hostNameOf(platform: SimulatedPlatform, unit: RemappingUnit): string {
  const served = platform.host
    .functions()
    .find(fn => fn.remappingUnit !== null && platform.hardware.unitOf(fn.segment, fn.rid) === unit)
  return served?.remappingUnit ?? `dmar${unit.index}`
}
