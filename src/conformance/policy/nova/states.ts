/** Stories about the states of devices, told in a few words: `claim PF 81:00.0`, `status=allocated`, `allocate to B`. */
import type { Device, DeviceStatus, PolicyHost, Refusal, TrackedDevice } from '../../../policy/index.ts'
import { DeviceTracker } from '../../../policy/index.ts'
import type { Outcome, WorkedCase } from '../worked-case.ts'
import { givenDevices, hostOf } from './fixtures.ts'

const STATUSES: readonly DeviceStatus[] = [
  'available',
  'claimed',
  'allocated',
  'unclaimable',
  'unavailable',
  'removed',
]

const statusOf = (text: string | undefined): DeviceStatus =>
  STATUSES.find(status => status === text) ?? 'available'

export function trackerOf(workedCase: WorkedCase): DeviceTracker {
  const given = givenDevices(workedCase)
  return new DeviceTracker(
    hostOf(workedCase).devices.map(
      ({ address, role, parent }: Device, index): TrackedDevice => ({
        address,
        role,
        ...(parent === undefined ? {} : { parent }),
        status: statusOf(given[index]?.status),
        owner: null,
      }),
    ),
  )
}

/** The instance of stories that name none. */
const SOMEBODY = 'instance'

export function tellStates(workedCase: WorkedCase, steps: readonly string[]): Outcome {
  const tracker = trackerOf(workedCase)
  const facts: Record<string, unknown> = {}
  let last = [...tracker.devices.values()][0]!
  for (const [index, step] of steps.entries()) {
    const device = named(step, tracker) ?? last
    last = device
    const before = snapshot(tracker)
    const refusal = perform(step, device, tracker)
    if (refusal !== undefined) {
      const unchanged = JSON.stringify(before) === JSON.stringify(snapshot(tracker))
      return { decision: 'deny', errorClass: refusal.errorClass, step: index + 1, unchanged }
    }
    facts[`states_after_${index + 1}`] = shown(
      workedCase.expected[`states_after_${index + 1}`],
      tracker,
      device,
    )
  }
  return {
    decision: 'allow',
    ...facts,
    states: shown(workedCase.expected['states'], tracker, last),
    after_free: shown(workedCase.expected['after_free'], tracker, last),
    ...(tracker.warnings.length > 0 ? { warning: true } : {}),
  }
}

const snapshot = ({ devices }: DeviceTracker): string[] => [...devices.values()].map(({ status }) => status)

const named = (step: string, { devices }: DeviceTracker): TrackedDevice | undefined => {
  const address = /[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/.exec(step)?.[0]
  return address === undefined
    ? undefined
    : [...devices.values()].find(device => device.address.endsWith(address))
}

function perform(step: string, device: TrackedDevice, tracker: DeviceTracker): Refusal | undefined {
  const given = /(?:status=| is )(\w+)/.exec(step)?.[1]
  if (given !== undefined) {
    device.status = statusOf(given)
    return undefined
  }
  const owner = /\b(?:by|to) (\w+)/.exec(step)?.[1] ?? device.owner ?? SOMEBODY
  if (/^claim/.test(step)) return tracker.claim(device, owner)
  if (/^allocate/.test(step)) return tracker.allocate(device, owner)
  if (/^remove/.test(step)) return tracker.remove(device)
  return tracker.free(device, /\bby \w+/.test(step) ? owner : undefined)
}

/** The states that a case asks about: of one device by the end of its address, or of all relatives at once. */
function shown(asked: unknown, tracker: DeviceTracker, last: TrackedDevice): unknown {
  const all = [...tracker.devices.values()]
  if (typeof asked === 'string') return last.status
  if (typeof asked !== 'object' || asked === null) return undefined
  return Object.fromEntries(
    Object.keys(asked).map(key => {
      const one = all.find(({ address }) => address.endsWith(key))
      if (one !== undefined) return [key, one.status]
      const group = /\bPF\b/.test(key)
        ? all.filter(({ address }) => address === last.parent)
        : all.filter(
            ({ parent, address }) =>
              parent === (last.role === 'PF' ? last.address : last.parent) && address !== last.address,
          )
      const statuses = [...new Set(group.map(({ status }) => status))]
      return [key, statuses.length === 1 ? statuses[0] : statuses]
    }),
  )
}

/** Claims what the pools gave, one by one. */
export function claimAll(
  devices: readonly Device[],
  tracker: DeviceTracker,
  host: PolicyHost,
): Refusal | undefined {
  for (const { address } of devices) {
    const device = tracker.devices.get(address)
    const refusal = device === undefined ? undefined : tracker.claim(device, host.name)
    if (refusal !== undefined) return refusal
  }
  return undefined
}
