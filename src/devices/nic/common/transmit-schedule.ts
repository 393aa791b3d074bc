/**
 * When transmit queues may send: "Transmit Rate Scheduler", by which a queue is slower than its link, and the line
 * itself where it takes its time. Queues that want the line at once get it in turn.
 */
import type { Saved } from '../../../core/index.ts'
import { lineTime } from '../../../net/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'

/** Argument of {@link DeviceEnvironment.schedule} for a queue, below those of interrupt vectors; -1 is the line. */
const LINE = -1
const argumentOf = (queue: number): number => LINE - 1 - queue

/** By what a queue is slower than its link, as `RTTBCNRC` has it; 0 without a limit. */
export function rateFactor(
  { bits }: NicRegister<'RS_ENA' | 'RF_INT' | 'RF_DEC'>,
  configuration: number,
): number {
  if (!(configuration & bits.RS_ENA)) return 0
  return fieldOf(configuration, bits.RF_INT) + fieldOf(configuration, bits.RF_DEC) / 2 ** 14
}

/** What keeps a queue from sending. */
export type Delay = 'rateLimit' | 'line'

export class TransmitSchedule {
  readonly #environment: DeviceEnvironment
  /** Rate factor of a queue: how many times its frames occupy their time; 0 without a limit. */
  readonly #factorOf: (queue: number) => number
  /** Virtual time from which on each queue, and the line, may carry its next frame. */
  readonly #openAt: Float64Array
  #lineOpenAt = 0
  /** 1: waits for its own time, 2: for the line. */
  readonly #waits: Uint8Array
  /** The queue that had the line last. */
  #last = 0
  /** Whether the end of the line's time has been asked for. */
  #lineAwaited = false

  constructor(environment: DeviceEnvironment, queues: number, factorOf: (queue: number) => number) {
    this.#environment = environment
    this.#factorOf = factorOf
    this.#openAt = new Float64Array(queues)
    this.#waits = new Uint8Array(queues)
  }

  /** What keeps a queue that has frames from sending one; it is woken when that is over. */
  delays(queue: number): Delay | undefined {
    const { clock } = this.#environment
    const waits = this.#waits[queue]!
    if (waits !== 0) return waits === 1 ? 'rateLimit' : 'line'
    const wait = this.#openAt[queue]! - clock.now
    if (wait > 0 && this.#factorOf(queue) > 0) {
      this.#waits[queue] = 1
      this.#environment.schedule(wait, argumentOf(queue))
      return 'rateLimit'
    }
    if (this.#lineOpenAt <= clock.now) return undefined
    this.#waits[queue] = 2
    this.#awaitLine()
    return 'line'
  }

  #awaitLine(): void {
    if (this.#lineAwaited) return
    this.#lineAwaited = true
    this.#environment.schedule(this.#lineOpenAt - this.#environment.clock.now, LINE)
  }

  /** A queue has sent frames that occupy `bytes` of a line, `onWire` of them of its own one. */
  sent(queue: number, bytes: number, onWire: number): void {
    const { clock, port } = this.#environment
    const wire = port?.wire
    if (wire === undefined) return
    this.#last = queue
    const factor = this.#factorOf(queue)
    if (factor > 0) this.#openAt[queue] = clock.now + lineTime(bytes * factor, wire.speed)
    if (wire.takesTime) this.#lineOpenAt = clock.now + lineTime(onWire, wire.speed)
  }

  /** Time that was asked for is over: hands the queues that may go on to `run`, those that wait for the line in turn. */
  timeIsUp(argument: number, run: (queue: number) => void): void {
    if (argument === LINE) {
      this.#lineAwaited = false
      this.#share(run)
      return
    }
    const queue = LINE - 1 - argument
    if (this.#waits[queue] !== 1) return
    this.#waits[queue] = 0
    run(queue)
  }

  #share(run: (queue: number) => void): void {
    const queues = this.#waits.length
    const last = this.#last
    for (let i = 1; i <= queues; i++) {
      const queue = (last + i) % queues
      if (this.#waits[queue] !== 2) continue
      if (this.#lineOpenAt > this.#environment.clock.now) {
        this.#awaitLine()
        return
      }
      this.#waits[queue] = 0
      run(queue)
    }
  }

  /** The queues are stopped; times that are under way find nobody who waits. */
  reset(): void {
    this.#openAt.fill(0)
    this.#lineOpenAt = 0
    this.#waits.fill(0)
    this.#last = 0
    this.#lineAwaited = false
  }

  save(): Saved {
    return {
      openAt: this.#openAt.slice(),
      lineOpenAt: this.#lineOpenAt,
      waits: this.#waits.slice(),
      last: this.#last,
      lineAwaited: this.#lineAwaited,
    }
  }

  load(saved: Saved): void {
    const state = saved as {
      openAt: Float64Array
      lineOpenAt: number
      waits: Uint8Array
      last: number
      lineAwaited: boolean
    }
    this.#openAt.set(state.openAt)
    this.#lineOpenAt = state.lineOpenAt
    this.#waits.set(state.waits)
    this.#last = state.last
    this.#lineAwaited = state.lineAwaited
  }
}
