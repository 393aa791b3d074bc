/** Names of what time is spent on, as small numbers, and the sums by them. */

/** Whose work a processor does. */
export type Side = 'guest' | 'host'

export interface Activity {
  readonly name: string
  readonly side: Side
  /** An exit from a guest: counted as such. */
  readonly exit: boolean
}

/** What processors do: how often, and for how long. */
export class Activities {
  readonly list: Activity[] = []
  readonly #numbers = new Map<string, number>()
  #counts = new Float64Array(16)
  #times = new Float64Array(16)

  number(name: string, side: Side, exit = false): number {
    const key = `${side}/${name}`
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const made = this.list.push({ name, side, exit }) - 1
    this.#numbers.set(key, made)
    if (made === this.#counts.length) {
      this.#counts = doubled(this.#counts)
      this.#times = doubled(this.#times)
    }
    return made
  }

  add(activity: number, times: number, nanoseconds: number): void {
    this.#counts[activity]! += times
    this.#times[activity]! += nanoseconds
  }

  countOf(activity: number): number {
    return this.#counts[activity]!
  }

  timeOf(activity: number): number {
    return this.#times[activity]!
  }

  restart(): void {
    this.#counts.fill(0)
    this.#times.fill(0)
  }
}

function doubled(old: Float64Array): Float64Array<ArrayBuffer> {
  const made = new Float64Array(old.length * 2)
  made.set(old)
  return made
}
