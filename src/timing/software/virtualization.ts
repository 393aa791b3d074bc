/** What interrupts, doorbells and sleep cost on each way into and out of a guest. The counts are those of the functional model. */
import type { ParameterName } from '../costs/parameters.ts'
import type { Side } from '../resources/accounts.ts'
import type { Simulation } from '../simulation.ts'
import type { Wakening } from './doorbells.ts'
import type { Charge } from './worker.ts'

/** Options of the workload that decide about exits. */
export interface Assistance {
  readonly posted: boolean
  readonly exitless: boolean
  readonly apicVirtualization: boolean
  readonly idle: 'halt' | 'poll'
}

export class VirtualizationPrices {
  readonly #simulation: Simulation
  readonly #assistance: Assistance

  constructor(simulation: Simulation, assistance: Assistance) {
    this.#simulation = simulation
    this.#assistance = assistance
  }

  /** A charge of some parameters in cycles together. */
  charge(side: Side, name: string, ...parameters: readonly ParameterName[]): Charge {
    const { activities, cycles } = this.#simulation
    const activity = activities.number(name, side, name.startsWith('exit: '))
    return { activity, nanoseconds: parameters.reduce((sum, parameter) => sum + cycles(parameter), 0) }
  }

  /** A native interrupt on a processor of the host. */
  get native(): Wakening {
    const interrupt = this.charge('host', 'interrupt', 'interruptDelivery')
    return { running: [interrupt], halted: [interrupt], haltedLatency: 0 }
  }

  /** Wake-up of a sleeping thread by another. */
  get thread(): Wakening {
    return { running: [], halted: [], haltedLatency: this.#simulation.costs.wakeUp }
  }

  /** From one thread to another of the same system. */
  switched(side: Side): Charge {
    return this.charge(side, 'thread switch', 'contextSwitch')
  }

  /** What the guest's handler costs, with the EOI at its end. */
  #handler(): Charge[] {
    const handler = this.charge('guest', 'interrupt handler', 'interruptDelivery')
    const { apicVirtualization, exitless, posted } = this.#assistance
    const free = apicVirtualization || exitless || posted
    return free ? [handler] : [handler, this.charge('host', 'exit: EOI', 'exitRoundTrip', 'endOfInterrupt')]
  }

  /** An interrupt of an assigned device, on its way to a virtual processor. */
  get assigned(): Wakening {
    const { posted, exitless } = this.#assistance
    const injected = this.charge('host', 'interrupt injected', 'virtualInterrupt')
    const exit = this.charge('host', 'exit: external interrupt', 'exitRoundTrip', 'kernelHandler')
    const handler = this.#handler()
    return {
      running: posted
        ? [this.charge('guest', 'posted interrupt', 'postedInterrupt')]
        : exitless
          ? [this.charge('guest', 'interrupt handler', 'interruptDelivery')]
          : [exit, injected, ...handler],
      // The host takes it: by the wake-up vector if it was posted.
      halted: [this.charge('host', 'interrupt', 'interruptDelivery'), injected, ...handler],
      haltedLatency: this.#simulation.costs.wakeUp,
    }
  }

  /** An interrupt that a back end makes. */
  get injected(): Wakening {
    const handler = this.#handler()
    return {
      running: this.#assistance.posted
        ? [this.charge('guest', 'posted interrupt', 'postedInterrupt')]
        : [this.charge('host', 'exit: external interrupt', 'exitRoundTrip', 'kernelHandler'), ...handler],
      halted: handler,
      haltedLatency: this.#simulation.costs.wakeUp,
    }
  }

  /** What the back end pays for it. */
  get injection(): readonly Charge[] {
    return [this.charge('host', 'interrupt injected', 'virtualInterrupt', 'interProcessorInterrupt')]
  }

  /** What the guest pays to wake a back end. */
  get kick(): readonly Charge[] {
    return [this.charge('host', 'exit: doorbell', 'exitRoundTrip', 'eventNotify')]
  }

  /** Accesses to registers of an emulated device. */
  accesses(times: number): Charge {
    const parameters = ['exitRoundTrip', 'kernelHandler', 'userSpaceRoundTrip', 'registerEmulation'] as const
    return { ...this.charge('host', 'exit: register access', ...parameters), times }
  }

  /** A virtual processor with nothing to do. */
  get sleep(): readonly Charge[] {
    if (this.#assistance.idle === 'poll') return []
    return [this.charge('host', 'exit: HLT', 'exitRoundTrip', 'kernelHandler')]
  }
}
