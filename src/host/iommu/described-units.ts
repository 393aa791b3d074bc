/** The units that the firmware describes, each with its driver. */
import type { Drhd } from '../../platform/formats/acpi/index.ts'
import type { IommuOptions } from './iommu-state.ts'
import { modesOf } from './modes.ts'
import { RemappingUnitDriver } from './remapping-unit-driver.ts'
import { UnitRegisters } from './unit-registers.ts'

/** @param described in the order of the DMAR table */
export function driversOf(
  described: readonly Drhd[],
  { machine, memory, parameters, unitNames, engine, halt, saved }: IommuOptions,
): RemappingUnitDriver[] {
  const names = described.map(({ registerBase }, index) => unitNames.get(registerBase) ?? `dmar${index}`)
  const registers = described.map(
    ({ registerBase }, index) => new UnitRegisters(machine, registerBase, names[index]!),
  )
  const modes = modesOf(registers, parameters.iommu && parameters.scalableMode)
  return described.map(
    ({ segment }, index) =>
      new RemappingUnitDriver({
        memory,
        environment: { engine, halt },
        name: names[index]!,
        index,
        segment,
        registers: registers[index]!,
        mode: modes[index]!,
        saved: saved?.units[index],
      }),
  )
}
