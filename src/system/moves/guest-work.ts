/** What a guest does while it moves: it dirties pages at a steady rate, unless it is held back. */
import { PAGE_SIZE } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import type { GuestLoad } from './migration-options.ts'

/** Writes that are executed at a time. */
const BATCH = 4096

export class GuestWork {
  readonly #vm: string
  readonly #load: GuestLoad | undefined
  /** Writes that were done, and those that were when the rate changed last. */
  #written = 0
  #before = 0
  #since = 0
  /** Percent of its time that the guest is held back. */
  #throttle = 0

  constructor(vm: string, load: GuestLoad | undefined) {
    this.#vm = vm
    this.#load = load
  }

  get throttle(): number {
    return this.#throttle
  }

  /** @param now since the move began */
  hold(throttle: number, now: number): void {
    this.#before = this.#written
    this.#since = now
    this.#throttle = throttle
  }

  /** It did not run until now. */
  resume(now: number): void {
    this.hold(this.#throttle, now)
  }

  /** Does on a platform what was to be done by now. */
  *upTo(platform: SimulatedPlatform, now: number): Software {
    const load = this.#load
    if (load === undefined) return
    const rate = load.pagesPerSecond * (1 - this.#throttle / 100)
    const due = this.#before + Math.floor((rate * (now - this.#since)) / 1e9)
    while (this.#written < due) {
      const count = Math.min(BATCH, due - this.#written)
      yield* platform.hypervisor.runVcpu(this.#vm, load.vcpu ?? 0, this.#writes(load, count))
    }
  }

  #writes({ address, pages }: GuestLoad, count: number) {
    return Array.from({ length: count }, () => {
      const page = this.#written++ % pages
      // Never zero: a page that was written is no page of zeros.
      const value = (this.#written % 0xffff_ffff) + 1
      return { op: 'write', address: address + page * PAGE_SIZE, width: 4, value: [value >>> 0, 0] } as const
    })
  }
}
