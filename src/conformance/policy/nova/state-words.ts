/** Which devices the words of a story mean: `81:10.0`, `VFs 81:10.0-3`, `all VFs of 81:00.0`, `its VFs`, `PF`. */
import type { DeviceTracker, TrackedDevice } from '../../../policy/index.ts'

const ADDRESS = /[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/
/** An address, or functions of one slot: `81:10.0-3`. */
const ADDRESSES = /([0-9a-f]{2}:[0-9a-f]{2}\.)([0-7])(?:(?:-|\.\.)([0-7])\b)?/g

const isPhysical = ({ role }: TrackedDevice): boolean => role === 'PF'
const isVirtual = ({ role }: TrackedDevice): boolean => role === 'VF' || role === 'vdpa'

const at = (end: string, { devices }: DeviceTracker): TrackedDevice | undefined =>
  [...devices.values()].find(({ address }) => address.endsWith(end))

/** VFs below a PF, or beside a VF. */
const family = (device: TrackedDevice, { devices }: DeviceTracker): TrackedDevice[] => {
  const parent = isPhysical(device) ? device.address : device.parent
  return [...devices.values()].filter(each => each.parent === parent && parent !== undefined)
}

/** The devices that a step is about; the one before if it names none. */
export function groupNamed(
  step: string,
  tracker: DeviceTracker,
  last: TrackedDevice,
): readonly TrackedDevice[] {
  const head = ADDRESS.exec(step)?.[0]
  const named = head === undefined ? undefined : at(head, tracker)
  if (/\b(?:VFs|children|vdpas?) of\b/i.test(step) && named !== undefined) return family(named, tracker)
  const listed = [...step.matchAll(ADDRESSES)].flatMap(([, slot = '', first = '', end = first]) =>
    Array.from(
      { length: Number(end) - Number(first) + 1 },
      (_, n) => at(`${slot}${Number(first) + n}`, tracker) ?? [],
    ).flat(),
  )
  if (listed.length > 0) return listed
  if (/\b(?:its VFs|all VFs|all children|them|one by one)\b/i.test(step)) return family(last, tracker)
  return [last]
}

/** The states that a case asks about: by the end of an address, or of all relatives of a device at once. */
export function shownStates(asked: unknown, tracker: DeviceTracker, last: TrackedDevice): unknown {
  const all = [...tracker.devices.values()]
  if (typeof asked === 'string') {
    if (!/\ball\b/.test(asked)) return last.status
    return `all ${together(all)}`
  }
  if (typeof asked !== 'object' || asked === null) return undefined
  return Object.fromEntries(Object.keys(asked).map(key => [key, together(meant(key, tracker, last))]))
}

const together = (devices: readonly TrackedDevice[]): string | string[] => {
  const statuses = [...new Set(devices.map(({ status }) => status))]
  return statuses.length === 1 ? statuses[0]! : statuses
}

function meant(key: string, tracker: DeviceTracker, last: TrackedDevice): readonly TrackedDevice[] {
  const exact = at(key, tracker)
  if (exact !== undefined) return [exact]
  const head = ADDRESS.exec(key)?.[0]
  const about = head === undefined ? last : (at(head, tracker) ?? last)
  const other = /\bother\b/.test(key)
  const plural = /\b(?:VFs|children|vdpas?|siblings)\b/i.test(key)
  if (plural) return family(about, tracker).filter(each => !other || each !== about)
  if (/\b(?:PF|parent)\b/.test(key)) {
    const parent = isPhysical(about) ? about : tracker.devices.get(about.parent ?? '')
    return parent === undefined ? [] : [parent]
  }
  if (/\b(?:VF|child)\b/.test(key)) return isVirtual(about) ? [about] : family(about, tracker)
  return [about]
}
