/** Queued invalidation: a ring of descriptors in memory, and a status word that says when they are done. */
import { get, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { type Engine, type Software, until, WAKE_UP } from '../../engine/index.ts'
import {
  DESCRIPTOR_BYTES,
  DESCRIPTOR_TYPE,
  FSTS,
  IQA,
  IQH,
  IQT,
  WIDE_DESCRIPTOR_BYTES,
} from '../../vtd/formats/index.ts'
import type { TableMemory } from '../table-memory.ts'
import { type Descriptor, describeInvalidation, type Invalidation, waitDescriptor } from './invalidation.ts'
import type { UnitRegisters } from './unit-registers.ts'

/** What a wait descriptor writes over {@link PENDING}. */
const DONE = 2
const PENDING = 1
/** What the driver writes over {@link PENDING} when a time-out has taken a wait away. */
const ABORTED = 3
/**
 * Nanoseconds after which nothing will come any more: a minute, and half as much again, is the longest that a device may
 * take for its part of an invalidation ("Invalidate Completion").
 */
const PATIENCE = 90_000_000_000

/** What the driver needs of the kernel around it. */
export interface QueueEnvironment {
  readonly engine: Engine
  /** Stops the kernel: there is no way on. */
  readonly halt: (reason: string) => never
}

export type SavedQueue = { readonly ring: PageNumber; readonly status: PageNumber }

export class InvalidationQueue {
  readonly #memory: TableMemory
  readonly #registers: UnitRegisters
  readonly #ring: PageNumber
  /** A status word for each slot of the ring. */
  readonly #status: PageNumber
  /** Addresses of the status words of waits under way. */
  readonly #waiting = new Set<number>()
  readonly #environment: QueueEnvironment
  /** Bytes of a descriptor: 16, or in scalable mode 32. */
  readonly #size: number
  /** IQA.QS = 0: one page of them. */
  readonly #entries: number

  constructor(
    memory: TableMemory,
    registers: UnitRegisters,
    wide: boolean,
    environment: QueueEnvironment,
    saved?: SavedQueue,
  ) {
    this.#environment = environment
    this.#size = wide ? WIDE_DESCRIPTOR_BYTES : DESCRIPTOR_BYTES
    this.#entries = PAGE_SIZE / this.#size
    this.#memory = memory
    this.#registers = registers
    this.#ring = saved?.ring ?? memory.allocate()
    this.#status = saved?.status ?? memory.allocate()
  }

  /** Between commands nobody waits. */
  save(): SavedQueue {
    return { ring: this.#ring, status: this.#status }
  }

  *enable(): Software {
    this.#registers.write64(IQT, 0, 0)
    const wide = this.#size === WIDE_DESCRIPTOR_BYTES
    this.#registers.writePage(IQA, this.#ring, wide ? IQA.f.DW.mask : 0)
    yield* this.#registers.command('QIE')
  }

  /** Returns when the unit has forgotten all that was asked. */
  *invalidate(requests: readonly Invalidation[]): Software {
    yield* this.submit(requests.map(describeInvalidation))
  }

  /** Posts descriptors in batches, a wait behind each, and returns when the last wait is done. */
  *submit(descriptors: readonly Descriptor[]): Software {
    const batch = this.#entries / 2
    for (let at = 0; at < descriptors.length; at += batch) {
      yield* this.#submitBatch(descriptors.slice(at, at + batch))
    }
  }

  /**
   * "Invalidation Time-out Error": a device did not answer, and every wait under way is gone. What does not concern
   * devices is asked for again; the device keeps what it has, as on Linux, which gives up on it too.
   */
  *#submitBatch(descriptors: readonly Descriptor[]): Software {
    if (yield* this.#tryBatch(descriptors)) return
    const rest = descriptors.filter(descriptor => (descriptor[0] & 0xf) !== DESCRIPTOR_TYPE.deviceTlb)
    yield* this.#submitBatch(rest)
  }

  /** Returns false if a time-out came in between. */
  *#tryBatch(descriptors: readonly Descriptor[]): Software<boolean> {
    yield* until(() => this.#freeSlots() > descriptors.length + 1)
    let slot = this.#slot(IQT.offset)
    for (const descriptor of descriptors) {
      this.#write(slot, descriptor)
      slot = (slot + 1) % this.#entries
    }
    const status = this.#status * PAGE_SIZE + slot * 4
    this.#memory.machine.writeDword(status, PENDING)
    this.#write(slot, waitDescriptor(status, DONE))
    this.#registers.write(IQT.offset, ((slot + 1) % this.#entries) * this.#size)
    this.#waiting.add(status)
    yield* this.#untilOver(status, () => this.#memory.machine.readDword(status) !== PENDING || this.#failed())
    const faults = this.#registers.words(FSTS)
    // Whatever the driver writes is right: memory has gone bad.
    if (get(FSTS.f.IQE, faults) === 1)
      this.#environment.halt(`${this.#registers.name}: a descriptor was refused`)
    if (get(FSTS.f.ITE, faults)) this.#abort()
    const done = this.#memory.machine.readDword(status) === DONE
    this.#waiting.delete(status)
    this.#memory.machine.writeDword(status, 0)
    return done
  }

  /**
   * Linux looks for ever, with interrupts off, until its watchdog finds a hard lock-up. The kernel stops here instead:
   * what a lost completion leaves behind is a machine that has to be reset either way.
   */
  *#untilOver(status: number, over: () => boolean): Software {
    if (over()) return
    const { engine, halt } = this.#environment
    const { name } = this.#registers
    const deadline = engine.now + PATIENCE
    const alarm = `${name}/${status}`
    engine.schedule(PATIENCE, WAKE_UP, alarm)
    yield* until(() => over() || engine.now >= deadline)
    if (!over()) halt(`${name}: no completion of an invalidation for ${PATIENCE / 1e9} s`)
    engine.cancel(WAKE_UP, alarm)
  }

  #failed(): boolean {
    return (this.#registers.read(FSTS.offset) & (FSTS.f.IQE.mask | FSTS.f.ITE.mask)) !== 0
  }

  /** Lets the queue go on, and tells everybody whose wait is lost. */
  #abort(): void {
    const { machine } = this.#memory
    for (const status of this.#waiting) {
      if (machine.readDword(status) === PENDING) machine.writeDword(status, ABORTED)
    }
    this.#registers.write(FSTS.offset, FSTS.f.ITE.mask)
  }

  #write(slot: number, descriptor: Descriptor): void {
    const words = new Uint32Array(this.#size / 4)
    words.set(descriptor)
    this.#memory.write(this.#ring, slot, words)
  }

  #slot(offset: number): number {
    return this.#registers.read(offset) / this.#size
  }

  #freeSlots(): number {
    return (this.#slot(IQH.offset) - this.#slot(IQT.offset) - 1 + this.#entries) % this.#entries
  }
}
