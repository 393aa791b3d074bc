/** One configuration against another: fractions of bare metal, speed-ups, losses. Both sides come from the same mechanisms. */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, type NotModelled, notModelled, part } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'
import { streamOf } from './network/throughput.ts'

/** Packets a second, of a stream and of messages that each wait for an answer. */
const streamRate = (scenario: Scenario, costs: Costs): number => 1e9 / streamOf(scenario, costs).pace.value
/** The same where the wire is no limit: what processors could do. */
const processorRate = (scenario: Scenario, costs: Costs): number =>
  streamRate({ ...scenario, lineGbps: UNLIMITED }, costs)
/** Many clients keep the one processor busy: what counts is its work for a request, not the way to the client. */
const requestRate = (scenario: Scenario, costs: Costs): number => 1e9 / requestWork(scenario, costs)

/** One packet in, one out, an interrupt for each: requests do not come in batches. */
function requestWork(scenario: Scenario, costs: Costs): number {
  const lone = { ...costs, interruptInterval: 0 }
  const single = { ...scenario, messageBytes: undefined, mtu: SMALL, lineGbps: UNLIMITED }
  return 2 * streamOf(single, lone).pace.value
}
const SMALL = 128
const UNLIMITED = 1e6

const asNative = (scenario: Scenario): Scenario => ({
  ...scenario,
  model: 'native',
  monitor: 'none',
  guestIommu: 'none',
  invalidation: 'none',
  translated: false,
})

function compared(unit: string, value: number, resource: string, cause: string): Modelled {
  return {
    value,
    breakdown: { unit, total: value, parts: [part(resource, cause, value)], bottleneck: resource },
  }
}

/** Of bare metal: the best workload is a stream, the worst a server of small requests. */
const fraction =
  (rate: typeof streamRate, cause: string, exitless: boolean) =>
  (scenario: Scenario, costs: Costs): Modelled => {
    const guest: Scenario = { ...scenario, model: 'direct', monitor: 'assisted', exitless }
    const value = Math.min(1, rate(guest, costs) / rate(asNative(scenario), costs))
    return compared('ratio', value, 'virtual processor', cause)
  }

export const baselineFractionHigh = fraction(processorRate, 'stream, of bare metal', false)
export const baselineFractionLow = fraction(requestRate, 'small requests, of bare metal', false)
export const exitlessFractionHigh = fraction(processorRate, 'stream, of bare metal', true)
export const exitlessFractionLow = fraction(requestRate, 'small requests, of bare metal', true)

/** What a technique improves on: the same configuration without it. */
function baselineOf(scenario: Scenario): Scenario | undefined {
  if (scenario.exitless) return { ...scenario, exitless: false }
  if (scenario.backend === 'sidecore') return { ...scenario, backend: 'kernel' }
  if (scenario.model === 'vmdq') return { ...scenario, model: 'paravirtual' }
  if (['deferred', 'batched', 'optimistic'].includes(scenario.invalidation)) {
    return { ...scenario, invalidation: 'strict' }
  }
  if (scenario.invalidation === 'strict') return scenario
  return undefined
}

/** A technique named as the baseline itself is compared with how things would be without the cost. */
const improved = (scenario: Scenario): Scenario =>
  scenario.invalidation === 'strict' && !scenario.exitless && scenario.backend !== 'sidecore'
    ? { ...scenario, invalidation: 'none', translated: false, guestIommu: 'none' }
    : scenario

const speedup =
  (choose: (...ratios: number[]) => number) =>
  (scenario: Scenario, costs: Costs): Modelled | NotModelled => {
    const baseline = baselineOf(scenario)
    if (baseline === undefined) {
      return notModelled(
        'the record does not say what the speed-up is over: no technique is named in its configuration',
      )
    }
    const ratios = [streamRate, processorRate, requestRate].map(
      rate => rate(improved(scenario), costs) / rate(baseline, costs),
    )
    return compared(
      'ratio',
      choose(...ratios),
      'processors',
      'a stream, with and without limit of the wire, or small requests',
    )
  }

/** Where the wire is the limit nothing is gained; where the processor is, all of the difference. */
export const speedupHigh = speedup(Math.max)
export const speedupLow = speedup(Math.min)

const withoutIommu = (scenario: Scenario): Scenario => ({
  ...scenario,
  translated: false,
  invalidation: 'none',
  guestIommu: 'none',
})

type Rate = typeof streamRate

const lossOf = (rate: Rate, scenario: Scenario, costs: Costs): number =>
  100 * Math.max(0, 1 - rate(scenario, costs) / rate(withoutIommu(scenario), costs))

/** Numbers of flows that fill a fast line where nothing is translated. */
const FLOWS = [5, 10, 20, 40]

/** What translation costs a stream, whoever tells its rate. */
export const lossesBy = (rate: Rate) => ({
  throughputLoss: (scenario: Scenario, costs: Costs): Modelled =>
    compared('%', lossOf(rate, scenario, costs), 'remapping', 'against the same without translation'),

  greatestThroughputLoss: (scenario: Scenario, costs: Costs): Modelled =>
    compared(
      '%',
      Math.max(...FLOWS.map(cores => lossOf(rate, { ...scenario, cores }, costs))),
      'remapping',
      'against the same without translation, over 5 to 40 flows',
    ),

  /** Larger pages take fewer entries, but buffers that are unmapped after each use are invalidated all the same. */
  superpageThroughputLoss: (scenario: Scenario, costs: Costs): Modelled =>
    compared(
      '%',
      lossOf(rate, { ...scenario, superpages: true }, costs),
      'remapping',
      'against the same without translation',
    ),
})
export const { throughputLoss, greatestThroughputLoss, superpageThroughputLoss } = lossesBy(streamRate)

/** Sender and receiver on one host: no wire, both stacks. */
export function loopbackThroughput(scenario: Scenario, costs: Costs): Modelled {
  const both = streamOf({ ...asNative(scenario), lineGbps: UNLIMITED, receiving: false }, costs)
  const nanoseconds = both.charges.reduce((sum, charge) => sum + charge.nanoseconds, 0)
  const parts = both.charges.map(({ resource, cause, nanoseconds: each }) => part(resource, cause, each))
  return {
    value: (both.packets.payload * 8) / nanoseconds,
    breakdown: { unit: 'ns', total: nanoseconds, parts, bottleneck: 'host processor' },
  }
}
