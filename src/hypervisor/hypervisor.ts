/**
 * The hypervisor: virtual machines on the host's logical processors, and functions assigned to them. Software: the
 * hardware is reached through the machine port, the host kernel and the formats only.
 */
import { NorthbridgeError, opened, type Saved } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { HostKernel } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { DevicePlugging, type RemovalListener } from './device-plugging.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import type { MemoryRun } from './guest-memory.ts'
import { HostPages } from './host-pages.ts'
import { HostProcessor } from './host-processor.ts'
import type { MachineContext } from './machine-state.ts'
import { checkOperations } from './operations-check.ts'
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
import type { Vcpu } from './vcpu.ts'
import { Machine } from './virtual-machine.ts'
import { checkOptions } from './vm-options.ts'

export class Hypervisor {
  readonly #context: MachineContext
  readonly #images: Readonly<Record<GuestProgram, GuestImage>>
  readonly #processors: readonly HostProcessor[]
  readonly #machines = new Map<string, Machine>()
  readonly #plugging: DevicePlugging
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
    this.#plugging = new DevicePlugging({
      context: this.#context,
      machines: this.#machines,
      settle: () => this.settle(),
    })
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
    yield* this.#plugging.removeAll(machine)
    machine.free()
    this.#machines.delete(name)
    this.#context.engine.trace.emit('vm', `${name} is deleted`, { vm: name })
  }

  /** Throws `notFound`. */
  vm(name: string): VirtualMachine {
    return this.#find(name).view()
  }

  get vmCount(): number {
    return this.#machines.size
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
    return yield* this.#plugging.attach(this.#find(vm), address)
  }

  /** Asks the guest to let go of a function and takes it back, whether it did or not. Throws `notFound`. */
  *detach(vm: string, address: string): Software {
    yield* this.#plugging.detach(this.#find(vm), address)
  }

  /**
   * Plugs a device of the hypervisor's own making into a virtual machine; returns its slot. Throws `notFound`,
   * `outOfResources`; then nothing has changed.
   */
  *plug(vm: string, device: EmulatedDevice): Software<number> {
    return yield* this.#plugging.plug(this.#find(vm), device)
  }

  /** After a restore: an emulated device is back in the slot that it was in, in the state in which it was. Throws `notFound`. */
  replug(vm: string, slot: number, device: EmulatedDevice): void {
    this.#find(vm).replug(slot, device)
  }

  /** Asks the guest to let go of an emulated device and takes it away, whether it did or not. Throws `notFound`. */
  *unplug(vm: string, slot: number): Software {
    yield* this.#plugging.unplug(this.#find(vm), slot)
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
    const { host } = this.#context
    for (;;) {
      host.serviceInterrupts()
      if (host.takesPageRequests) yield* host.answerPageRequests()
      const plugged =
        host.portsHaveWork && (yield* host.servePorts(address => this.#plugging.surrender(address)))
      const woken = this.#woken
      if (woken !== undefined) yield* woken.wake()
      else if (!plugged) return
    }
  }

  /** The first virtual processor that sleeps no more. */
  get #woken(): Vcpu | undefined {
    for (const { vcpus } of this.#machines.values()) for (const vcpu of vcpus) if (vcpu.wakes) return vcpu
    return undefined
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
