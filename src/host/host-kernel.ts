/** The host kernel: PCI core, IOMMU driver, driver binding, SR-IOV control and VFIO, brought up in Linux's order. */
import { assert, NorthbridgeError, type Saved } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import type { HostBridgeResources } from '../platform/formats/boot-parameters.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { ApertureDriver } from './aperture.ts'
import { type KernelParameters, parseCommandLine } from './command-line.ts'
import { DriverCore } from './driver-core.ts'
import { driverNamed } from './driver-table.ts'
import { allocatablePages, memoryPages, readFirmwareTables } from './firmware-tables.ts'
import { InterruptPosting } from './interrupt-posting.ts'
import { HostInterrupts } from './interrupts.ts'
import { Iommu } from './iommu/iommu.ts'
import { enableFaultInterrupt, enablePageRequestInterrupt } from './iommu/unit-interrupts.ts'
import { KernelDma } from './kernel-dma.ts'
import { KERNEL_RULES } from './kernel-rules.ts'
import { PageAllocator } from './page-allocator.ts'
import { enableAccessControl } from './pci/access-control.ts'
import { bestReset, resetAndRestore } from './pci/function-reset.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import { PciScanner } from './pci/scan.ts'
import { SriovControl } from './sriov.ts'
import { TableMemory } from './table-memory.ts'
import type {
  AssignedFunction,
  DmaBuffer,
  HostFault,
  HostFunction,
  HostOptions,
  IommuGroup,
  ResetMethod,
} from './types.ts'
import { Vfio } from './vfio/vfio.ts'

/** As Debian's kernel needs it: DMA remapping is built in, but off until asked for. */
const DEFAULT_COMMAND_LINE = 'intel_iommu=on'

export class HostKernel {
  readonly memory: PageAllocator
  /** What the hypervisor needs for posted interrupts. */
  readonly posting: InterruptPosting
  readonly vfio: { attach(address: string, owner: string): Software<AssignedFunction> }
  readonly #options: HostOptions
  readonly #parameters: KernelParameters
  readonly #hostBridges: readonly HostBridgeResources[]
  /** By address, in the order of discovery. */
  readonly #functions = new Map<string, HostPciFunction>()
  readonly #scanner: PciScanner
  readonly #iommu: Iommu
  readonly #dma: KernelDma
  readonly #openAperture: () => void
  readonly #interrupts: HostInterrupts
  readonly #drivers: DriverCore
  readonly #sriov: SriovControl
  readonly #vfio: Vfio

  /**
   * The kernel as it is loaded: it has read what firmware left in memory, and touched no device. Throws
   * `invalidArgument` for a command line that makes no sense, `outOfMemory` without usable memory.
   */
  constructor(machine: MachinePort, options: HostOptions) {
    const { trace } = options.engine
    const tables = readFirmwareTables(machine)
    this.#options = options
    this.#parameters = parseCommandLine(options.commandLine ?? DEFAULT_COMMAND_LINE)
    this.#hostBridges = tables.hostBridges
    this.memory = new PageAllocator(allocatablePages(tables.memoryMap))
    this.#scanner = new PciScanner(machine, tables.ecam)
    const memory = new TableMemory(machine, this.memory)
    const names = options.unitNames ?? new Map<number, string>()
    const { aperture } = tables
    const apertureName = aperture === undefined ? undefined : (names.get(aperture) ?? 'gart')
    const iommu = new Iommu({
      machine,
      memory,
      dmar: tables.dmar,
      parameters: this.#parameters,
      trace,
      usable: memoryPages(tables.memoryMap),
      unitNames: names,
      aperture: apertureName,
    })
    // Under a hypervisor every invalidation is a detour through it anyway: Linux does not batch them there.
    const strict = this.#parameters.strict || iommu.units.some(unit => unit.cachesNotPresent)
    const dma = new KernelDma({ iommu, memory, strict })
    this.#dma = dma
    this.#openAperture = () => {
      if (aperture === undefined || !this.#parameters.aperture) return
      dma.aperture = new ApertureDriver(apertureName!, memory, aperture, this.#parameters.apertureOrder)
      trace.emit('host', `${apertureName} is enabled: one table for all devices`, { unit: apertureName })
    }
    const interrupts = new HostInterrupts(machine)
    const drivers = new DriverCore({
      machine,
      interrupts,
      iommu,
      dma,
      trace,
      missingDrivers: options.missingDrivers ?? [],
      overrides: options.driverOverrides ?? {},
    })
    this.#iommu = iommu
    this.#interrupts = interrupts
    this.posting = new InterruptPosting(interrupts)
    this.#drivers = drivers
    this.#sriov = new SriovControl({
      scanner: this.#scanner,
      iommu,
      drivers,
      trace,
      autoprobe: options.driversAutoprobe ?? true,
      rootOf: fn => this.#rootOf(fn),
      functions: this.#functions,
    })
    this.#vfio = new Vfio({
      iommu,
      drivers,
      trace,
      allowUnsafeInterrupts: this.#parameters.allowUnsafeInterrupts,
      find: address => this.#find(address),
    })
    this.vfio = this.#vfio
  }

  /** Brings the kernel up. Throws what enabling the boot VFs throws. */
  *boot(): Software {
    const { engine, kernel = '6.1', bootVfs = {}, faultInterrupts = false } = this.#options
    for (const root of this.#hostBridges) {
      for (const fn of yield* this.#scanner.scan(root)) this.#functions.set(fn.address, fn)
    }
    for (const fn of this.#functions.values()) {
      this.#sriov.placeBars(fn)
      yield* pause()
    }
    yield* this.#iommu.remapInterrupts()
    this.#interrupts.enable(this.#iommu.extendedMode)
    for (const unit of this.#iommu.units) {
      enableFaultInterrupt(unit, this.#interrupts, engine.trace, faultInterrupts)
      enablePageRequestInterrupt(unit, this.#interrupts)
    }
    const functions = [...this.#functions.values()]
    const requested = this.#iommu.wantsAccessControl(functions)
    const unredirected = new Set(this.#parameters.disableAcsRedirection)
    for (const fn of functions) {
      enableAccessControl(fn, requested, unredirected.has(fn.address), KERNEL_RULES[kernel])
      yield* pause()
    }
    yield* this.#iommu.remapDma(functions)
    this.#openAperture()
    for (const fn of functions) {
      yield* this.#drivers.probe(fn)
      yield* pause()
    }
    for (const [address, count] of Object.entries(bootVfs)) {
      yield* this.#sriov.setNumVfs(this.#find(address), count)
    }
  }

  /** Every function, by address. */
  functions(): readonly HostFunction[] {
    return [...this.#functions.values()].sort((a, b) => a.segment - b.segment || a.rid - b.rid)
  }

  /** Throws `notFound`. */
  find(address: string): HostFunction {
    return this.#find(address)
  }

  /** Ascending by number. */
  groups(): readonly IommuGroup[] {
    return this.#iommu.groups().map(state => ({
      id: state.group.id,
      functions: state.group.members.map(({ address }) => address).sort(),
      why: [...state.group.why],
      owner: this.#iommu.ownerOf(state),
    }))
  }

  /**
   * Enables or disables virtual functions of a PF. Throws `sriovUnsupported`, `sriovOutOfRange`, `sriovBusy`,
   * `outOfResources`, `outOfMemory`, with the name of Linux's errno in `details.errno`; nothing has changed then.
   */
  *setNumVfs(address: string, count: number): Software {
    yield* this.#sriov.setNumVfs(this.#find(address), count)
  }

  /**
   * Resets a function by the best method it has and puts its configuration, driver and VFs back. Throws
   * `resetUnavailable`, or `functionInUse` if a virtual machine holds it or one of its VFs.
   */
  *reset(address: string): Software<{ readonly method: ResetMethod }> {
    const fn = this.#find(address)
    const held = [fn, ...fn.virtuals].find(({ owner }) => owner.kind === 'vm')
    if (held !== undefined) {
      throw new NorthbridgeError(
        'functionInUse',
        `${address} is not reset: ${held.address} is assigned to a virtual machine`,
        { function: held.address, owner: held.owner, errno: 'EBUSY' },
      )
    }
    const method = bestReset(fn)
    yield* resetAndRestore(fn, method)
    for (const one of [fn, ...fn.virtuals]) yield* this.#drivers.rearm(one)
    this.#options.engine.trace.emit('reset', `${address} was reset (${method})`, {
      function: address,
      method,
    })
    return { method }
  }

  /**
   * Binds a driver to a function, or with null takes the driver off it, as sysfs `bind` and `unbind` do. Throws
   * `notFound` for an unknown driver, `functionInUse`.
   */
  *bind(address: string, driver: string | null): Software {
    const fn = this.#find(address)
    if (fn.owner.kind === 'vm') {
      throw new NorthbridgeError(
        'functionInUse',
        `${address} is assigned to virtual machine "${fn.owner.name}"`,
        {
          errno: 'EBUSY',
        },
      )
    }
    if (driver === null) {
      if (fn.virtuals.length > 0) yield* this.#sriov.setNumVfs(fn, 0)
      return yield* this.#drivers.unbind(fn)
    }
    const row = driverNamed(driver)
    if (row === undefined) throw new NorthbridgeError('notFound', `there is no driver "${driver}"`)
    yield* this.#drivers.bind(fn, row)
  }

  /** The kernel's interrupt entry on a processor in root operation: dispatches a vector and signals EOI. */
  interrupt(processor: number, vector: number): void {
    this.#interrupts.dispatch(processor, vector)
  }

  /** Takes every interrupt that is deliverable on processors in root operation. Returns how many. */
  serviceInterrupts(): number {
    return this.#interrupts.takeAll()
  }

  /** Answers what devices asked for by page requests. Returns the number of answers. */
  *answerPageRequests(): Software<number> {
    return yield* this.#iommu.answerPageRequests()
  }

  /**
   * Memory for the driver of a function, at an address where the function reaches it. Throws `functionInUse` if no
   * driver of this kernel has the function; `outOfMemory`, `outOfResources`, with nothing changed.
   */
  *allocateBuffer(
    address: string,
    pages: number,
    access: { readonly read: boolean; readonly write: boolean },
  ): Software<DmaBuffer> {
    return yield* this.#dma.allocate(this.#find(address), pages, access)
  }

  /** Takes a buffer back, by the address at which the function reaches it. Throws `notFound`. */
  *freeBuffer(address: string, ioAddress: number): Software {
    yield* this.#dma.free(this.#find(address), ioAddress)
  }

  /** Buffers of a function, ascending by address. */
  buffers(address: string): readonly DmaBuffer[] {
    return this.#dma.buffers(this.#find(address))
  }

  /** Makes every unit forget the buffers that were taken back in deferred mode. */
  *flushDeferred(): Software {
    yield* this.#dma.flush()
  }

  /** The newest faults of a unit that its driver has read, oldest first; none while fault interrupts are masked. */
  faults(unit: string): readonly HostFault[] {
    const found = this.#iommu.units.find(({ name }) => name === unit)
    if (found === undefined) throw new NorthbridgeError('notFound', `there is no remapping unit "${unit}"`)
    return found.faults.faults
  }

  save(): Saved {
    return {
      version: 1,
      memory: this.memory.save(),
      functions: [...this.#functions.values()]
        .map(({ address, driver, owner }) => `${address} ${driver} ${JSON.stringify(owner)}`)
        .sort(),
      iommu: this.#iommu.save(),
      interrupts: this.#interrupts.save(),
      drivers: this.#drivers.save(),
      dma: this.#dma.save(),
      assigned: this.#vfio.save() as unknown as Saved,
    }
  }

  #find(address: string): HostPciFunction {
    const fn = this.#functions.get(address.length === SHORT_ADDRESS ? `0000:${address}` : address)
    if (fn === undefined) throw new NorthbridgeError('notFound', `there is no function ${address}`)
    return fn
  }

  #rootOf(fn: HostPciFunction): HostBridgeResources {
    let top = fn
    while (top.above !== undefined) top = top.above
    const bus = top.rid >>> 8
    const root = this.#hostBridges.find(
      bridge => bridge.segment === fn.segment && bridge.bus <= bus && bus <= bridge.lastBus,
    )
    assert(root !== undefined, 'every function was found below a host bridge')
    return root
  }
}

/** `bb:dd.f` without the segment. */
const SHORT_ADDRESS = '00:00.0'.length
