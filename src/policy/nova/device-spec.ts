/**
 * `[pci] device_spec`: which devices of a host nova may hand out, and their tags. Source: openstack/nova
 * nova/pci/devspec.py (PciDeviceSpec).
 */
import { type Device, type PolicyHost, refusePolicy } from '../model/index.ts'
import {
  type AddressSpec,
  globSpec,
  hexField,
  parseAddress,
  parseAddressSpec,
  sameAddress,
} from './address-specs.ts'
import { looseBoolean, strictBoolean } from './booleans.ts'

/** Everything of a specification that does not match devices, as text. */
export type Tags = Readonly<Record<string, string>>

export interface DeviceSpec {
  /** `*` for any. */
  readonly vendorId: string
  readonly productId: string
  readonly tags: Tags
  readonly remoteManaged: boolean
  readonly devname: string | undefined
  readonly address: AddressSpec | undefined
}

export interface DeviceSpecOptions {
  readonly reportInPlacement: boolean
  /** The host whose devices are asked about while the specification is read. */
  readonly host: PolicyHost
}

const ANY = '*'
const MOST_ID = 0xffff
const BOOLEAN_TAGS = ['managed', 'live_migratable', 'one_time_use']

/** Throws `invalidDocument` with nova's own error class: the compute service would not start. */
export function parseDeviceSpec(
  given: Readonly<Record<string, unknown>>,
  options: DeviceSpecOptions,
): DeviceSpec {
  const { vendor_id: vendor = ANY, product_id: product = ANY, devname, address, ...rest } = given
  const vendorId = hexField('vendor_id', String(vendor).trim(), MOST_ID, 4)
  const productId = hexField('product_id', String(product), MOST_ID, 4)
  if (address && devname) {
    refusePolicy('device_spec: address and devname exclude each other', {
      errorClass: 'PciDeviceInvalidDeviceName',
      field: 'devname',
    })
  }
  const tags = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, String(value)]))
  for (const tag of BOOLEAN_TAGS) normalise(tags, tag)
  if (tags['one_time_use'] === 'true' && !options.reportInPlacement) {
    refusePolicy('device_spec: one_time_use needs [pci] report_in_placement', {
      errorClass: 'PciConfigInvalidSpec',
      field: 'one_time_use',
      requires: 'pci.report_in_placement',
    })
  }
  const spec: DeviceSpec = {
    vendorId,
    productId,
    tags,
    remoteManaged: looseBoolean(tags['remote_managed'] ?? ''),
    devname: devname ? String(devname) : undefined,
    address: devname ? undefined : parseAddressSpec(address || '*:*:*.*'),
  }
  if (spec.remoteManaged) checkRemoteManaged(spec, options.host)
  return spec
}

function normalise(tags: Record<string, string>, tag: string): void {
  const text = tags[tag]
  if (text === undefined) return
  const value = strictBoolean(text)
  if (value === undefined)
    refusePolicy(`device_spec: ${tag} "${text}" is neither true nor false`, {
      errorClass: 'PciConfigInvalidSpec',
      field: tag,
    })
  tags[tag] = String(value)
}

/** Where a specification points on a host; undefined if its interface is not there. */
function addressOf({ devname, address }: DeviceSpec, host: PolicyHost): AddressSpec | undefined {
  if (devname === undefined) return address
  const found = host.devices.find(({ network }) => network?.name === devname)
  return found === undefined ? undefined : globSpec(found.address)
}

/** The PF that a single address names. */
const namedPhysicalFunction = (spec: AddressSpec, { devices }: PolicyHost): Device | undefined =>
  spec.single === undefined
    ? undefined
    : devices.find(
        ({ role, address }) =>
          role === 'PF' && inReach(address) && sameAddress(parseAddress(address), spec.single!),
      )

/** Domains beyond 16 bits (VMD) are beyond nova too. */
export const inReach = (address: string): boolean => address.indexOf(':') <= 4

/** A PF is never managed remotely: ids that select it, or could, are refused. */
function checkRemoteManaged(spec: DeviceSpec, host: PolicyHost): void {
  const address = addressOf(spec, host)
  if (address === undefined)
    refusePolicy(`device_spec: remote_managed interface ${spec.devname} is not there`, {
      errorClass: 'PciDeviceRemoteManagedNotPresent',
      field: 'devname',
    })
  const pf = namedPhysicalFunction(address!, host)
  if (pf === undefined) return
  const vendorFits = spec.vendorId === ANY || spec.vendorId === pf.vendorId
  if (vendorFits && spec.productId === pf.sriov?.vfProductId) return
  if (vendorFits && (spec.productId === ANY || spec.productId === pf.productId))
    refusePolicy(`device_spec: the PF ${pf.address} cannot be remote_managed`, {
      errorClass: 'PciDeviceInvalidPFRemoteManaged',
      field: 'remote_managed',
    })
  refusePolicy(
    `device_spec: ids ${spec.vendorId}:${spec.productId} are not those of the VFs of ${pf.address}`,
    {
      errorClass: 'PciConfigInvalidSpec',
      field: 'product_id',
    },
  )
}

/** The first thing that does not match; undefined if the specification selects the device. */
export function whyNotMatched(spec: DeviceSpec, device: Device, host: PolicyHost): string | undefined {
  const address = addressOf(spec, host)
  if (address === undefined) return `interface ${spec.devname} is not there`
  if (spec.vendorId !== ANY && spec.vendorId !== device.vendorId)
    return `vendor_id ${device.vendorId} is not ${spec.vendorId}`
  if (spec.productId !== ANY && spec.productId !== device.productId)
    return `product_id ${device.productId} is not ${spec.productId}`
  if (!matchesAddress(address, device, host)) return `address ${device.address} does not match`
  // A network back end needs the card's serial number to find it from the other side.
  if (spec.remoteManaged && !device.cardSerialNumber) return 'its vital product data holds no serial number'
  return undefined
}

/** The address of a PF selects its VFs as well. */
function matchesAddress(spec: AddressSpec, { address, parent }: Device, host: PolicyHost): boolean {
  if (
    parent !== undefined &&
    namedPhysicalFunction(spec, host) !== undefined &&
    spec.matches(parseAddress(parent))
  )
    return true
  return spec.matches(parseAddress(address))
}
