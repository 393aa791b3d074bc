/**
 * The receive packet buffer: frames wait here for descriptors of the queues that may not drop them. It is one line: the
 * frame at its head holds up those behind it, whatever queue they are for.
 */
import { copyBytes, type Saved } from '../../../core/index.ts'
import { type Frame, PoolSet } from '../../../net/index.ts'

/** Space is given out in units of this many bytes. */
const UNIT = 64

export class PacketBuffer {
  readonly #capacity: number
  /** Made when first needed: most controllers never let a frame wait. */
  #bytes: Uint8Array | undefined
  readonly #starts: Int32Array
  readonly #lengths: Int32Array
  readonly #poolsLow: Int32Array
  readonly #poolsHigh: Int32Array
  readonly #flags: Uint8Array
  #first = 0
  #count = 0
  #next = 0
  #used = 0

  constructor(capacity: number) {
    const most = Math.floor(capacity / UNIT)
    this.#capacity = capacity
    this.#starts = new Int32Array(most)
    this.#lengths = new Int32Array(most)
    this.#poolsLow = new Int32Array(most)
    this.#poolsHigh = new Int32Array(most)
    this.#flags = new Uint8Array(most)
  }

  get count(): number {
    return this.#count
  }

  /** Puts a frame at the end; false if there is no room. @param flags of the caller's, 8 bits. */
  push(frame: Frame, pools: PoolSet, flags: number): boolean {
    const size = Math.ceil(Math.max(1, frame.length) / UNIT) * UNIT
    if (this.#used + size > this.#capacity) return false
    const bytes = (this.#bytes ??= new Uint8Array(this.#capacity))
    const at = (this.#first + this.#count) % this.#starts.length
    this.#starts[at] = this.#next
    this.#lengths[at] = frame.length
    this.#poolsLow[at] = pools.low
    this.#poolsHigh[at] = pools.high
    this.#flags[at] = flags
    const before = Math.min(frame.length, this.#capacity - this.#next)
    copyBytes(frame.bytes, 0, bytes, this.#next, before)
    copyBytes(frame.bytes, before, bytes, 0, frame.length - before)
    this.#next = (this.#next + size) % this.#capacity
    this.#used += size
    this.#count++
    return true
  }

  /** Copies the first frame; returns its flags. */
  peek(frame: Frame, pools: PoolSet): number {
    const at = this.#first
    const start = this.#starts[at]!
    const length = this.#lengths[at]!
    const before = Math.min(length, this.#capacity - start)
    copyBytes(this.#bytes!, start, frame.bytes, 0, before)
    copyBytes(this.#bytes!, 0, frame.bytes, before, length - before)
    frame.length = length
    frame.damaged = false
    pools.set(this.#poolsLow[at]!, this.#poolsHigh[at]!)
    return this.#flags[at]!
  }

  /** Notes which pools of the first frame still wait for it. */
  keep(pools: PoolSet): void {
    this.#poolsLow[this.#first] = pools.low
    this.#poolsHigh[this.#first] = pools.high
  }

  pop(): void {
    this.#used -= Math.ceil(Math.max(1, this.#lengths[this.#first]!) / UNIT) * UNIT
    this.#first = (this.#first + 1) % this.#starts.length
    this.#count--
  }

  clear(): void {
    this.#first = 0
    this.#count = 0
    this.#next = 0
    this.#used = 0
  }

  save(): Saved {
    return Array.from({ length: this.#count }, (_, i) => {
      const at = (this.#first + i) % this.#starts.length
      const start = this.#starts[at]!
      const length = this.#lengths[at]!
      const bytes = new Uint8Array(length)
      const before = Math.min(length, this.#capacity - start)
      bytes.set(this.#bytes!.subarray(start, start + before))
      bytes.set(this.#bytes!.subarray(0, length - before), before)
      return {
        bytes,
        poolsLow: this.#poolsLow[at]!,
        poolsHigh: this.#poolsHigh[at]!,
        flags: this.#flags[at]!,
      }
    })
  }

  /** @param frame to carry the bytes. */
  load(saved: Saved, frame: Frame): void {
    this.clear()
    const pools = new PoolSet()
    const frames = saved as readonly {
      bytes: Uint8Array
      poolsLow: number
      poolsHigh: number
      flags: number
    }[]
    for (const { bytes, poolsLow, poolsHigh, flags } of frames) {
      frame.set(bytes)
      pools.set(poolsLow, poolsHigh)
      this.push(frame, pools, flags)
    }
  }
}
