/** One message at a time, there and back: every processor that it meets has gone to sleep meanwhile. */
import type { Costs } from '../../../timing/index.ts'
import { type Modelled, type Part, part, summed, valued } from '../../prediction.ts'
import type { Scenario } from '../../scenario.ts'
import { BACKEND, GUEST, HOST } from './charge.ts'

const nanoseconds = (costs: Costs, cycles: number): number => cycles / costs.clockGHz
/** Without messages for interrupts a driver reads the cause and acknowledges it, in a device model in user space. */
const REGISTERS_OF_INTERRUPT = 2
const FRAME_BYTES = 64 + 38

/** Through the network stack of whoever answers: in, out, and the application in between. */
function endpoint(resource: string, costs: Costs, driverPerPacket = costs.driverPerPacket): Part[] {
  const packet = driverPerPacket + costs.stackPerPacket + costs.stackPerSegment + costs.socketPerMessage
  return [
    part(resource, 'stack, in and out', nanoseconds(costs, 2 * packet)),
    part('device', 'waits for more packets', costs.interruptDelay),
    part(resource, 'interrupt', nanoseconds(costs, costs.interruptDelivery)),
    part(resource, 'application wakes', costs.wakeUp + nanoseconds(costs, costs.contextSwitch)),
  ]
}

const OTHER_END = 'processor of the other end'

const exit = (costs: Costs): number => costs.exitRoundTrip + costs.kernelHandler

/** A sleeping virtual processor is a thread that must be woken before it can be interrupted. */
const guestWakes = (costs: Costs): Part[] => [
  part(GUEST, 'thread wakes', costs.wakeUp + nanoseconds(costs, costs.contextSwitch)),
  part(GUEST, 'exit to sleep, injection', nanoseconds(costs, exit(costs) + costs.virtualInterrupt)),
]

/** A back end is woken twice: by the packet, and by the answer. */
function backendParts({ backend }: Scenario, costs: Costs): Part[] {
  if (backend === 'sidecore')
    return [part(BACKEND, 'packets', nanoseconds(costs, 2 * costs.backendPerPacket))]
  const wake = costs.wakeUp + nanoseconds(costs, costs.contextSwitch)
  const packet = backend === 'user' ? costs.userBackendPerPacket : costs.backendPerPacket
  const calls = backend === 'user' ? costs.userBackendCalls * costs.systemCall : 0
  return [
    part(BACKEND, 'thread wakes', 2 * wake),
    part(BACKEND, 'packets', nanoseconds(costs, 2 * packet)),
    part(BACKEND, 'system calls', nanoseconds(costs, 2 * calls)),
    part(BACKEND, 'from and to user space', backend === 'user' ? wake : 0),
    part(
      HOST,
      'driver and switch',
      nanoseconds(costs, 2 * (costs.driverPerPacket + costs.softwareSwitchPerPacket)),
    ),
    part(HOST, 'interrupt', nanoseconds(costs, costs.interruptDelivery)),
  ]
}

function virtualParts(scenario: Scenario, costs: Costs): Part[] {
  const doorbell = part(GUEST, 'doorbell', nanoseconds(costs, costs.exitRoundTrip + costs.eventNotify))
  switch (scenario.model) {
    case 'native':
      return []
    case 'sriov':
    case 'direct':
      return scenario.exitless
        ? [part(GUEST, 'interrupt without exits', nanoseconds(costs, costs.postedInterrupt))]
        : [...guestWakes(costs), part(HOST, 'interrupt', nanoseconds(costs, costs.interruptDelivery))]
    case 'emulated': {
      const accesses = costs.emulatedAccessesPerReceiveInterrupt + costs.emulatedAccessesPerTransmit
      const access = exit(costs) + costs.userSpaceRoundTrip + costs.registerEmulation
      return [
        ...guestWakes(costs),
        ...backendParts({ ...scenario, backend: 'user' }, costs),
        part(GUEST, 'registers', nanoseconds(costs, accesses * access)),
        part(BACKEND, 'model of the adapter', nanoseconds(costs, 2 * costs.emulatedPerPacket)),
      ]
    }
    default: {
      const access = exit(costs) + costs.userSpaceRoundTrip + costs.registerEmulation
      const cause = scenario.registerTransport ? REGISTERS_OF_INTERRUPT : 0
      return [
        ...guestWakes(costs),
        ...backendParts(scenario, costs),
        doorbell,
        part(GUEST, 'cause of the interrupt', nanoseconds(costs, cause * access)),
      ]
    }
  }
}

function ownEnd({ model }: Scenario, costs: Costs): Part[] {
  if (model === 'native') return endpoint(HOST, costs)
  const hasRing = model === 'paravirtual' || model === 'vmdq'
  return endpoint(GUEST, costs, hasRing ? costs.frontendPerPacket : costs.driverPerPacket)
}

export function roundTrip(scenario: Scenario, costs: Costs): Modelled {
  return summed('ns', [
    part('wire', 'frames', (2 * FRAME_BYTES * 8) / scenario.lineGbps),
    part('wire', 'cables and switch', 2 * costs.wireLatency),
    part('device', 'pipelines of both ends', 4 * costs.devicePipeline),
    ...endpoint(OTHER_END, costs),
    ...ownEnd(scenario, costs),
    ...virtualParts(scenario, costs),
  ])
}

const MICROSECOND = 1000
const scaled = ({ value, breakdown }: Modelled, factor: number): Modelled =>
  valued({ value, breakdown }, value * factor)

/** Benchmarks of round trips tell half of them as latency. */
export const halfRoundTrip = (scenario: Scenario, costs: Costs): Modelled =>
  scaled(roundTrip(scenario, costs), 1 / 2 / MICROSECOND)
export const halfRoundTrip99 = (scenario: Scenario, costs: Costs): Modelled =>
  scaled(roundTrip(scenario, costs), costs.latencyTail99 / 2 / MICROSECOND)
export const halfRoundTrip999 = (scenario: Scenario, costs: Costs): Modelled =>
  scaled(roundTrip(scenario, costs), costs.latencyTail999 / 2 / MICROSECOND)
export const pingMilliseconds = (scenario: Scenario, costs: Costs): Modelled =>
  scaled(roundTrip(scenario, costs), 1 / MICROSECOND / 1000)

/** Calls of the monitor for a message and its answer, and those that have nothing to do with it. */
export function systemCallsPerMessage(scenario: Scenario, costs: Costs): Modelled {
  const background = costs.backgroundExits * roundTrip(scenario, costs).value * 1e-9
  const user = scenario.backend === 'user' || scenario.model === 'emulated'
  return summed('calls', [
    part(BACKEND, 'packets in and out', user ? 2 * costs.userBackendCalls : 0),
    part(GUEST, 'cause of the interrupt', user && scenario.registerTransport ? REGISTERS_OF_INTERRUPT : 0),
    part(GUEST, 'timers and the like', background),
  ])
}
