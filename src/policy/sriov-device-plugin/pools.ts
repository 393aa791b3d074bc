/**
 * Which devices each resource offers. Source: k8snetworkplumbingwg/sriov-network-device-plugin
 * pkg/netdevice/netDeviceProvider.go (AddTargetDevices) and cmd/sriovdp/manager.go (initServers).
 */
import type { Candidate, Device, Refusal } from '../model/index.ts'
import type { Resource } from './configuration.ts'
import { judgeDevice } from './selectors.ts'

/** Base class of the devices that each `deviceType` looks at. */
const BASE_CLASSES = { netDevice: '02', auxNetDevice: '02', accelerator: '12', '': '02' } as const

/** Why the plugin does not even look at a device; undefined if it does. */
export function whyNotOffered(device: Device, deviceType: Resource['deviceType'] = ''): Refusal | undefined {
  const refuse = (errorClass: string, text: string): Refusal => ({ errorClass, text, device: device.address })
  const baseClass = device.classCode?.slice(0, 2)
  if (baseClass !== BASE_CLASSES[deviceType])
    return refuse('other-class', `${device.address} is of class ${device.classCode ?? 'unknown'}`)
  const isNetDevice = deviceType === 'netDevice' || deviceType === ''
  if (isNetDevice && device.network?.defaultRoute)
    return refuse('default-route', `${device.address} carries the default route`)
  if (isNetDevice && (device.sriov?.numVfs ?? 0) > 0)
    return refuse('pf-with-vfs', `${device.address} is a PF with VFs enabled`)
  if (device.driver === null) return refuse('no-driver', `${device.address} has no driver`)
  return undefined
}

export interface Pool {
  readonly resource: Resource
  readonly devices: readonly Device[]
  readonly considered: readonly Candidate[]
}

/** In the order of the file: what a resource takes, later ones do not get. */
export function poolsOf(resources: readonly Resource[], devices: readonly Device[]): readonly Pool[] {
  const takenBy = new Map<string, string>()
  return resources.map(resource => {
    const considered: Candidate[] = []
    // Devices of the first selector come first, then those that only the second picks.
    const bySelector: Device[][] = resource.selectors.map(() => [])
    for (const device of devices) {
      const { selector, ...candidate } = consider(resource, device, takenBy)
      considered.push(candidate)
      if (candidate.refusal !== undefined) continue
      takenBy.set(device.address, resource.resourceName)
      bySelector[selector]!.push(device)
    }
    return { resource, devices: bySelector.flat(), considered }
  })
}

function consider(
  resource: Resource,
  device: Device,
  takenBy: ReadonlyMap<string, string>,
): Candidate & {
  /** The first that picks the device; below 0 if none does. */
  readonly selector: number
} {
  const { deviceType } = resource
  const hidden = whyNotOffered(device, deviceType)
  if (hidden !== undefined) return { device: device.address, refusal: hidden, passed: 0, selector: -1 }
  const verdicts = resource.selectors.map(each => judgeDevice(device, each, deviceType))
  const selector = verdicts.findIndex(({ refusal }) => refusal === undefined)
  const fit = verdicts[selector]
  const closest =
    fit ?? verdicts.reduce((best, each) => (each.passed > best.passed ? each : best), NO_SELECTOR)
  if (fit === undefined) return { device: device.address, selector, ...closest }
  const owner = takenBy.get(device.address)
  if (owner === undefined) return { device: device.address, passed: fit.passed, selector }
  const text = `${device.address} is in the pool of ${owner}, which comes first in the file`
  return {
    device: device.address,
    passed: fit.passed,
    selector,
    refusal: { errorClass: 'already-allocated', text, device: device.address },
  }
}

const NO_SELECTOR: ReturnType<typeof judgeDevice> = {
  passed: -1,
  refusal: { errorClass: 'no-selector', text: 'the resource has no selector' },
}
