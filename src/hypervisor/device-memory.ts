/**
 * Where an assigned function's memory lies in its guest: BARs that the guest placed, mapped straight to the host's BAR
 * pages except those that must exit.
 */
import { NorthbridgeError, opened, PAGE_SIZE, type PageNumber, pageOf, type Saved } from '../core/index.ts'
import type { AssignedFunction, DeviceRegion } from '../host/index.ts'
import { VirtualBarRegisters } from './virtual-bar.ts'

/** The guest-physical memory map, as devices change it. */
export interface MemoryMapHost {
  /** Whether a guest-physical range may hold device memory: inside a device window and used by no other BAR. */
  claim(base: number, size: number): boolean
  release(base: number): void
  /** Maps device memory into the guest. Throws `outOfMemory`, with nothing mapped. */
  map(guestPage: PageNumber, hostPage: PageNumber, pages: number): void
  unmap(guestPage: PageNumber, pages: number): void
  report(problem: string, error: NorthbridgeError): void
}

/** Part of a BAR, in bytes, whose pages must not be mapped. */
export interface TrappedSpan {
  readonly bar: number
  readonly offset: number
  readonly size: number
}

/** A guest-physical address of the function's memory. */
export interface Location {
  readonly region: DeviceRegion
  readonly offset: number
}

interface PageRun {
  readonly first: number
  readonly pages: number
}

export class DeviceMemory {
  readonly bars: VirtualBarRegisters
  readonly #name: string
  readonly #host: MemoryMapHost
  readonly #trapped: readonly TrappedSpan[]
  /** By BAR index: where the guest's memory map has it now, or null. */
  readonly #placed: (number | null)[] = new Array(6).fill(null)
  /** By BAR index: whether the EPT maps what may be mapped of it. Otherwise every access exits. */
  readonly #mapped: boolean[] = new Array(6).fill(false)

  constructor(assigned: AssignedFunction, trapped: readonly TrappedSpan[], host: MemoryMapHost) {
    this.bars = new VirtualBarRegisters(assigned.regions)
    this.#name = assigned.function.address
    this.#trapped = trapped
    this.#host = host
  }

  /** Follows the BARs and Memory Space Enable into the guest's memory map. */
  place(memoryEnable: boolean): void {
    for (const region of this.bars.regions) {
      const address = this.bars.address(region)
      const wanted = memoryEnable && address !== 0 ? address : null
      const placed = this.#placed[region.index]!
      if (placed === wanted) continue
      if (placed !== null) this.#withdraw(region, placed)
      if (wanted !== null && this.#host.claim(wanted, region.size)) {
        this.#placed[region.index] = wanted
        this.#map(region, wanted)
      }
    }
  }

  /** A BAR that cannot be mapped stays reachable: its accesses exit. */
  #map(region: DeviceRegion, base: number): void {
    const done: PageRun[] = []
    try {
      for (const run of this.#directRuns(region)) {
        this.#host.map(pageOf(base) + run.first, pageOf(region.hostAddress) + run.first, run.pages)
        done.push(run)
      }
      this.#mapped[region.index] = true
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      for (const { first, pages } of done) this.#host.unmap(pageOf(base) + first, pages)
      this.#host.report(`BAR ${region.index} of ${this.#name} could not be mapped`, error)
    }
  }

  #withdraw(region: DeviceRegion, base: number): void {
    if (this.#mapped[region.index]) {
      for (const { first, pages } of this.#directRuns(region)) this.#host.unmap(pageOf(base) + first, pages)
    }
    this.#mapped[region.index] = false
    this.#placed[region.index] = null
    this.#host.release(base)
  }

  /** Runs of whole pages without a trapped byte. A BAR smaller than a page shares its host page: it has none. */
  #directRuns(region: DeviceRegion): PageRun[] {
    if (region.size < PAGE_SIZE || region.hostAddress % PAGE_SIZE !== 0) return []
    const trapped = this.#trapped
      .filter(({ bar }) => bar === region.index)
      .map(({ offset, size }) => ({ from: pageOf(offset), to: pageOf(offset + size - 1) + 1 }))
      .sort((a, b) => a.from - b.from)
    const runs: PageRun[] = []
    let first = 0
    for (const { from, to } of [
      ...trapped,
      { from: region.size / PAGE_SIZE, to: Number.POSITIVE_INFINITY },
    ]) {
      if (from > first) runs.push({ first, pages: from - first })
      first = Math.max(first, to)
    }
    return runs
  }

  /** Which of the function's bytes lies at a guest-physical address. */
  locate(address: number): Location | undefined {
    for (const region of this.bars.regions) {
      const base = this.#placed[region.index]!
      if (base !== null && address >= base && address < base + region.size) {
        return { region, offset: address - base }
      }
    }
    return undefined
  }

  /** Guest-physical address of a BAR; null while it is not decoded. */
  addressOf(region: DeviceRegion): number | null {
    return this.#placed[region.index]!
  }

  /** Takes every BAR out of the guest. */
  withdraw(): void {
    for (const region of this.bars.regions) {
      const placed = this.#placed[region.index]!
      if (placed !== null) this.#withdraw(region, placed)
    }
  }

  save(): Saved {
    return { version: 1, bars: this.bars.save(), placed: [...this.#placed], mapped: [...this.#mapped] }
  }

  /** The guest's memory map holds what it did. */
  load(saved: Saved): void {
    const { bars, placed, mapped } = opened<{
      bars: Saved
      placed: readonly (number | null)[]
      mapped: readonly boolean[]
    }>(saved, 'device memory in a guest', 1)
    this.bars.load(bars)
    this.#placed.splice(0, placed.length, ...placed)
    this.#mapped.splice(0, mapped.length, ...mapped)
  }
}
