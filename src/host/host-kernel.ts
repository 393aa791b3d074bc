/** The host kernel: PCI core, IOMMU driver, driver binding, SR-IOV control and VFIO, brought up in Linux's order. */
import { hex, NorthbridgeError, opened, type Saved } from '../core/index.ts'
import { pause, type Software, sleep } from '../engine/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { DeviceAccess } from './device-access.ts'
import { driverNamed } from './driver-table.ts'
import type { InterruptPosting } from './interrupt-posting.ts'
import type { InterruptLine } from './interrupts.ts'
import { enableFaultInterrupt, enablePageRequestInterrupt, unmaskFaults } from './iommu/unit-interrupts.ts'
import { type IsolationDefect, mend, wantedEntry } from './isolation-defect.ts'
import { findFunction, type KernelParts, makeParts } from './kernel-parts.ts'
import type { PageAllocator } from './page-allocator.ts'
import { chooseResets, resetAndRestore, resetsOf } from './pci/function-reset.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import { enableErrorReporting } from './pci/port-services.ts'
import { loadParts, saveParts } from './restore.ts'
import type { SavedHost } from './saved-host.ts'
import { VF_ENABLE_TIME } from './sriov.ts'
import type {
  AssignedFunction,
  BlockedRequest,
  DmaBuffer,
  FunctionUsers,
  GroupRepairs,
  HostFault,
  HostFunction,
  HostOptions,
  IommuGroup,
  ResetMethod,
} from './types.ts'
import type { SavedContainer } from './vfio/container.ts'
import type { AttachOptions } from './vfio/vfio.ts'

export class HostKernel {
  readonly memory: PageAllocator
  readonly vfio: {
    attach(address: string, owner: string, options?: AttachOptions): Software<AssignedFunction>
    whyNot(address: string, owner: string): NorthbridgeError | undefined
    containers(): readonly SavedContainer[]
  }
  /** What the hypervisor needs for posted interrupts. */
  readonly posting: InterruptPosting
  readonly #options: HostOptions
  readonly #parts: KernelParts
  #halted: string | undefined

  /**
   * The kernel as it is loaded: it has read what firmware left in memory, and touched no device. Throws
   * `invalidArgument` for a command line that makes no sense, `outOfMemory` without usable memory.
   *
   * @param saved a state to go on from, see {@link HostKernel.restore}
   */
  constructor(machine: MachinePort, options: HostOptions, saved?: SavedHost) {
    this.#options = options
    this.#parts = makeParts(machine, options, reason => this.#halt(reason), saved)
    this.memory = this.#parts.memory
    this.posting = this.#parts.posting
    this.vfio = this.#parts.vfio
  }

  /**
   * The kernel as it was when it was saved, on a machine whose state is the one of that moment: nothing of the machine
   * is changed. Throws `invalidDocument` for a state of another version.
   */
  static restore(machine: MachinePort, options: HostOptions, saved: Saved): HostKernel {
    const state = opened<SavedHost>(saved, 'the host kernel', 4)
    opened(state.iommu as unknown as Saved, 'the IOMMU driver', 1)
    const kernel = new HostKernel(machine, options, state)
    loadParts(kernel.#parts, state)
    kernel.#halted = state.halted ?? undefined
    return kernel
  }

  /** The handle of a function that a virtual machine has: how the hypervisor finds its own after a restore. */
  assignedFunction(address: string): AssignedFunction {
    return this.#parts.vfio.handleOf(address)
  }

  /** Brings the kernel up. Throws what enabling the boot VFs throws. */
  *boot(): Software {
    const { engine, bootVfs = {}, faultInterrupts = false } = this.#options
    for (const root of this.#parts.hostBridges) {
      for (const fn of yield* this.#parts.scanner.scan(root)) this.#parts.functions.set(fn.address, fn)
    }
    yield* this.#parts.sriov.placeBars([...this.#parts.functions.values()])
    yield* this.#parts.iommu.remapInterrupts()
    this.#parts.interrupts.enable(this.#parts.iommu.extendedMode)
    for (const unit of this.#parts.iommu.units) {
      enableFaultInterrupt(unit, this.#parts.interrupts, engine.trace, faultInterrupts)
      enablePageRequestInterrupt(unit, this.#parts.interrupts)
    }
    const functions = [...this.#parts.functions.values()]
    this.#parts.accessControl.requested = this.#parts.iommu.wantsAccessControl(functions)
    for (const fn of functions) {
      this.#parts.accessControl.enable(fn)
      if (this.#parts.parameters.errorReporting) enableErrorReporting(fn)
      yield* pause()
    }
    yield* this.#parts.iommu.remapDma(functions)
    this.#parts.openAperture()
    for (const fn of functions) {
      yield* this.#parts.drivers.probe(fn)
      yield* pause()
    }
    for (const fn of functions) this.#parts.hotplug.start(fn)
    this.serviceInterrupts()
    yield* this.servePorts(NOBODY_TO_ASK)
    for (const [address, count] of Object.entries(bootVfs)) {
      const fn = this.#parts.functions.get(address)
      if (fn === undefined) {
        engine.trace.emit('host', `${address} does not answer: it has no virtual functions`, {
          function: address,
        })
        continue
      }
      yield* this.#lendDriver(fn)
      yield* this.#parts.sriov.setNumVfs(fn, count)
    }
    this.#parts.errors.remember()
  }

  /** Virtual functions that are wanted from boot on need a driver of their PF: the stub, if there is no other. */
  *#lendDriver(fn: HostPciFunction): Software {
    const stub = driverNamed('pci-pf-stub')
    if (stub === undefined || fn.virtualization === undefined || driverNamed(fn.driver)?.sriov !== undefined)
      return
    yield* this.#parts.drivers.unbind(fn)
    yield* this.#parts.drivers.bind(fn, stub)
  }

  /** Whether invalidations of what drivers unmapped are batched. */
  get defersInvalidation(): boolean {
    return !this.#parts.dma.strict
  }

  /** Why the kernel has stopped; undefined while it runs. */
  get halted(): string | undefined {
    return this.#halted
  }

  /** "Kernel panic": nothing is done from here on. Throws `hostHalted`. */
  #halt(reason: string): never {
    this.#halted = reason
    this.#options.engine.trace.emit('host', `kernel panic: ${reason}`, { reason })
    throw new NorthbridgeError('hostHalted', `the host kernel has stopped: ${reason}`, { reason })
  }

  /** Interrupts that were taken, by processor and vector. */
  interruptLines(): readonly InterruptLine[] {
    return this.#parts.interrupts.lines()
  }

  get functionCount(): number {
    return this.#parts.functions.size
  }

  /** Every function, by address. */
  functions(): readonly HostFunction[] {
    return [...this.#parts.functions.values()].sort((a, b) => a.segment - b.segment || a.rid - b.rid)
  }

  /** Throws `notFound`. */
  find(address: string): HostFunction {
    return this.#find(address)
  }

  /** Ascending by number. */
  groups(): readonly IommuGroup[] {
    return this.#parts.iommu.groups().map(state => ({
      id: state.group.id,
      functions: state.group.members.map(({ address }) => address).sort(),
      why: [...state.group.why],
      owner: this.#parts.iommu.ownerOf(state),
    }))
  }

  /** By which changes of the machine a group would fall apart. Throws `notFound`. */
  *groupRepairs(id: number): Software<GroupRepairs> {
    const state = this.#parts.iommu.groups().find(({ group }) => group.id === id)
    if (state === undefined) throw new NorthbridgeError('notFound', `there is no IOMMU group ${id}`)
    const { repairs, ...rest } = yield* this.#parts.iommu.repairs(state)
    return { ...rest, repairs: repairs.map(repair => this.#parts.accessControl.withParameter(repair)) }
  }

  /** Puts right what lets a function reach too far. Throws `notFound` for what this kernel did not make. */
  *mend(defect: IsolationDefect): Software {
    yield* mend(this.#parts, defect)
  }

  /** What {@link mend} would write in place of an entry of a function's paging tables; undefined: it would refuse. */
  wantedEntry(address: string, entry: number): 'leaf' | 'nothing' | undefined {
    return wantedEntry(this.#parts, address, entry)
  }

  /**
   * Enables or disables virtual functions of a PF. Throws `sriovUnsupported`, `sriovOutOfRange`, `sriovBusy`,
   * `outOfResources`, `outOfMemory`, with the name of Linux's errno in `details.errno`; nothing has changed then.
   */
  *setNumVfs(address: string, count: number): Software {
    yield* this.#parts.sriov.setNumVfs(this.#find(address), count)
    this.#parts.errors.remember()
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
    const methods = resetsOf(fn)
    const method = yield* resetAndRestore(fn, methods, this.#options.engine)
    if (method === undefined) {
      const message = `${address} does not answer after its reset (${methods.join(', ')})`
      throw new NorthbridgeError('resetUnavailable', message, { function: address, errno: 'ENOTTY' })
    }
    // Virtual functions were enabled anew.
    if (fn.virtuals.length > 0) yield* sleep(this.#options.engine, VF_ENABLE_TIME)
    for (const one of [fn, ...fn.virtuals]) yield* this.#parts.drivers.rearm(one)
    this.#options.engine.trace.emit('reset', `${address} was reset (${method})`, {
      function: address,
      method,
    })
    return { method }
  }

  /**
   * Writes sysfs `reset_method`: which resets of a function are used, in this order; none: it is not reset any more;
   * undefined: those that it has, in the kernel's order. Throws `invalidArgument` for one that it does not have.
   */
  chooseResets(address: string, methods: readonly ResetMethod[] | undefined): void {
    chooseResets(this.#find(address), methods, this.#options.engine.trace)
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
      if (fn.virtuals.length > 0) yield* this.#parts.sriov.setNumVfs(fn, 0)
      return yield* this.#parts.drivers.unbind(fn)
    }
    const row = driverNamed(driver)
    if (row === undefined) throw new NorthbridgeError('notFound', `there is no driver "${driver}"`)
    yield* this.#parts.drivers.bind(fn, row)
  }

  /** The kernel's interrupt entry on a processor in root operation: dispatches a vector and signals EOI. */
  interrupt(processor: number, vector: number): void {
    this.#parts.interrupts.dispatch(processor, vector)
  }

  /** Takes every interrupt that is deliverable on processors in root operation. Returns how many. */
  serviceInterrupts(): number {
    return this.#parts.interrupts.takeAll()
  }

  /**
   * Reads, tells and clears the errors that ports were told of, and puts back what was reset for them. Takes away what
   * left a hot-plug slot and brings up what came. Returns whether there was anything to do.
   *
   * @param users are told of functions that virtual machines have.
   */
  *servePorts(users: FunctionUsers): Software<boolean> {
    if (!this.portsHaveWork) return false
    const hadErrors = yield* this.#parts.errors.serve(users)
    if (!this.#parts.hotplug.hasWork) return hadErrors
    yield* this.#parts.hotplug.serve(users)
    this.#parts.errors.remember()
    return true
  }

  /** Whether a port has interrupted for {@link servePorts}. */
  get portsHaveWork(): boolean {
    return this.#parts.errors.hasWork || this.#parts.hotplug.hasWork
  }

  /** Whether there is a unit with a queue for page requests. */
  get takesPageRequests(): boolean {
    return this.#parts.iommu.takesPageRequests
  }

  /** Answers what devices asked for by page requests. Returns the number of answers. */
  *answerPageRequests(): Software<number> {
    return yield* this.#parts.iommu.answerPageRequests()
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
    return yield* this.#parts.dma.allocate(this.#find(address), pages, access, false)
  }

  /** Takes a buffer back, by the address at which the function reaches it. Throws `notFound`, `functionInUse`. */
  *freeBuffer(address: string, ioAddress: number): Software {
    const fn = this.#find(address)
    if (this.buffers(address).find(buffer => buffer.address === ioAddress)?.inUse) {
      throw new NorthbridgeError(
        'functionInUse',
        `driver ${fn.driver} works with the buffer at ${hex(ioAddress)}`,
        { function: fn.address },
      )
    }
    yield* this.#parts.dma.free(fn, ioAddress)
  }

  /** What the kernel's driver of a function has of it. Throws `notFound`; `functionInUse` if it has no driver. */
  device(address: string): DeviceAccess {
    const { machine, dma, drivers } = this.#parts
    return new DeviceAccess(machine, this.#find(address), dma, drivers)
  }

  /** Buffers of a function, ascending by address. */
  buffers(address: string): readonly DmaBuffer[] {
    return this.#parts.dma.buffers(this.#find(address))
  }

  /** Makes every unit forget the buffers that were taken back in deferred mode. */
  *flushDeferred(): Software {
    yield* this.#parts.dma.flush()
  }

  /** The newest faults of a unit that its driver has read, oldest first; none while fault interrupts are masked. */
  faults(unit: string): readonly HostFault[] {
    const found = this.#parts.iommu.units.find(({ name }) => name === unit)
    if (found === undefined) throw new NorthbridgeError('notFound', `there is no remapping unit "${unit}"`)
    return found.faults.faults
  }

  /**
   * Has every unit interrupt for faults, and tells `listener` of the requests that they blocked; `undefined` ends it. What
   * was told to a listener before a state was saved goes on by {@link resumeFaults}.
   */
  followFaults(listener: ((request: BlockedRequest) => void) | undefined): void {
    this.resumeFaults(listener)
    const unmask = listener !== undefined || this.#options.faultInterrupts === true
    for (const unit of this.#parts.iommu.units) unmaskFaults(unit, unmask)
  }

  resumeFaults(listener: ((request: BlockedRequest) => void) | undefined): void {
    for (const unit of this.#parts.iommu.units) unit.onFault = listener
  }

  save(): SavedHost {
    return saveParts(this.#parts, this.#halted)
  }

  #find(address: string): HostPciFunction {
    return findFunction(this.#parts.functions, address)
  }
}

/** While the kernel boots there is no virtual machine that a function would have to be taken from. */
const NOBODY_TO_ASK: FunctionUsers = { *surrender() {}, *failed() {} }
