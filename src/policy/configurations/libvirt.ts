/**
 * libvirt's networks that hand out VFs (`<forward mode='hostdev'>`), from the XML of `virsh net-dumpxml`, and options
 * that libvirt has elsewhere, as JSON or YAML.
 */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import { type HostDeviceNetwork, libvirtPolicy } from '../libvirt/index.ts'
import { type AssignmentPolicy, type PolicyHost, refusePolicy } from '../model/index.ts'
import { documentIn, type Element, elementIn, inFile, type PolicyFile } from './texts.ts'

const optionsSchema = z.strictObject({
  managed: z.boolean().default(true),
  backend: z.enum(['vfio', 'legacy']).default('vfio'),
  relaxedAcsCheck: z.boolean().default(false),
})

/** A network as written: PFs by their interfaces, or VFs one by one. */
interface WrittenNetwork {
  readonly name: string
  readonly interfaces: readonly string[]
  readonly functions: readonly string[]
}

export function readLibvirt(files: readonly PolicyFile[]): AssignmentPolicy {
  const isXml = ({ text }: PolicyFile): boolean => /^\s*</.test(text)
  const networks = files
    .filter(isXml)
    .map(file => inFile(file.name, () => networkOf(elementIn(file, 'network'))))
  const others = files.filter(file => !isXml(file)).map(documentIn)
  const given = Object.assign({}, ...others.map(({ value }) => value)) as unknown
  const options = inFile(others[0]?.where ?? 'libvirt', () => parseDocument(optionsSchema, given, 'options'))
  return {
    system: 'libvirt',
    place: (host, request) =>
      libvirtPolicy({
        ...options,
        behindUnisolatedSwitch: ({ unisolatedBelow }) => unisolatedBelow !== undefined,
        networks: networks.map(network => onHost(network, host)),
      }).place(host, request),
  }
}

function networkOf({ children }: Element): WrittenNetwork {
  const forward = children['forward']?.[0]
  const refuse = (field: string, rule: string): never =>
    refusePolicy(`${field}: ${rule}`, { errorClass: 'invalid-network', field })
  if (forward?.attributes['mode'] !== 'hostdev')
    return refuse('forward mode', 'only networks of mode hostdev hand out VFs')
  const interfaces = (forward.children['pf'] ?? []).map(
    ({ attributes }) => attributes['dev'] ?? refuse('forward/pf', 'it has no dev'),
  )
  const functions = (forward.children['address'] ?? []).map(({ attributes }) => addressOf(attributes))
  if (interfaces.length + functions.length === 0) refuse('forward', 'it has neither pf nor address')
  return {
    name: children['name']?.[0]?.text ?? refuse('name', 'there is none'),
    interfaces,
    functions,
  }
}

function addressOf(attributes: Element['attributes']): string {
  const part = (key: string, digits: number): string => {
    const value = Number(attributes[key] ?? (key === 'domain' ? 0 : Number.NaN))
    if (!Number.isInteger(value) || value < 0)
      refusePolicy(`forward/address ${key}: is no number`, { errorClass: 'invalid-network', field: key })
    return value.toString(16).padStart(digits, '0')
  }
  return `${part('domain', 4)}:${part('bus', 2)}:${part('slot', 2)}.${part('function', 1)}`
}

/** Interfaces have other names on other hosts: they are looked up where the network is used. */
const onHost = ({ name, interfaces, functions }: WrittenNetwork, host: PolicyHost): HostDeviceNetwork => ({
  name,
  functions,
  physicalFunctions: interfaces.flatMap(wanted =>
    host.devices.flatMap(({ address, network }) => (network?.name === wanted ? [address] : [])),
  ),
})
