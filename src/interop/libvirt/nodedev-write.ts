/** libvirt's node device XML, one document per function: what `virsh nodedev-dumpxml` prints on the machine. */
import { busOf, devfnOf } from '../../core/index.ts'
import type { HostFunction } from '../../host/index.ts'
import { CAPABILITY, EXPRESS } from '../../pcie/formats/index.ts'
import type { ExportedFile } from '../exported-file.ts'
import { isHostBridge } from '../function-facts.ts'
import type { MachineView } from '../machine-view.ts'
import { DevicePaths } from '../sysfs/device-paths.ts'
import { writeXml, type XmlOutput } from '../xml.ts'

const SPEEDS = [undefined, '2.5', '5', '8', '16', '32', '64'] as const

export function nodedevFiles(machine: MachineView): ExportedFile[] {
  const paths = new DevicePaths(machine.functions)
  return machine.functions.map(fn => ({
    path: `${nodedevName(fn.address)}.xml`,
    text: writeXml(device(machine, paths, fn)),
  }))
}

/** `pci_0000_03_00_0` */
export const nodedevName = (address: string): string => `pci_${address.replace(/[:.]/g, '_')}`

const hexOf = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`

/** The attributes by which libvirt names a function. */
export function addressAttributes({
  segment,
  rid,
}: Pick<HostFunction, 'segment' | 'rid'>): Record<string, string> {
  return {
    domain: hexOf(segment, 4),
    bus: hexOf(busOf(rid), 2),
    slot: hexOf(devfnOf(rid) >>> 3, 2),
    function: hexOf(rid & 7, 1),
  }
}

const addressElement = (fn: HostFunction): XmlOutput => ({
  name: 'address',
  attributes: addressAttributes(fn),
})
const textElement = (name: string, text: string | number): XmlOutput => ({ name, text })

function device(machine: MachineView, paths: DevicePaths, fn: HostFunction): XmlOutput {
  const above = fn.parent ?? (fn.physicalFunction && machine.host.find(fn.physicalFunction).parent)
  return {
    name: 'device',
    children: [
      textElement('name', nodedevName(fn.address)),
      textElement('path', `/sys/${paths.of(fn)}`),
      textElement('parent', above === undefined ? 'computer' : nodedevName(above)),
      ...(fn.driver === null ? [] : [{ name: 'driver', children: [textElement('name', fn.driver)] }]),
      { name: 'capability', attributes: { type: 'pci' }, children: capability(machine, fn) },
    ],
  }
}

function capability(machine: MachineView, fn: HostFunction): XmlOutput[] {
  const { classCode, segment, rid, deviceId, vendorId, group, numaNode, sriov } = fn
  const find = (address: string): HostFunction => machine.host.find(address)
  const mates =
    group === null
      ? []
      : machine.host
          .groups()
          .find(({ id }) => id === group)!
          .functions.map(find)
  return [
    textElement('class', hexOf(classCode, 6)),
    textElement('domain', segment),
    textElement('bus', busOf(rid)),
    textElement('slot', devfnOf(rid) >>> 3),
    textElement('function', rid & 7),
    { name: 'product', attributes: { id: hexOf(deviceId, 4) } },
    { name: 'vendor', attributes: { id: hexOf(vendorId, 4) } },
    ...(fn.physicalFunction === undefined
      ? []
      : [
          {
            name: 'capability',
            attributes: { type: 'phys_function' },
            children: [addressElement(find(fn.physicalFunction))],
          },
        ]),
    ...(sriov === undefined
      ? []
      : [
          {
            name: 'capability',
            attributes: { type: 'virt_functions', maxCount: sriov.driverLimit },
            children: fn.virtualFunctions.map(find).map(addressElement),
          },
        ]),
    ...(machine.decoded(fn).headerType === 1
      ? [{ name: 'capability', attributes: { type: 'pci-bridge' } }]
      : []),
    ...(mates.length === 0
      ? []
      : [{ name: 'iommuGroup', attributes: { number: group! }, children: mates.map(addressElement) }]),
    ...(numaNode < 0 ? [] : [{ name: 'numa', attributes: { node: numaNode } }]),
    ...express(machine, fn),
  ]
}

/** What the link could do and what it does; functions of the root complex have none. */
function express(machine: MachineView, fn: HostFunction): XmlOutput[] {
  const decoded = machine.decoded(fn)
  const at = decoded.capability(CAPABILITY.EXPRESS)
  if (at === undefined || isHostBridge(fn.classCode)) return []
  const { LINK_CAPABILITIES, LINK_CONTROL } = EXPRESS
  const width = decoded.field(LINK_CAPABILITIES, 'WIDTH', at)
  if (width === 0) return [{ name: 'pci-express' }]
  return [
    {
      name: 'pci-express',
      children: [
        {
          name: 'link',
          attributes: {
            validity: 'cap',
            port: decoded.field(LINK_CAPABILITIES, 'PORT', at),
            speed: SPEEDS[decoded.field(LINK_CAPABILITIES, 'SPEED', at)],
            width,
          },
        },
        {
          name: 'link',
          attributes: {
            validity: 'sta',
            speed: SPEEDS[decoded.field(LINK_CONTROL, 'SPEED', at)],
            width: decoded.field(LINK_CONTROL, 'WIDTH', at),
          },
        },
      ],
    },
  ]
}
