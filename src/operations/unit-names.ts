/**
 * A remapping unit has two names: the topology's id, which users see, and the host kernel's, which counts in the order
 * of the DMAR table. Wiring tells which is which.
 */
import type { HostFunction } from '../host/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'

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
