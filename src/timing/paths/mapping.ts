/** Processors that do nothing but map and unmap: what the kernel's IOMMU layer costs, and how it scales. */
import type { MappingWorkload } from '../configuration.ts'
import { InvalidationPort } from '../host-iommu/invalidation-port.ts'
import { Mapper } from '../host-iommu/mapper.ts'
import { type Program, Thread } from '../resources/processor.ts'
import type { Simulation } from '../simulation.ts'

class MappingThread extends Thread {
  readonly #simulation: Simulation
  readonly #mapper: Mapper
  readonly #workload: MappingWorkload
  readonly #other: number

  constructor(simulation: Simulation, number: number, mapper: Mapper, workload: MappingWorkload) {
    super(simulation.processors[number]!, number, simulation.activities, 'host')
    this.#simulation = simulation
    this.#mapper = mapper
    this.#workload = workload
    this.#other = simulation.activities.number('elsewhere', 'host')
  }

  protected *run(): Program {
    const { live, pages, other } = this.#workload
    const { operations, events, configuration } = this.#simulation
    const { batch } = configuration.iommu
    const mapper = this.#mapper
    const held = Array.from({ length: live }, () => mapper.mapAtOnce(pages))
    for (;;) {
      const began = events.now
      for (let i = 0; i < batch; i++) held.push(yield* mapper.map(this, pages))
      yield* mapper.unmap(this, held.splice(0, batch), pages)
      for (let i = 0; i < batch; i++) operations.add((events.now - began) / batch)
      if (other > 0) {
        this.charge(this.#other, 1, other)
        yield this.spend()
      }
    }
  }
}

export function buildMapping(simulation: Simulation, workload: MappingWorkload): void {
  const { remapping, configuration } = simulation
  const space = remapping!.createSpace(configuration.iommu.pageSize)
  const mapper = new Mapper(simulation, space, new InvalidationPort(simulation))
  const { allocator, mode } = configuration.iommu
  // So many are out of use at a time while their invalidation is deferred.
  const deferred = mode === 'deferred' ? simulation.costs.flushQueueEntries : 0
  for (let number = 0; number < workload.cores; number++) {
    if (allocator === 'cached') mapper.warm(number, deferred, workload.pages)
    new MappingThread(simulation, number, mapper, workload).wake()
  }
}
