/**
 * "Queued Invalidation Interface": descriptors from a ring in memory, in order, until one of them is wrong or has to
 * wait for functions to answer.
 */
import { get, type RegisterFile, type Saved, set } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { DescriptorExecution, descriptorTypeOf } from './descriptor-execution.ts'
import { DeviceInvalidations, type DeviceTlbPort } from './device-invalidations.ts'
import { ABORTED } from './dma-remapping.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import type { FaultRecorder } from './fault-recording.ts'
import {
  DESCRIPTOR_BYTES,
  DESCRIPTOR_TYPE,
  INVALIDATION_WAIT as WAIT,
  WIDE_DESCRIPTOR_BYTES,
} from './formats/invalidation-descriptors.ts'
import {
  INVALIDATION_QUEUE_ERROR as ERROR,
  GSTS,
  ICS,
  IQA,
  IQH,
  IQT,
  TRANSLATION_TABLE_MODE,
} from './formats/registers.ts'
import type { Invalidation } from './invalidation.ts'
import { type PendingWork, WORK } from './pending-work.ts'
import type { Quirks } from './quirks.ts'
import { WaitFaults } from './wait-faults.ts'

/** What descriptors act on. */
export interface QueueTargets {
  readonly memory: PhysicalMemory
  readonly invalidation: Invalidation
  readonly faults: FaultRecorder
  readonly completion: EventInterrupt
  readonly deviceTlbs: DeviceTlbPort | undefined
  readonly work: PendingWork
  /** `DmaRemapping.effectiveMode` */
  mode(): number
}

export class InvalidationQueue {
  /** Stimulus. */
  readonly waitFaults = new WaitFaults()
  readonly #words: Uint32Array
  readonly #capabilities: UnitCapabilities
  readonly #targets: QueueTargets
  readonly #quirks: Quirks
  readonly #latency: number
  readonly #devices: DeviceInvalidations
  readonly #execution: DescriptorExecution
  /** The descriptor being processed; one of 128 bits leaves the upper half 0. */
  readonly #descriptor = new Uint32Array(WIDE_DESCRIPTOR_BYTES / 4)
  /** A wait descriptor whose turn has come before all functions have answered. */
  readonly #wait = new Uint32Array(DESCRIPTOR_BYTES / 4)
  #waiting = false
  #lastType = 0

  /** @param latency nanoseconds that each descriptor takes; 0: none, all happens within the access that starts it. */
  constructor(
    file: RegisterFile,
    capabilities: UnitCapabilities,
    targets: QueueTargets,
    { quirks, latency }: { quirks: Quirks; latency: number },
  ) {
    this.#words = file.words
    this.#capabilities = capabilities
    this.#targets = targets
    this.#quirks = quirks
    this.#latency = latency
    const { deviceTlbs, work, faults, invalidation } = targets
    this.#devices = new DeviceInvalidations(deviceTlbs, work, faults, {
      completed: () => this.#answered(),
      timedOut: () => {
        // "Invalidation Time-out Error": what waits is aborted, its status never written.
        this.#waiting = false
      },
    })
    this.#execution = new DescriptorExecution(capabilities, quirks, {
      invalidation,
      devices: this.#devices,
      wait: descriptor => this.#startWait(descriptor),
    })
    work.handle(WORK.waitCompletion, () => {
      if (!this.#waiting) return
      this.#waiting = false
      this.#completeWait()
      this.run()
    })
    work.handle(WORK.descriptor, () => {
      if (this.#ready()) this.#step()
      this.run()
    })
  }

  get enabled(): boolean {
    return (this.#words[GSTS.at]! & GSTS.f.QIES.mask) !== 0
  }

  enable(): void {
    this.#words[GSTS.at]! |= GSTS.f.QIES.mask
    this.run()
  }

  disable(): void {
    if (this.#quirks.queueDisableRefused && !this.#isQuiet()) return
    this.#words[GSTS.at]! &= ~GSTS.f.QIES.mask
    this.#words[IQH.at] = 0
    this.#waiting = false
    this.#targets.work.cancel(WORK.descriptor)
    this.#targets.work.cancel(WORK.waitCompletion)
  }

  /** Empty, and its last descriptor was a wait: when software may disable it. */
  #isQuiet(): boolean {
    return this.#head === this.#tail && this.#lastType === DESCRIPTOR_TYPE.wait
  }

  get #head(): number {
    return this.#words[IQH.at]! & IQH.f.QH.mask
  }

  get #tail(): number {
    return this.#words[IQT.at]! & IQT.f.QT.mask
  }

  get #wide(): boolean {
    return (this.#words[IQA.at]! & IQA.f.DW.mask) !== 0
  }

  /** After software cleared errors. */
  resume(): void {
    if (!this.#quirks.queueResumesAtTailWrite) this.run()
  }

  /** Processes descriptors until the queue is empty or stopped. After writes to IQA and IQT too. */
  run(): void {
    const { faults, work } = this.#targets
    const { SMTS, ADMS } = this.#capabilities
    if (this.enabled && !faults.queueStopped && this.#wide && SMTS + ADMS === 0) {
      faults.invalidationQueueError(ERROR.invalidDescriptorWidth)
    }
    while (this.#ready()) {
      if (this.#latency > 0) {
        if (!work.has(WORK.descriptor)) work.start(this.#latency, WORK.descriptor)
        return
      }
      this.#step()
    }
  }

  #ready(): boolean {
    return this.enabled && !this.#waiting && !this.#targets.faults.queueStopped && this.#head !== this.#tail
  }

  #step(): void {
    const words = this.#words
    const step = this.#wide ? WIDE_DESCRIPTOR_BYTES : DESCRIPTOR_BYTES
    const size = 4096 << get(IQA.f.QS, words, IQA.at)
    const error = this.#process(step, size)
    // The head stays at a wrong descriptor; clearing IQE tries it again.
    if (error === ERROR.none) words[IQH.at] = (this.#head + step) % size
    else this.#targets.faults.invalidationQueueError(error)
  }

  #process(step: number, size: number): number {
    const tail = this.#tail
    if (tail >= size) return ERROR.invalidTail
    if (tail % step !== 0) return ERROR.tailMisaligned
    const mode = this.#targets.mode()
    if (!this.#wide && mode === TRANSLATION_TABLE_MODE.scalable) return ERROR.invalidDescriptorWidth
    if (mode < ABORTED) return ERROR.invalidTranslationTableMode
    this.#lastType = 0
    if (!this.#fetch(step)) return ERROR.fetchError
    this.#lastType = descriptorTypeOf(this.#descriptor)
    return this.#execution.execute(this.#descriptor, this.#wide)
  }

  #fetch(bytes: number): boolean {
    const words = this.#words
    const head = this.#head
    const frame = words[IQA.at + 1]! * 0x10_0000 + (words[IQA.at]! >>> 12) + (head >>> 12)
    const page = this.#targets.memory.page(frame)
    if (page === undefined) return false
    const at = (head & 0xfff) >>> 2
    this.#descriptor.fill(0)
    for (let word = 0; word < bytes / 4; word++) this.#descriptor[word] = page.words[at + word]!
    return true
  }

  /**
   * A wait descriptor completes after all earlier ones, device-TLB invalidations included; later ones never overtake
   * it, which FN asks for and its absence permits.
   */
  #startWait(descriptor: Uint32Array): void {
    this.#wait.set(descriptor.subarray(0, this.#wait.length))
    this.#waiting = this.#devices.outstanding
    if (!this.#waiting) this.#endWait()
  }

  #answered(): void {
    const { work } = this.#targets
    if (!this.#waiting || this.#devices.outstanding || work.has(WORK.waitCompletion)) return
    this.#waiting = false
    this.#endWait()
    this.run()
  }

  /** The wait is over; its completion is lost or late if a stimulus wants it so. */
  #endWait(): void {
    if (this.waitFaults.loses()) return
    const delay = this.waitFaults.delay()
    if (delay === 0) {
      this.#completeWait()
      return
    }
    this.#waiting = true
    this.#targets.work.start(delay, WORK.waitCompletion)
  }

  /** Status is written, 32 bits to a host address, before the event. */
  #completeWait(): void {
    const d = this.#wait
    const words = this.#words
    if (get(WAIT.SW, d) === 1) {
      this.#targets.memory.writeDword(get(WAIT.STADDR, d) * 4, get(WAIT.STDATA, d))
    }
    if (get(WAIT.IF, d) === 1 && (words[ICS.at]! & ICS.f.IWC.mask) === 0) {
      set(ICS.f.IWC, words, 1, ICS.at)
      this.#targets.completion.raise()
    }
  }

  reset(): void {
    this.#waiting = false
    this.#lastType = 0
    this.waitFaults.clear()
  }

  save(): Saved {
    return {
      wait: this.#wait.slice(),
      waiting: this.#waiting,
      lastType: this.#lastType,
      waitFaults: this.waitFaults.save(),
    }
  }

  load(saved: Saved): void {
    const { wait, waiting, lastType, waitFaults } = saved as {
      wait: Uint32Array
      waiting: boolean
      lastType: number
      waitFaults: Saved
    }
    this.#wait.set(wait)
    this.#waiting = waiting
    this.#lastType = lastType
    this.waitFaults.load(waitFaults)
  }
}
