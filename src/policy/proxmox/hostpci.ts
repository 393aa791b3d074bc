/**
 * The `hostpciN` lines of a virtual machine: which host functions each takes. Source: proxmox/qemu-server
 * src/PVE/QemuServer/PCI.pm (parse_hostpci, choose_hostpci_devices) and Machine.pm.
 */
import type { PolicyHost, Refusal } from '../model/index.ts'
import { type Mapping, whatChanged, withDomain } from './mapping.ts'
import { type Properties, parsePropertyString } from './property-string.ts'

/** Highest number of `hostpci` lines. */
export const MOST_HOSTPCI = 16

const HOSTPCI_KEYS = [
  'host',
  'mapping',
  'rombar',
  'romfile',
  'pcie',
  'x-vga',
  'legacy-igd',
  'mdev',
  'vendor-id',
  'device-id',
  'sub-vendor-id',
  'sub-device-id',
  'driver',
]

const MACHINE_KEYS = ['type', 'viommu', 'enable-s3', 'enable-s4', 'aw-bits', 'guest-phys-bits']

/** Address widths of Intel's emulated remapping unit, in bits. */
const INTEL_ADDRESS_WIDTHS = ['39', '48']

export interface ProxmoxMachine {
  readonly q35: boolean
  readonly properties: Properties
}

export type Ruling<Result> = { readonly refusal: Refusal } | { readonly result: Result }

const refuse = (errorClass: string, text: string, device?: string): { readonly refusal: Refusal } => ({
  refusal: { errorClass, text, ...(device === undefined ? {} : { device }) },
})

/** The `machine` line: `q35`, `pc`, a version of either, and properties of the emulated remapping unit. */
export function parseMachine(text: string): Ruling<ProxmoxMachine> {
  const properties = parsePropertyString(text, 'machine', MACHINE_KEYS, true)
  const q35 = /q35/.test(properties.get('type') ?? '')
  const unit = properties.get('viommu')
  const width = properties.get('aw-bits')
  if (unit === 'intel' && !q35)
    return refuse('viommu-intel-needs-q35', 'machine: viommu=intel needs the machine type q35')
  if (unit === 'intel' && width !== undefined && !INTEL_ADDRESS_WIDTHS.includes(width))
    return refuse('aw-bits-invalid', `machine: aw-bits is 39 or 48 with viommu=intel, not ${width}`)
  if (unit === undefined && width !== undefined)
    return refuse('aw-bits-needs-viommu', 'machine: aw-bits needs a viommu')
  return { result: { q35, properties } }
}

/** One `hostpciN`, resolved: alternatives, each a list of functions that are used together. */
export interface HostPci {
  readonly key: string
  readonly alternatives: readonly (readonly string[])[]
  /** Type of mediated device, chosen on any of the alternatives later. */
  readonly mdev?: string
  readonly pcie: boolean
}

/** Resolves one line against the host's devices. Throws `invalidDocument` for a line that cannot be read. */
export function resolveHostPci(
  key: string,
  line: string,
  machine: ProxmoxMachine,
  mappings: ReadonlyMap<string, Mapping>,
  host: PolicyHost,
): Ruling<HostPci> {
  const properties = parsePropertyString(line, key, HOSTPCI_KEYS, true)
  const [direct, name, mdev] = [properties.get('host'), properties.get('mapping'), properties.get('mdev')]
  const pcie = properties.get('pcie') === '1'
  if (direct !== undefined && name !== undefined)
    return refuse('host-and-mapping-exclusive', `${key}: host and mapping exclude each other`)
  if (direct === undefined && name === undefined)
    return refuse('host-or-mapping-required', `${key}: neither host nor mapping is set`)
  const paths =
    name === undefined ? { result: [direct!.split(';')] } : mappedPaths(key, mappings.get(name), host)
  if ('refusal' in paths) return paths
  const alternatives: string[][] = []
  for (const alternative of paths.result) {
    const functions: string[] = []
    for (const path of alternative) {
      const found = functionsOf(path, host)
      if (found.length === 0) return refuse('no-such-device', `${key}: there is no PCI device ${path}`, path)
      functions.push(...found)
    }
    if (functions.length > 1 && mdev !== undefined)
      return refuse(
        'mdev-of-multifunction',
        `${key}: a mediated device cannot be made on a multifunction device`,
      )
    alternatives.push(functions)
  }
  if (pcie && !machine.q35) return refuse('q35-required', `${key}: pcie=1 needs the machine type q35`)
  return { result: { key, alternatives, pcie, ...(mdev === undefined ? {} : { mdev }) } }
}

function mappedPaths(
  key: string,
  mapping: Mapping | undefined,
  host: PolicyHost,
): Ruling<readonly (readonly string[])[]> {
  const entries = mapping?.entries.filter(({ node }) => node === undefined || node === host.name) ?? []
  if (entries.length === 0)
    return refuse('mapping-not-found', `${key}: no mapping of that name for node ${host.name}`)
  for (const entry of entries) {
    const changed = whatChanged(entry, host)
    if (changed !== undefined)
      return refuse(
        'mapping-invalid-hardware-changed',
        `${key}: mapping ${mapping!.name} does not fit: ${changed}`,
      )
  }
  return { result: entries.map(({ paths }) => paths) }
}

/** A path without a function stands for all functions of the device. */
function functionsOf(path: string, host: PolicyHost): string[] {
  const wanted = withDomain(path)
  return host.devices
    .map(({ address }) => address)
    .filter(address => address === wanted || address.startsWith(`${wanted}.`))
    .sort()
}

/** What each line got, in order. A mediated device keeps all its alternatives. */
export type Chosen = ReadonlyMap<string, readonly string[]>

/** Takes the first alternative whose functions nobody uses; a line with one alternative insists on it. */
export function chooseHostPci(lines: readonly HostPci[], reserved: ReadonlySet<string>): Ruling<Chosen> {
  const chosen = new Map<string, readonly string[]>()
  const used = new Set<string>()
  for (const { key, alternatives, mdev } of lines) {
    if (mdev !== undefined) {
      chosen.set(
        key,
        alternatives.map(([first]) => first!),
      )
      continue
    }
    const alternative =
      alternatives.length === 1
        ? alternatives[0]!
        : alternatives.find(functions => !functions.some(each => used.has(each) || reserved.has(each)))
    if (alternative === undefined)
      return refuse('no-free-device', `${key}: no alternative of its mapping is free`)
    for (const address of alternative) {
      if (used.has(address))
        return refuse(
          'device-assigned-more-than-once',
          `${key}: ${address} is assigned more than once`,
          address,
        )
      used.add(address)
    }
    chosen.set(key, alternative)
  }
  // Starting the machine reserves what it uses: a single alternative that another machine holds is found out then.
  for (const [key, functions] of chosen) {
    const taken = functions.find(address => reserved.has(address) && used.has(address))
    if (taken !== undefined)
      return refuse('no-free-device', `${key}: ${taken} is used by another machine`, taken)
  }
  return { result: chosen }
}

/** Slots on the conventional bus of the guest that qemu-server keeps for `hostpci0` on. Hexadecimal. */
const GUEST_SLOTS = ['10', '11', '1b', '1c', ...Array.from({ length: 12 }, (_, n) => (13 + n).toString(16))]

/** Where the guest finds each function: `dd.f`, with `multifunction` at the first of several. */
export function guestAddresses(lines: readonly HostPci[], chosen: Chosen): Readonly<Record<string, string>> {
  const addresses: Record<string, string> = {}
  for (const { key, pcie, mdev } of lines) {
    if (mdev !== undefined) continue
    const functions = chosen.get(key) ?? []
    // Behind a root port of its own every device is device 0.
    const slot = pcie ? '00' : GUEST_SLOTS[Number(key.slice('hostpci'.length))]!
    for (const [index, address] of functions.entries()) {
      const first = index === 0 && functions.length > 1
      addresses[address] = `${slot}.${index}${first ? ' multifunction' : ''}`
    }
  }
  return addresses
}
