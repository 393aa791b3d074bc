/**
 * The hypervisor: virtual machines on the host's logical processors, and functions assigned to them. Software: the
 * hardware is reached through the machine port, the host kernel and the formats only.
 */
import { NorthbridgeError, opened, type Saved } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { HostKernel } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { type DeviceOptions, DevicePlugging, type RemovalListener } from './device-plugging.ts'
import { DeviceRequests } from './device-requests.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import type { MemoryRun } from './guest-memory.ts'
import { HostPages } from './host-pages.ts'
import { HostProcessor } from './host-processor.ts'
import type { MachineContext, SavedHypervisor } from './machine-state.ts'
import { MachineTable } from './machine-table.ts'
import { MemoryManager } from './memory/memory-manager.ts'
import { VmMemory } from './memory/vm-memory.ts'
import { MachineMoves } from './moves/machine-moves.ts'
import { checkOperations } from './operations-check.ts'
import { CpuScheduler } from './scheduling/cpu-scheduler.ts'
import { spinning } from './spinning.ts'
import type {
  AttachedDevice,
  GuestImage,
  GuestProgram,
  GuestRun,
  GuestSoftware,
  InterruptRoute,
  Meanwhile,
  VcpuRun,
  VcpuView,
  VirtualApicView,
  VirtualMachine,
  VmOptions,
} from './types.ts'
import type { UnitModelMaker } from './viommu/unit-model.ts'
import type { VirtualUnit } from './viommu/virtual-unit.ts'
import { Machine } from './virtual-machine.ts'
import { checkOptions } from './vm-options.ts'

export class Hypervisor {
  readonly #context: MachineContext
  readonly #images: Readonly<Record<GuestProgram, GuestImage>>
  readonly #processors: readonly HostProcessor[]
  readonly #machines = new MachineTable()
  readonly #plugging: DevicePlugging
  /** What is asked of functions that machines have. */
  readonly devices: DeviceRequests
  /** Memory of machines: balloons, sharing, swapping. */
  readonly memory: VmMemory
  /** Who computes when. */
  readonly cpu: CpuScheduler
  /** Pausing machines, and taking them elsewhere. */
  readonly moves: MachineMoves
  /** The processor to which the next virtual processor is pinned. */
  #nextProcessor = 0

  /**
   * @param images what the virtual machines run, e.g. `guestKernel` of `guest/`
   * @param makeUnit makes the register models of guests' remapping units; without it there are none
   */
  constructor(
    machine: MachinePort,
    host: HostKernel,
    engine: Engine,
    images: Readonly<Record<GuestProgram, GuestImage>>,
    makeUnit?: UnitModelMaker,
  ) {
    const pages = new HostPages(machine, host.memory)
    const memory = new MemoryManager(machine, host.memory)
    this.#processors = machine.processors.map(port => new HostProcessor(machine, pages, port))
    this.#context = { machine, host, engine, pages, processors: this.#processors, memory, makeUnit }
    const machines = this.#machines
    const settle = () => this.settle()
    const around = {
      engine,
      find: (name: string) => machines.find(name),
      machines: () => machines.all,
      settle,
    }
    this.#plugging = new DevicePlugging({ context: this.#context, settle })
    this.devices = new DeviceRequests({
      engine,
      machines,
      plugging: this.#plugging,
      settle,
      settleGuests: () => machines.wakeAll(),
    })
    this.#images = images
    this.memory = new VmMemory({
      ...around,
      manager: memory,
      plug: (vm, device) => this.#plugging.plug(vm, device),
    })
    this.moves = new MachineMoves({
      ...around,
      make: options => this.#make(options),
      program: name => images[name],
      adopt: (machine, image, address) => this.#plugging.adopt(machine, image, address),
      replugOwn: machine => this.memory.replugBalloon(machine),
    })
    this.cpu = new CpuScheduler({ ...around, processors: this.#processors })
  }

  /** Throws `invalidArgument`, `nameTaken`, `outOfMemory`, `unsupported`. */
  *createVm(options: VmOptions): Software<VirtualMachine> {
    const machine = this.#make(options)
    yield* machine.start(this.#images[machine.program])
    yield* this.memory.addBalloon(machine)
    yield* this.settle()
    return machine.view()
  }

  #make(options: VmOptions): Machine {
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
    this.#machines.add(machine)
    if (machine.unit !== undefined) this.#listenForFaults(true)
    this.#context.engine.trace.emit('vm', `${name} is created: ${vcpus} vCPUs, ${memoryMiB} MiB`, {
      vm: name,
      vcpus,
      memoryMiB,
    })
    return machine
  }

  /** While a guest has a remapping unit, faults of the host's units are its business, too. */
  #listenForFaults(on: boolean): void {
    const { host } = this.#context
    if (on) host.followFaults(this.#machines.blocked)
    else if (!this.#machines.all.some(({ unit }) => unit !== undefined)) host.followFaults(undefined)
  }

  /** The wakeup vector says only at which processor: who sleeps there and was posted something is woken. */
  #listenForWakeups(): void {
    this.#context.host.posting.onWakeup(processor => this.#machines.wakeUp(processor))
  }

  /**
   * Pins a virtual processor to another logical processor. Throws `notFound`; `invalidArgument` or `unsupported`, with
   * nothing changed.
   */
  *moveVcpu(vm: string, number: number, processor: number): Software<VcpuView> {
    const vcpu = this.#machines.vcpu(vm, number)
    const target = this.#processors[processor]
    if (target === undefined) {
      throw new NorthbridgeError('invalidArgument', `there is no logical processor ${processor}`, {
        issues: [{ path: '/processor', message: `must be below ${this.#processors.length}` }],
      })
    }
    this.#machines.find(vm).move(vcpu, target)
    yield* this.settle()
    return vcpu.view()
  }

  /**
   * Raises a vector in the local APIC of a virtual processor, as a device of the hypervisor's own would; returns whether
   * it was accepted. Throws `notFound`.
   */
  *interruptVcpu(vm: string, number: number, vector: number): Software<boolean> {
    const accepted = this.#machines.find(vm).raise(this.#machines.vcpu(vm, number), vector)
    yield* this.settle()
    return accepted
  }

  /** Takes every device back, then frees everything. Throws `notFound`. */
  *deleteVm(name: string): Software {
    const machine = this.#machines.find(name)
    yield* this.#plugging.removeAll(machine)
    machine.free()
    this.#machines.remove(machine)
    this.cpu.forget(name)
    if (machine.unit !== undefined) this.#listenForFaults(false)
    this.#context.engine.trace.emit('vm', `${name} is deleted`, { vm: name })
  }

  /** The remapping unit of a machine, to look at and to put into a state. Throws `notFound`. */
  remappingUnit(vm: string): VirtualUnit {
    const { unit } = this.#machines.find(vm)
    if (unit === undefined) throw new NorthbridgeError('notFound', `${vm} has no remapping unit`)
    return unit
  }

  /** Throws `notFound`. */
  vm(name: string): VirtualMachine {
    return this.#machines.find(name).view()
  }

  has(name: string): boolean {
    return this.#machines.has(name)
  }

  get vmCount(): number {
    return this.#machines.size
  }

  /** In the order of creation. */
  vms(): readonly VirtualMachine[] {
    return this.#machines.all.map(machine => machine.view())
  }

  /**
   * Gives a function to a virtual machine and lets the guest's driver start it. Throws what `host.vfio.attach` refuses
   * with, `notFound`, `outOfResources`, `outOfMemory`; then nothing has changed hands.
   */
  *attach(vm: string, address: string, options?: DeviceOptions): Software<AttachedDevice> {
    return yield* this.#plugging.attach(this.#machines.find(vm), address, options)
  }

  /** Asks the guest to let go of a function and takes it back, whether it did or not. Throws `notFound`. */
  *detach(vm: string, address: string): Software {
    yield* this.#plugging.detach(this.#machines.find(vm), address)
  }

  /**
   * Plugs a device of the hypervisor's own making into a virtual machine; returns its slot. Throws `notFound`,
   * `outOfResources`; then nothing has changed.
   */
  *plug(vm: string, device: EmulatedDevice): Software<number> {
    return yield* this.#plugging.plug(this.#machines.find(vm), device)
  }

  /** After a restore: an emulated device is back in the slot that it was in, in the state in which it was. Throws `notFound`. */
  replug(vm: string, slot: number, device: EmulatedDevice): void {
    this.#machines.find(vm).replug(slot, device)
  }

  /** Asks the guest to let go of an emulated device and takes it away, whether it did or not. Throws `notFound`. */
  *unplug(vm: string, slot: number): Software {
    yield* this.#plugging.unplug(this.#machines.find(vm), slot)
  }

  /** Has `listener` told of every device that has left its virtual machine, by whatever way. */
  onRemoval(listener: RemovalListener): void {
    this.#plugging.onRemoval(listener)
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
    const target = this.#machines.runnable(vm, vcpu)
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
    const target = this.#machines.runnable(vm, vcpu)
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
    return look(this.#machines.vcpu(vm, vcpu).software)
  }

  /** Guest-physical memory as the host sees it. Throws `notFound`, `invalidArgument`. */
  readGuest(vm: string, address: number, length: number): Uint8Array {
    return this.#machines.find(vm).memory.read(address, length)
  }

  /** Throws `notFound`; `invalidArgument`, with nothing written. */
  writeGuest(vm: string, address: number, data: Uint8Array): void {
    this.#machines.find(vm).memory.write(address, data)
  }

  /** Keeps all of a machine's memory where it is, for who reaches it by itself, until it is let go. Throws `notFound`, `outOfMemory`. */
  holdMemory(vm: string, holder: string): void {
    this.#machines.find(vm).space.hold(holder)
  }

  letMemoryGo(vm: string, holder: string): void {
    if (this.#machines.has(vm)) this.#machines.find(vm).space.letGo(holder)
  }

  /** Where a machine's memory lies in the host's. Throws `notFound`. */
  hostMemoryOf(vm: string): readonly MemoryRun[] {
    return this.#machines.find(vm).memory.runs
  }

  /** Where the VMCS of a virtual processor lies, and on which processor it is used. Throws `notFound`. */
  vmcs(vm: string, number: number): { readonly processor: number; readonly page: number } {
    const vcpu = this.#machines.vcpu(vm, number)
    return { processor: vcpu.processor.number, page: vcpu.vmcsPage }
  }

  /** VMWRITE of a guest-state field, for a user who has checked that the guest can still be entered. Throws `notFound`. */
  writeVmcs(vm: string, number: number, field: number, value: Word64): void {
    this.#machines.vcpu(vm, number).writeVmcs(field, value)
  }

  /** Throws `notFound`. */
  vcpu(vm: string, number: number): VcpuView {
    return this.#machines.vcpu(vm, number).view()
  }

  /** The local APIC of a virtual processor by name. Throws `notFound`. */
  virtualApic(vm: string, number: number): VirtualApicView {
    return this.#machines.vcpu(vm, number).apic.view()
  }

  /**
   * What the host's processors do when something happened: they take their interrupts, and run every virtual processor
   * that one of them woke, until nothing is left. Call it after stimulus.
   */
  *settle(): Software {
    const { host } = this.#context
    for (;;) {
      host.serviceInterrupts()
      if (host.takesPageRequests) yield* host.answerPageRequests()
      const plugged = host.portsHaveWork && (yield* host.servePorts(this.devices))
      const woken = this.#machines.woken
      if (woken !== undefined) yield* woken.wake()
      else if (!plugged && !(yield* this.devices.takeEjected())) return
    }
  }

  /** Where vector `index` of an assigned function arrives now; undefined if it is masked or reaches no guest. */
  route(address: string, index: number): InterruptRoute | undefined {
    return this.#machines.routeOf(address, index)
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
    makeUnit?: UnitModelMaker,
  ): Hypervisor {
    const state = opened<SavedHypervisor>(saved, 'the hypervisor', 2)
    const hypervisor = new Hypervisor(machine, host, engine, images, makeUnit)
    hypervisor.#nextProcessor = state.nextProcessor
    hypervisor.#context.memory.load(state.memory)
    hypervisor.cpu.load(state.cpu)
    for (const [i, processor] of hypervisor.#processors.entries()) processor.loadState(state.processors[i]!)
    for (const each of state.machines) {
      const restored = Machine.restore(hypervisor.#context, images, hypervisor.#processors, each)
      hypervisor.#machines.add(restored)
      hypervisor.memory.replugBalloon(restored)
      if (restored.interrupts === 'posted') hypervisor.#listenForWakeups()
      if (restored.unit !== undefined) host.resumeFaults(hypervisor.#machines.blocked)
    }
    return hypervisor
  }

  save(): SavedHypervisor {
    return {
      version: 2,
      nextProcessor: this.#nextProcessor,
      memory: this.#context.memory.save(),
      cpu: this.cpu.save(),
      processors: this.#processors.map(processor => processor.save()),
      machines: this.#machines.all.map(machine => machine.save()),
    }
  }
}
