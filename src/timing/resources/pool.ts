/** Things of which there are so many, taken and given back: tags, credits, descriptors. Who finds none waits in order. */
import { assert } from '../../core/index.ts'
import type { EventQueue } from './event-queue.ts'
import { Ring } from './ring.ts'
import { CountingStation } from './station.ts'

export class Pool extends CountingStation {
  #left: number
  readonly #waiting = new Ring()
  readonly #amounts = new Ring()
  readonly #resume: number
  /** Sum over time of units taken. */
  #area = 0
  #changed = 0

  /** @param resume kind of the event that tells a waiting subject that it has what it asked for. */
  constructor(events: EventQueue, name: string, units: number, resume: number) {
    super(events, name, units)
    this.#left = units
    this.#resume = resume
  }

  /** Takes units for a subject at once, or returns false: the subject will be resumed when it has them. */
  take(subject: number, amount: number): boolean {
    assert(amount <= this.units, 'nobody can have more of a pool than there are')
    this.came()
    if (this.#waiting.length === 0 && amount <= this.#left) {
      this.#use(amount)
      return true
    }
    this.#waiting.push(subject)
    this.#amounts.push(amount)
    return false
  }

  /** Whether so much is there for whoever would come now. */
  has(amount: number): boolean {
    return this.#waiting.length === 0 && amount <= this.#left
  }

  give(amount: number): void {
    this.went()
    this.#use(-amount)
    while (this.#waiting.length > 0 && this.#amounts.first <= this.#left) {
      this.#use(this.#amounts.shift())
      this.events.schedule(this.events.now, this.#resume, this.#waiting.shift())
    }
  }

  #use(amount: number): void {
    const { now } = this.events
    this.#area += (this.units - this.#left) * (now - this.#changed)
    this.#changed = now
    this.#left -= amount
  }

  override restart(): void {
    super.restart()
    this.#use(0)
    this.#area = 0
  }

  override get busy(): number {
    this.#use(0)
    return this.#area
  }

  protected ahead(): number {
    return 0
  }
}
