/** The one door: a configuration in, a result out. Pure and deterministic. */
import { bottlenecks, latencyBreakdown, processorBreakdown, resourceReports } from './attribution.ts'
import type { Configuration } from './configuration.ts'
import { machineCosts, withOverrides } from './costs/cost-file.ts'
import type { Costs } from './costs/parameters.ts'
import { metricsOf } from './metrics.ts'
import { buildDma } from './paths/dma.ts'
import { buildMapping } from './paths/mapping.ts'
import { buildNetwork } from './paths/network.ts'
import { buildStorage } from './paths/storage.ts'
import type { Result } from './result.ts'
import { Simulation } from './simulation.ts'

/** What the configuration's machine costs. */
export function costsOf({ machine }: Configuration): Costs {
  const costs = withOverrides(machineCosts(machine.costs), machine.overrides)
  return machine.gigahertz === undefined ? costs : { ...costs, clockGHz: machine.gigahertz }
}

/** @param costs resolved already, for those who vary them. */
export function simulate(configuration: Configuration, costs: Costs = costsOf(configuration)): Result {
  const simulation = new Simulation(configuration, costs)
  build(simulation)
  simulation.run()
  const metrics = metricsOf(simulation)
  const operations = simulation.operationCount
  const resources = resourceReports(simulation, operations)
  const [bottleneck, next] = bottlenecks(resources)
  const perOperation = processorBreakdown(simulation, operations)
  return {
    duration: configuration.duration,
    metrics,
    breakdown: configuration.workload.kind === 'mapping' ? perOperation : latencyBreakdown(simulation),
    processorBreakdown: perOperation,
    resources,
    bottleneck,
    next,
    counts: countsOf(simulation, operations),
    events: simulation.events.served,
    traceHash: simulation.events.traceHash,
    notes: notesOf(configuration),
  }
}

function build(simulation: Simulation): void {
  const { workload } = simulation.configuration
  if (workload.kind === 'dma') buildDma(simulation, workload)
  else if (workload.kind === 'mapping') buildMapping(simulation, workload)
  else if (workload.kind === 'network') buildNetwork(simulation, workload)
  else buildStorage(simulation, workload)
}

/** Activities by how often, and what paths counted. */
function countsOf(simulation: Simulation, operations: number): Record<string, number> {
  const { activities, counts } = simulation
  const all: Record<string, number> = { operations }
  for (const [name, { count }] of counts) if (count > 0) all[name] = count
  for (const [number, { name, side }] of activities.list.entries()) {
    const count = activities.countOf(number)
    if (count > 0) all[`${side}: ${name}`] = count
  }
  return all
}

/** What was assumed, where the configuration leaves it open or says what has no effect. */
function notesOf({ machine, workload, iommu }: Configuration): string[] {
  const notes: string[] = []
  if (machine.costs === 'default') notes.push('Costs are those of the documented default machine.')
  if (workload.kind !== 'network' && workload.kind !== 'storage') return notes
  const { model, vms } = workload
  if (model === 'native' && vms > 1) notes.push('A native workload has no virtual machines: vms is not used.')
  if ((model === 'sriov' || model === 'direct') && iommu.mode === 'off') {
    notes.push('A device is assigned without remapping: its guest could reach all of memory.')
  }
  return notes
}
