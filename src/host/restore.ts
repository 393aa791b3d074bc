/** Between the parts of a host kernel and their state as plain data. */
import { savedTables } from './firmware-tables.ts'
import { resumeUnitInterrupts } from './iommu/unit-interrupts.ts'
import type { KernelParts } from './kernel-parts.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import type { SavedHost } from './saved-host.ts'

export function saveParts(parts: KernelParts, halted: string | undefined): SavedHost {
  return {
    version: 4,
    firmware: savedTables(parts.tables),
    memory: parts.memory.save(),
    functions: [...parts.functions.values()].map(fn => fn.save()),
    accessControl: parts.accessControl.requested,
    iommu: parts.iommu.save(),
    interrupts: parts.interrupts.save(),
    drivers: parts.drivers.save(),
    hotplug: parts.hotplug.save(),
    errors: parts.errors.save(),
    dma: parts.dma.save(),
    assigned: parts.vfio.save(),
    containers: parts.vfio.containers(),
    halted: halted ?? null,
  }
}

/** Goes on from a state with which the parts were made: functions first, then who refers to them. */
export function loadParts(parts: KernelParts, saved: SavedHost): void {
  const { functions, scanner, iommu, interrupts, options } = parts
  const find = (address: string): HostPciFunction => functions.get(address)!
  for (const state of saved.functions) {
    const fn = scanner.reopen(state, find)
    functions.set(fn.address, fn)
  }
  for (const [i, fn] of [...functions.values()].entries()) {
    fn.virtuals.push(...saved.functions[i]!.virtuals.map(find))
    fn.below.push(...saved.functions[i]!.below.map(find))
  }
  parts.memory.load(saved.memory)
  parts.accessControl.requested = saved.accessControl
  iommu.load(saved.iommu, find)
  interrupts.load(saved.interrupts)
  for (const unit of iommu.units) resumeUnitInterrupts(unit, interrupts, options.engine.trace)
  parts.drivers.load(saved.drivers, functions)
  parts.hotplug.load(saved.hotplug)
  parts.errors.load(saved.errors)
  parts.dma.load(saved.dma, find)
  if (saved.dma.aperture !== null) parts.openAperture(saved.dma.aperture)
  parts.vfio.load(saved.assigned, saved.containers)
}
