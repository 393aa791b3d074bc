/** Latencies in buckets of equal ratio, so that memory is flat however long a run is. */

/** Buckets for each doubling: a percentile is right to half a percent. */
const PER_DOUBLING = 64
const DOUBLINGS = 44

export class Histogram {
  readonly #buckets = new Float64Array(PER_DOUBLING * DOUBLINGS)
  count = 0
  sum = 0

  add(value: number): void {
    const bucket = value < 1 ? 0 : Math.floor(Math.log2(value) * PER_DOUBLING)
    this.#buckets[Math.min(bucket, this.#buckets.length - 1)]!++
    this.count++
    this.sum += value
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  /** The value that a share of all lies at or below; 0 if there are none. */
  quantile(share: number): number {
    let below = share * this.count
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      const count = this.#buckets[bucket]!
      below -= count
      if (count > 0 && below <= 0) return 2 ** ((bucket + 0.5) / PER_DOUBLING)
    }
    return 0
  }

  restart(): void {
    this.#buckets.fill(0)
    this.count = 0
    this.sum = 0
  }
}
