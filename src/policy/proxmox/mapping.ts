/**
 * Cluster-wide PCI mappings (`/etc/pve/mapping/pci.cfg`): names for hardware that nodes have, with what it is expected
 * to be. Source: proxmox/pve-guest-common src/PVE/Mapping/PCI.pm.
 */
import { deviceAt, type PolicyHost, refusePolicy } from '../model/index.ts'
import { type Properties, parsePropertyString } from './property-string.ts'

export interface MappedPath {
  /** Absent: the entry counts for every node. */
  readonly node?: string
  /** Addresses, each with or without a function; several are used together. */
  readonly paths: readonly string[]
  /** `vvvv:dddd` */
  readonly id?: string
  readonly subsystemId?: string
  readonly iommuGroup?: number
}

export interface Mapping {
  readonly name: string
  readonly mdev: boolean
  /** Alternatives, in order. */
  readonly entries: readonly MappedPath[]
}

const KEYS = ['node', 'id', 'subsystem-id', 'path', 'iommugroup', 'description']

/** One `map` line. Throws `invalidDocument`. */
export function parseMappedPath(text: string, field: string): MappedPath {
  const properties = parsePropertyString(text, field, KEYS, false)
  const path = properties.get('path')
  if (path === undefined)
    return refusePolicy(`${field}: there is no path`, { errorClass: 'invalid-mapping', field })
  const group = properties.get('iommugroup')
  return {
    paths: path.split(';'),
    ...optional('node', properties),
    ...optional('id', properties),
    ...(properties.has('subsystem-id') ? { subsystemId: properties.get('subsystem-id')! } : {}),
    ...(group === undefined ? {} : { iommuGroup: Number(group) }),
  }
}

const optional = (key: 'node' | 'id', properties: Properties): { [key]?: string } =>
  properties.has(key) ? { [key]: properties.get(key)! } : {}

/** The whole file: a line with a name, then indented lines of `map`, `mdev` and `description`. Throws `invalidDocument`. */
export function parseMappings(text: string): ReadonlyMap<string, Mapping> {
  const mappings = new Map<string, { name: string; mdev: boolean; entries: MappedPath[] }>()
  let current: { name: string; mdev: boolean; entries: MappedPath[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const field = `pci.cfg line ${index + 1}`
    if (/^\S+\s*$/.test(line)) {
      current = { name: line.trim(), mdev: false, entries: [] }
      mappings.set(current.name, current)
      continue
    }
    const [, key, value] = /^\s+(\S+)\s+(.*?)\s*$/.exec(line) ?? []
    if (current === undefined || key === undefined || value === undefined) {
      return refusePolicy(`${field}: neither the name of a mapping nor a property of one`, {
        errorClass: 'invalid-mapping',
        field,
      })
    }
    if (key === 'map') current.entries.push(parseMappedPath(value, field))
    else if (key === 'mdev') current.mdev = value === '1'
  }
  return mappings
}

/** What of an entry is not what the hardware says; undefined if all is. Later paths may lie in other groups. */
export function whatChanged(
  { paths, id, subsystemId, iommuGroup }: MappedPath,
  host: PolicyHost,
): string | undefined {
  for (const [index, path] of paths.entries()) {
    const address = withDomain(path.includes('.') ? path : `${path}.0`)
    const device = deviceAt(host, address)
    if (device === undefined) return `there is no device ${address}`
    const actual = `${device.vendorId}:${device.productId}`
    if (id?.toLowerCase() !== actual) return `${address} has the ids ${actual}, not ${id ?? 'none'}`
    if (index === 0 && (iommuGroup ?? null) !== (device.iommuGroup ?? null)) {
      return `${address} is in IOMMU group ${device.iommuGroup ?? 'none'}, not ${iommuGroup ?? 'none'}`
    }
    const { subsystemVendorId, subsystemId: subsystem } = device
    const actualSubsystem = subsystem === undefined ? undefined : `${subsystemVendorId}:${subsystem}`
    if (subsystemId?.toLowerCase() !== actualSubsystem) {
      return `${address} has the subsystem ids ${actualSubsystem ?? 'none'}, not ${subsystemId ?? 'none'}`
    }
  }
  return undefined
}

/** Addresses may leave out domain 0000. */
export const withDomain = (address: string): string =>
  /^[0-9a-f]{4,}:[0-9a-f]{2}:/.test(address) ? address : `0000:${address}`
