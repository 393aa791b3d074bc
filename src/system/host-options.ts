/** What the topology document has for the host kernel. */
import type { Engine } from '../engine/index.ts'
import type { HostOptions } from '../host/index.ts'
import type { Platform, Topology } from '../platform/index.ts'

export const hostOptions = ({ host }: Topology, hardware: Platform, engine: Engine): HostOptions => ({
  engine,
  commandLine: host.commandLine,
  kernel: host.kernel,
  driverOverrides: host.drivers ?? {},
  // The DMAR table has no names: the kernel shows the board's, so that people find one name everywhere.
  unitNames: unitNames(hardware),
})

function unitNames({ port, aperture }: Platform): Map<number, string> {
  const { units, apertureBase } = port.board.remapping
  const names = new Map(units.map(unit => [unit.registerBase, unit.id]))
  if (apertureBase !== undefined) names.set(apertureBase, aperture!.id)
  return names
}
