/** Logical processors and the threads that run on them: software is a generator, as everywhere in this house. */
import { assert } from '../../core/index.ts'
import type { Activities, Side } from './accounts.ts'
import type { EventQueue } from './event-queue.ts'
import { CountingStation } from './station.ts'

/** What a thread yields besides nanoseconds of work. Nothing to do: it is to be woken. */
export const PARK = -1
/** A turn for others. */
export const TURN = -2
/** Spinning until somebody schedules its processor to go on. */
export const SPIN = -3
/** Looking for work until some comes, or another thread wants the processor. */
export const POLL = -4

/** Software of a thread: it yields {@link Thread.spend}, or one of the above. */
export type Program = Generator<number, void, void>

/** One after another, first come first served; a thread keeps its processor until it parks or gives its turn away. */
export class Processor extends CountingStation {
  readonly number: number
  /** The other hardware thread of the core. */
  sibling: Processor | undefined
  readonly #continue: number
  readonly #switch: { readonly activity: number; readonly nanoseconds: number }
  readonly #siblingShare: number
  readonly #ready: Thread[] = []
  #current: Thread | undefined
  #owner = -1
  /** Until when the present work goes; since when it spins, if it does. */
  #until = 0
  #spinning = false
  #polling = false
  #idled = 0

  constructor(
    events: EventQueue,
    number: number,
    costs: {
      readonly continue: number
      readonly switchActivity: number
      readonly switchTime: number
      readonly siblingShare: number
    },
  ) {
    super(events, `processor ${number}`, 1)
    this.number = number
    this.#continue = costs.continue
    this.#switch = { activity: costs.switchActivity, nanoseconds: costs.switchTime }
    this.#siblingShare = costs.siblingShare
  }

  get idle(): boolean {
    return this.#current === undefined
  }

  /** Threads that are ready and have to wait. */
  get waiting(): number {
    return this.#ready.length
  }

  /** Whether software of an owner is running now. */
  runs(owner: number): boolean {
    return this.#current?.owner === owner
  }

  ready(thread: Thread): void {
    this.came()
    thread.readySince = this.events.now
    if (thread.urgent) this.#ready.unshift(thread)
    else this.#ready.push(thread)
    if (this.#current === undefined) this.#dispatch()
    else this.endPolling()
  }

  /** If the present thread polls, there is something to see now. */
  endPolling(): void {
    if (!this.#polling) return
    this.#polling = false
    this.events.schedule(this.events.now, this.#continue, this.number)
  }

  /** The present thread has done what it yielded, or its spinning is over. */
  proceed(): void {
    const thread = this.#current
    assert(thread !== undefined, 'a processor that proceeds runs a thread')
    if (this.#spinning) {
      this.#spinning = false
      const spun = this.events.now - this.#until
      this.served += spun
      thread.spun(spun)
    }
    this.#run(thread)
  }

  #dispatch(): void {
    const thread = this.#ready.shift()
    this.#current = thread
    if (thread === undefined) return
    this.waited += this.events.now - thread.readySince
    if (this.#owner !== thread.owner) {
      if (this.#owner >= 0) thread.charge(this.#switch.activity, 1, this.#switch.nanoseconds)
      this.#owner = thread.owner
    }
    this.#run(thread)
  }

  #run(thread: Thread): void {
    const { value } = thread.program.next()
    assert(typeof value === 'number', 'threads go on for ever')
    const { now } = this.events
    if (value >= 0) {
      const time = this.sibling?.idle === false ? thread.slowed(value, this.#siblingShare) : value
      this.#until = now + time
      this.served += time
      this.events.schedule(this.#until, this.#continue, this.number)
    } else if (value === SPIN || value === POLL) {
      this.#spinning = true
      this.#polling = value === POLL
      this.#until = now
    } else {
      this.went()
      if (value === TURN) {
        this.came()
        thread.readySince = now
        this.#ready.push(thread)
      } else thread.parked = true
      this.#dispatch()
    }
  }

  /** Part of the busy time was spent in waiting for somebody else. */
  idled(nanoseconds: number): void {
    this.#idled += nanoseconds
  }

  override get demand(): number {
    return Math.max(0, this.busy - this.#idled)
  }

  override restart(): void {
    super.restart()
    this.#idled = 0
  }

  protected ahead(): number {
    if (this.#current === undefined) return 0
    return this.#until - this.events.now
  }
}

export abstract class Thread {
  readonly processor: Processor
  /** A virtual machine, or the host: between owners a processor switches context. */
  readonly owner: number
  readonly program: Program
  readonly #activities: Activities
  readonly #siblingActivity: number
  readonly #spinActivity: number
  parked = true
  /** Whether it runs before others that are ready. */
  urgent = false
  readySince = 0
  #due = 0

  constructor(
    processor: Processor,
    owner: number,
    activities: Activities,
    side: Side,
    spinning = 'spinning for a lock',
  ) {
    this.processor = processor
    this.owner = owner
    this.#activities = activities
    this.#siblingActivity = activities.number('sibling thread busy', side)
    this.#spinActivity = activities.number(spinning, side)
    this.program = this.run()
  }

  protected abstract run(): Program

  /** Makes a parked thread ready; one that is not parked will look for itself. */
  wake(): void {
    if (!this.parked) return
    this.parked = false
    this.processor.ready(this)
  }

  /** Work charged and not yet spent. */
  get due(): number {
    return this.#due
  }

  /** Work that is to be spent. */
  charge(activity: number, times: number, nanoseconds: number): void {
    this.#activities.add(activity, times, nanoseconds)
    this.#due += nanoseconds
  }

  /** What was charged since the last time: to be yielded. */
  spend(): number {
    const due = this.#due
    this.#due = 0
    return due
  }

  /** Work takes longer beside a busy sibling. */
  slowed(nanoseconds: number, share: number): number {
    const extra = nanoseconds / share - nanoseconds
    this.#activities.add(this.#siblingActivity, 1, extra)
    return nanoseconds + extra
  }

  spun(nanoseconds: number): void {
    this.#activities.add(this.#spinActivity, 1, nanoseconds)
    this.processor.idled(nanoseconds)
  }

  /** Work that is nothing but waiting. */
  waste(activity: number, nanoseconds: number): void {
    this.charge(activity, 1, nanoseconds)
    this.processor.idled(nanoseconds)
  }
}
