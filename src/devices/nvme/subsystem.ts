/**
 * The NVM subsystem behind a physical function: its controller, one more for each virtual function, and the namespaces
 * that they share: NVM Express 1.4, §1.6 and §8.5.
 */
import { formatFunctionAddress, type Saved } from '../../core/index.ts'
import type { FunctionModel, PcieFunction } from '../../pcie/index.ts'
import type { DeviceEnvironment } from '../device-model.ts'
import type { BlockStore } from './block-store.ts'
import { type BusCounters, FunctionBusMaster } from './bus.ts'
import { controllerId, type NvmeObserver } from './context.ts'
import { type ControllerHost, NvmeController } from './controller.ts'
import { Logs } from './logs.ts'
import { Namespaces } from './namespaces.ts'
import { Resources } from './resources.ts'
import type { NvmeSettings } from './settings.ts'

/** Registers and doorbells are behind BAR0. */
const BAR = 0
/** Turns of controllers before what is left has to wait. */
const MOST_ROUNDS = 64
/** Timer arguments: secondary controller + 1, times this, and the controller's own argument + 1. */
const ARGUMENTS = 0x1_0000

interface Part {
  readonly function: PcieFunction
  readonly bus: FunctionBusMaster
  readonly controller: NvmeController
}

/** What inspection shows of a controller. */
export interface ControllerView {
  readonly function: string
  readonly controllerId: number
  readonly ready: boolean
  readonly online: boolean
  readonly queueResources: number
  readonly interruptResources: number
  readonly submissionQueues: readonly {
    readonly id: number
    readonly size: number
    readonly head: number
    readonly tail: number
    readonly completionQueue: number
  }[]
  readonly completionQueues: readonly {
    readonly id: number
    readonly size: number
    readonly head: number
    readonly tail: number
    readonly phase: number
    readonly vector: number
  }[]
  readonly completed: number
  readonly counters: BusCounters
}

export class NvmeSubsystem implements FunctionModel, ControllerHost {
  observer: NvmeObserver | undefined = undefined
  readonly settings: NvmeSettings
  readonly resources: Resources
  readonly logs: Logs
  readonly buffer: Uint8Array
  readonly #function: PcieFunction
  readonly #environment: DeviceEnvironment
  readonly namespaces: Namespaces
  readonly #primary: Part
  readonly #secondaries: (Part | undefined)[] = []
  /** Controllers with work that came while another one worked, by CNTLID. */
  readonly #waiting: Uint8Array
  #anyWaits = false
  #serving = false

  constructor(fn: PcieFunction, environment: DeviceEnvironment, settings: NvmeSettings) {
    this.settings = settings
    this.#function = fn
    this.#environment = environment
    this.resources = new Resources(settings.vectors, settings.virtualVectors, settings.virtualFunctions)
    this.logs = new Logs(settings.firmwareRevision)
    this.buffer = new Uint8Array(4096 * 2 ** settings.transferExponent)
    this.#waiting = new Uint8Array(settings.virtualFunctions + 1)
    this.namespaces = new Namespaces(settings)
    this.#primary = this.#makePart(fn, -1)
  }

  #makePart(fn: PcieFunction, secondary: number): Part {
    const bus = new FunctionBusMaster(fn)
    const controller = new NvmeController(this, bus, secondary)
    fn.installBehaviour(BAR, controller)
    return { function: fn, bus, controller }
  }

  /** Another medium is in the place of a namespace's: a file, another machine's disk. Throws `notFound`. */
  replaceMedium(nsid: number, store: BlockStore): void {
    this.namespaces.replaceStore(nsid, store)
    const { attached } = this.namespaces.get(nsid)!
    for (const [controller, is] of attached.entries()) if (is === 1) this.namespaceChanged(controller, nsid)
  }

  namespaceChanged(controller: number, nsid: number): void {
    this.#partOf(controller - controllerId(0))?.controller.namespaceChanged(nsid)
  }

  functionEnabled(secondary: number): boolean {
    return this.#secondaries[secondary] !== undefined
  }

  /** A controller that changes its state has been reset. */
  setOnline(secondary: number, online: boolean): void {
    if ((this.resources.online[secondary] === 1) === online) return
    this.#secondaries[secondary]?.controller.resetRegisters()
    this.resources.online[secondary] = online ? 1 : 0
  }

  /**
   * One controller works at a time: data that lands on a doorbell of this subsystem, its own or another controller's,
   * must not start a command in the middle of one.
   */
  serve(secondary: number): void {
    if (this.#serving) {
      this.#waiting[controllerId(secondary)] = 1
      this.#anyWaits = true
      return
    }
    this.#serving = true
    this.#partOf(secondary)?.controller.work()
    for (let rounds = 0; this.#anyWaits; rounds++) this.#serveWaiting(rounds < MOST_ROUNDS)
    this.#serving = false
  }

  /** Controllers that ring each other's doorbells without end do so in time. */
  #serveWaiting(now: boolean): void {
    this.#anyWaits = false
    for (let id = 0; id < this.#waiting.length; id++) {
      if (this.#waiting[id] === 0) continue
      this.#waiting[id] = 0
      const controller = this.#partOf(id - controllerId(0))?.controller
      if (now) controller?.work()
      else controller?.continueLater()
    }
  }

  #partOf(secondary: number): Part | undefined {
    return secondary < 0 ? this.#primary : this.#secondaries[secondary]
  }

  schedule(secondary: number, delay: number, argument: number): void {
    this.#environment.schedule(delay, controllerId(secondary) * ARGUMENTS + argument + 1)
  }

  timeIsUp(argument: number): void {
    const secondary = Math.floor(argument / ARGUMENTS) - controllerId(0)
    this.#partOf(secondary)?.controller.timeIsUp((argument % ARGUMENTS) - 1)
  }

  /** "Controller Level Reset" of the primary controller takes its secondary controllers offline. */
  controllerReset(secondary: number): void {
    if (secondary >= 0) return
    for (let i = 0; i < this.settings.virtualFunctions; i++) this.setOnline(i, false)
  }

  /** "NVM Subsystem Reset": every controller of the subsystem. */
  subsystemReset(): void {
    this.#primary.controller.resetRegisters()
    this.controllerReset(-1)
    for (const part of this.#secondaries) part?.controller.resetRegisters()
    this.resources.primaryReset()
    for (const part of [this.#primary, ...this.#secondaries]) part?.controller.noteSubsystemReset()
  }

  // The function

  virtualFunctionsChanged(): void {
    const { virtualFunctions } = this.#function
    for (let i = 0; i < Math.max(this.#secondaries.length, virtualFunctions.length); i++) {
      const fn = virtualFunctions[i]
      if (this.#secondaries[i]?.function === fn) continue
      // VF Enable was cleared, or set again: the controller begins anew, offline.
      this.#secondaries[i] = undefined
      this.resources.online[i] = 0
      if (fn !== undefined) this.#secondaries[i] = this.#makePart(fn, i)
    }
    this.#secondaries.length = virtualFunctions.length
  }

  reset(): void {
    this.virtualFunctionsChanged()
    this.#primary.controller.resetRegisters()
    this.controllerReset(-1)
    this.resources.primaryReset()
  }

  virtualFunctionReset(index: number): void {
    this.#secondaries[index]?.controller.resetRegisters()
  }

  // Inspection

  view(): readonly ControllerView[] {
    return [this.#primary, ...this.#secondaries].flatMap(part =>
      part === undefined ? [] : [this.#view(part)],
    )
  }

  #view({ function: fn, bus, controller }: Part): ControllerView {
    const { secondary, queues } = controller
    return {
      function: formatFunctionAddress(fn.segment, fn.rid),
      controllerId: controller.id,
      ready: controller.ready,
      online: secondary < 0 || this.resources.online[secondary] === 1,
      queueResources: this.resources.queuesOf(secondary),
      interruptResources: this.resources.interruptsOf(secondary),
      submissionQueues: queues.submission.flatMap(queue =>
        queue === undefined
          ? []
          : [
              {
                id: queue.id,
                size: queue.size,
                head: queue.head,
                tail: queue.tail,
                completionQueue: queue.completionQueue,
              },
            ],
      ),
      completionQueues: queues.completion.flatMap(queue =>
        queue === undefined
          ? []
          : [
              {
                id: queue.id,
                size: queue.size,
                head: queue.head,
                tail: queue.tail,
                phase: queue.phase,
                vector: queue.vector,
              },
            ],
      ),
      completed: controller.completed,
      counters: { ...bus.counters },
    }
  }

  save(): Saved {
    return {
      version: 1,
      primary: this.#primary.controller.save(),
      secondaries: this.#secondaries.map(part => part?.controller.save() ?? null),
      resources: this.resources.save(),
      logs: this.logs.save(),
      namespaces: this.namespaces.save(),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as {
      primary: Saved
      secondaries: readonly Saved[]
      resources: Saved
      logs: Saved
      namespaces: Saved
    }
    this.virtualFunctionsChanged()
    this.#primary.controller.load(state.primary)
    for (const [i, part] of state.secondaries.entries()) {
      if (part !== null) this.#secondaries[i]?.controller.load(part)
    }
    this.resources.load(state.resources)
    this.logs.load(state.logs)
    this.namespaces.load(state.namespaces)
  }
}
