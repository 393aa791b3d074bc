/** One machine with the software that runs on it, and the stimulus that the outside world gives it. */
import {
  assert,
  digest,
  NorthbridgeError,
  PAGE_SIZE,
  parseFunctionAddress,
  Random,
  type Saved,
} from '../core/index.ts'
import type { DmaOptions } from '../devices/index.ts'
import { Engine, type Software, within } from '../engine/index.ts'
import type { HostKernel } from '../host/index.ts'
import { type Hypervisor, type Networking, TEAM_EVENT } from '../hypervisor/index.ts'
import type { PcieFunction } from '../pcie/index.ts'
import { Platform, type Topology } from '../platform/index.ts'
import type { Word64 } from '../vmx/formats/operations.ts'
import type { VmcsFieldName } from '../vmx/formats/vmcs.ts'
import { followDma } from './dma-journey.ts'
import { FaultInjector, type FaultRecord } from './fault-injection/fault-injector.ts'
import type { Fault } from './fault-injection/fault-schema.ts'
import { writeGuestState } from './guest-state.ts'
import { followInterrupt } from './interrupt-journey.ts'
import { Wires } from './network/wires.ts'
import { passTime } from './passing-time.ts'
import {
  bootSoftware,
  type PlatformSoftware,
  restoreSoftware,
  type SoftwareGround,
  saveSoftware,
} from './platform-software.ts'
import { type DmaReport, dmaPart, type InterruptJourney, type InterruptReport } from './reports.ts'
import { DmaSanitizer, type WatchedPlatform } from './sanitizer/dma-sanitizer.ts'
import { areEqual, checkVersions, type PlatformState, seal, unseal, unusable } from './saved-platform.ts'
import type { VmDisks } from './storage/index.ts'

export interface SimulatedPlatformOptions {
  readonly id: string
  readonly name: string
  /** Of the world's random numbers; default 1. */
  readonly seed?: number
  /** Folder of the files that disks may be put on; default: none may. */
  readonly files?: string | undefined
}

export type PowerAction = 'on' | 'off' | 'reset'

export class SimulatedPlatform {
  readonly id: string
  readonly name: string
  readonly seed: number
  readonly topology: Topology
  readonly engine: Engine
  readonly random: Random
  /** The hardware: for inspection and stimulus. */
  readonly hardware: Platform
  /** The outside ends of its network ports. */
  readonly wires: Wires
  /** Stimulus: what breaks. */
  readonly faults: FaultInjector
  readonly #files: string | undefined
  #software: PlatformSoftware | undefined
  #sanitizer: DmaSanitizer | undefined

  private constructor(
    { id, name, seed = 1, files }: SimulatedPlatformOptions,
    topology: Topology,
    engine: Engine,
    hardware: Platform,
  ) {
    this.id = id
    this.name = name
    this.seed = seed
    this.#files = files
    this.topology = topology
    this.engine = engine
    this.random = new Random(seed)
    this.hardware = hardware
    this.wires = new Wires(engine, fn => hardware.network.portOf(fn))
    this.faults = new FaultInjector(hardware, engine)
    engine.handle(TEAM_EVENT, team => {
      if (this.responds) this.#software?.networking.timeIsUp(team)
      if (this.powered) this.wires.timeIsUp(team)
    })
  }

  /** Builds the machine of a topology and powers it on: firmware, host kernel and hypervisor come up. */
  static *create(topology: Topology, options: SimulatedPlatformOptions): Software<SimulatedPlatform> {
    const engine = new Engine()
    const platform = new SimulatedPlatform(options, topology, engine, yield* Platform.build(topology, engine))
    yield* within(engine, platform.power('on'))
    return platform
  }

  get powered(): boolean {
    return this.hardware.powered
  }

  /** The kernel of this boot. Throws `poweredOff`, `hostHalted`. */
  get host(): HostKernel {
    return this.#running.host
  }

  /** Whether its software runs. */
  get responds(): boolean {
    return this.#software !== undefined && this.#software.host.halted === undefined
  }

  /** The hypervisor of this boot. Throws `poweredOff`, `hostHalted`. */
  get hypervisor(): Hypervisor {
    return this.#running.hypervisor
  }

  /** Virtual switches and network devices of this boot. Throws `poweredOff`. */
  get networking(): Networking {
    return this.#running.networking
  }

  /** Disks of virtual machines of this boot. Throws `poweredOff`. */
  get disks(): VmDisks {
    return this.#running.disks
  }

  /** Whether disks are on files of the world outside, whose contents are no part of the state. */
  get usesFiles(): boolean {
    return this.#software?.disks.namespaces.onFiles ?? false
  }

  get #running(): PlatformSoftware {
    if (this.#software === undefined) throw this.#poweredOff()
    const reason = this.#software.host.halted
    if (reason === undefined) return this.#software
    throw new NorthbridgeError('hostHalted', `the host kernel of ${this.name} has stopped: ${reason}`, {
      reason,
    })
  }

  #poweredOff(): NorthbridgeError {
    return new NorthbridgeError('poweredOff', `platform ${this.name} is powered off`)
  }

  /**
   * The power button. Off ends all software at once: virtual machines are gone. Throws `alreadyDone` for what already
   * is, and `poweredOff` for a reset without power.
   */
  *power(action: PowerAction): Software {
    if (action === 'reset' && !this.powered) throw this.#poweredOff()
    if (action === (this.powered ? 'on' : 'off'))
      throw new NorthbridgeError('alreadyDone', `platform ${this.name} is ${action}`)
    this.#sanitizer?.stop()
    this.#sanitizer = undefined
    this.#software = undefined
    if (action === 'on') this.hardware.powerOn()
    else if (action === 'off') return this.hardware.powerOff()
    else this.hardware.reset()
    this.#software = yield* bootSoftware(this.#ground)
  }

  get #ground(): SoftwareGround {
    const { topology, hardware, engine } = this
    return { topology, hardware, engine, files: this.#files, functionAt: address => this.functionAt(address) }
  }

  /**
   * Stimulus: the function's DMA engine reads memory into `data`, or writes `data`, at a 64-bit address; then software
   * takes the interrupts that follow. A function that had to ask for pages tries again once it has been answered.
   * Throws `notFound`, `poweredOff`.
   */
  *dma(
    address: string,
    write: boolean,
    page: number,
    offset: number,
    data: Uint8Array,
    options?: DmaOptions,
  ): Software<DmaReport> {
    const fn = this.functionAt(address)
    const dmaEngine = this.hardware.engineOf(fn)
    const parts = dmaEngine.dma(write, page, offset, data, options)
    return yield* followDma(fn, dmaEngine, parts, () => this.#settle())
  }

  /** Stimulus: the function signals a vector; then software takes the interrupt. Throws `notFound`, `poweredOff`. */
  *fire(address: string, vector: number): Software<InterruptReport> {
    const { signal, request } = this.hardware.engineOf(this.functionAt(address)).fire(vector)
    const report = { signal, request: { ...dmaPart(request), interrupt: { ...request.interrupt } } }
    const route = this.hypervisor.route(address, vector)
    yield* this.hypervisor.settle()
    if (route === undefined) return report
    const pending = this.hypervisor.vcpu(route.vm, route.vcpu).pending.includes(route.guestVector)
    return { ...report, route: { ...route, pending } }
  }

  /**
   * Stimulus: the same, at a chosen moment of the guest that takes the vector: while it sleeps, while it runs, or while
   * the host has preempted it. Returns what happened. Throws `notFound`, `poweredOff`; `invalidArgument` if no guest
   * takes the vector and one is to run; `unsupported`.
   */
  *follow(
    address: string,
    vector: number,
    guest: 'running' | 'blocked' | 'preempted',
  ): Software<InterruptJourney> {
    const dmaEngine = this.hardware.engineOf(this.functionAt(address))
    const { hypervisor, engine } = this
    return yield* followInterrupt({ dmaEngine, hypervisor, trace: engine.trace, address, vector, guest })
  }

  /** Every field of a virtual processor's VMCS by name. Throws `notFound`, `poweredOff`. */
  vmcs(vm: string, number: number): Record<string, string> {
    const { processor, page } = this.hypervisor.vmcs(vm, number)
    return this.hardware.processors[processor]!.vmcsFieldsAt(page * PAGE_SIZE)
  }

  /**
   * Writes a guest-state field of a virtual processor's VMCS, as the hypervisor would by VMWRITE. Throws `notFound`,
   * `poweredOff`; `invalidArgument`, with nothing written, if the guest could not be entered any more.
   */
  writeVmcs(vm: string, number: number, name: VmcsFieldName, value: Word64): void {
    writeGuestState(this.hardware, this.hypervisor, { vm, vcpu: number, name }, value)
  }

  /**
   * Stimulus: something happens to a function, a port or a slot; then software takes the interrupts that follow and does
   * what they ask for. Throws `notFound`, `poweredOff`, and what `happens` throws.
   */
  *stimulate(address: string, happens: (fn: PcieFunction) => Software | undefined): Software {
    const work = happens(this.functionAt(address))
    if (work !== undefined) yield* work
    yield* this.hypervisor.settle()
  }

  /**
   * Stimulus: something breaks; then software takes the interrupts that follow. A storm is over when this ends. Throws
   * `notFound`, `poweredOff`, `invalidArgument`, `topologyConflict`; then nothing has happened.
   */
  *inject(fault: Fault): Software<FaultRecord> {
    if (!this.powered) throw this.#poweredOff()
    const record = this.faults.inject(fault)
    if (fault.kind === 'interruptStorm') yield* this.elapse(fault.intervalNs * fault.messages)
    else yield* this.#settle()
    return record
  }

  /** Lets time pass: software takes the interrupts of what happens meanwhile, each when it comes. */
  *elapse(nanoseconds: number): Software {
    yield* passTime(this.engine, nanoseconds, () => this.#settle())
  }

  /** An operation on this platform has succeeded: faults that waited for it are injected. */
  *happened(operation: string, input: Readonly<Record<string, unknown>>): Software {
    if (this.faults.happened(operation, input)) yield* this.#settle()
  }

  /** Software takes its interrupts, if it still does. */
  *#settle(): Software {
    if (this.responds) yield* this.hypervisor.settle()
  }

  /** Starts anew, or ends, the watch over the software that manages DMA. It ends with this boot. Throws `poweredOff`. */
  sanitize(on: boolean): void {
    const { host } = this
    this.#sanitizer?.stop()
    this.#sanitizer = undefined
    if (!on) return
    this.#sanitizer = new DmaSanitizer(this.#watched(host))
  }

  #watched(host: HostKernel): WatchedPlatform {
    const { hardware, engine, topology } = this
    return { hardware, host, engine, topology }
  }

  /** The watch that is on. */
  get sanitizer(): DmaSanitizer | undefined {
    return this.#sanitizer
  }

  /** The function that answers at an address. Throws `notFound`, `poweredOff`. */
  functionAt(address: string): PcieFunction {
    if (!this.powered) throw this.#poweredOff()
    const { segment, rid } = parseFunctionAddress(address)
    const fn = this.hardware.fabric.functionAt(segment, rid)
    if (fn === undefined) throw new NorthbridgeError('notFound', `there is no function ${address}`)
    return fn
  }

  /**
   * The whole state between two commands: hardware, software, time. Plain data, a copy: pages of memory that are not
   * all zero make most of it.
   */
  save(): Saved {
    return seal(this.#state(), this.topology, this.seed)
  }

  /**
   * Goes back, or on, to a state that {@link save} returned for a platform of the same topology; followers of the trace
   * stay. What was taken from `host` and `hypervisor` before is of the past. Throws `invalidDocument` for a state that
   * is damaged, of another topology or of another version, naming the room; nothing has changed then.
   */
  load(saved: Saved): void {
    const { state } = unseal(saved, this.topology)
    const before = this.#state()
    checkVersions(state.hardware, before.hardware)
    try {
      this.#restore(state)
    } catch (error) {
      this.#apply(before)
      throw unusable(error)
    }
  }

  /**
   * A platform in a state that another one of the same topology had: a fork. Throws as {@link load}.
   *
   * @param options the seed is that of the state
   */
  static *restore(
    topology: Topology,
    options: Omit<SimulatedPlatformOptions, 'seed'>,
    saved: Saved,
  ): Software<SimulatedPlatform> {
    const { state, seed } = unseal(saved, topology)
    const engine = new Engine()
    const hardware = yield* Platform.build(topology, engine)
    const platform = new SimulatedPlatform({ ...options, seed }, topology, engine, hardware)
    checkVersions(state.hardware, hardware.save())
    try {
      platform.#restore(state)
    } catch (error) {
      throw unusable(error)
    }
    return platform
  }

  /** Remembers the state; the result goes back to it, if anything is different by then. */
  mark(): () => void {
    const before = this.#state()
    return () => {
      if (!this.#isAt(before)) this.#apply(before)
    }
  }

  /** Where work was broken off, the parts may not even agree enough to be saved. */
  #isAt(state: PlatformState): boolean {
    try {
      return areEqual(this.#state(), state)
    } catch {
      return false
    }
  }

  /** A state whose parts do not fit together becomes another one: that is noticed here, if not before. */
  #restore(state: PlatformState): void {
    this.#apply(state)
    assert(areEqual(this.#state(), state), 'what was restored is what was saved')
  }

  #apply(state: PlatformState): void {
    this.#sanitizer?.stop()
    this.#sanitizer = undefined
    this.random.load(state.random)
    this.hardware.load(state.hardware)
    this.faults.load(state.faults)
    this.#software = restoreSoftware(this.#ground, state)
    if (this.#software !== undefined && state.sanitizer !== undefined)
      this.#sanitizer = new DmaSanitizer(this.#watched(this.#software.host), state.sanitizer)
    // Last: nothing of the above is told or takes time.
    this.engine.load(state.engine)
    this.wires.load(state.wires, this.hardware.network.ports, this.engine.now)
    this.engine.trace.load(state.trace)
  }

  #state(): PlatformState {
    return {
      version: 3,
      engine: this.engine.save(),
      trace: this.engine.trace.save(),
      random: this.random.save(),
      faults: this.faults.save(),
      hardware: this.hardware.save(),
      wires: this.wires.save(),
      ...saveSoftware(this.#software),
      sanitizer: this.#sanitizer?.save(),
    }
  }

  /**
   * Digest of the state: equal for equal states, whatever was told of how they came about, and watched or not. A refused
   * command leaves it as it was.
   */
  stateHash(): string {
    return digest({ ...this.#state(), trace: undefined, sanitizer: undefined })
  }
}
