/** What a virtual processor has lived through: exits by reason, entries, interrupts by vector. */
import { hex, opened, type Saved } from '../core/index.ts'
import { exitName } from './exit-record.ts'
import type { VcpuView } from './types.ts'

/** Basic exit reasons are below this. */
export const REASONS = 128

export class VcpuCounters {
  entries = 0
  readonly #exits = new Uint32Array(REASONS)
  readonly #injected = new Uint32Array(256)
  readonly #delivered = new Uint32Array(256)

  exit(reason: number): void {
    this.#exits[reason]!++
  }

  /** Injected by the hypervisor. */
  injected(vector: number): void {
    this.#injected[vector]!++
  }

  /** Delivered by the processor, without a VM exit. */
  delivered(vector: number): void {
    this.#delivered[vector]!++
  }

  view(): Pick<VcpuView, 'exitsByReason' | 'entries' | 'injected' | 'delivered'> {
    return {
      exitsByReason: byName(this.#exits, exitName),
      entries: this.entries,
      injected: byName(this.#injected, hex),
      delivered: byName(this.#delivered, hex),
    }
  }

  save(): Saved {
    return {
      version: 1,
      entries: this.entries,
      exits: this.#exits.slice(),
      injected: this.#injected.slice(),
      delivered: this.#delivered.slice(),
    }
  }

  load(saved: Saved): void {
    const { entries, exits, injected, delivered } = opened<{
      entries: number
      exits: Uint32Array
      injected: Uint32Array
      delivered: Uint32Array
    }>(saved, 'the counters of a virtual processor', 1)
    this.entries = entries
    this.#exits.set(exits)
    this.#injected.set(injected)
    this.#delivered.set(delivered)
  }
}

export const byName = (counts: Uint32Array, name: (index: number) => string): Record<string, number> =>
  Object.fromEntries([...counts].flatMap((count, index) => (count > 0 ? [[name(index), count]] : [])))
