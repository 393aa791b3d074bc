/**
 * The devices of a domain definition that come from the host. Sources: libvirt's formatdomain and nodedev pages and the
 * errors recorded in tests/qemuxmlconfdata.
 */
import { XMLParser } from 'fast-xml-parser'
import { refusePolicy } from '../model/index.ts'
import type { HostDevice } from './host-devices.ts'

/** Functions of a PCI device are numbered 0 to 7. */
const LAST_FUNCTION = 7

export interface Interface {
  readonly type: string
  readonly macAddress?: string
  /** Of `<interface type='network'>`. */
  readonly network?: string
  readonly teaming?: { readonly type: 'persistent' | 'transient'; readonly persistent?: string }
  readonly alias?: string
}

export interface DomainDevices {
  readonly name: string
  readonly hostDevices: readonly HostDevice[]
  readonly interfaces: readonly Interface[]
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseAttributeValue: false,
  processEntities: false,
  isArray: name => name === 'hostdev' || name === 'interface',
})

type Element = Readonly<Record<string, unknown>>

const child = (element: unknown, name: string): Element | undefined => {
  const value = (element as Element | undefined)?.[name]
  return typeof value === 'object' && value !== null ? (value as Element) : undefined
}

const text = (element: unknown, name: string): string | undefined => {
  const value = (element as Element | undefined)?.[name]
  return typeof value === 'string' ? value : undefined
}

const refuse = (errorClass: string, field: string, message: string, facts: object = {}): never =>
  refusePolicy(`${field}: ${message}`, { errorClass, field, ...facts })

/** Throws `invalidDocument`: libvirt would not define the domain. */
export function parseDomain(xml: string): DomainDevices {
  let document: unknown
  try {
    document = parser.parse(xml, true)
  } catch (error) {
    return refuse('malformed-xml', 'domain', (error as Error).message)
  }
  const domain =
    child(document, 'domain') ?? refuse('malformed-xml', 'domain', 'the root element is not <domain>')
  const devices = child(domain, 'devices')
  const listed = (devices?.['hostdev'] ?? []) as readonly unknown[]
  const found = (devices?.['interface'] ?? []) as readonly unknown[]
  const hostDevices = [
    ...listed
      .filter(each => (text(each, 'type') ?? 'pci') === 'pci')
      .map((each, index) => hostDevice(each, `hostdev[${index}]`, false)),
    ...found
      .filter(each => text(each, 'type') === 'hostdev')
      .map((each, index) => hostDevice(each, `interface[${index}]`, true)),
  ]
  refuseDuplicates(hostDevices)
  const interfaces = found.map(interfaceOf)
  refuseTeaming(interfaces)
  return { name: text(domain, 'name') ?? '', hostDevices, interfaces }
}

function hostDevice(element: unknown, field: string, network: boolean): HostDevice {
  const address =
    child(child(element, 'source'), 'address') ?? refuse('no-source', field, 'there is no <source><address/>')
  return {
    address: parseAddress(address, `${field}/source/address`),
    managed: text(element, 'managed') === 'yes',
    network,
  }
}

function parseAddress(address: unknown, field: string): string {
  const number = (name: string, fallback?: string): number => {
    const value = text(address, name) ?? fallback
    const parsed = value === undefined || value === '' ? Number.NaN : Number(value)
    return Number.isInteger(parsed) && parsed >= 0
      ? parsed
      : refuse('invalid-pci-address', field, `${name} "${value}"`)
  }
  const fn = number('function', '0')
  if (fn > LAST_FUNCTION)
    refuse('invalid-pci-function', field, `function ${fn} is above ${LAST_FUNCTION}`, {
      maximum: LAST_FUNCTION,
    })
  const digits = (value: number, count: number): string => value.toString(16).padStart(count, '0')
  return `${digits(number('domain', '0'), 4)}:${digits(number('bus'), 2)}:${digits(number('slot'), 2)}.${fn}`
}

function refuseDuplicates(devices: readonly HostDevice[]): void {
  const seen = new Set<string>()
  for (const { address } of devices) {
    if (seen.has(address)) refuse('duplicate-hostdev', 'hostdev', `${address} is there already`)
    seen.add(address)
  }
}

function interfaceOf(element: unknown): Interface {
  const teaming = child(element, 'teaming')
  const kind = text(teaming, 'type')
  const persistent = text(teaming, 'persistent')
  return {
    type: text(element, 'type') ?? '',
    ...optional('macAddress', text(child(element, 'mac'), 'address')),
    ...optional('network', text(child(element, 'source'), 'network')),
    ...optional('alias', text(child(element, 'alias'), 'name')),
    ...(kind === 'persistent' || kind === 'transient'
      ? { teaming: { type: kind, ...optional('persistent', persistent) } }
      : {}),
  }
}

const optional = <Key extends string>(key: Key, value: string | undefined): { [K in Key]?: string } =>
  (value === undefined ? {} : { [key]: value }) as { [K in Key]?: string }

/** A transient interface names, by alias, the persistent one that it stands in for; both have one MAC address. */
function refuseTeaming(interfaces: readonly Interface[]): void {
  for (const { teaming, macAddress, type } of interfaces) {
    if (teaming?.type !== 'transient') continue
    if (teaming.persistent === undefined)
      refuse(
        'teaming-without-persistent',
        'interface/teaming',
        'a transient interface must name its persistent one',
      )
    if (type !== 'hostdev' && type !== 'network')
      refuse(
        'teaming-not-hostdev',
        'interface/teaming',
        `a transient interface is a host device, not ${type}`,
      )
    const mate = interfaces.find(({ alias }) => alias === teaming.persistent)
    if (mate !== undefined && mate.macAddress !== macAddress)
      refuse(
        'teaming-mac-differs',
        'interface/mac',
        `${macAddress} is not the ${mate.macAddress} of ${teaming.persistent}`,
      )
  }
}
