/**
 * Queue (VQ) and interrupt (VI) resources of a primary controller and its secondary controllers: NVM Express 1.4, §8.5
 * "Virtualization Enhancements", §5.22 "Virtualization Management command".
 */
import type { Saved } from '../../core/index.ts'
import { NVME_STATUS, RESOURCE } from '../formats/nvme/index.ts'

/** One kind of resource. */
class Pool {
  /** VQFRT, VIFRT. */
  readonly flexible: number
  /** VQPRT, VIPRT: always the primary controller's. */
  readonly private: number
  /** VQFRSM, VIFRSM. */
  readonly secondaryMaximum: number
  /** Flexible resources that the primary controller has now, and those that it has after its next reset. */
  toPrimary = 0
  nextToPrimary = 0
  readonly assigned: Uint16Array

  constructor(flexible: number, ownPrivate: number, secondaryMaximum: number, controllers: number) {
    this.flexible = flexible
    this.private = ownPrivate
    this.secondaryMaximum = secondaryMaximum
    this.assigned = new Uint16Array(controllers)
  }

  /** VQRFA, VIRFA: assigned to secondary controllers. */
  get toSecondaries(): number {
    return this.assigned.reduce((sum, count) => sum + count, 0)
  }

  get free(): number {
    return this.flexible - this.toSecondaries - Math.max(this.toPrimary, this.nextToPrimary)
  }
}

export class Resources {
  readonly queues: Pool
  readonly interrupts: Pool
  /** By secondary controller, counted from 0: 1 in the Online state. */
  readonly online: Uint8Array
  /** DW0 of the completion: resources that were modified. */
  modified = 0

  /** @param vectors of the physical function; `virtualVectors` of each of `controllers` virtual functions. */
  constructor(vectors: number, virtualVectors: number, controllers: number) {
    const flexible = controllers * virtualVectors
    this.queues = new Pool(flexible, vectors, virtualVectors, controllers)
    this.interrupts = new Pool(flexible, vectors, virtualVectors, controllers)
    this.online = new Uint8Array(controllers)
  }

  /** Queue pairs, admin queues included. @param secondary -1 for the primary controller. */
  queuesOf(secondary: number): number {
    return owned(this.queues, secondary)
  }

  /** No controller has more than its function has vectors. */
  interruptsOf(secondary: number): number {
    const most = secondary < 0 ? this.interrupts.private : this.interrupts.secondaryMaximum
    return Math.min(owned(this.interrupts, secondary), most)
  }

  pool(type: number): Pool | undefined {
    if (type === RESOURCE.queues) return this.queues
    return type === RESOURCE.interrupts ? this.interrupts : undefined
  }

  /** "Secondary Controller Assign": offline ones only. */
  assign(secondary: number, type: number, count: number): number {
    const pool = this.pool(type)
    if (pool === undefined) return NVME_STATUS.invalidResourceIdentifier
    if (this.online[secondary] === 1) return NVME_STATUS.invalidSecondaryControllerState
    if (count > pool.secondaryMaximum || count > pool.free + pool.assigned[secondary]!) {
      return NVME_STATUS.invalidNumberOfControllerResources
    }
    pool.assigned[secondary] = count
    this.modified = count
    return NVME_STATUS.success
  }

  /** "Primary Controller Flexible Allocation": takes effect with the next Controller Level Reset of the function. */
  allocateToPrimary(type: number, count: number): number {
    const pool = this.pool(type)
    if (pool === undefined) return NVME_STATUS.invalidResourceIdentifier
    if (count > pool.flexible - pool.toSecondaries) return NVME_STATUS.invalidNumberOfControllerResources
    pool.nextToPrimary = count
    this.modified = count
    return NVME_STATUS.success
  }

  /** Whether a secondary controller has what the Online state needs: admin and one I/O queue pair, one interrupt. */
  suffices(secondary: number): boolean {
    return this.queues.assigned[secondary]! >= 2 && this.interrupts.assigned[secondary]! >= 1
  }

  /** The physical function was reset. */
  primaryReset(): void {
    this.queues.toPrimary = this.queues.nextToPrimary
    this.interrupts.toPrimary = this.interrupts.nextToPrimary
  }

  save(): Saved {
    return {
      online: this.online.slice(),
      pools: [this.queues, this.interrupts].map(({ toPrimary, nextToPrimary, assigned }) => ({
        toPrimary,
        nextToPrimary,
        assigned: assigned.slice(),
      })),
    }
  }

  load(saved: Saved): void {
    const { online, pools } = saved as unknown as {
      online: Uint8Array
      pools: readonly { toPrimary: number; nextToPrimary: number; assigned: Uint16Array }[]
    }
    this.online.set(online)
    for (const [i, pool] of [this.queues, this.interrupts].entries()) {
      pool.toPrimary = pools[i]!.toPrimary
      pool.nextToPrimary = pools[i]!.nextToPrimary
      pool.assigned.set(pools[i]!.assigned)
    }
  }
}

const owned = (pool: Pool, secondary: number): number =>
  secondary < 0 ? pool.private + pool.toPrimary : pool.assigned[secondary]!
