/** One machine with the software that runs on it, and the stimulus that the outside world gives it. */
import {
  digest,
  NorthbridgeError,
  PAGE_SIZE,
  parseFunctionAddress,
  Random,
  type Saved,
} from '../core/index.ts'
import type { DmaOptions } from '../devices/index.ts'
import { Engine, type Software, within } from '../engine/index.ts'
import { describeReport, runFirmware } from '../firmware/index.ts'
import { guestHypervisor, guestKernel } from '../guest/index.ts'
import { HostKernel } from '../host/index.ts'
import { Hypervisor } from '../hypervisor/index.ts'
import type { PcieFunction } from '../pcie/index.ts'
import { Platform, type Topology } from '../platform/index.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../vmx/formats/vmcs.ts'
import { bootVfs } from './boot-vfs.ts'
import { type DmaReport, dmaPart, type InterruptJourney, type InterruptReport } from './reports.ts'
import { DmaSanitizer } from './sanitizer/dma-sanitizer.ts'

export interface SimulatedPlatformOptions {
  readonly id: string
  readonly name: string
  /** Of the world's random numbers; default 1. */
  readonly seed?: number
}

/** A function whose page request is answered but whose page is missing still gives up some time. */
const MOST_PAGE_REQUEST_TRIES = 16

/** A guest that has something to do, of which none causes a VM exit. */
const BUSY: readonly Operation[] = [{ op: 'pause' }, { op: 'pause' }, { op: 'pause' }]

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
  #host: HostKernel | undefined
  #hypervisor: Hypervisor | undefined
  #sanitizer: DmaSanitizer | undefined

  private constructor(
    { id, name, seed = 1 }: SimulatedPlatformOptions,
    topology: Topology,
    engine: Engine,
    hardware: Platform,
  ) {
    this.id = id
    this.name = name
    this.seed = seed
    this.topology = topology
    this.engine = engine
    this.random = new Random(seed)
    this.hardware = hardware
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

  /** The kernel of this boot. Throws `poweredOff`. */
  get host(): HostKernel {
    if (this.#host === undefined) throw this.#poweredOff()
    return this.#host
  }

  /** The hypervisor of this boot. Throws `poweredOff`. */
  get hypervisor(): Hypervisor {
    if (this.#hypervisor === undefined) throw this.#poweredOff()
    return this.#hypervisor
  }

  #poweredOff(): NorthbridgeError {
    return new NorthbridgeError('poweredOff', `platform ${this.name} is powered off`)
  }

  /**
   * The power button. Off ends all software at once: virtual machines are gone. Throws `alreadyDone` for what already
   * is, and `poweredOff` for a reset without power.
   */
  *power(action: PowerAction): Software {
    if (action === 'on' && this.powered)
      throw new NorthbridgeError('alreadyDone', `platform ${this.name} is on`)
    if (action === 'off' && !this.powered)
      throw new NorthbridgeError('alreadyDone', `platform ${this.name} is off`)
    if (action === 'reset' && !this.powered) throw this.#poweredOff()
    if (this.powered) this.sanitize(false)
    this.#host = undefined
    this.#hypervisor = undefined
    if (action === 'on') this.hardware.powerOn()
    else if (action === 'off') return this.hardware.powerOff()
    else this.hardware.reset()
    yield* this.#boot()
  }

  *#boot(): Software {
    const { port } = this.hardware
    const report = yield* runFirmware(port)
    for (const sentence of describeReport(report)) this.engine.trace.emit('firmware', sentence)
    const host = new HostKernel(port, {
      engine: this.engine,
      commandLine: this.topology.host.commandLine,
      kernel: this.topology.host.kernel,
      driverOverrides: this.topology.host.drivers ?? {},
      // The DMAR table has no names: the kernel shows the board's, so that people find one name everywhere.
      unitNames: this.#unitNames(),
      bootVfs: bootVfs(this.hardware),
    })
    yield* host.boot()
    this.#host = host
    this.#hypervisor = new Hypervisor(port, host, this.engine, {
      kernel: guestKernel,
      hypervisor: guestHypervisor,
    })
  }

  #unitNames(): Map<number, string> {
    const { units, apertureBase } = this.hardware.port.board.remapping
    const names = new Map(units.map(unit => [unit.registerBase, unit.id]))
    if (apertureBase !== undefined) names.set(apertureBase, this.hardware.aperture!.id)
    return names
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
    const dmaEngine = this.hardware.engineOf(this.functionAt(address))
    let parts = dmaEngine.dma(write, page, offset, data, options)
    let reports = parts.map(part => ({ ...part }))
    yield* this.hypervisor.settle()
    for (let tries = 0; dmaEngine.waiting && tries < MOST_PAGE_REQUEST_TRIES; tries++) {
      parts = dmaEngine.retry()
      reports = parts.map(part => ({ ...part }))
      yield* this.hypervisor.settle()
    }
    return { parts: reports }
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
    const { hypervisor } = this
    const { trace } = this.engine
    const route = hypervisor.route(address, vector)
    let first = trace.last
    let signal: InterruptReport['signal'] = 'disabled'
    const act = (): void => {
      first = trace.last
      ;({ signal } = dmaEngine.fire(vector))
    }
    if (guest === 'blocked') act()
    else if (route === undefined) {
      throw new NorthbridgeError(
        'invalidArgument',
        `no virtual machine takes vector ${vector} of ${address}, so none can be ${guest}`,
        { issues: [{ path: '/guest', message: 'needs a virtual machine that takes the vector' }] },
      )
    } else {
      yield* hypervisor.runVcpu(route.vm, route.vcpu, BUSY, { before: 1, state: guest, act })
    }
    yield* hypervisor.settle()
    return { signal, route, events: trace.since(first) }
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
    const { processor, page } = this.hypervisor.vmcs(vm, number)
    const [broken] = this.hardware.processors[processor]!.brokenEntryRulesWith(
      page * PAGE_SIZE,
      name,
      ...value,
    )
    if (broken !== undefined) {
      throw new NorthbridgeError(
        'invalidArgument',
        `${name}: VM entry would fail: ${broken.states} (${broken.id})`,
      )
    }
    this.hypervisor.writeVmcs(vm, number, VMCS[name], value)
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

  /** Starts anew, or ends, the watch over the software that manages DMA. It ends with this boot. Throws `poweredOff`. */
  sanitize(on: boolean): void {
    const { host } = this
    this.#sanitizer?.stop()
    this.#sanitizer = undefined
    if (!on) return
    const { hardware, engine, topology } = this
    this.#sanitizer = new DmaSanitizer({ hardware, host, engine, topology })
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

  /** The whole state: hardware, software, time. */
  save(): Saved {
    return {
      version: 1,
      engine: this.engine.save(),
      random: this.random.save(),
      hardware: this.hardware.save(),
      host: this.#host?.save(),
      hypervisor: this.#hypervisor?.save(),
    }
  }

  /** Digest of {@link save}: equal for equal states. A refused command leaves it as it was. */
  stateHash(): string {
    return digest(this.save())
  }
}
