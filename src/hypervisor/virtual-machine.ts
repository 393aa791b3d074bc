/**
 * One virtual machine: memory, EPT, virtual processors and the board around them. The board is a small one: no I/O APIC
 * (so no INTx), no APIC timer, no firmware (every virtual processor starts in the guest kernel, INIT and start-up IPIs
 * do nothing), config space by mechanism #1 only (256 bytes), no I/O or ROM BARs. NMI and SMI messages are dropped.
 */
import { assert, hex, NorthbridgeError, opened, type PageNumber, pageOf, type Saved } from '../core/index.ts'
import { OVER, type Software } from '../engine/index.ts'
import type { PostedTarget } from '../host/index.ts'
import { XAPIC_BASE } from '../interrupts/formats/local-apic.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import { INVEPT } from '../vmx/formats/ept.ts'
import { ApicPages } from './apic-pages.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import { EmulatedFunction, type EmulationHost, type SavedEmulatedFunction } from './emulated-function.ts'
import type { VcpuBoard } from './exit-handling.ts'
import { ExtendedPageTable } from './extended-page-table.ts'
import { DEVICE_WINDOW_32, DEVICE_WINDOW_64, SLOT_EVENT_VECTOR } from './formats/virtual-board.ts'
import { GuestMemory } from './guest-memory.ts'
import type { HostProcessor } from './host-processor.ts'
import type { MachineContext, SavedMachine } from './machine-state.ts'
import { addressed, reaches } from './message-targets.ts'
import type { GuestImage, GuestProgram, InterruptDelivery, VirtualMachine, VmOptions } from './types.ts'
import type { Vcpu } from './vcpu.ts'
import { makeVcpu, type VcpuSurroundings } from './vcpu-assembly.ts'
import type { SavedVcpu } from './vcpu-options.ts'
import { vcpuPages } from './vcpu-pages.ts'
import { type InterruptCommand, isVectored } from './virtual-apic.ts'
import { type BusDevice, VirtualBus } from './virtual-bus.ts'
import { type FunctionHost, VirtualFunction } from './virtual-function.ts'
import { eptPointer } from './vmcs.ts'

const ALL_ONES = 0xffff_ffff
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
  readonly #context: MachineContext
  readonly #ept: ExtendedPageTable
  /** Unless the hypervisor emulates the local APICs. */
  readonly #apicPages: ApicPages | undefined
  #xapicMapped = false
  /** Emulated devices that were there when the machine was saved and whose makers have not put them back yet, by slot. */
  readonly #awaited = new Map<number, SavedEmulatedFunction>()
  /** Guest-physical ranges in use by BARs. */
  #claims: readonly { readonly base: number; readonly size: number }[] = []

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
    this.name = options.name
    this.memoryMiB = options.memoryMiB
    this.interrupts = options.interrupts ?? 'emulated'
    this.nested = options.nested ?? false
    this.vmcsShadowing = options.vmcsShadowing ?? false
    this.program = options.program ?? 'kernel'
    const size = options.memoryMiB * 2 ** 20
    this.memory = new GuestMemory(context.machine, context.host.memory, size, saved?.memory)
    this.bus = new VirtualBus(() => this.raise(this.vcpus[0]!, SLOT_EVENT_VECTOR))
    if (saved !== undefined) {
      this.#ept = new ExtendedPageTable(context.machine, context.pages, saved.ept.root)
      if (saved.apicPages !== null)
        this.#apicPages = new ApicPages(context.machine, context.pages, saved.apicPages)
      for (const [number, processor] of processors.entries())
        this.#addVcpu(number, processor, saved.vcpus[number])
      return
    }
    try {
      this.#ept = new ExtendedPageTable(context.machine, context.pages)
    } catch (error) {
      this.memory.free()
      throw error
    }
    try {
      for (const { guestPage, hostPage, pages } of this.memory.runs) {
        this.#ept.map(guestPage, hostPage, pages, 'WB')
      }
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
      send: command => this.#interruptCommand(number, command),
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
    const saved = opened<SavedMachine>(from, 'a virtual machine', 4)
    for (const vcpu of saved.vcpus) opened(vcpu, 'a virtual processor', 3)
    const pinned = saved.vcpus.map(({ processor }) => processors[processor]!)
    const machine = new Machine(context, { ...saved, vcpus: pinned.length }, pinned, saved)
    machine.#load(saved, images[saved.program])
    return machine
  }

  #load(saved: SavedMachine, image: GuestImage): void {
    this.#xapicMapped = saved.xapicMapped
    this.#claims = saved.claims.map(([base, size]) => ({ base, size }))
    this.bus.load(saved.bus)
    const software = image()
    for (const vcpu of this.vcpus) vcpu.load(saved.vcpus[vcpu.number]!, software(vcpu, vcpu.number))
    const { host, machine } = this.#context
    for (const device of saved.devices) {
      const assigned = host.assignedFunction(device.address)
      this.bus.restore(device.slot, new VirtualFunction(assigned, device.slot, machine, this, device))
    }
    for (const device of saved.emulated) this.#awaited.set(device.slot, device)
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
    this.#ept.destroy()
    this.#apicPages?.free()
    this.memory.free()
  }

  // The virtual interrupt fabric.

  #interruptCommand(from: number, command: InterruptCommand): void {
    if (!isVectored(command.deliveryMode)) return
    for (const vcpu of this.vcpus) {
      if (addressed(command, from, vcpu)) this.raise(vcpu, command.vector)
    }
  }

  /** An interrupt of the hypervisor's own making. False if the local APIC does not take it. */
  raise(vcpu: Vcpu, vector: number): boolean {
    const accepted = vcpu.apic.accept(vector)
    if (accepted) vcpu.kick()
    return accepted
  }

  postingTarget(address: number, data: number): PostedTarget | undefined {
    if (!isVectored((data >>> 8) & 7)) return undefined
    const targets = this.vcpus.filter(vcpu => reaches(address, vcpu))
    const descriptor = targets[0]?.view().notification?.descriptor
    if (targets.length !== 1 || descriptor === undefined) return undefined
    return { descriptor, vector: data & 0xff, urgent: false }
  }

  deliver(address: number, data: number): boolean {
    if (!isVectored((data >>> 8) & 7)) return false
    const lowest = ((data >>> 8) & 7) === DELIVERY_MODE.lowestPriority
    let accepted = false
    for (const vcpu of this.vcpus) {
      if (!reaches(address, vcpu)) continue
      if (this.raise(vcpu, data & 0xff)) {
        accepted = true
        this.#tellPending(vcpu, data & 0xff)
      }
      // Lowest priority: one of them, the first by number.
      if (lowest) break
    }
    return accepted
  }

  #tellPending(vcpu: Vcpu, vector: number): void {
    const { trace } = this.#context.engine
    if (!trace.enabled) return
    const guestVector = hex(vector)
    const what = `vector ${guestVector} is pending in ${this.name} vCPU ${vcpu.number}`
    const detail = { step: 'pending', vm: this.name, vcpu: vcpu.number, guestVector }
    trace.emit('interrupt', what, detail)
  }

  vcpuFor(address: number): number | null {
    return this.vcpus.find(vcpu => reaches(address, vcpu))?.number ?? null
  }

  processorFor(address: number): number {
    return this.vcpus[this.vcpuFor(address) ?? 0]!.processor.number
  }

  reschedule(processor: number): void {
    const { machine, host } = this.#context
    const other = machine.processors.find(({ number }) => number !== processor)
    if (other === undefined) {
      throw new NorthbridgeError(
        'unsupported',
        'a guest is preempted by another processor, and there is one only',
      )
    }
    host.posting.reschedule(other.number, processor)
  }

  hostInterrupt(processor: number, vector: number): void {
    this.#context.host.interrupt(processor, vector)
  }

  // The board: ports and device memory.

  get vcpuCount(): number {
    return this.vcpus.length
  }

  get now(): number {
    return this.#context.engine.now
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

  /** Functions of the host that the machine has. */
  get assigned(): VirtualFunction[] {
    return this.bus.devices.filter(device => device instanceof VirtualFunction)
  }

  /** Functions that the hypervisor makes. */
  get emulated(): EmulatedFunction[] {
    return this.bus.devices.filter(device => device instanceof EmulatedFunction)
  }

  #deviceAt(address: number): BusDevice | undefined {
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

  writeDword(address: number, value: number, lanes: number): Software {
    const inMemory = this.memory.contains(address, 4)
    const device = inMemory ? undefined : this.#deviceAt(address)
    if (inMemory) this.#context.machine.writeDword(this.memory.hostAddress(address), value, lanes)
    return device === undefined ? OVER : device.writeMemory(address, value, lanes)
  }

  // The memory map of devices.

  claim(base: number, size: number): boolean {
    const inWindow = [DEVICE_WINDOW_32, DEVICE_WINDOW_64].some(
      window => base >= window.base && base + size <= window.base + window.size,
    )
    const inUse = this.#claims.some(other => base < other.base + other.size && other.base < base + size)
    if (!inWindow || inUse) return false
    this.#claims = [...this.#claims, { base, size }]
    return true
  }

  release(base: number): void {
    this.#claims = this.#claims.filter(claim => claim.base !== base)
  }

  map(guestPage: PageNumber, hostPage: PageNumber, pages: number): void {
    this.#ept.map(guestPage, hostPage, pages, 'UC')
  }

  /** Returns when no processor holds a translation of the range any more. */
  unmap(guestPage: PageNumber, pages: number): void {
    this.#ept.unmap(guestPage, pages)
    for (const processor of new Set(this.vcpus.map(vcpu => vcpu.processor))) this.#invalidateEpt(processor)
    for (const vcpu of this.vcpus) vcpu.dropShadow()
  }

  #invalidateEpt(processor: HostProcessor): void {
    processor.run({ op: 'invept', type: INVEPT.singleContext, eptp: eptPointer(this.#ept.root) })
  }

  report(problem: string, error: NorthbridgeError): void {
    this.#context.engine.trace.emit('vm', `${this.name}: ${problem}: ${error.message}`, {
      vm: this.name,
      code: error.code,
    })
  }

  view(): VirtualMachine {
    return {
      name: this.name,
      memoryMiB: this.memoryMiB,
      memory: this.memory.ranges,
      interrupts: this.interrupts,
      nested: this.nested,
      vmcsShadowing: this.vmcsShadowing,
      program: this.program,
      vcpus: this.vcpus.map(vcpu => vcpu.view()),
      devices: this.assigned.map(device => device.view()),
      emulated: this.emulated.map(device => device.view()),
    }
  }

  save(): SavedMachine {
    return {
      version: 4,
      name: this.name,
      memoryMiB: this.memoryMiB,
      interrupts: this.interrupts,
      nested: this.nested,
      vmcsShadowing: this.vmcsShadowing,
      program: this.program,
      memory: this.memory.save(),
      ept: { root: this.#ept.root },
      apicPages: this.#apicPages?.save() ?? null,
      xapicMapped: this.#xapicMapped,
      bus: this.bus.save(),
      claims: this.#claims.map(({ base, size }) => [base, size] as const),
      devices: this.assigned.map(device => device.save()),
      emulated: this.emulated.map(device => device.save()),
      vcpus: this.vcpus.map(vcpu => vcpu.save()),
    }
  }
}
