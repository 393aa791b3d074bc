/**
 * `[pci] report_in_placement`: resource providers for devices. Source: openstack/nova
 * nova/compute/pci_placement_translator.py.
 */
import { type Device, isVirtual, type PolicyHost, refusePolicy } from '../model/index.ts'
import type { DeviceSpec } from './device-spec.ts'
import { resourceClassOf, traitsOf } from './placement-names.ts'
import { specOf } from './pools.ts'

export interface ResourceProvider {
  /** Address of the PF, or of the device itself. */
  readonly address: string
  readonly resourceClass: string
  readonly traits: readonly string[]
  readonly total: number
}

interface Building {
  parent: Device | undefined
  readonly children: Device[]
  resourceClass: string
  traits: string[]
}

const refuse = (errorClass: string, text: string, facts: object = {}): never =>
  refusePolicy(`device_spec: ${text}`, { errorClass, field: 'device_spec', ...facts })

/** Throws `invalidDocument`: the compute service would not start. */
export function placementView(host: PolicyHost, specs: readonly DeviceSpec[]): readonly ResourceProvider[] {
  for (const { devname } of specs)
    if (devname !== undefined)
      refuse('PlacementPciException', `devname ${devname} cannot be used with report_in_placement`, {
        reason: 'devname',
      })
  const providers = new Map<string, Building>()
  for (const device of host.devices) {
    const spec = specOf(specs, device, host)
    // Devices of a physical network belong to the network service.
    if (spec === undefined || spec.tags['physical_network'] !== undefined) continue
    addDevice(providers, device, spec)
  }
  return [...providers].map(([address, { parent, children, resourceClass, traits }]) => ({
    address,
    resourceClass,
    traits,
    total: parent === undefined ? children.length : 1,
  }))
}

/** Providers that were once reported must go on being so. Throws `invalidDocument`. */
export function refuseUnreporting(before: boolean, now: boolean): void {
  if (before && !now)
    refuse('PlacementPciException', 'report_in_placement cannot be turned off once it was on', {
      reason: 'report_in_placement',
    })
}

function addDevice(providers: Map<string, Building>, device: Device, { tags }: DeviceSpec): void {
  const child = isVirtual(device)
  if (child && device.parent === undefined) refuse('PlacementPciException', `${device.address} has no PF`)
  const address = child ? device.parent! : device.address
  const known = providers.get(address)
  const resourceClass = resourceClassOf(tags['resource_class'], device)
  const traits = traitsOf(tags, !child)
  if (known !== undefined && (known.parent !== undefined || !child))
    refuse(
      'PlacementPciDependentDeviceException',
      `both a PF and one of its VFs are selected at ${address}`,
      {
        pair: [known.parent?.address ?? known.children[0]!.address, device.address],
      },
    )
  if (child && tags['one_time_use'] !== undefined)
    refuse('PlacementPciException', `one_time_use is for whole devices and PFs, not for ${device.address}`)
  if (known === undefined) {
    providers.set(address, {
      parent: child ? undefined : device,
      children: child ? [device] : [],
      resourceClass,
      traits,
    })
    return
  }
  if (known.resourceClass !== resourceClass)
    refuse(
      'PlacementPciMixedResourceClassException',
      `${device.address} is ${resourceClass}, its siblings are ${known.resourceClass}`,
    )
  if ([...known.traits].sort().join() !== [...traits].sort().join())
    refuse(
      'PlacementPciMixedTraitsException',
      `the traits of ${device.address} are not those of its siblings`,
    )
  known.children.push(device)
}
