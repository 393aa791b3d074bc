/**
 * One virtual machine: memory, EPT, virtual processors and the board around them. The board is a small one: no I/O APIC
 * (so no INTx), no APIC timer, no firmware (every virtual processor starts in the guest kernel, INIT and start-up IPIs
 * do nothing), config space by mechanism #1 only (256 bytes), no I/O or ROM BARs. NMI and SMI messages are dropped.
 */
import { assert, type NorthbridgeError, opened, type PageNumber, pageOf, type Saved } from '../core/index.ts'
import { OVER, type Software } from '../engine/index.ts'
import type { PostedTarget } from '../host/index.ts'
import { XAPIC_BASE } from '../interrupts/formats/local-apic.ts'
import { EPT_ENTRY, INVEPT } from '../vmx/formats/ept.ts'
import { ApicPages } from './apic-pages.ts'
import { DeviceWindows } from './device-windows.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import { EmulatedFunction, type EmulationHost, type SavedEmulatedFunction } from './emulated-function.ts'
import type { VcpuBoard } from './exit-handling.ts'
import type { ExtendedPageTable } from './extended-page-table.ts'
import type { GuestMemory } from './guest-memory.ts'
import type { HostProcessor } from './host-processor.ts'
import { endTurn, InterruptFabric } from './interrupt-fabric.ts'
import type { MachineContext, SavedMachine } from './machine-state.ts'
import { viewOf } from './machine-view.ts'
import { MachineMemory } from './memory/machine-memory.ts'
import type { DirtyLog, DirtyTracking } from './moves/dirty-log.ts'
import type { MachineImage } from './moves/machine-image.ts'
import type { GuestImage, GuestProgram, InterruptDelivery, VirtualMachine, VmOptions } from './types.ts'
import type { Vcpu } from './vcpu.ts'
import { makeVcpu, type VcpuSurroundings } from './vcpu-assembly.ts'
import type { SavedVcpu } from './vcpu-options.ts'
import { vcpuPages } from './vcpu-pages.ts'
import { makeMachineUnit, restoreMachineUnit } from './viommu/machine-unit.ts'
import type { VirtualUnit } from './viommu/virtual-unit.ts'
import { type BusDevice, type MemoryDevice, VirtualBus } from './virtual-bus.ts'
import { type FunctionHost, VirtualFunction } from './virtual-function.ts'

const ALL_ONES = 0xffff_ffff
const { R, W, X } = EPT_ENTRY
/** Guest-physical page of the xAPIC registers. */
const XAPIC_PAGE = pageOf(XAPIC_BASE)

export class Machine implements VcpuBoard, FunctionHost, EmulationHost {
  readonly name: string
  readonly memoryMiB: number
  readonly memory: GuestMemory
  readonly vcpus: Vcpu[] = []
  readonly bus: VirtualBus<BusDevice>
  readonly interrupts: InterruptDelivery
  /** Whether guests find VMX. */
  readonly nested: boolean
  readonly vmcsShadowing: boolean
  readonly program: GuestProgram
  #unit: VirtualUnit | undefined
  readonly #context: MachineContext
  readonly #fabric: InterruptFabric
  /** Its memory, and where it comes from. */
  readonly space: MachineMemory
  readonly #ept: ExtendedPageTable
  /** Unless the hypervisor emulates the local APICs. */
  readonly #apicPages: ApicPages | undefined
  #xapicMapped = false
  /** Emulated devices that were there when the machine was saved and whose makers have not put them back yet, by slot. */
  readonly #awaited = new Map<number, SavedEmulatedFunction>()
  /** Where its devices have memory. */
  readonly windows = new DeviceWindows()
  /** Its virtual processors do not run, and its emulated devices take nothing from outside. */
  paused = false
  /** What the guest's clock is ahead of the host's, nanoseconds: it may have come from another host. */
  #clockAhead = 0

  /**
   * Takes memory, tables and processors. Throws `outOfMemory` or `unsupported`, having taken nothing.
   *
   * @param saved a machine that has taken them already, see {@link Machine.restore}
   */
  constructor(
    context: MachineContext,
    options: VmOptions,
    processors: readonly HostProcessor[],
    saved?: SavedMachine,
  ) {
    this.#context = context
    this.#fabric = new InterruptFabric(options.name, this.vcpus, context.engine.trace)
    this.name = options.name
    this.memoryMiB = options.memoryMiB
    this.interrupts = options.interrupts ?? 'emulated'
    this.nested = options.nested ?? false
    this.vmcsShadowing = options.vmcsShadowing ?? false
    this.program = options.program ?? 'kernel'
    const memory = new MachineMemory(context, options, processors, () => this.#forget(), saved?.memory)
    this.space = memory
    this.memory = memory.memory
    this.#ept = memory.ept
    this.bus = new VirtualBus(vector => this.raise(this.vcpus[0]!, vector))
    if (saved !== undefined) {
      if (saved.viommu !== null) this.#unit = restoreMachineUnit(context, this, saved.viommu)
      if (saved.apicPages !== null)
        this.#apicPages = new ApicPages(context.machine, context.pages, saved.apicPages)
      for (const [number, processor] of processors.entries())
        this.#addVcpu(number, processor, saved.vcpus[number])
      return
    }
    try {
      if (options.viommu !== undefined) this.#unit = makeMachineUnit(context, this, options.viommu)
      if (this.interrupts !== 'emulated') {
        this.#apicPages = new ApicPages(context.machine, context.pages)
        this.#ept.map(XAPIC_PAGE, this.#apicPages.accessPage, 1, 'WB')
        this.#xapicMapped = true
      }
      context.pages.require(vcpuPages(options, processors), 'the virtual processors')
      for (const [number, processor] of processors.entries()) this.#addVcpu(number, processor)
    } catch (error) {
      this.free()
      throw error
    }
  }

  #addVcpu(number: number, processor: HostProcessor, saved?: SavedVcpu): void {
    const around: VcpuSurroundings = {
      context: this.#context,
      machine: this,
      ept: this.#ept,
      apicPages: this.#apicPages,
      send: command => this.#fabric.command(number, command),
      leaveXapic: () => this.#leaveXapic(),
    }
    this.vcpus.push(makeVcpu(around, number, processor, saved))
  }

  /** In x2APIC mode nothing answers at the xAPIC page. Who is in xAPIC mode still exits there, and is answered. */
  #leaveXapic(): void {
    if (!this.#xapicMapped) return
    this.#xapicMapped = false
    this.unmap(XAPIC_PAGE, 1)
  }

  /** Pins a virtual processor elsewhere. */
  move(vcpu: Vcpu, processor: HostProcessor): void {
    if (vcpu.processor === processor) return
    vcpu.moveTo(processor, to => this.#invalidateEpt(to))
  }

  /** Clears memory and runs the first guest code of every virtual processor. */
  *start(image: GuestImage): Software {
    this.memory.zero()
    const software = image()
    for (const vcpu of this.vcpus) yield* vcpu.start(software(vcpu, vcpu.number))
  }

  /**
   * A machine as it was: memory, tables and processors are in the state of that moment. Throws `invalidDocument` for a
   * state of another version.
   */
  static restore(
    context: MachineContext,
    images: Readonly<Record<GuestProgram, GuestImage>>,
    processors: readonly HostProcessor[],
    from: Saved,
  ): Machine {
    const saved = opened<SavedMachine>(from, 'a virtual machine', 5)
    for (const vcpu of saved.vcpus) opened(vcpu, 'a virtual processor', 3)
    const pinned = saved.vcpus.map(({ processor }) => processors[processor]!)
    const { backing, hugePages } = saved.memory
    const options = { ...saved, viommu: undefined, backing, hugePages, vcpus: pinned.length }
    const machine = new Machine(context, options, pinned, saved)
    machine.#load(saved, images[saved.program])
    return machine
  }

  #load(saved: SavedMachine, image: GuestImage): void {
    this.#xapicMapped = saved.xapicMapped
    this.windows.load(saved.claims)
    this.paused = saved.paused
    this.#clockAhead = saved.clockAhead
    this.bus.load(saved.bus)
    const software = image()
    for (const vcpu of this.vcpus) vcpu.load(saved.vcpus[vcpu.number]!, software(vcpu, vcpu.number))
    const { host, machine } = this.#context
    for (const device of saved.devices) {
      const assigned = host.assignedFunction(device.address)
      const around = this.#unit?.hostOf(assigned, this) ?? this
      this.bus.restore(device.slot, new VirtualFunction(assigned, device.slot, machine, around, device))
    }
    for (const device of saved.emulated) this.#awaited.set(device.slot, device)
  }

  /** New, it takes the place of one elsewhere; the makers of its devices put them back. */
  adopt(image: MachineImage, program: GuestImage): void {
    this.windows.load(image.claims)
    this.bus.load(image.bus)
    this.#clockAhead = image.clock - this.#context.engine.now
    const software = program()
    for (const vcpu of this.vcpus) {
      vcpu.adopt(image.vcpus[vcpu.number]!, software(vcpu, vcpu.number))
      vcpu.setClock(this.#clockAhead)
    }
    for (const device of image.emulated) this.#awaited.set(device.slot, device)
  }

  /** The slot of an emulated device of a kind that is still to be put back. */
  awaits(kind: string): number | undefined {
    return [...this.#awaited.values()].find(device => device.kind === kind)?.slot
  }

  /** Puts an emulated device back into the slot that it was in when the machine was saved. */
  replug(slot: number, device: EmulatedDevice): void {
    const saved = this.#awaited.get(slot)
    assert(saved !== undefined, 'a device comes back to the slot that it was in')
    this.#awaited.delete(slot)
    this.bus.restore(slot, new EmulatedFunction(device, slot, this, saved))
  }

  free(): void {
    for (const vcpu of this.vcpus) vcpu.free()
    this.#apicPages?.free()
    this.space.free()
  }

  // The virtual interrupt fabric.

  /** An interrupt of the hypervisor's own making. False if the local APIC does not take it. */
  raise(vcpu: Vcpu, vector: number): boolean {
    return this.#fabric.raise(vcpu, vector)
  }

  postingTarget(address: number, data: number): PostedTarget | undefined {
    return this.#fabric.postingTarget(address, data)
  }

  deliver(address: number, data: number): boolean {
    return this.#fabric.deliver(address, data)
  }

  vcpuFor(address: number): number | null {
    return this.#fabric.vcpuFor(address)
  }

  processorFor(address: number): number {
    return this.vcpus[this.vcpuFor(address) ?? 0]!.processor.number
  }

  reschedule(processor: number): void {
    endTurn(this.#context, processor)
  }

  hostInterrupt(processor: number, vector: number): void {
    this.#context.host.interrupt(processor, vector)
  }

  // The board: ports and device memory.

  get vcpuCount(): number {
    return this.vcpus.length
  }

  get now(): number {
    return this.#context.engine.now + this.#clockAhead
  }

  portOwner(port: number): string | undefined {
    return this.bus.ownerOf(port)
  }

  in(port: number, width: number): number {
    return this.bus.in(port, width)
  }

  out(port: number, width: number, value: number): Software {
    return this.bus.out(port, width, value)
  }

  /** Its remapping unit, if it has one. */
  get unit(): VirtualUnit | undefined {
    return this.#unit
  }

  /** Functions of the host that the machine has. */
  get assigned(): VirtualFunction[] {
    return this.bus.devices.filter(device => device instanceof VirtualFunction)
  }

  /** Functions that the hypervisor makes. */
  get emulated(): EmulatedFunction[] {
    return this.bus.devices.filter(device => device instanceof EmulatedFunction)
  }

  #deviceAt(address: number): MemoryDevice | undefined {
    if (this.#unit?.claims(address)) return this.#unit
    return this.bus.devices.find(device => device.claims(address))
  }

  memoryOwner(address: number): string | undefined {
    return this.#deviceAt(address)?.ownerAt(address)
  }

  /** Guest memory is reached here only by an access that also touches what is not memory. */
  readDword(address: number): number {
    if (this.memory.contains(address, 4))
      return this.#context.machine.readDword(this.memory.hostAddress(address))
    return this.#deviceAt(address)?.readMemory(address) ?? ALL_ONES
  }

  /** Has every store of the guest to a page of its memory exit, or lets it write again. */
  protect(page: PageNumber, on: boolean): void {
    this.#ept.split(page, 1)
    this.#ept.protect(page, 1, on ? R.mask | X.mask : R.mask | W.mask | X.mask)
    this.#forget()
  }

  writeDword(address: number, value: number, lanes: number): Software {
    if (!this.memory.contains(address, 4)) {
      const device = this.#deviceAt(address)
      return device === undefined ? OVER : device.writeMemory(address, value, lanes)
    }
    this.memory.dirtied?.(address, 4)
    this.#context.machine.writeDword(this.memory.hostAddress(address, true), value, lanes)
    return this.#unit?.stored(address) ?? OVER
  }

  // The memory map of devices.

  claim(base: number, size: number): boolean {
    return this.windows.claim(base, size)
  }

  release(base: number): void {
    this.windows.release(base)
  }

  map(guestPage: PageNumber, hostPage: PageNumber, pages: number): void {
    this.#ept.map(guestPage, hostPage, pages, 'UC')
  }

  /** Returns when no processor holds a translation of the range any more. */
  unmap(guestPage: PageNumber, pages: number): void {
    this.#ept.unmap(guestPage, pages)
    this.#forget()
    for (const vcpu of this.vcpus) vcpu.dropShadow()
  }

  /** Has every processor that may hold a translation of the machine's memory forget it. */
  #forget(): void {
    for (const processor of new Set(this.vcpus.map(vcpu => vcpu.processor))) this.#invalidateEpt(processor)
  }

  #invalidateEpt(processor: HostProcessor): void {
    processor.run({ op: 'invept', type: INVEPT.singleContext, eptp: this.#ept.pointer })
  }

  hasMemoryAt(address: number): boolean {
    return this.memory.contains(address, 1)
  }

  /** An EPT violation: brings what is missing. False: there is no memory at the address, or not for this access. */
  *memoryFault(address: number, write: boolean): Software<boolean> {
    return (yield* this.space.arrive(address)) || this.space.fault(address, write)
  }

  /** Finds out from now on which pages change. Throws `unsupported`, `outOfMemory`, `alreadyDone`. */
  startLog(tracking: DirtyTracking): DirtyLog {
    const { machine: port, pages } = this.#context
    return this.space.startLog(tracking, { port, pages, vcpus: this.vcpus, assigned: this.assigned })
  }

  modificationLogFull(vcpu: number): void {
    this.space.log!.full(this.vcpus[vcpu]!)
  }

  report(problem: string, error: NorthbridgeError): void {
    this.#context.engine.trace.emit('vm', `${this.name}: ${problem}: ${error.message}`, {
      vm: this.name,
      code: error.code,
    })
  }

  view(): VirtualMachine {
    return viewOf(this)
  }

  save(): SavedMachine {
    return {
      version: 5,
      name: this.name,
      memoryMiB: this.memoryMiB,
      interrupts: this.interrupts,
      nested: this.nested,
      vmcsShadowing: this.vmcsShadowing,
      program: this.program,
      memory: this.space.save(),
      apicPages: this.#apicPages?.save() ?? null,
      xapicMapped: this.#xapicMapped,
      bus: this.bus.save(),
      claims: this.windows.save(),
      viommu: this.#unit?.save() ?? null,
      paused: this.paused,
      clockAhead: this.#clockAhead,
      devices: this.assigned.map(device => device.save()),
      emulated: this.emulated.map(device => device.save()),
      vcpus: this.vcpus.map(vcpu => vcpu.save()),
    }
  }
}
