/** Streams of packets, by every I/O model. */
import {
  type Configuration,
  type Costs,
  type MetricName,
  parseConfiguration,
  simulate,
} from '../../timing/index.ts'
import { lossesBy } from '../mechanisms/comparisons.ts'
import { lineRate, streamOf } from '../mechanisms/network/throughput.ts'
import { type Modelled, valued } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'
import { iommuOf } from './iommu.ts'
import { type Simulated, told } from './told.ts'

/**
 * What a hosted monitor does is all done by one processor, and what an IOMMU of the guest or a copy adds is a sum as well. Every
 * stream that is simulated has a wire.
 */
const isSimulated = ({ structure, bounced, guestIommu, wired }: Scenario): boolean =>
  structure !== 'hosted' && !bounced && guestIommu === 'none' && wired

/** As many packets, by the pace of the closed form, as make it unimportant where the first and the last message end. */
const PACKETS = { warmUp: 2000, duration: 4000 }
/** Packets of a stream under way: receivers widen their windows until processors or wires, and not they, are in the way. */
const WINDOW = 180
/** What the wire should hold at least, all streams together, ns. */
const ON_THE_WIRE = 200_000
const LEAST_TIMES = { warmUp: 500_000, duration: 1_000_000 }
const LARGE_MESSAGE = 65_536
const MOST_PROCESSORS = 64
/** The virtual one, its back end's, and that of its queue. */
const PROCESSORS_OF_MACHINE = 3
/** That a simulated machine has at most: beyond, software shares them. */
const MOST_CORES = 1024

function stream(scenario: Scenario, costs: Costs): Configuration {
  const { model, backend, structure, vms, cores, link, lineGbps, mtu, receiving, datagrams, system } =
    scenario
  const processors = Math.min(MOST_PROCESSORS, Math.max(1, cores))
  const { pace, packets } = streamOf(scenario, costs)
  const streams = model === 'native' ? processors : Math.max(1, vms)
  const window = Math.max(WINDOW * packets.payload, Math.ceil((ON_THE_WIRE * lineGbps) / 8 / streams))
  // All that was sent first is to have arrived. Datagrams are sent at the rate of the line, whether any arrive or not.
  const round = datagrams ? 0 : (streams * window) / packets.payload
  return parseConfiguration({
    warmUp: Math.max(LEAST_TIMES.warmUp, Math.max(PACKETS.warmUp, round) * pace.value),
    duration: Math.max(LEAST_TIMES.duration, Math.max(PACKETS.duration, round) * pace.value),
    machine: {
      cores: Math.min(MOST_CORES, Math.max(system.cores, processors, PROCESSORS_OF_MACHINE * vms + 1)),
    },
    link,
    adapter: {
      gbps: lineGbps,
      moderation: costs.interruptInterval,
      ringSize: scenario.ring,
    },
    iommu: iommuOf(scenario),
    workload: {
      kind: 'network',
      model,
      backend,
      structure: structure === 'onePiece' ? structure : 'kernel',
      vms: Math.max(1, vms),
      vcpus: model === 'native' ? processors : 1,
      exitless: scenario.exitless,
      // Its interrupts would not be its own any more if it left the processor to the host.
      idle: scenario.exitless ? 'poll' : 'halt',
      apicVirtualization: costs.completionExits === 0,
      direction: receiving ? 'receive' : 'transmit',
      pattern: datagrams ? 'datagrams' : 'stream',
      mtu,
      messageBytes: scenario.messageBytes ?? LARGE_MESSAGE,
      window: Math.ceil(window),
      offload: scenario.offload,
    },
  })
}

const only =
  (simulated: (scenario: Scenario, costs: Costs) => Modelled): Simulated =>
  (scenario, costs) =>
    isSimulated(scenario) ? simulated(scenario, costs) : undefined

export const ofStream = (metric: MetricName): Simulated =>
  only((scenario, costs) => told(simulate(stream(scenario, costs), costs), metric))

/** Gigabits a second. */
const rate = ofStream('throughput')

const losses = lossesBy((scenario, costs) => simulate(stream(scenario, costs), costs).metrics.throughput!)
export const throughputLoss = only(losses.throughputLoss)
export const greatestThroughputLoss = only(losses.greatestThroughputLoss)
export const superpageThroughputLoss = only(losses.superpageThroughputLoss)

const MEGABITS = 1000
export const throughput: Simulated = (scenario, costs) => {
  const modelled = rate(scenario, costs)
  const megabits = scenario.record.unit === 'Mb/s'
  return modelled && valued(modelled, modelled.value * (megabits ? MEGABITS : 1))
}

export const fractionOfLineRate: Simulated = (scenario, costs) => {
  const modelled = rate(scenario, costs)
  return modelled && valued(modelled, (100 * modelled.value) / lineRate(scenario))
}
