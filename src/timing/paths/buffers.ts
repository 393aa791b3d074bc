/** Pages that descriptors name: a static pool, or buffers that the kernel maps for each use. */
import type { RequesterId } from '../../core/index.ts'
import type { Configuration } from '../configuration.ts'
import type { InvalidationPort } from '../host-iommu/invalidation-port.ts'
import { Mapper } from '../host-iommu/mapper.ts'
import { PAGES_OF } from '../remapping/remapping.ts'
import type { Program } from '../resources/processor.ts'
import { Ring } from '../resources/ring.ts'
import type { Simulation } from '../simulation.ts'
import type { Errand, Worker } from '../software/worker.ts'

/** What a queue of a function owns: nothing else uses these pages. */
export interface Buffers {
  /** First page of the buffer for the next transfer. */
  next(): number
  /** What the driver does when a batch of buffers comes back. */
  readonly errand: Errand | undefined
}

/** Whether buffers are mapped and unmapped for each use. An assigned device's are, if its guest has an IOMMU of its own. */
function mapsEachUse({ iommu }: Configuration, assigned: boolean): boolean {
  const { mode, buffers, nested } = iommu
  return (mode === 'strict' || mode === 'deferred') && buffers === 'perBuffer' && (!assigned || nested)
}

/** Whether everything stays mapped that is mapped in the beginning. */
export function mappingsStay(configuration: Configuration): boolean {
  const { workload } = configuration
  if (workload.kind === 'dma') return true
  const assigned = 'model' in workload && (workload.model === 'sriov' || workload.model === 'direct')
  return !mapsEachUse(configuration, assigned)
}

/** A function with an address space, or the host's own. */
export class DeviceSpace {
  readonly requester: RequesterId
  readonly #simulation: Simulation
  readonly #dynamic: boolean
  readonly #mapper: Mapper | undefined
  readonly #space
  /** Pages in use, and pages mapped, from 0 on. */
  #used = 0
  #reach = 0

  /** @param assigned to a guest: its memory is mapped once, unless it has an IOMMU of its own. */
  constructor(simulation: Simulation, port: InvalidationPort, assigned: boolean) {
    const { remapping, configuration } = simulation
    const { mode, pageSize } = configuration.iommu
    this.#simulation = simulation
    this.requester = simulation.addFunction()
    this.#dynamic = mapsEachUse(configuration, assigned)
    this.#space = mode === 'passThrough' && !assigned ? undefined : remapping?.createSpace(pageSize)
    remapping?.attach(this.requester, this.#space)
    this.#mapper = this.#dynamic ? new Mapper(simulation, this.#space!, port) : undefined
  }

  /** A page for a descriptor ring, which stays mapped. */
  ring(): number {
    if (this.#dynamic) return this.#mapper!.mapAtOnce(1)
    return this.#pool(1, 1).next()
  }

  /** Buffers for a ring, of so many pages each, in so many parts. */
  buffers(count: number, pages: number, parts = 1): Buffers {
    return this.#dynamic ? this.#mapped(count, pages, parts) : this.#pool(count, pages)
  }

  /** Buffers that stay where they are, one behind the other in memory that is mapped with the largest pages allowed. */
  #pool(count: number, pages: number): Buffers {
    const first = this.#used
    this.#used += count * pages
    this.#mapUpTo(this.#used)
    let at = 0
    return {
      next: () => {
        const page = first + at * pages
        at = at + 1 === count ? 0 : at + 1
        return page
      },
      errand: undefined,
    }
  }

  #mapUpTo(page: number): void {
    const { remapping, configuration } = this.#simulation
    if (this.#space === undefined || page <= this.#reach) return
    const unit = PAGES_OF[configuration.iommu.pageSize]
    const end = Math.ceil(page / unit) * unit
    remapping!.map(this.#space, this.#reach, end - this.#reach)
    this.#reach = end
  }

  #mapped(count: number, pages: number, parts: number): Buffers {
    const mapper = this.#mapper!
    const { journeys, configuration } = this.#simulation
    const { batch } = configuration.iommu
    const posted = new Ring()
    for (let i = 0; i < count; i++) posted.push(mapper.mapAtOnce(pages))
    function* errand(worker: Worker, items: readonly number[]): Program {
      for (let at = 0; at < items.length; at += batch) {
        const firsts = items.slice(at, at + batch).map(item => journeys.pages[item]!)
        yield* mapper.unmap(worker, firsts, pages, parts)
        for (const _ of firsts) posted.push(yield* mapper.map(worker, pages, parts))
      }
    }
    return { next: () => posted.shift(), errand }
  }
}
