/** Stories about the states of devices, told in a few words: `claim PF 81:00.0`, `status=allocated`, `allocate to B`. */
import type { Device, DeviceStatus, PolicyHost, Refusal, TrackedDevice } from '../../../policy/index.ts'
import { DeviceTracker } from '../../../policy/index.ts'
import type { Outcome, WorkedCase } from '../worked-case.ts'
import { givenDevices, hostOf } from './fixtures.ts'
import { groupNamed, shownStates } from './state-words.ts'

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
  const { expected } = workedCase
  const tracker = trackerOf(workedCase)
  const afterSteps: Record<string, unknown>[] = []
  const afterFrees: Record<string, unknown>[] = []
  let last = [...tracker.devices.values()][0]!
  const facts = (): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(expected).map(([key, asked]) => [key, shownStates(asked, tracker, last)]),
    )
  for (const [index, step] of steps.entries()) {
    const before = snapshot(tracker)
    for (const device of groupNamed(step, tracker, last)) {
      last = device
      for (const action of actionsOf(step)) {
        const refusal = perform(action, step, device, tracker)
        if (refusal !== undefined) {
          const unchanged = JSON.stringify(before) === JSON.stringify(snapshot(tracker))
          return { decision: 'deny', errorClass: refusal.errorClass, step: index + 1, unchanged }
        }
        if (action === 'free') afterFrees.push(facts())
      }
    }
    afterSteps.push(facts())
  }
  const end = facts()
  return {
    decision: 'allow',
    ...statesAfter(expected, afterSteps, afterFrees),
    states: end['states'],
    after_free: end['after_free'],
    ...(tracker.warnings.length > 0 ? { warning: tracker.warnings.join('; ') } : {}),
  }
}

/** `states_after_3`: after the third step, or after the third device was freed if that is how far the case counts. */
function statesAfter(
  expected: Readonly<Record<string, unknown>>,
  steps: readonly Record<string, unknown>[],
  frees: readonly Record<string, unknown>[],
): Record<string, unknown> {
  const numbers = Object.keys(expected).flatMap(key => /^states_after_(\d+)$/.exec(key)?.[1] ?? [])
  const most = Math.max(0, ...numbers.map(Number))
  const moments = most !== steps.length && most === frees.length ? frees : steps
  return Object.fromEntries(
    numbers.map(n => [`states_after_${n}`, moments[Number(n) - 1]?.[`states_after_${n}`]]),
  )
}

const snapshot = ({ devices }: DeviceTracker): string[] => [...devices.values()].map(({ status }) => status)

type Action = 'state' | 'claim' | 'allocate' | 'remove' | 'free'

const GIVEN_STATE = /(?:status=| (?:is|are) )(\w+)/

/** `by A`, `to B`, `owner=A` */
const OWNER = /\b(?:by|to) ([A-Z]\w*)|\b(?:owner|instance(?:_uuid)?)=(\w+)/

/** In the order in which the step names them. */
const actionsOf = (step: string): Action[] =>
  GIVEN_STATE.test(step)
    ? ['state']
    : [...step.matchAll(/\b(claim|allocate|remove|free)\b/g)].map(([, verb]) => verb as Action)

function perform(
  action: Action,
  step: string,
  device: TrackedDevice,
  tracker: DeviceTracker,
): Refusal | undefined {
  const named = OWNER.exec(step)
    ?.slice(1)
    .find(name => name !== undefined)
  const owner = named ?? device.owner ?? SOMEBODY
  switch (action) {
    case 'state':
      device.status = statusOf(GIVEN_STATE.exec(step)?.[1])
      if (named !== undefined) device.owner = named
      return undefined
    case 'claim':
      return tracker.claim(device, owner)
    case 'allocate':
      return tracker.allocate(device, owner)
    case 'remove':
      return tracker.remove(device)
    default:
      return tracker.free(device, named)
  }
}

/** Claims what the pools gave, one by one. */
export function claimAll(
  devices: readonly Device[],
  tracker: DeviceTracker,
  host: PolicyHost,
): Refusal | undefined {
  for (const device of trackedOf(devices, tracker)) {
    const refusal = tracker.claim(device, host.name)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

const trackedOf = (devices: readonly Device[], tracker: DeviceTracker): TrackedDevice[] =>
  devices.flatMap(({ address }) => tracker.devices.get(address) ?? [])

/** What a machine's life does to the devices that it claimed: they are allocated, and free again in the end. */
export function tellLife(
  { expected }: WorkedCase,
  devices: readonly Device[],
  tracker: DeviceTracker,
): Record<string, unknown> {
  const tracked = trackedOf(devices, tracker)
  const [first] = tracked
  if (first === undefined) return {}
  for (const device of tracked) tracker.allocate(device, device.owner ?? SOMEBODY)
  const states = shownStates(expected['states'], tracker, first)
  for (const device of tracked) tracker.free(device)
  return {
    states,
    after_free: shownStates(expected['after_free'], tracker, first),
    ...(tracker.warnings.length > 0 ? { warning: tracker.warnings.join('; ') } : {}),
  }
}
