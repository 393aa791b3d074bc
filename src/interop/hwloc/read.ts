/**
 * hwloc XML, as `lstopo` writes it in versions 1 and 2 of the format: bridges and PCI devices with their ids and
 * places, packages, processing units and memory.
 */
import { NorthbridgeError, parseFunctionAddress } from '../../core/index.ts'
import type { KnownLink } from '../assumed-config.ts'
import type { CapturedMachine, ImportedCapture, MachineDescription } from '../captured-facts.ts'
import { importMachine } from '../captured-machine.ts'
import type { FunctionFacts } from '../function-facts.ts'
import { knownFunctions } from '../known-functions.ts'
import { withVirtualFunctions } from '../virtual-inference.ts'
import { childrenOf, parseXml, type XmlElement } from '../xml.ts'

const BRIDGE_PCI = /^([0-9a-f]{4,8}):\[([0-9a-f]{2})-([0-9a-f]{2})\]$/i
/** Class and subclass, ids, subsystem ids, revision; newer versions add the programming interface. */
const PCI_TYPE =
  /^([0-9a-f]{4})(?:\s+\[([0-9a-f]{4}):([0-9a-f]{4})\])?(?:\s+\[([0-9a-f]{4}):([0-9a-f]{4})\])?(?:\s+([0-9a-f]{2}))?(?:\s+([0-9a-f]{2}))?$/i
/** GB/s of one lane by generation, as hwloc computes them from speed and encoding. */
const LANE_GIGABYTES = [0, 0.25, 0.5, 0.985, 1.969, 3.938, 7.563] as const
/** Programming interfaces, which older versions do not write, by class: AHCI, NVM Express, xHCI. */
const USUAL_INTERFACES: Readonly<Record<number, number>> = { 262: 0x01, 264: 0x02, 3075: 0x30 }
const WIDTHS = [1, 2, 4, 8, 12, 16, 32] as const
const MIB = 2 ** 20
const SMALLEST_MIB = 16

const WHAT = 'hwloc XML'
const refuse = (rule: string): never => {
  throw new NorthbridgeError('malformedInput', `${WHAT}: ${rule}`)
}

/** Throws `malformedInput`, or `invalidDocument` for a machine that the schema cannot express. */
export function importHwloc(name: string, text: string): ImportedCapture {
  const root = parseXml(text, WHAT).find(element => element.name === 'topology')
  if (root === undefined) return refuse('there is no <topology> element')
  const notes = [
    'hwloc XML holds no configuration space: capabilities are those that each kind of function must have, base addresses and virtual functions are unknown',
  ]
  const facts: FunctionFacts[] = []
  for (const object of childrenOf(root, 'object')) collect(object, -1, facts)
  if (facts.length === 0)
    refuse('no PCI device is described: let lstopo write all of them (--whole-io or --filter io:all)')
  if (!facts.some(({ vendorId }) => vendorId !== 0)) refuse('the PCI devices have no ids')
  notes.push('lstopo leaves out what it finds unimportant unless told otherwise (--filter io:all)')
  const machine: CapturedMachine = {
    name,
    functions: knownFunctions(withVirtualFunctions(facts), WHAT),
    tables: new Map(),
    texts: new Map(osRelease(root)),
    about: {},
    description: descriptionOf(root),
  }
  return importMachine(machine, notes)
}

/** Depth first; `numaNode` is that of the nearest object which has exactly one. */
function collect(object: XmlElement, numaNode: number, facts: FunctionFacts[]): void {
  const { attributes } = object
  const type = attributes['type']
  if (type === 'PCIDev' || (type === 'Bridge' && attributes['pci_busid'] !== undefined))
    facts.push(factsOf(object, numaNode))
  const nodes = type === 'Machine' ? [] : numaNodesIn(object)
  for (const child of childrenOf(object, 'object'))
    collect(child, nodes.length === 1 ? nodes[0]! : numaNode, facts)
}

function numaNodesIn(object: XmlElement): number[] {
  const own = object.attributes['type'] === 'NUMANode' ? [Number(object.attributes['os_index'] ?? 0)] : []
  return [...own, ...childrenOf(object, 'object').flatMap(numaNodesIn)]
}

function factsOf(object: XmlElement, numaNode: number): FunctionFacts {
  const { attributes, children } = object
  const place = attributes['pci_busid'] ?? refuse('a PCIDev has no pci_busid')
  const { segment, rid } = addressOf(place)
  const match = PCI_TYPE.exec(attributes['pci_type']?.trim() ?? '')
  if (match === null) return refuse(`${place}: pci_type is not like "0200 [8086:10c9] [8086:a03c] 01"`)
  const [, kind, vendor = '0', device = '0', subsystemVendor = '0', subsystem = '0', revision = '0', unit] =
    match
  const number = (text: string): number => Number.parseInt(text, 16)
  const info = (name: string): string | undefined =>
    children.find(child => child.name === 'info' && child.attributes['name'] === name)?.attributes['value']
  const title = [info('PCIVendor'), info('PCIDevice')].filter(part => part !== undefined).join(' ')
  return {
    segment,
    rid,
    title,
    classCode:
      number(kind!) * 256 + (unit === undefined ? (USUAL_INTERFACES[number(kind!)] ?? 0) : number(unit)),
    vendorId: number(vendor),
    deviceId: number(device),
    subsystemVendorId: number(subsystemVendor),
    subsystemId: number(subsystem),
    revision: number(revision),
    buses: busesOf(attributes['bridge_pci'], place),
    link: linkOf(Number(attributes['pci_link_speed'] ?? 0)),
    details: numaNode < 0 ? {} : { numaNode },
  }
}

function addressOf(text: string): { readonly segment: number; readonly rid: FunctionFacts['rid'] } {
  try {
    return parseFunctionAddress(text)
  } catch {
    return refuse(`pci_busid "${text}" is not an address like 0000:03:00.0`)
  }
}

function busesOf(text: string | undefined, place: string): FunctionFacts['buses'] {
  if (text === undefined) return undefined
  const match = BRIDGE_PCI.exec(text)
  if (match === null) return refuse(`${place}: bridge_pci "${text}" is not like 0000:[01-01]`)
  return { secondary: Number.parseInt(match[2]!, 16), subordinate: Number.parseInt(match[3]!, 16) }
}

/** Speed in GB/s over all lanes tells generation and width, the narrowest link that gives it. */
function linkOf(gigabytes: number): KnownLink | undefined {
  if (!(gigabytes > 0)) return undefined
  for (const width of WIDTHS) {
    const speed = LANE_GIGABYTES.findIndex(lane => Math.abs(lane * width - gigabytes) < gigabytes / 50)
    if (speed > 0) return { maxSpeed: speed, maxWidth: width, speed, width }
  }
  return undefined
}

function descriptionOf(root: XmlElement): Partial<MachineDescription> {
  const objects = [...everyObject(root)]
  const nodes = objects.filter(({ attributes }) => attributes['type'] === 'NUMANode')
  const several = nodes.length > 1
  const processors = new Map<number, number>()
  count(root, -1, several, processors)
  const memory = nodes.flatMap(({ attributes }) => {
    const sizeMiB = Math.ceil(Number(attributes['local_memory'] ?? 0) / MIB)
    return sizeMiB < SMALLEST_MIB
      ? []
      : [{ ...(several && { numaNode: Number(attributes['os_index'] ?? 0) }), sizeMiB }]
  })
  return {
    ...(processors.size > 0 && {
      processors: [...processors].map(([numaNode, logicalProcessors]) => ({ numaNode, logicalProcessors })),
    }),
    ...(memory.length > 0 && { memory }),
  }
}

/** Processing units by node, or by -1 where there is but one. */
function count(object: XmlElement, node: number, several: boolean, into: Map<number, number>): void {
  const found = several && object.attributes['type'] !== 'Machine' ? numaNodesIn(object) : []
  const near = found.length === 1 ? found[0]! : node
  if (object.attributes['type'] === 'PU') into.set(near, (into.get(near) ?? 0) + 1)
  for (const child of childrenOf(object, 'object')) count(child, near, several, into)
}

function* everyObject(element: XmlElement): Generator<XmlElement> {
  for (const object of childrenOf(element, 'object')) {
    yield object
    yield* everyObject(object)
  }
}

/** The kernel of the machine, as far as `lstopo` noted it. */
function osRelease(root: XmlElement): [name: string, text: string][] {
  for (const { children } of everyObject(root)) {
    const release = children.find(
      ({ name, attributes }) => name === 'info' && attributes['name'] === 'OSRelease',
    )
    if (release !== undefined) return [['uname', `Linux ${release.attributes['value'] ?? ''}`]]
  }
  return []
}
