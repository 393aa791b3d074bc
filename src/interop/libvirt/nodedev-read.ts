/** libvirt's node device XML: any number of `<device>` documents, as `virsh nodedev-dumpxml` prints them. */
import {
  devfn,
  formatFunctionAddress,
  NorthbridgeError,
  type RequesterId,
  requesterId,
} from '../../core/index.ts'
import type { KnownLink } from '../assumed-config.ts'
import type { ImportedCapture } from '../captured-facts.ts'
import { importMachine } from '../captured-machine.ts'
import { type FunctionFacts, isPciBridge } from '../function-facts.ts'
import { knownFunctions } from '../known-functions.ts'
import { childOf, childrenOf, parseXml, type XmlElement } from '../xml.ts'

const WHAT = 'libvirt XML'
const SPEEDS = ['', '2.5', '5', '8', '16', '32', '64']
const LARGEST = { domain: 0xffff_ffff, bus: 0xff, slot: 0x1f, function: 7 } as const

/** Throws `malformedInput`, or `invalidDocument` for a machine that the schema cannot express. */
export function importNodedev(name: string, text: string): ImportedCapture {
  const devices = parseXml(text, WHAT).flatMap(element =>
    element.name === 'device' ? [element] : childrenOf(element, 'device'),
  )
  const read = devices.flatMap(readDevice)
  if (read.length === 0)
    throw new NorthbridgeError('malformedInput', `${WHAT}: there is no <device> with a PCI capability`)
  const notes = [
    'libvirt XML holds no configuration space: capabilities are those that each kind of function must have, base addresses are unknown',
  ]
  const facts = read.map(one => ({ ...one.facts, buses: busesOf(one, read, notes) }))
  if (facts.some(({ group }) => group !== undefined))
    notes.push('access control is inferred: a function that is alone in its IOMMU group has it')
  return importMachine(
    {
      name,
      functions: knownFunctions(facts, WHAT),
      tables: new Map(),
      texts: new Map(),
      about: {},
      showsRemapping: true,
    },
    notes,
  )
}

interface ReadDevice {
  readonly facts: FunctionFacts
  readonly nodeName: string
  readonly parent: string | undefined
  readonly bridge: boolean
}

function readDevice(element: XmlElement): ReadDevice[] {
  const nodeName = childOf(element, 'name')?.text ?? 'a device without name'
  const capability = childrenOf(element, 'capability').find(({ attributes }) => attributes['type'] === 'pci')
  if (capability === undefined) return []
  const place = placeOf(nodeName, part => childOf(capability, part)?.text)
  const inner = (type: string): XmlElement | undefined =>
    childrenOf(capability, 'capability').find(({ attributes }) => attributes['type'] === type)
  const addresses = (of: XmlElement | undefined): RequesterId[] =>
    childrenOf(of ?? capability, 'address').map(one => placeOf(nodeName, part => one.attributes[part]).rid)
  const classCode = numberOf(nodeName, 'class', childOf(capability, 'class')?.text ?? '0', 0xff_ffff)
  const virtual = inner('virt_functions')
  const physical = inner('phys_function')
  const on = virtual === undefined ? [] : addresses(virtual)
  const group = childOf(capability, 'iommuGroup')?.attributes['number']
  const node = childOf(capability, 'numa')?.attributes['node']
  const driver = childOf(element, 'driver')
  const express = childOf(capability, 'pci-express')
  const total = Math.max(on.length, Number(virtual?.attributes['maxCount'] ?? 0) || 0)
  const names = ['vendor', 'product'].map(part => childOf(capability, part)?.text ?? '')
  return [
    {
      nodeName,
      parent: childOf(element, 'parent')?.text,
      bridge: inner('pci-bridge') !== undefined || isPciBridge(classCode),
      facts: {
        ...place,
        title: names.join(' ').trim(),
        vendorId: idOf(nodeName, capability, 'vendor'),
        deviceId: idOf(nodeName, capability, 'product'),
        classCode,
        ...(express !== undefined && { express: true }),
        link: express && linkOf(nodeName, express),
        ...(total > 0 && { virtual: { total, on } }),
        ...(physical !== undefined && { physical: addresses(physical)[0] }),
        ...(group !== undefined && { group: numberOf(nodeName, 'iommuGroup', group, 2 ** 31) }),
        details: {
          ...(node !== undefined && { numaNode: Math.max(-1, Number(node) || 0) }),
          driver: driver && childOf(driver, 'name')?.text,
        },
      },
    },
  ]
}

function placeOf(
  nodeName: string,
  part: (name: string) => string | undefined,
): Pick<FunctionFacts, 'segment' | 'rid'> {
  const read = (name: keyof typeof LARGEST): number => {
    const text = part(name)
    if (text === undefined) throw refusal(nodeName, `<${name}> is missing`)
    return numberOf(nodeName, name, text, LARGEST[name])
  }
  return { segment: read('domain'), rid: requesterId(read('bus'), devfn(read('slot'), read('function'))) }
}

const refusal = (nodeName: string, rule: string): NorthbridgeError =>
  new NorthbridgeError('malformedInput', `${WHAT}: ${nodeName}: ${rule}`)

/** Decimal, or hexadecimal with `0x`. */
function numberOf(nodeName: string, what: string, text: string, largest: number): number {
  const value = /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN
  if (!(value <= largest)) throw refusal(nodeName, `<${what}> is "${text}", not a number up to ${largest}`)
  return value
}

function idOf(nodeName: string, capability: XmlElement, part: 'vendor' | 'product'): number {
  const id = childOf(capability, part)?.attributes['id']
  if (id === undefined) throw refusal(nodeName, `<${part}> has no id`)
  return numberOf(nodeName, part, id, 0xffff)
}

function linkOf(nodeName: string, express: XmlElement): KnownLink | undefined {
  const link = (validity: string): XmlElement | undefined =>
    childrenOf(express, 'link').find(({ attributes }) => attributes['validity'] === validity)
  const can = link('cap')
  if (can === undefined) return undefined
  const speed = (of: XmlElement): number => Math.max(0, SPEEDS.indexOf(of.attributes['speed'] ?? ''))
  const width = (of: XmlElement): number =>
    numberOf(nodeName, 'link width', of.attributes['width'] ?? '0', 32)
  const port = numberOf(nodeName, 'link port', can.attributes['port'] ?? '0', 0xff)
  const now = link('sta') ?? can
  return { maxSpeed: speed(can), maxWidth: width(can), speed: speed(now), width: width(now), port }
}

/**
 * The buses behind a bridge: what has it as its parent is on the secondary bus, and the subordinate bus is the highest
 * one below. Of a bridge with nothing behind it they are not told.
 */
function busesOf(bridge: ReadDevice, all: readonly ReadDevice[], notes: string[]): FunctionFacts['buses'] {
  if (!bridge.bridge) return undefined
  const below = (name: string): ReadDevice[] => all.filter(({ parent }) => parent === name)
  const busOf = ({ facts }: ReadDevice): number => facts.rid >>> 8
  const children = below(bridge.nodeName)
  if (children.length === 0) {
    const { segment, rid } = bridge.facts
    notes.push(
      `${formatFunctionAddress(segment, rid)}: nothing is described behind this bridge, so that its buses are not known`,
    )
    return undefined
  }
  const seen = new Set<string>()
  const highest = (of: readonly ReadDevice[]): number =>
    Math.max(
      ...of.map(one => {
        if (seen.has(one.nodeName)) return 0
        seen.add(one.nodeName)
        const more = below(one.nodeName)
        return more.length === 0 ? busOf(one) : Math.max(busOf(one), highest(more))
      }),
    )
  // Virtual functions may lie on buses behind the one of their physical function.
  return { secondary: Math.min(...children.map(busOf)), subordinate: highest(children) }
}
