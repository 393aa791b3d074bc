/** The rules of `remappingUnit`. */
import type { Topology } from './topology-schema.ts'
import { includeAllUnit, unitsOf } from './wiring.ts'

/** Takes the path of a wrong field and the rule that it breaks. */
export type Report = (path: string, message: string) => void

/** A `remappingUnit` of a host bridge or of a root-bus function. */
export function checkWiring(
  topology: Topology,
  id: string | null | undefined,
  segment: number,
  path: string,
  report: Report,
): void {
  if (id === undefined) return
  if (id === null) {
    const unit = includeAllUnit(topology, segment)
    if (unit !== undefined) {
      report(
        path,
        `cannot be null: unit "${unit.id}" serves every function of segment ${segment} that no other does`,
      )
    }
    return
  }
  const unit = unitsOf(topology).find(candidate => candidate.id === id)
  if (unit === undefined) report(path, `names no remapping unit: "${id}"`)
  else if (unit.segment !== segment) {
    report(path, `is a unit of segment ${unit.segment}, and the function is in segment ${segment}`)
  }
}
