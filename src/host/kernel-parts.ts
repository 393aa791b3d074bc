/** What a host kernel is made of, and how its parts know each other. */
import { assert, formatFunctionAddress, NorthbridgeError, type RequesterId } from '../core/index.ts'
import type { HostBridgeResources } from '../platform/formats/boot-parameters.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { ApertureDriver, type SavedAperture } from './aperture.ts'
import { type KernelParameters, parseCommandLine } from './command-line.ts'
import { DriverCore } from './driver-core.ts'
import { ErrorService } from './error-service.ts'
import {
  allocatablePages,
  type FirmwareTables,
  firmwareTablesIn,
  memoryPages,
  readFirmwareTables,
} from './firmware-tables.ts'
import { Hotplug } from './hotplug.ts'
import { InterruptPosting } from './interrupt-posting.ts'
import { HostInterrupts } from './interrupts.ts'
import { Iommu } from './iommu/iommu.ts'
import { KernelDma } from './kernel-dma.ts'
import { KERNEL_RULES } from './kernel-rules.ts'
import { PageAllocator } from './page-allocator.ts'
import { AccessControl } from './pci/access-control.ts'
import { hasContained } from './pci/containment.ts'
import { hasRootErrors } from './pci/error-registers.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import { PciScanner } from './pci/scan.ts'
import type { SavedHost } from './saved-host.ts'
import { SriovControl } from './sriov.ts'
import { TableMemory } from './table-memory.ts'
import type { HostOptions } from './types.ts'
import { Vfio } from './vfio/vfio.ts'

/** As Debian's kernel needs it: DMA remapping is built in, but off until asked for. */
const DEFAULT_COMMAND_LINE = 'intel_iommu=on'

export interface KernelParts {
  readonly machine: MachinePort
  readonly options: HostOptions
  readonly parameters: KernelParameters
  readonly tables: FirmwareTables
  readonly hostBridges: readonly HostBridgeResources[]
  readonly memory: PageAllocator
  /** By address, in the order of discovery. */
  readonly functions: Map<string, HostPciFunction>
  readonly scanner: PciScanner
  readonly iommu: Iommu
  readonly accessControl: AccessControl
  readonly dma: KernelDma
  readonly openAperture: (saved?: SavedAperture) => void
  readonly interrupts: HostInterrupts
  readonly posting: InterruptPosting
  readonly drivers: DriverCore
  readonly sriov: SriovControl
  readonly hotplug: Hotplug
  readonly errors: ErrorService
  readonly vfio: Vfio
}

/** @param halt stops the kernel. @param saved a state to go on from */
export function makeParts(
  machine: MachinePort,
  options: HostOptions,
  halt: (reason: string) => never,
  saved: SavedHost | undefined,
): KernelParts {
  const { trace } = options.engine
  const tables = saved === undefined ? readFirmwareTables(machine) : firmwareTablesIn(saved.firmware)
  const parameters = parseCommandLine(options.commandLine ?? DEFAULT_COMMAND_LINE)
  const { hostBridges } = tables
  const allocator = new PageAllocator(allocatablePages(tables.memoryMap))
  const functions = new Map<string, HostPciFunction>()
  const rootOf = (fn: HostPciFunction): HostBridgeResources => rootBridge(fn, hostBridges)
  const scanner = new PciScanner(machine, tables.ecam, parameters)
  const rules = KERNEL_RULES[options.kernel ?? '6.1']
  const memory = new TableMemory(machine, allocator)
  const names = options.unitNames ?? new Map<number, string>()
  const { aperture } = tables
  const apertureName = aperture === undefined ? undefined : (names.get(aperture) ?? 'gart')
  const iommu = new Iommu({
    machine,
    memory,
    dmar: tables.dmar,
    parameters,
    trace,
    engine: options.engine,
    halt,
    usable: memoryPages(tables.memoryMap),
    unitNames: names,
    aperture: apertureName,
    rules: rules.grouping,
    saved: saved?.iommu,
  })
  // Under a hypervisor every invalidation is a detour through it anyway: Linux does not batch them there.
  const strict = parameters.strict || iommu.units.some(unit => unit.cachesNotPresent)
  const dma = new KernelDma({ iommu, memory, strict })
  const openAperture = (state?: SavedAperture): void => {
    if (aperture === undefined || !parameters.aperture) return
    dma.aperture = new ApertureDriver(apertureName!, memory, aperture, parameters.apertureOrder, state)
    if (state !== undefined) return
    trace.emit('host', `${apertureName} is enabled: one table for all devices`, { unit: apertureName })
  }
  const interrupts = new HostInterrupts(machine, trace)
  const drivers = new DriverCore({
    machine,
    interrupts,
    iommu,
    dma,
    trace,
    missingDrivers: options.missingDrivers ?? [],
    overrides: options.driverOverrides ?? {},
    portServices: { ...rules.portServices, errorReporting: parameters.errorReporting },
    onPortInterrupt: port => {
      hotplug.interrupted(port)
      errors.interrupted(port)
      return hotplug.hasEvents(port) || hasRootErrors(port) || hasContained(port)
    },
    servesHotplug: port => hotplug.serves(port),
  })
  const accessControl = new AccessControl({
    machine,
    parameters,
    rules,
    at: (segment, rid) => functions.get(formatFunctionAddress(segment, rid as RequesterId)),
  })
  const posting = new InterruptPosting(interrupts)
  const sriov = new SriovControl({
    scanner,
    iommu,
    drivers,
    engine: options.engine,
    accessControl,
    autoprobe: options.driversAutoprobe ?? true,
    vfioSriov: parameters.vfioSriov,
    rootOf,
    functions,
  })
  const hotplug: Hotplug = new Hotplug({
    scanner,
    iommu,
    drivers,
    accessControl,
    sriov,
    engine: options.engine,
    functions,
    rootOf,
  })
  const errors: ErrorService = new ErrorService({
    drivers,
    engine: options.engine,
    functions,
    forgetLinkEvents: port => hotplug.forgetLinkEvents(port),
    wasReset: fn => vfio.wasReset(fn),
  })
  const vfio: Vfio = new Vfio({
    iommu,
    drivers,
    engine: options.engine,
    rules: {
      allowUnsafeInterrupts: parameters.allowUnsafeInterrupts,
      reservedMemoryErrno: rules.reservedMemoryErrno,
    },
    find: address => findFunction(functions, address),
  })
  return {
    machine,
    options,
    parameters,
    tables,
    hostBridges,
    memory: allocator,
    functions,
    scanner,
    iommu,
    accessControl,
    dma,
    openAperture,
    interrupts,
    posting,
    drivers,
    sriov,
    hotplug,
    errors,
    vfio,
  }
}

function rootBridge(fn: HostPciFunction, hostBridges: readonly HostBridgeResources[]): HostBridgeResources {
  let top = fn
  while (top.above !== undefined) top = top.above
  const bus = top.rid >>> 8
  const root = hostBridges.find(
    bridge => bridge.segment === fn.segment && bridge.bus <= bus && bus <= bridge.lastBus,
  )
  assert(root !== undefined, 'every function was found below a host bridge')
  return root
}

/** `bb:dd.f` without the segment. */
const SHORT_ADDRESS = '00:00.0'.length

/** Throws `notFound`. */
export function findFunction(
  functions: ReadonlyMap<string, HostPciFunction>,
  address: string,
): HostPciFunction {
  const fn = functions.get(address.length === SHORT_ADDRESS ? `0000:${address}` : address)
  if (fn === undefined) throw new NorthbridgeError('notFound', `there is no function ${address}`)
  return fn
}
