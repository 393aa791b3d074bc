/** Which unit translates whose DMA, and why none does. */
import type { KernelParameters } from '../command-line.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { DeviceScopes } from './device-scopes.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'
import { isForeignIommu } from './requesters.ts'

export interface CoverageOptions {
  readonly scopes: DeviceScopes | undefined
  readonly units: readonly RemappingUnitDriver[]
  readonly parameters: KernelParameters
  /** Name of an address-range unit, which translates but isolates nobody. */
  readonly aperture: string | undefined
}

export class Coverage {
  readonly #options: CoverageOptions
  /** An IOMMU that groups functions but that this kernel cannot program. */
  #foreign: HostPciFunction | undefined

  constructor(options: CoverageOptions) {
    this.#options = options
  }

  /** Whether units are used for DMA remapping. */
  get translates(): boolean {
    return this.#options.units.length > 0 && this.#options.parameters.iommu
  }

  /** Whether some IOMMU is there and wanted. */
  isWanted(functions: readonly HostPciFunction[]): boolean {
    return this.translates || (this.#options.parameters.amdIommu && functions.some(isForeignIommu))
  }

  /** Looks for an IOMMU that is a function, before functions are asked for. */
  survey(functions: readonly HostPciFunction[]): void {
    const foreign = functions.find(isForeignIommu)
    for (const fn of functions) fn.besideAmdIommu = foreign !== undefined
    if (!this.translates && this.#options.parameters.amdIommu) this.#foreign = foreign
  }

  /** Address of the IOMMU that this kernel cannot program; null without one. */
  save(): string | null {
    return this.#foreign?.address ?? null
  }

  load(saved: string | null, find: (address: string) => HostPciFunction): void {
    this.#foreign = saved === null ? undefined : find(saved)
  }

  /** Whether a function is to be grouped. */
  isTranslated(fn: HostPciFunction): boolean {
    if (this.#foreign !== undefined) return fn !== this.#foreign && fn.segment === this.#foreign.segment
    return this.unitOf(fn) !== undefined
  }

  /** The unit that translates a function's DMA; undefined if none does, or none that is modelled. */
  unitOf(fn: HostPciFunction): RemappingUnitDriver | undefined {
    const unit = this.#unitInTable(fn)
    return unit?.remapsDma ? unit : undefined
  }

  /** The unit that remaps a function's interrupt requests, whether or not it translates DMA. */
  interruptUnitOf(fn: HostPciFunction): RemappingUnitDriver | undefined {
    const unit = this.#unitInTable(fn)
    return unit?.interrupts === undefined ? undefined : unit
  }

  /** Why no modelled unit translates a function, in words; undefined if one does. */
  whyNotTranslated(fn: HostPciFunction): string | undefined {
    if (this.unitOf(fn) !== undefined) return undefined
    if (this.#foreign !== undefined)
      return `it is behind the AMD IOMMU at ${this.#foreign.address}, which is not modelled`
    const { aperture, units, parameters } = this.#options
    if (aperture !== undefined)
      return `the address-range unit "${aperture}" has one table for all requesters and does not look at who asks, so it cannot keep a device to the memory of one virtual machine`
    if (units.length === 0) return 'the firmware reports no remapping unit (no DMAR table)'
    if (!parameters.iommu) return 'DMA remapping is not enabled: the kernel command line lacks intel_iommu=on'
    return 'no remapping unit of the DMAR table covers it: its host bridge bypasses remapping'
  }

  #unitInTable(fn: HostPciFunction): RemappingUnitDriver | undefined {
    const { scopes, units } = this.#options
    const index = scopes?.unitOf(fn)
    return index === undefined ? undefined : units[index]
  }
}
