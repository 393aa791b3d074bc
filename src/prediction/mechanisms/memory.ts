/** Memory that devices may reach and that therefore cannot be taken away; and devices that fault instead. */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, type NotModelled, notModelled, part, summed, valued } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'

const UNKNOWN = 'the sizes of the memory of host and guests are not in the record'

/** Every page of a guest is pinned when a device is assigned: nobody knows which of them the device will be given. */
export function freeWithStaticPinning(scenario: Scenario, _costs: Costs): Modelled | NotModelled {
  const [host, guest] = scenario.gigabytes
  if (host === undefined || guest === undefined) return notModelled(UNKNOWN)
  return summed('GB', [
    part('memory', 'of the host', host),
    part('memory', 'pinned for guests', -Math.min(host, guest * Math.max(1, scenario.vms))),
  ])
}

const BUFFERS = 2 * 1024
const PAGE = 4096
const GIGABYTE = 1e9

/** Only what is mapped for DMA is pinned: the buffers in the rings of each guest's device. */
const ringMemory = (scenario: Scenario): number => BUFFERS * PAGE * Math.max(1, scenario.vms)

export function freeWithPinningOnDemand(scenario: Scenario, _costs: Costs): Modelled | NotModelled {
  const [host] = scenario.gigabytes
  if (host === undefined) return notModelled(UNKNOWN)
  return summed('GB', [
    part('memory', 'of the host', host),
    part('memory', 'pinned for rings', -ringMemory(scenario) / GIGABYTE),
  ])
}

const MEGABYTE = 1e6
export const pinnedMemory = (scenario: Scenario, _costs: Costs): Modelled | NotModelled =>
  scenario.pinsEverything
    ? notModelled(UNKNOWN)
    : summed('MB', [part('memory', 'pinned for rings', ringMemory(scenario) / MEGABYTE)])

const MICROSECOND = 1000

/** The device stops, tells, and goes on when it is told that the page is there. */
export function pageFaultService(scenario: Scenario, costs: Costs): Modelled {
  const sum = summed('ns', [
    part('device', 'stops, reports and resumes', costs.pageRequestDevice),
    part('host processor', 'interrupt, fault, response', costs.pageRequestService),
  ])
  return scenario.record.metric.startsWith('nic')
    ? valued(sum, sum.value / MICROSECOND)
    : meanPageFaultService(costs, sum)
}

/** Under load requests wait for those before them. */
function meanPageFaultService(costs: Costs, one: Modelled): Modelled {
  const sum = summed('ns', [
    ...one.breakdown.parts,
    part('queue of page requests', 'requests ahead', costs.pageRequestBacklog * one.value),
  ])
  return valued(sum, sum.value / MICROSECOND)
}
