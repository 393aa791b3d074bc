/** The register half of a unit: its parts, wired to each other. What translates and remaps is made before them. */
import type { Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import type { InterruptSink } from '../interrupts/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import type { DeviceTlbPort } from './device-invalidations.ts'
import type { DmaRemapping } from './dma-remapping.ts'
import { EventInterrupt } from './event-interrupt.ts'
import { FaultRecorder } from './fault-recording.ts'
import { FECTL, IECTL, PECTL } from './formats/registers.ts'
import { GlobalCommand } from './global-command.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import type { InterruptRemapping } from './interrupt-remapping.ts'
import { Invalidation, type InvalidationListener } from './invalidation.ts'
import { InvalidationQueue } from './invalidation-queue.ts'
import { PageRequestQueue } from './page-requests.ts'
import { PendingWork } from './pending-work.ts'
import type { Quirks } from './quirks.ts'
import { type RegisterBlock, resetRegisters } from './register-block.ts'
import { RegisterEffects } from './register-effects.ts'
import { RegisterInvalidation } from './register-invalidation.ts'
import type { TranslationCaches } from './translation-caches.ts'
import type { WaitFaults } from './wait-faults.ts'

export interface ControlOptions {
  readonly id: string
  readonly capabilities: UnitCapabilities
  readonly quirks: Quirks
  /** Nanoseconds that a command or a descriptor takes; 0: it completes within the access that starts it. */
  readonly latency: number
}

/** What the registers control, and what they reach outside. */
export interface ControlEnvironment {
  readonly memory: PhysicalMemory
  readonly sink: InterruptSink
  readonly engine: Engine
  readonly deviceTlbs: DeviceTlbPort | undefined
  readonly dma: DmaRemapping
  readonly interrupts: InterruptRemapping
  readonly translations: TranslationCaches
  readonly interruptEntries: InterruptEntryCache
  /** Called when an invalidation has dropped anything. */
  invalidated(): void
  /** Who follows the tables, if anybody does. */
  readonly listener: InvalidationListener | undefined
}

export class Control {
  readonly faults: FaultRecorder
  readonly pageRequests: PageRequestQueue
  readonly effects: RegisterEffects
  readonly #block: RegisterBlock
  readonly #capabilities: UnitCapabilities
  readonly #command: GlobalCommand
  readonly #queue: InvalidationQueue
  readonly #registerInvalidation: RegisterInvalidation
  readonly #work: PendingWork

  constructor(block: RegisterBlock, options: ControlOptions, environment: ControlEnvironment) {
    const { capabilities: c, quirks, id } = options
    const { memory, sink, engine, dma, interrupts, deviceTlbs } = environment
    const { translations, interruptEntries } = environment
    const { file } = block
    this.#block = block
    this.#capabilities = c
    const extended = (): boolean => interrupts.extended
    const faultEvent = new EventInterrupt(file, FECTL, sink, extended)
    const completionEvent = new EventInterrupt(file, IECTL, sink, extended)
    const pageRequestEvent = new EventInterrupt(file, PECTL, sink, extended)
    const faults = new FaultRecorder(block, faultEvent, engine.trace, id, c.MGAW + 1, quirks)
    this.faults = faults
    const work = new PendingWork(engine, id)
    this.#work = work
    const mode = (): number => dma.effectiveMode
    const invalidation = new Invalidation(
      { translations, interrupts: interruptEntries },
      c,
      quirks,
      engine.trace,
      id,
      environment.invalidated,
      environment.listener,
    )
    const completion = completionEvent
    const queueTargets = { memory, invalidation, faults, completion, deviceTlbs, work, mode }
    this.#queue = new InvalidationQueue(file, c, queueTargets, options)
    this.#registerInvalidation = new RegisterInvalidation(
      block,
      c,
      { invalidation, work, mode },
      options.latency,
    )
    const commandTargets = { dma, interrupts, faults, invalidation, queue: this.#queue, work }
    this.#command = new GlobalCommand(file.words, c, commandTargets, options)
    this.pageRequests = new PageRequestQueue(
      file.words,
      { dma, faults },
      memory,
      pageRequestEvent,
      (sourceId, pasid, groupIndex, code) => deviceTlbs?.pageGroupResponse(sourceId, pasid, groupIndex, code),
    )
    this.effects = new RegisterEffects(
      block,
      c,
      {
        command: this.#command,
        faults,
        faultEvent,
        completionEvent,
        pageRequestEvent,
        queue: this.#queue,
        registerInvalidation: this.#registerInvalidation,
      },
      quirks,
    )
  }

  get waitFaults(): WaitFaults {
    return this.#queue.waitFaults
  }

  /** Registers and latches at their reset values, nothing under way. */
  reset(): void {
    resetRegisters(this.#block, this.#capabilities)
    this.#registerInvalidation.reset()
    this.#queue.reset()
    this.#work.cancelAll()
    this.#command.latchRootTable()
    this.#command.latchInterruptTable()
    this.faults.next = 0
  }

  save(): Saved {
    return {
      nextFault: this.faults.next,
      invalidation: this.#registerInvalidation.save(),
      queue: this.#queue.save(),
      work: this.#work.save(),
    }
  }

  load(saved: Saved): void {
    const state = saved as { nextFault: number; invalidation: Saved; queue: Saved; work: Saved }
    this.faults.next = state.nextFault
    this.#registerInvalidation.load(state.invalidation)
    this.#queue.load(state.queue)
    this.#work.load(state.work)
  }
}
