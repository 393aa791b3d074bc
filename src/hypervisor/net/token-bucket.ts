/** A limit on bits per second: a bucket that fills with time and pays for frames ("token bucket", RFC 2697 §3). */

export interface RateLimit {
  readonly bitsPerSecond: number
  /** Bytes that may pass at once after silence. */
  readonly burst: number
}

export type SavedBucket = { readonly tokens: number; readonly filled: number }

export class TokenBucket {
  readonly limit: RateLimit
  /** Bytes that may pass now, as of `#filled`. */
  #tokens: number
  #filled: number

  constructor(limit: RateLimit, now: number) {
    this.limit = limit
    this.#tokens = limit.burst
    this.#filled = now
  }

  /** Pays for `bytes`; false, with nothing paid, if there is too little in the bucket. */
  take(bytes: number, now: number): boolean {
    const { bitsPerSecond, burst } = this.limit
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filled) * bitsPerSecond) / 8e9)
    this.#filled = now
    if (this.#tokens < bytes) return false
    this.#tokens -= bytes
    return true
  }

  save(): SavedBucket {
    return { tokens: this.#tokens, filled: this.#filled }
  }

  load({ tokens, filled }: SavedBucket): void {
    this.#tokens = tokens
    this.#filled = filled
  }
}
