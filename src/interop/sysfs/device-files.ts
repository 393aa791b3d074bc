/** The folder of one function in sysfs: attributes as Linux prints them, and links to what it belongs to. */

import type { HostFunction } from '../../host/index.ts'
import { CAPABILITY, EXPRESS, PORT_TYPE } from '../../pcie/formats/index.ts'
import type { CapturedFunction } from '../captured-function.ts'
import { type ExportedFile, linkText } from '../exported-file.ts'
import type { MachineView } from '../machine-view.ts'
import type { DevicePaths } from './device-paths.ts'
import { resourceLines } from './resources.ts'

const digits = (value: number, width: number): string => value.toString(16).padStart(width, '0')
const hexOf = (value: number, width: number): string => `0x${digits(value, width)}`

/** Interrupt numbers that message-signalled interrupts of a function have got. */
export interface Interrupts {
  readonly kind: 'msi' | 'msix'
  readonly first: number
  readonly count: number
}

export interface DeviceContext {
  readonly machine: MachineView
  readonly paths: DevicePaths
  /** By function address. */
  readonly interrupts: ReadonlyMap<string, Interrupts>
  /** Processors of a node as a list; all of them for -1. */
  readonly processorsOf: (numaNode: number) => string
}

export function deviceFiles(fn: HostFunction, context: DeviceContext): ExportedFile[] {
  const { machine, paths } = context
  const folder = paths.of(fn)
  const decoded = machine.decoded(fn)
  const files: ExportedFile[] = []
  const text = (name: string, value: string | number): void => {
    files.push({ path: `${folder}/${name}`, text: `${value}\n` })
  }
  const link = (name: string, to: string): void => {
    const path = `${folder}/${name}`
    files.push({ path, link: linkText(path, to) })
  }
  text('vendor', hexOf(fn.vendorId, 4))
  text('device', hexOf(fn.deviceId, 4))
  text('subsystem_vendor', hexOf(fn.subsystemVendorId, 4))
  text('subsystem_device', hexOf(fn.subsystemId, 4))
  text('class', hexOf(fn.classCode, 6))
  text('revision', hexOf(fn.revision, 2))
  text('modalias', modaliasOf(fn))
  text('uevent', ueventOf(fn))
  files.push({ path: `${folder}/config`, bytes: machine.config(fn) })
  text('resource', resourceLines(machine, fn).join('\n'))
  text('numa_node', fn.numaNode)
  text('local_cpulist', context.processorsOf(fn.numaNode))
  text('enable', fn.driver === null ? 0 : 1)
  text('driver_override', '(null)')
  text('ari_enabled', machine.ariEnabled(fn) ? 1 : 0)
  text('msi_bus', 1)
  text('power_state', 'D0')
  if (fn.resetMethods.length > 0) text('reset_method', fn.resetMethods.join(' '))
  for (const [name, value] of linkAttributes(decoded)) text(name, value)
  if (decoded.buses !== undefined) {
    text('secondary_bus_number', decoded.buses.secondary)
    text('subordinate_bus_number', decoded.buses.subordinate)
  }
  virtualization(fn, text, to => link(to.name, paths.of(machine.host.find(to.address))))
  const interrupts = context.interrupts.get(fn.address)
  for (let i = 0; i < (interrupts?.count ?? 0); i++)
    text(`msi_irqs/${interrupts!.first + i}`, interrupts!.kind)
  text('irq', irqOf(decoded, interrupts))
  link('subsystem', 'bus/pci')
  if (fn.driver !== null) link('driver', `bus/pci/drivers/${fn.driver}`)
  if (fn.group !== null) link('iommu_group', `kernel/iommu_groups/${fn.group}`)
  if (fn.remappingUnit !== null) link('iommu', `devices/virtual/iommu/${fn.remappingUnit}`)
  return files
}

/** With MSI the function's interrupt is the message; else what firmware wrote for INTx. */
function irqOf(decoded: CapturedFunction, interrupts: Interrupts | undefined): number {
  if (interrupts?.kind === 'msi') return interrupts.first
  const line = decoded.image[0x3c]!
  return decoded.image[0x3d] === 0 || line === 0xff ? 0 : line
}

function virtualization(
  fn: HostFunction,
  text: (name: string, value: string | number) => void,
  link: (to: { readonly name: string; readonly address: string }) => void,
): void {
  if (fn.physicalFunction !== undefined) link({ name: 'physfn', address: fn.physicalFunction })
  const { sriov } = fn
  if (sriov === undefined) return
  text('sriov_totalvfs', sriov.driverLimit)
  text('sriov_numvfs', sriov.numVfs)
  text('sriov_offset', sriov.offset)
  text('sriov_stride', sriov.stride)
  text('sriov_vf_device', digits(sriov.vfDeviceId, 1))
  text('sriov_drivers_autoprobe', 1)
  for (const [i, address] of fn.virtualFunctions.entries()) link({ name: `virtfn${i}`, address })
}

export function modaliasOf(fn: HostFunction): string {
  const part = (name: string, value: number, width: number): string =>
    `${name}${digits(value, width).toUpperCase()}`
  const kind = [
    digits(fn.classCode >>> 16, 2),
    digits((fn.classCode >>> 8) & 0xff, 2),
    digits(fn.classCode & 0xff, 2),
  ].map(value => value.toUpperCase())
  return `pci:${part('v', fn.vendorId, 8)}${part('d', fn.deviceId, 8)}${part('sv', fn.subsystemVendorId, 8)}${part('sd', fn.subsystemId, 8)}bc${kind[0]}sc${kind[1]}i${kind[2]}`
}

function ueventOf(fn: HostFunction): string {
  const upper = (value: number, width: number): string => digits(value, width).toUpperCase()
  return [
    ...(fn.driver === null ? [] : [`DRIVER=${fn.driver}`]),
    `PCI_CLASS=${upper(fn.classCode, 1)}`,
    `PCI_ID=${upper(fn.vendorId, 4)}:${upper(fn.deviceId, 4)}`,
    `PCI_SUBSYS_ID=${upper(fn.subsystemVendorId, 4)}:${upper(fn.subsystemId, 4)}`,
    `PCI_SLOT_NAME=${fn.address}`,
    `MODALIAS=${modaliasOf(fn)}`,
  ].join('\n')
}

/** "Link Capabilities", "Link Status": speeds by their encodings. */
const SPEEDS = [
  'Unknown',
  '2.5 GT/s PCIe',
  '5.0 GT/s PCIe',
  '8.0 GT/s PCIe',
  '16.0 GT/s PCIe',
  '32.0 GT/s PCIe',
  '64.0 GT/s PCIe',
]

function linkAttributes(decoded: CapturedFunction): [name: string, value: string | number][] {
  const at = decoded.capability(CAPABILITY.EXPRESS)
  if (at === undefined) return []
  const speed = (value: number): string => SPEEDS[value] ?? 'Unknown'
  const { LINK_CAPABILITIES, LINK_CONTROL } = EXPRESS
  const type = decoded.field(EXPRESS.CAPABILITIES, 'TYPE', at)
  // Functions of the root complex have no link: Linux prints what it has for unknown.
  if (type === PORT_TYPE.integratedEndpoint || type === PORT_TYPE.eventCollector) {
    return [
      ['current_link_speed', 'Unknown'],
      ['current_link_width', 0],
      ['max_link_speed', 'Unknown'],
      ['max_link_width', 255],
    ]
  }
  return [
    ['current_link_speed', speed(decoded.field(LINK_CONTROL, 'SPEED', at))],
    ['current_link_width', decoded.field(LINK_CONTROL, 'WIDTH', at)],
    ['max_link_speed', speed(decoded.field(LINK_CAPABILITIES, 'SPEED', at))],
    ['max_link_width', decoded.field(LINK_CAPABILITIES, 'WIDTH', at)],
  ]
}
