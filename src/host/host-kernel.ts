/** The host kernel: PCI core, IOMMU driver, driver binding, SR-IOV control and VFIO, brought up in Linux's order. */
import {
  assert,
  formatFunctionAddress,
  NorthbridgeError,
  type RequesterId,
  type Saved,
} from '../core/index.ts'
import { pause, type Software, sleep } from '../engine/index.ts'
import type { HostBridgeResources } from '../platform/formats/boot-parameters.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { ApertureDriver } from './aperture.ts'
import { type KernelParameters, parseCommandLine } from './command-line.ts'
import { DeviceAccess } from './device-access.ts'
import { DriverCore } from './driver-core.ts'
import { driverNamed } from './driver-table.ts'
import { ErrorService } from './error-service.ts'
import { allocatablePages, memoryPages, readFirmwareTables } from './firmware-tables.ts'
import { Hotplug, type Surrender } from './hotplug.ts'
import { InterruptPosting } from './interrupt-posting.ts'
import { HostInterrupts } from './interrupts.ts'
import { Iommu } from './iommu/iommu.ts'
import { enableFaultInterrupt, enablePageRequestInterrupt } from './iommu/unit-interrupts.ts'
import { KernelDma } from './kernel-dma.ts'
import { KERNEL_RULES } from './kernel-rules.ts'
import { PageAllocator } from './page-allocator.ts'
import { AccessControl } from './pci/access-control.ts'
import { bestReset, resetAndRestore } from './pci/function-reset.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import { enableErrorReporting } from './pci/port-services.ts'
import { PciScanner } from './pci/scan.ts'
import { SriovControl, VF_ENABLE_TIME } from './sriov.ts'
import { TableMemory } from './table-memory.ts'
import type {
  AssignedFunction,
  DmaBuffer,
  GroupRepairs,
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
  readonly vfio: {
    attach(address: string, owner: string): Software<AssignedFunction>
    whyNot(address: string, owner: string): NorthbridgeError | undefined
  }
  /** What the hypervisor needs for posted interrupts. */
  readonly posting: InterruptPosting
  readonly #options: HostOptions
  readonly #parameters: KernelParameters
  readonly #hostBridges: readonly HostBridgeResources[]
  /** By address, in the order of discovery. */
  readonly #functions = new Map<string, HostPciFunction>()
  readonly #scanner: PciScanner
  readonly #iommu: Iommu
  readonly #accessControl: AccessControl
  readonly #machine: MachinePort
  readonly #dma: KernelDma
  readonly #openAperture: () => void
  readonly #interrupts: HostInterrupts
  readonly #drivers: DriverCore
  readonly #sriov: SriovControl
  readonly #hotplug: Hotplug
  readonly #errors: ErrorService
  readonly #vfio: Vfio

  /**
   * The kernel as it is loaded: it has read what firmware left in memory, and touched no device. Throws
   * `invalidArgument` for a command line that makes no sense, `outOfMemory` without usable memory.
   */
  constructor(machine: MachinePort, options: HostOptions) {
    const { trace } = options.engine
    const tables = readFirmwareTables(machine)
    this.#machine = machine
    this.#options = options
    this.#parameters = parseCommandLine(options.commandLine ?? DEFAULT_COMMAND_LINE)
    this.#hostBridges = tables.hostBridges
    this.memory = new PageAllocator(allocatablePages(tables.memoryMap))
    this.#scanner = new PciScanner(machine, tables.ecam, this.#parameters)
    const rules = KERNEL_RULES[options.kernel ?? '6.1']
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
      rules: rules.grouping,
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
      portServices: { ...rules.portServices, errorReporting: this.#parameters.errorReporting },
      onPortInterrupt: port => {
        this.#hotplug.interrupted(port)
        this.#errors.interrupted(port)
      },
      servesHotplug: port => this.#hotplug.serves(port),
    })
    this.#accessControl = new AccessControl({
      machine,
      parameters: this.#parameters,
      rules,
      at: (segment, rid) => this.#functions.get(formatFunctionAddress(segment, rid as RequesterId)),
    })
    this.#iommu = iommu
    this.#interrupts = interrupts
    this.posting = new InterruptPosting(interrupts)
    this.#drivers = drivers
    this.#sriov = new SriovControl({
      scanner: this.#scanner,
      iommu,
      drivers,
      engine: options.engine,
      accessControl: this.#accessControl,
      autoprobe: options.driversAutoprobe ?? true,
      rootOf: fn => this.#rootOf(fn),
      functions: this.#functions,
    })
    this.#hotplug = new Hotplug({
      scanner: this.#scanner,
      iommu,
      drivers,
      accessControl: this.#accessControl,
      sriov: this.#sriov,
      engine: options.engine,
      functions: this.#functions,
      rootOf: fn => this.#rootOf(fn),
    })
    this.#errors = new ErrorService({
      drivers,
      engine: options.engine,
      functions: this.#functions,
      forgetLinkEvents: port => this.#hotplug.forgetLinkEvents(port),
    })
    this.#vfio = new Vfio({
      iommu,
      drivers,
      engine: options.engine,
      rules: {
        allowUnsafeInterrupts: this.#parameters.allowUnsafeInterrupts,
        reservedMemoryErrno: rules.reservedMemoryErrno,
      },
      find: address => this.#find(address),
    })
    this.vfio = this.#vfio
  }

  /** Brings the kernel up. Throws what enabling the boot VFs throws. */
  *boot(): Software {
    const { engine, bootVfs = {}, faultInterrupts = false } = this.#options
    for (const root of this.#hostBridges) {
      for (const fn of yield* this.#scanner.scan(root)) this.#functions.set(fn.address, fn)
    }
    yield* this.#sriov.placeBars([...this.#functions.values()])
    yield* this.#iommu.remapInterrupts()
    this.#interrupts.enable(this.#iommu.extendedMode)
    for (const unit of this.#iommu.units) {
      enableFaultInterrupt(unit, this.#interrupts, engine.trace, faultInterrupts)
      enablePageRequestInterrupt(unit, this.#interrupts)
    }
    const functions = [...this.#functions.values()]
    this.#accessControl.requested = this.#iommu.wantsAccessControl(functions)
    for (const fn of functions) {
      this.#accessControl.enable(fn)
      if (this.#parameters.errorReporting) enableErrorReporting(fn)
      yield* pause()
    }
    yield* this.#iommu.remapDma(functions)
    this.#openAperture()
    for (const fn of functions) {
      yield* this.#drivers.probe(fn)
      yield* pause()
    }
    for (const fn of functions) this.#hotplug.start(fn)
    this.serviceInterrupts()
    yield* this.servePorts(NOBODY_TO_ASK)
    for (const [address, count] of Object.entries(bootVfs)) {
      const fn = this.#find(address)
      yield* this.#lendDriver(fn)
      yield* this.#sriov.setNumVfs(fn, count)
    }
    this.#errors.remember()
  }

  /** Virtual functions that are wanted from boot on need a driver of their PF: the stub, if there is no other. */
  *#lendDriver(fn: HostPciFunction): Software {
    const stub = driverNamed('pci-pf-stub')
    if (stub === undefined || fn.virtualization === undefined || driverNamed(fn.driver)?.sriov !== undefined)
      return
    yield* this.#drivers.unbind(fn)
    yield* this.#drivers.bind(fn, stub)
  }

  /** Whether invalidations of what drivers unmapped are batched. */
  get defersInvalidation(): boolean {
    return !this.#dma.strict
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

  /** By which changes of the machine a group would fall apart. Throws `notFound`. */
  *groupRepairs(id: number): Software<GroupRepairs> {
    const state = this.#iommu.groups().find(({ group }) => group.id === id)
    if (state === undefined) throw new NorthbridgeError('notFound', `there is no IOMMU group ${id}`)
    const { repairs, ...rest } = yield* this.#iommu.repairs(state)
    return { ...rest, repairs: repairs.map(repair => this.#accessControl.withParameter(repair)) }
  }

  /**
   * Enables or disables virtual functions of a PF. Throws `sriovUnsupported`, `sriovOutOfRange`, `sriovBusy`,
   * `outOfResources`, `outOfMemory`, with the name of Linux's errno in `details.errno`; nothing has changed then.
   */
  *setNumVfs(address: string, count: number): Software {
    yield* this.#sriov.setNumVfs(this.#find(address), count)
    this.#errors.remember()
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
    if (!(yield* resetAndRestore(fn, method, this.#options.engine))) {
      const message = `${address} does not answer after its reset (${method})`
      throw new NorthbridgeError('resetUnavailable', message, { function: address, errno: 'ENOTTY' })
    }
    // Virtual functions were enabled anew.
    if (fn.virtuals.length > 0) yield* sleep(this.#options.engine, VF_ENABLE_TIME)
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
      const message = `${address} is assigned to virtual machine "${fn.owner.name}"`
      throw new NorthbridgeError('functionInUse', message, { errno: 'EBUSY' })
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

  /**
   * Reads, tells and clears the errors that ports were told of, and puts back what was reset for them. Takes away what
   * left a hot-plug slot and brings up what came. Returns whether there was anything to do.
   *
   * @param surrender takes a function away from the virtual machine that has it.
   */
  *servePorts(surrender: Surrender): Software<boolean> {
    const hadErrors = yield* this.#errors.serve(surrender)
    if (!this.#hotplug.hasWork) return hadErrors
    yield* this.#hotplug.serve(surrender)
    this.#errors.remember()
    return true
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

  /** What the kernel's driver of a function has of it. Throws `notFound`; `functionInUse` if it has no driver. */
  device(address: string): DeviceAccess {
    return new DeviceAccess(this.#machine, this.#find(address), this.#dma, this.#drivers)
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
      hotplug: this.#hotplug.save(),
      errors: this.#errors.save(),
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

/** While the kernel boots there is no virtual machine that a function would have to be taken from. */
const NOBODY_TO_ASK: Surrender = function* () {}

/** `bb:dd.f` without the segment. */
const SHORT_ADDRESS = '00:00.0'.length
