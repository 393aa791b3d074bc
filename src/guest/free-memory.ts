/**
 * Memory of the guest behind that of its kernel and drivers. Programs use it from below; what is given away is taken from
 * its other end, so that a number tells which pages those are.
 */
import { opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { HIGH_MEMORY_BASE, HYPERCALL, LOW_MEMORY_END } from '../hypervisor/formats/virtual-board.ts'
import type { GuestPort } from './guest-port.ts'

const PAGE = 4096
const MIB_PAGES = 256
const LOW_PAGES = LOW_MEMORY_END / PAGE
const HIGH_FIRST = HIGH_MEMORY_BASE / PAGE

export class FreeMemory {
  readonly #port: GuestPort
  /** Pages from 0 on that the kernel, its drivers and programs use. */
  #used: number

  /** @param first page behind what the kernel uses */
  constructor(port: GuestPort, first: number) {
    this.#port = port
    this.#used = first
  }

  /** Pages of all memory. */
  *pages(): Software<number> {
    return (yield* this.#port.execute({ op: 'vmcall', number: HYPERCALL.memorySize })).low * MIB_PAGES
  }

  get used(): number {
    return this.#used
  }

  /** Programs use what lies below the page with this number of pages before it. */
  use(pages: number): void {
    this.#used = Math.max(this.#used, pages)
  }

  /** Programs have ended that used more. */
  release(pages: number): void {
    this.#used = Math.min(this.#used, pages)
  }

  save(): Saved {
    return { version: 1, used: this.#used }
  }

  load(saved: Saved): void {
    this.#used = opened<{ used: number }>(saved, 'the free memory of a guest', 1).used
  }
}

/** Number of the page that has so many pages of memory before it. */
export const pageBehind = (pages: number): number =>
  pages < LOW_PAGES ? pages : pages - LOW_PAGES + HIGH_FIRST
