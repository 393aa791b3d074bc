/**
 * Which platforms of a process are in memory. There may be many more than fit: those that nobody has used for the longest
 * time are let go of, and come back from the store when somebody needs them.
 */

/** A platform in memory. */
export interface Awake {
  /** Lets go of it, unless somebody uses it; its state is kept then. */
  rest(): Promise<void>
}

export class AwakePlatforms {
  readonly #most: number
  /** The one that nobody has used for the longest time first. */
  readonly #order = new Set<Awake>()
  #makingRoom = false

  /** @param most so many may be in memory, give or take those that are used at the moment */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most
  }

  used(platform: Awake): void {
    this.#order.delete(platform)
    this.#order.add(platform)
    if (this.#order.size > this.#most && !this.#makingRoom) void this.#makeRoom()
  }

  /** It is in memory no more. */
  gone(platform: Awake): void {
    this.#order.delete(platform)
  }

  async #makeRoom(): Promise<void> {
    this.#makingRoom = true
    try {
      for (const platform of [...this.#order]) {
        if (this.#order.size <= this.#most) break
        await platform.rest()
      }
    } finally {
      this.#makingRoom = false
    }
  }
}
