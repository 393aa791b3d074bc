/**
 * Carries the interrupts of an assigned function to its guest: host vectors are armed for as many messages as the
 * guest has unmasked, and an arrival becomes the message that the guest programmed, or waits while it is masked.
 */
import { opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { AssignedFunction, PostedTarget } from '../host/index.ts'

/** A virtual MSI or MSI-X capability as the guest programmed it. */
export interface MessageSource {
  readonly kind: 'msi' | 'msix'
  /** Messages that can be in use at most. */
  readonly count: number
  readonly enabled: boolean
  masked(index: number): boolean
  /** Low dword of the message address, and the data. */
  address(index: number): number
  data(index: number): number
  save(): Saved
  load(saved: Saved): void
}

export interface ForwarderHost {
  /** A message of the guest's device. False if it addresses no virtual processor that takes it. */
  deliver(address: number, data: number): boolean
  /** Where a message can be posted: it names one virtual processor that takes posted interrupts. */
  postingTarget(address: number, data: number): PostedTarget | undefined
  /** The logical processor that should take the host interrupt of a message. */
  processorFor(address: number): number
}

export class InterruptForwarder {
  readonly #assigned: AssignedFunction
  readonly #source: MessageSource
  readonly #host: ForwarderHost
  readonly #pending: Uint8Array
  readonly #delivered: Uint32Array
  /** Messages armed at the host: indices below this. */
  #armed = 0

  constructor(assigned: AssignedFunction, source: MessageSource, host: ForwarderHost) {
    this.#assigned = assigned
    this.#source = source
    this.#host = host
    this.#pending = new Uint8Array(source.count)
    this.#delivered = new Uint32Array(source.count)
  }

  /** Runs in the host's interrupt handler. */
  arrive(index: number): void {
    if (index >= this.#source.count) return
    if (this.#source.masked(index)) this.#pending[index] = 1
    else this.#deliver(index)
  }

  #deliver(index: number): void {
    this.#pending[index] = 0
    if (this.#host.deliver(this.#source.address(index), this.#source.data(index))) this.#delivered[index]!++
  }

  /** Follows a change of the guest's enable and mask bits. Throws what `enableInterrupts` throws. */
  *update(): Software {
    const { count, enabled } = this.#source
    if (!enabled) return yield* this.disarm()
    let wanted = 0
    let first = -1
    for (let index = 0; index < count; index++) {
      if (this.#source.masked(index)) continue
      wanted = index + 1
      if (first < 0) first = index
    }
    if (wanted > this.#armed) {
      yield* this.disarm()
      const processor = this.#host.processorFor(this.#source.address(first))
      yield* this.#assigned.enableInterrupts(wanted, index => this.arrive(index), processor)
      this.#armed = wanted
    }
    yield* this.#post()
    for (let index = 0; index < wanted; index++) {
      if (this.#pending[index] !== 0 && !this.#source.masked(index)) this.#deliver(index)
    }
  }

  /** What is masked comes to the host, which holds it back; the rest is posted where that can be. */
  *#post(): Software {
    if (!this.#assigned.postsInterrupts) return
    for (let index = 0; index < this.#armed; index++) {
      const target = this.#source.masked(index)
        ? undefined
        : this.#host.postingTarget(this.#source.address(index), this.#source.data(index))
      yield* this.#assigned.postInterrupt(index, target)
    }
  }

  *disarm(): Software {
    if (this.#armed === 0) return
    this.#armed = 0
    yield* this.#assigned.disableInterrupts()
  }

  /** After a reset of the function: what waited is lost. */
  *forget(): Software {
    this.#pending.fill(0)
    yield* this.disarm()
  }

  isPending(index: number): boolean {
    return this.#pending[index] === 1
  }

  delivered(index: number): number {
    return this.#delivered[index] ?? 0
  }

  save(): Saved {
    return {
      version: 1,
      armed: this.#armed,
      pending: this.#pending.slice(),
      delivered: this.#delivered.slice(),
      source: this.#source.save(),
    }
  }

  /** Goes on from a state whose host vectors are still armed. */
  load(saved: Saved): void {
    const { armed, pending, delivered, source } = opened<{
      armed: number
      pending: Uint8Array
      delivered: Uint32Array
      source: Saved
    }>(saved, 'an interrupt forwarder', 1)
    this.#armed = armed
    this.#pending.set(pending)
    this.#delivered.set(delivered)
    this.#source.load(source)
    this.#assigned.resumeInterrupts(index => this.arrive(index))
  }
}
