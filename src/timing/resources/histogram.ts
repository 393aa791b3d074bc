/** Latencies in buckets of equal ratio, so that memory is flat however long a run is. */

/** Buckets for each doubling: a percentile is right to half a percent. */
const PER_DOUBLING = 64
const DOUBLINGS = 44

export class Histogram {
  readonly #buckets = new Float64Array(PER_DOUBLING * DOUBLINGS)
  count = 0
  sum = 0

  add(value: number): void {
    this.#buckets[Math.min(bucketOf(value), this.#buckets.length - 1)]!++
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

/** Where buckets begin within a doubling, and the first that reaches into each of so many cells of the fraction's range. */
const BOUNDS = Float64Array.from({ length: PER_DOUBLING + 1 }, (_, bucket) => 2 ** (bucket / PER_DOUBLING))
const CELLS = 256
const FIRST = Uint8Array.from({ length: CELLS }, (_, cell) =>
  Math.floor(Math.log2(1 + cell / CELLS) * PER_DOUBLING),
)
const DOUBLE = new DataView(new ArrayBuffer(8))
const EXPONENT_OF_ONE = 1023

/** The binary logarithm in units of a bucket, by exponent and fraction of the number: `Math.log2` takes five times as long. */
function bucketOf(value: number): number {
  if (value < 1) return 0
  DOUBLE.setFloat64(0, value)
  const high = DOUBLE.getUint32(0)
  // The same fraction in a number from 1 to 2.
  DOUBLE.setUint32(0, (EXPONENT_OF_ONE << 20) | (high & 0xf_ffff))
  const first = FIRST[(high >>> 12) & (CELLS - 1)]!
  const within = DOUBLE.getFloat64(0) < BOUNDS[first + 1]! ? first : first + 1
  return ((high >>> 20) - EXPONENT_OF_ONE) * PER_DOUBLING + within
}
