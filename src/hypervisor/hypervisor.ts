/**
 * The hypervisor: virtual machines on the host's logical processors, and functions assigned to them. Software: the
 * hardware is reached through the machine port, the host kernel and the formats only.
 */
import { NorthbridgeError, opened, PAGE_SIZE, type Saved } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { AssignedFunction, HostKernel } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import { EmulatedFunction } from './emulated-function.ts'
import { MAXIMUM_MEMORY_MIB, MAXIMUM_VCPUS } from './formats/virtual-board.ts'
import type { MemoryRun } from './guest-memory.ts'
import { HostPages } from './host-pages.ts'
import { HostProcessor } from './host-processor.ts'
import type { MachineContext } from './machine-state.ts'
import { checkOperations } from './operations-check.ts'
import { spinning } from './spinning.ts'
import {
  type AttachedDevice,
  GUEST_PROGRAMS,
  type GuestImage,
  type GuestProgram,
  type GuestRun,
  type GuestSoftware,
  INTERRUPT_DELIVERY,
  type InterruptRoute,
  type Meanwhile,
  type VcpuRun,
  type VcpuView,
  type VirtualApicView,
  type VirtualMachine,
  type VmOptions,
} from './types.ts'
import type { Vcpu } from './vcpu.ts'
import { VirtualFunction } from './virtual-function.ts'
import { Machine } from './virtual-machine.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const MINIMUM_MEMORY_MIB = 2

export class Hypervisor {
  readonly #context: MachineContext
  readonly #images: Readonly<Record<GuestProgram, GuestImage>>
  readonly #processors: readonly HostProcessor[]
  readonly #machines = new Map<string, Machine>()
  /** The processor to which the next virtual processor is pinned. */
  #nextProcessor = 0

  /** @param images what the virtual machines run, e.g. `guestKernel` of `guest/`. */
  constructor(
    machine: MachinePort,
    host: HostKernel,
    engine: Engine,
    images: Readonly<Record<GuestProgram, GuestImage>>,
  ) {
    const pages = new HostPages(machine, host.memory)
    this.#context = { machine, host, engine, pages }
    this.#images = images
    this.#processors = machine.processors.map(port => new HostProcessor(machine, pages, port))
  }

  /** Throws `invalidArgument`, `nameTaken`, `outOfMemory`, `unsupported`. */
  *createVm(options: VmOptions): Software<VirtualMachine> {
    checkOptions(options)
    const { name, vcpus, memoryMiB } = options
    if (this.#machines.has(name)) {
      throw new NorthbridgeError('nameTaken', `a virtual machine named ${name} exists`)
    }
    if (options.interrupts === 'posted') this.#listenForWakeups()
    const first = this.#nextProcessor
    const processors = Array.from(
      { length: vcpus },
      (_, i) => this.#processors[(first + i) % this.#processors.length]!,
    )
    const machine = new Machine(this.#context, options, processors)
    this.#nextProcessor = (first + vcpus) % this.#processors.length
    this.#machines.set(name, machine)
    this.#context.engine.trace.emit('vm', `${name} is created: ${vcpus} vCPUs, ${memoryMiB} MiB`, {
      vm: name,
      vcpus,
      memoryMiB,
    })
    yield* machine.start(this.#images[machine.program])
    yield* this.settle()
    return machine.view()
  }

  /** The wakeup vector says only at which processor: who sleeps there and was posted something is woken. */
  #listenForWakeups(): void {
    this.#context.host.posting.onWakeup(processor => {
      for (const vcpu of this.#vcpus) if (vcpu.processor.number === processor) vcpu.wakeUp()
    })
  }

  /**
   * Pins a virtual processor to another logical processor. Throws `notFound`; `invalidArgument` or `unsupported`, with
   * nothing changed.
   */
  *moveVcpu(vm: string, number: number, processor: number): Software<VcpuView> {
    const vcpu = this.#findVcpu(vm, number)
    const target = this.#processors[processor]
    if (target === undefined) {
      throw new NorthbridgeError('invalidArgument', `there is no logical processor ${processor}`, {
        issues: [{ path: '/processor', message: `must be below ${this.#processors.length}` }],
      })
    }
    this.#find(vm).move(vcpu, target)
    yield* this.settle()
    return vcpu.view()
  }

  /**
   * Raises a vector in the local APIC of a virtual processor, as a device of the hypervisor's own would; returns whether
   * it was accepted. Throws `notFound`.
   */
  *interruptVcpu(vm: string, number: number, vector: number): Software<boolean> {
    const accepted = this.#find(vm).raise(this.#findVcpu(vm, number), vector)
    yield* this.settle()
    return accepted
  }

  /** Takes every device back, then frees everything. Throws `notFound`. */
  *deleteVm(name: string): Software {
    const machine = this.#find(name)
    // The guest is not asked: it ends here.
    for (const device of machine.assigned) yield* this.#takeBack(machine, device)
    for (const device of machine.emulated) yield* device.unplug()
    machine.free()
    this.#machines.delete(name)
    this.#context.engine.trace.emit('vm', `${name} is deleted`, { vm: name })
  }

  /** Throws `notFound`. */
  vm(name: string): VirtualMachine {
    return this.#find(name).view()
  }

  /** In the order of creation. */
  vms(): readonly VirtualMachine[] {
    return [...this.#machines.values()].map(machine => machine.view())
  }

  /**
   * Gives a function to a virtual machine and lets the guest's driver start it. Throws what `host.vfio.attach` refuses
   * with, `notFound`, `outOfResources`, `outOfMemory`; then nothing has changed hands.
   */
  *attach(vm: string, address: string): Software<AttachedDevice> {
    const machine = this.#find(vm)
    const { host, engine } = this.#context
    const slot = machine.bus.freeSlot
    if (slot < 0) throw new NorthbridgeError('outOfResources', `${vm} has no free slot`)
    const assigned = yield* host.vfio.attach(address, vm)
    try {
      yield* mapMemory(machine, assigned)
    } catch (error) {
      yield* assigned.release()
      throw error
    }
    const device = new VirtualFunction(assigned, slot, this.#context.machine, machine)
    const { guestAddress } = device
    engine.trace.emit('vm', `${vm}: ${assigned.function.address} appears as ${guestAddress}`, {
      vm,
      function: assigned.function.address,
      guestAddress,
    })
    machine.bus.insert(slot, device)
    yield* this.settle()
    return device.view()
  }

  /** Asks the guest to let go of a function and takes it back, whether it did or not. Throws `notFound`. */
  *detach(vm: string, address: string): Software {
    const machine = this.#find(vm)
    const device = machine.assigned.find(({ assigned }) => assigned.function.address === address)
    if (device === undefined) {
      throw new NorthbridgeError('notFound', `${address} is not attached to ${vm}`)
    }
    machine.bus.requestRemoval(device.slot)
    yield* this.settle()
    yield* this.#takeBack(machine, device)
    yield* this.settle()
  }

  /**
   * Plugs a device of the hypervisor's own making into a virtual machine; returns its slot. Throws `notFound`,
   * `outOfResources`; then nothing has changed.
   */
  *plug(vm: string, device: EmulatedDevice): Software<number> {
    const machine = this.#find(vm)
    const slot = machine.bus.freeSlot
    if (slot < 0) throw new NorthbridgeError('outOfResources', `${vm} has no free slot`)
    const fn = new EmulatedFunction(device, slot, machine)
    const { guestAddress } = fn
    this.#context.engine.trace.emit('vm', `${vm}: an emulated ${device.kind} appears as ${guestAddress}`, {
      vm,
      device: device.kind,
      guestAddress,
    })
    machine.bus.insert(slot, fn)
    yield* this.settle()
    return slot
  }

  /** After a restore: an emulated device is back in the slot that it was in, in the state in which it was. Throws `notFound`. */
  replug(vm: string, slot: number, device: EmulatedDevice): void {
    this.#find(vm).replug(slot, device)
  }

  /** Asks the guest to let go of an emulated device and takes it away, whether it did or not. Throws `notFound`. */
  *unplug(vm: string, slot: number): Software {
    const machine = this.#find(vm)
    const fn = machine.emulated.find(device => device.slot === slot)
    if (fn === undefined)
      throw new NorthbridgeError('notFound', `${vm} has no emulated device in slot ${slot}`)
    machine.bus.requestRemoval(slot)
    yield* this.settle()
    const ejected = machine.bus.remove(slot)
    const { guestAddress, device } = fn
    this.#context.engine.trace.emit(
      'vm',
      `${vm}: the emulated ${device.kind} leaves ${guestAddress}${ejected ? '' : ', not ejected by the guest'}`,
      { vm, device: device.kind, guestAddress, ejected },
    )
    yield* fn.unplug()
    yield* this.settle()
  }

  /** Takes a function back that is about to leave the machine, or has left it. */
  *#surrender(address: string): Software {
    for (const machine of this.#machines.values()) {
      const device = machine.assigned.find(({ assigned }) => assigned.function.address === address)
      if (device !== undefined) yield* this.#takeBack(machine, device)
    }
  }

  *#takeBack(machine: Machine, device: VirtualFunction): Software {
    const { address } = device.assigned.function
    const ejected = machine.bus.remove(device.slot)
    this.#context.engine.trace.emit(
      'vm',
      `${machine.name}: ${address} leaves ${device.guestAddress}${ejected ? '' : ', not ejected by the guest'}`,
      { vm: machine.name, function: address, guestAddress: device.guestAddress, ejected },
    )
    yield* device.unplug()
    yield* device.assigned.release()
  }

  /**
   * Executes a stream in the guest; its kernel's idle loop follows. Throws `notFound`, and `invalidArgument` before
   * anything runs.
   */
  *runVcpu(
    vm: string,
    vcpu: number,
    operations: readonly Operation[],
    meanwhile?: Meanwhile,
  ): Software<VcpuRun> {
    const target = this.#findVcpu(vm, vcpu)
    checkOperations(operations)
    const run = yield* target.run(operations, meanwhile)
    yield* this.settle()
    return run
  }

  /**
   * Runs code of the guest's kernel on a virtual processor, as a system call or a timer would have it run, with every
   * exit that it costs; the idle loop follows. Throws `notFound`.
   */
  *runGuest<Result>(
    vm: string,
    vcpu: number,
    code: (software: GuestSoftware) => Software<Result>,
  ): Software<GuestRun<Result>> {
    const { host, engine } = this.#context
    const target = this.#findVcpu(vm, vcpu)
    // Where the guest waits in a loop, the other processors work, and if they have nothing to do, time goes on.
    const waits = (): void => {
      if (host.serviceInterrupts() === 0) engine.advance()
    }
    const run = yield* spinning(target.runCode(code), waits)
    yield* this.settle()
    return run
  }

  /** Inspection: looks at the software of a virtual processor without running any of it. Throws `notFound`. */
  lookAtGuest<Result>(vm: string, vcpu: number, look: (software: GuestSoftware) => Result): Result {
    return look(this.#findVcpu(vm, vcpu).software)
  }

  /** Guest-physical memory as the host sees it. Throws `notFound`, `invalidArgument`. */
  readGuest(vm: string, address: number, length: number): Uint8Array {
    return this.#find(vm).memory.read(address, length)
  }

  /** Throws `notFound`; `invalidArgument`, with nothing written. */
  writeGuest(vm: string, address: number, data: Uint8Array): void {
    this.#find(vm).memory.write(address, data)
  }

  /** Where a machine's memory lies in the host's. Throws `notFound`. */
  hostMemoryOf(vm: string): readonly MemoryRun[] {
    return this.#find(vm).memory.runs
  }

  /** Where the VMCS of a virtual processor lies, and on which processor it is used. Throws `notFound`. */
  vmcs(vm: string, number: number): { readonly processor: number; readonly page: number } {
    const vcpu = this.#findVcpu(vm, number)
    return { processor: vcpu.processor.number, page: vcpu.vmcsPage }
  }

  /** VMWRITE of a guest-state field, for a user who has checked that the guest can still be entered. Throws `notFound`. */
  writeVmcs(vm: string, number: number, field: number, value: Word64): void {
    this.#findVcpu(vm, number).writeVmcs(field, value)
  }

  /** Throws `notFound`. */
  vcpu(vm: string, number: number): VcpuView {
    return this.#findVcpu(vm, number).view()
  }

  /** The local APIC of a virtual processor by name. Throws `notFound`. */
  virtualApic(vm: string, number: number): VirtualApicView {
    return this.#findVcpu(vm, number).apic.view()
  }

  /**
   * What the host's processors do when something happened: they take their interrupts, and run every virtual processor
   * that one of them woke, until nothing is left. Call it after stimulus.
   */
  *settle(): Software {
    for (;;) {
      this.#context.host.serviceInterrupts()
      yield* this.#context.host.answerPageRequests()
      const plugged = yield* this.#context.host.servePorts(address => this.#surrender(address))
      const woken = this.#vcpus.find(vcpu => vcpu.wakes)
      if (woken !== undefined) yield* woken.wake()
      else if (!plugged) return
    }
  }

  get #vcpus(): Vcpu[] {
    return [...this.#machines.values()].flatMap(machine => machine.vcpus)
  }

  /** Where vector `index` of an assigned function arrives now; undefined if it is masked or reaches no guest. */
  route(address: string, index: number): InterruptRoute | undefined {
    for (const machine of this.#machines.values()) {
      const device = machine.assigned.find(({ assigned }) => assigned.function.address === address)
      const vector = device?.vector(index)
      if (vector === undefined || vector.masked || vector.vcpu === null) continue
      return { vm: machine.name, vcpu: vector.vcpu, guestVector: vector.guestVector }
    }
    return undefined
  }

  #find(name: string): Machine {
    const machine = this.#machines.get(name)
    if (machine === undefined) throw new NorthbridgeError('notFound', `there is no virtual machine ${name}`)
    return machine
  }

  #findVcpu(vm: string, number: number): Vcpu {
    const vcpu = this.#find(vm).vcpus[number]
    if (vcpu === undefined) throw new NorthbridgeError('notFound', `${vm} has no virtual processor ${number}`)
    return vcpu
  }

  /**
   * The hypervisor as it was when it was saved, over a host kernel and processors of that moment. Throws
   * `invalidDocument` for a state of another version.
   */
  static restore(
    machine: MachinePort,
    host: HostKernel,
    engine: Engine,
    images: Readonly<Record<GuestProgram, GuestImage>>,
    saved: Saved,
  ): Hypervisor {
    const { nextProcessor, processors, machines } = opened<{
      nextProcessor: number
      processors: readonly Saved[]
      machines: readonly Saved[]
    }>(saved, 'the hypervisor', 1)
    const hypervisor = new Hypervisor(machine, host, engine, images)
    hypervisor.#nextProcessor = nextProcessor
    for (const [i, processor] of hypervisor.#processors.entries()) processor.loadState(processors[i]!)
    for (const state of machines) {
      const restored = Machine.restore(hypervisor.#context, images, hypervisor.#processors, state)
      hypervisor.#machines.set(restored.name, restored)
      if (restored.interrupts === 'posted') hypervisor.#listenForWakeups()
    }
    return hypervisor
  }

  save(): Saved {
    return {
      version: 1,
      nextProcessor: this.#nextProcessor,
      processors: this.#processors.map(processor => processor.save()),
      machines: [...this.#machines.values()].map(machine => machine.save()),
    }
  }
}

/** Lets a function reach the machine's memory where the guest finds it, and nothing else. */
function* mapMemory(machine: Machine, assigned: AssignedFunction): Software {
  for (const { guestPage, hostPage, pages } of machine.memory.runs) {
    yield* assigned.map(guestPage * PAGE_SIZE, hostPage, pages, { read: true, write: true })
  }
}

function checkOptions(options: VmOptions): void {
  const { name, vcpus, memoryMiB, interrupts, nested, vmcsShadowing, program } = options
  const refuse = (field: string, rule: string): never => {
    throw new NorthbridgeError('invalidArgument', `${field} must be ${rule}`, {
      issues: [{ path: `/${field}`, message: `must be ${rule}` }],
    })
  }
  if (typeof name !== 'string' || !NAME.test(name)) {
    refuse('name', 'letters, digits, ".", "_" and "-", at most 63, starting with a letter or digit')
  }
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAXIMUM_VCPUS) {
    refuse('vcpus', `a whole number from 1 to ${MAXIMUM_VCPUS}`)
  }
  if (!Number.isInteger(memoryMiB) || memoryMiB < MINIMUM_MEMORY_MIB || memoryMiB > MAXIMUM_MEMORY_MIB) {
    refuse('memoryMiB', `a whole number from ${MINIMUM_MEMORY_MIB} to ${MAXIMUM_MEMORY_MIB}`)
  }
  if (interrupts !== undefined && !INTERRUPT_DELIVERY.includes(interrupts)) {
    refuse('interrupts', `one of ${INTERRUPT_DELIVERY.join(', ')}`)
  }
  if (nested === true && (interrupts ?? 'emulated') !== 'emulated') {
    refuse('interrupts', 'emulated where guests find VMX')
  }
  if (program !== undefined && !GUEST_PROGRAMS.includes(program)) {
    refuse('program', `one of ${GUEST_PROGRAMS.join(', ')}`)
  }
  if (program === 'hypervisor' && nested !== true) refuse('program', 'kernel where guests find no VMX')
  if (vmcsShadowing === true && nested !== true) refuse('vmcsShadowing', 'false where guests find no VMX')
}
