/** Small reads of a fast disk: one at a time, or as many as go. */
import type { Costs } from '../../timing/index.ts'
import { type Modelled, type Part, paced, part, summed, valued } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'
import { ENTRANCE, sharedQueue, UNIT } from './mapping.ts'

const nanoseconds = (costs: Costs, cycles: number): number => cycles / costs.clockGHz
const MICROSECOND = 1000
/** Of benchmarks that do not say how much they read at once. */
const BLOCK = 4096

/** A processor that waits for so short a time does not go to sleep. */
const SLEEP_FROM = 20_000

/** Of a flash disk, or of a memory behind the same interface, which answers almost at once. */
const medium = ({ fastDisk }: Scenario, costs: Costs): number =>
  fastDisk ? costs.fastDiskLatency : costs.diskLatency

const wake = (scenario: Scenario, costs: Costs): number =>
  nanoseconds(costs, costs.contextSwitch) + (medium(scenario, costs) < SLEEP_FROM ? 0 : costs.wakeUp)

/** What a model adds to a request on processors, and what of it is waiting for somebody to wake. */
function virtualParts(scenario: Scenario, costs: Costs): { busy: Part[]; waking: Part[] } {
  const { model, backend, exitless, messageBytes } = scenario
  const exit = costs.exitRoundTrip + costs.kernelHandler
  const time = (cause: string, cycles: number): Part =>
    part('virtual processor', cause, nanoseconds(costs, cycles))
  const completion = time(
    'end of interrupt',
    costs.completionExits * (costs.exitRoundTrip + costs.endOfInterrupt),
  )
  /** Behind it the host has a block layer of its own, and the data is copied. */
  const backEnd = (cause: string, cycles: number, user: boolean): Part[] =>
    [
      [cause, cycles],
      ['block layer and driver of the host', costs.blockStackPerRequest],
      ['copy', costs.copyPerByte * (messageBytes ?? BLOCK)],
      ['system call', user ? costs.systemCall : 0],
    ].map(([what, each]) => part('back end', String(what), nanoseconds(costs, Number(each))))
  switch (model) {
    case 'native':
      return { busy: [], waking: [] }
    case 'sriov':
    case 'direct':
    case 'vmdq':
      return exitless
        ? { busy: [time('interrupt without exits', costs.postedInterrupt)], waking: [] }
        : {
            busy: [
              time('exit of the interrupt', exit + costs.interruptDelivery + costs.virtualInterrupt),
              completion,
            ],
            waking: [part('virtual processor', 'thread wakes', wake(scenario, costs))],
          }
    case 'emulated':
      return {
        busy: [
          time(
            'registers',
            costs.blockEmulatedAccesses * (exit + costs.userSpaceRoundTrip + costs.registerEmulation),
          ),
          ...backEnd('model of the controller', costs.blockEmulatedPerRequest, true),
          completion,
        ],
        waking: [
          part('back end', 'thread wakes', 2 * wake(scenario, costs)),
          part('virtual processor', 'thread wakes', wake(scenario, costs)),
        ],
      }
    default:
      return {
        busy: [
          time('doorbell', backend === 'sidecore' ? 0 : costs.exitRoundTrip + costs.eventNotify),
          ...backEnd('request', costs.blockBackendPerRequest, backend === 'user'),
          time('injection', costs.virtualInterrupt + exit),
          completion,
        ],
        waking: [
          part('back end', 'thread wakes', backend === 'sidecore' ? 0 : 2 * wake(scenario, costs)),
          part('virtual processor', 'thread wakes', wake(scenario, costs)),
        ],
      }
  }
}

export function readLatency(scenario: Scenario, costs: Costs): Modelled {
  const { busy, waking } = virtualParts(scenario, costs)
  const interrupt = scenario.polled
    ? []
    : [
        part('processor', 'interrupt', nanoseconds(costs, costs.interruptDelivery)),
        part('processor', 'thread wakes', wake(scenario, costs)),
      ]
  const sum = summed('ns', [
    part('disk', 'medium', medium(scenario, costs)),
    part('processor', 'block layer and driver', nanoseconds(costs, costs.blockStackPerRequest)),
    ...interrupt,
    ...busy,
    ...waking,
  ])
  return valued(sum, sum.value / MICROSECOND)
}

const tail =
  (of: 'latencyTail99' | 'latencyTail999') =>
  (scenario: Scenario, costs: Costs): Modelled => {
    const median = readLatency(scenario, costs)
    return valued(median, median.value * costs[of])
  }
export const readLatency99 = tail('latencyTail99')
export const readLatency999 = tail('latencyTail999')

/** What the model adds to the slowest hundredth: its own steps, with the spread of wake-ups. */
export function addedTail(scenario: Scenario, costs: Costs): Modelled {
  const { busy, waking } = virtualParts(scenario, costs)
  const sum = summed('ns', [...busy, ...waking])
  return valued(sum, (sum.value * costs.latencyTail99) / MICROSECOND)
}

const THOUSAND = 1000
export function requestRate(scenario: Scenario, costs: Costs): Modelled {
  const { busy } = virtualParts(scenario, costs)
  const { cores, coresStated, model } = scenario
  const processors = coresStated ? cores : model === 'native' ? costs.storageProcessors : 1
  const mapped = scenario.invalidation === 'strict' && model === 'native'
  const { unit, entrance } = sharedQueue({ ...scenario, cores: processors }, costs)
  const pace = paced('ns', [
    part('disk', 'medium', medium(scenario, costs) / costs.diskChannels / scenario.disks),
    part('processors', 'block layer and driver', nanoseconds(costs, costs.blockStackPerRequest) / processors),
    ...busy.map(({ resource, cause, amount }) => part(resource, cause, amount)),
    part(UNIT, 'commands', mapped ? unit : 0),
    part(ENTRANCE, 'one processor after another', mapped ? entrance : 0),
  ])
  return valued(pace, 1e9 / pace.value / THOUSAND)
}
