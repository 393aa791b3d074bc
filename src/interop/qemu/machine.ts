/** From QEMU's arguments to a topology document: machine q35, its own functions, and every `-device`. */
import { NorthbridgeError } from '../../core/index.ts'
import { parseTopology, type TopologyDocument, type TopologyNodeDocument } from '../../platform/index.ts'
import type { CommandLine, DeviceArgument } from './command-line.ts'
import { deviceFunction } from './device-function.ts'
import { deviceSheet } from './device-sheet.ts'
import type { AddedAcs } from './input.ts'
import { makeBus, type PlacedDevice, placeOn, type QemuBus } from './placement.ts'
import { remappingOf } from './remapping.ts'
import { composeVirtualFunctions } from './virtio-sriov.ts'

/** What q35 has of its own accord, with the functions' numbers. */
const CHIPSET = [
  { driver: 'mch', devfn: 0x00 },
  { driver: 'ICH9-LPC', devfn: 0xf8, multifunction: true },
  { driver: 'ich9-ahci', devfn: 0xfa, multifunction: true },
  { driver: 'ICH9-SMB', devfn: 0xfb, multifunction: true },
] as const
/** `-usb`: the first controller set of the I/O hub. */
const USB = [
  { driver: 'ich9-usb-ehci1', devfn: 0xef },
  { driver: 'ich9-usb-uhci1', devfn: 0xe8 },
  { driver: 'ich9-usb-uhci2', devfn: 0xe9 },
  { driver: 'ich9-usb-uhci3', devfn: 0xea },
] as const
const VGA: Readonly<Record<string, string>> = {
  std: 'VGA',
  cirrus: 'cirrus-vga',
  vmware: 'vmware-svga',
  qxl: 'qxl-vga',
  virtio: 'virtio-vga',
}
const NETWORK_CLASS = /^0x02/

export interface QemuMachine {
  readonly topology: TopologyDocument
  readonly notes: string[]
}

/** A root bus: that of the machine, or of an expander bridge. */
interface RootBus {
  readonly bus: QemuBus
  readonly number: number
  readonly numaNode: number
  readonly bypassIommu: boolean
}

export class MachineBuilder {
  readonly roots: RootBus[] = []
  readonly notes: string[] = []
  readonly #line: CommandLine
  readonly #addedAcs: readonly AddedAcs[]
  readonly #buses = new Map<string, QemuBus>()
  readonly #placed: PlacedDevice[] = []
  readonly #iommus: DeviceArgument[] = []
  #anonymous = 0

  constructor(line: CommandLine, addedAcs: readonly AddedAcs[] = []) {
    this.#line = line
    this.#addedAcs = addedAcs
    if (!/^(?:pc-)?q35/.test(line.machine)) {
      throw new NorthbridgeError('unsupported', `machine "${line.machine}" is not known: q35 is`)
    }
    this.#addRoot('pcie.0', 0, -1, line.machineProperties.get('default_bus_bypass_iommu') === 'on')
  }

  build(): void {
    const { machineProperties, usb } = this.#line
    const absent = (driver: string): boolean =>
      (driver === 'ich9-ahci' && machineProperties.get('sata') === 'off') ||
      (driver === 'ICH9-SMB' && machineProperties.get('smbus') === 'off')
    for (const { driver, devfn, ...rest } of CHIPSET)
      if (!absent(driver)) this.#builtIn(driver, devfn, 'multifunction' in rest)
    if (usb || machineProperties.get('usb') === 'on')
      for (const { driver, devfn } of USB) this.#builtIn(driver, devfn, true)
    this.#defaults()
    for (const argument of this.#line.devices) this.add(this.#withGlobals(argument))
  }

  #withGlobals({ driver, properties }: DeviceArgument): DeviceArgument {
    const global = this.#line.globals.filter(entry => entry.driver === driver)
    return {
      driver,
      properties: new Map([...global.map(entry => [entry.property, entry.value] as const), ...properties]),
    }
  }

  #builtIn(driver: string, devfn: number, multifunction: boolean): void {
    const bus = this.#buses.get('pcie.0')!
    const properties = new Map(multifunction ? [['multifunction', 'on']] : [])
    const device = {
      argument: { driver, properties },
      sheet: deviceSheet(driver),
      bus,
      devfn,
      secondary: undefined,
      hotAdded: false,
    }
    bus.devices.push(device)
    this.#placed.push(device)
  }

  /** Without -nodefaults there are a display adapter and a network card, in the first free slots. */
  #defaults(): void {
    const { nodefaults, vga, devices, networkCards } = this.#line
    const hasDisplay = devices.some(({ driver }) => Object.values(VGA).includes(driver))
    const display = vga ?? (nodefaults || hasDisplay ? 'none' : 'std')
    if (display !== 'none') {
      const driver = VGA[display]
      if (driver === undefined) throw new NorthbridgeError('unsupported', `-vga ${display} is not known`)
      this.add({ driver, properties: new Map() })
    }
    for (const driver of networkCards) this.add({ driver, properties: new Map() })
  }

  /** @param hotAdded whether the machine is running already. */
  add(argument: DeviceArgument, hotAdded = false): void {
    const { driver, properties } = argument
    if (driver === 'intel-iommu' || driver === 'amd-iommu' || driver === 'virtio-iommu-pci') {
      this.#iommus.push(argument)
      if (driver === 'intel-iommu') return
    }
    if (NOT_ON_PCI.has(driver)) return
    const sheet = deviceSheet(driver)
    // Without `bus=` QEMU takes the root bus that was made last.
    const name = properties.get('bus') ?? this.roots.at(-1)!.bus.name
    const bus = this.#buses.get(name) ?? this.#buses.get(name.replace(/\.0$/, ''))
    const who = `-device ${driver}${properties.has('id') ? `,id=${properties.get('id')}` : ''}`
    if (bus === undefined) throw new NorthbridgeError('topologyConflict', `${who} names no bus: bus=${name}`)
    checkBus(who, sheet.kind, sheet.express, bus, this.roots[0]!.bus)
    const devfn = placeOn(bus, properties.get('addr'), who)
    const device: PlacedDevice = { argument, sheet, bus, devfn, secondary: undefined, hotAdded }
    bus.devices.push(device)
    this.#placed.push(device)
    const id = properties.get('id') ?? `anonymous.${this.#anonymous++}`
    if (driver === 'pxb-pcie') this.#expander(device, id)
    else if (sheet.kind !== 'endpoint' && sheet.kind !== 'hostBridge') {
      device.secondary = this.#addBus(makeBus(id, SECONDARY[sheet.kind], bus.nativeHotplug))
    }
  }

  #expander({ argument }: PlacedDevice, id: string): void {
    const number = (name: string, otherwise: number): number =>
      Number(argument.properties.get(name) ?? otherwise)
    this.#addRoot(
      id,
      number('bus_nr', 0),
      number('numa_node', -1),
      argument.properties.get('bypass_iommu') === 'on',
    )
  }

  #addRoot(name: string, number: number, numaNode: number, bypassIommu: boolean): void {
    // ACPI serves the slots below the machine's own root bus, unless it is told not to.
    const acpi = name === 'pcie.0' && !this.#line.globals.some(isNativeHotplug)
    const bus = this.#addBus(makeBus(name, 'root', !acpi))
    this.roots.push({ bus, number, numaNode, bypassIommu })
  }

  #addBus(bus: QemuBus): QemuBus {
    if (this.#buses.has(bus.name))
      throw new NorthbridgeError('topologyConflict', `two devices have the id ${bus.name}`)
    this.#buses.set(bus.name, bus)
    return bus
  }

  topology(name: string, description: string, kernel: '6.1' | '7.2'): QemuMachine {
    composeVirtualFunctions(this.#placed)
    const bypassed = this.roots.filter(root => root.bypassIommu).map(root => root.number)
    const remapping = remappingOf(this.#iommus, bypassed.length > 0, this.notes)
    const topology: TopologyDocument = {
      name,
      description,
      ...(remapping.hostAddressWidth !== undefined && { hostAddressWidth: remapping.hostAddressWidth }),
      ...this.#processorsAndMemory(),
      iommu: remapping.iommu,
      hostBridges: [...this.roots]
        .sort((a, b) => a.number - b.number)
        .map(({ bus, number, numaNode, bypassIommu }) => ({
          bus: number,
          ...(numaNode >= 0 && { numaNode }),
          ...(!bus.nativeHotplug && { nativeHotplug: false }),
          ...(bypassed.length > 0 &&
            remapping.unit !== undefined && { remappingUnit: bypassIommu ? null : remapping.unit }),
          devices: this.#nodes(bus),
        })),
      host: { commandLine: this.#line.append ?? 'intel_iommu=on', kernel },
    }
    parseTopology(topology)
    return { topology, notes: this.notes }
  }

  #processorsAndMemory(): Pick<TopologyDocument, 'processors' | 'memory'> {
    const { numaNodes, processors, memoryMiB } = this.#line
    if (numaNodes.length === 0) {
      return {
        processors: [{ numaNode: -1, logicalProcessors: processors }],
        memory: [{ sizeMiB: Math.max(16, Math.ceil(memoryMiB)) }],
      }
    }
    const share = memoryMiB / numaNodes.length
    return {
      processors: numaNodes.flatMap(({ cpus }, numaNode) =>
        cpus > 0 ? [{ numaNode, logicalProcessors: cpus }] : [],
      ),
      memory: numaNodes.map((node, numaNode) => ({
        numaNode,
        sizeMiB: Math.max(16, Math.ceil(node.memoryMiB ?? share)),
      })),
    }
  }

  #nodes(bus: QemuBus): TopologyNodeDocument[] {
    return bus.devices
      .filter(device => device.physical === undefined && this.#canBeFound(device))
      .sort((a, b) => a.devfn - b.devfn)
      .map(device => this.#node(device))
  }

  /** Software looks for further functions of a device only if it has function 0. */
  #canBeFound({ bus, devfn, argument }: PlacedDevice): boolean {
    if (bus.devices.some(other => other.devfn === (devfn & ~7))) return true
    this.notes.push(
      `-device ${argument.driver},addr=${argument.properties.get('addr')}: no software finds it`,
    )
    return false
  }

  #node(device: PlacedDevice): TopologyNodeDocument {
    // Cards without an address of their own count up from QEMU's.
    const cards = this.#placed.filter(
      ({ sheet, argument }) => NETWORK_CLASS.test(sheet.header.classCode) && !argument.properties.has('mac'),
    )
    const built = deviceFunction({
      device,
      processors: this.#line.processors,
      netdevQueues: this.#line.netdevQueues,
      objectSizes: this.#line.objectSizes,
      networkIndex: Math.max(0, cards.indexOf(device)),
      notes: this.notes,
      addedAcs: this.#addedAcs,
    })
    const below = device.secondary === undefined ? [] : this.#nodes(device.secondary)
    return {
      at: `${(device.devfn >>> 3).toString(16).padStart(2, '0')}.${device.devfn & 7}`,
      ...built,
      ...(below.length > 0 && { devices: below }),
    }
  }
}

const isNativeHotplug = ({ property, value }: CommandLine['globals'][number]): boolean =>
  property === 'acpi-pci-hotplug-with-bridge-support' && value === 'off'

/** Devices that `-device` makes elsewhere than on a PCI bus: storage behind controllers, subsystems, serial lines. */
const NOT_ON_PCI = new Set([
  'nvme-subsys', 'nvme-ns', 'scsi-hd', 'scsi-cd', 'scsi-disk', 'scsi-generic', 'scsi-block', 'ide-hd', 'ide-cd',
  'virtserialport', 'virtconsole', 'usb-tablet', 'usb-mouse', 'usb-kbd', 'usb-storage', 'usb-hub', 'usb-host', 'usb-net',
  'usb-audio', 'usb-serial', 'usb-ccid', 'usb-mtp', 'isa-serial', 'isa-debug-exit', 'isa-debugcon', 'isa-applesmc',
  'hda-duplex', 'hda-output', 'hda-micro', 'pc-dimm', 'nvdimm', 'vmgenid', 'vmcoreinfo', 'pvpanic', 'tpm-tis', 'tpm-crb',
  'loader', 'max-x86_64-cpu', 'host-x86_64-cpu', 'qemu64-x86_64-cpu', 'ipmi-bmc-sim', 'isa-ipmi-kcs', 'floppy',
]) // biome-ignore format: a list of names

const SECONDARY = {
  rootPort: 'link',
  downstreamPort: 'link',
  upstreamPort: 'switch',
  bridge: 'conventional',
} as const

/** What QEMU refuses: express devices behind conventional bridges, ports in places that are none of theirs. */
function checkBus(
  who: string,
  kind: PlacedDevice['sheet']['kind'],
  express: string,
  bus: QemuBus,
  main: QemuBus,
): void {
  const refuse = (rule: string): never => {
    throw new NorthbridgeError('topologyConflict', `${who} cannot be on bus ${bus.name}: ${rule}`)
  }
  if (express === 'always' && !bus.express) refuse('a PCI Express device needs a PCI Express bus')
  if ((kind === 'downstreamPort') !== (bus.kind === 'switch')) {
    refuse('downstream ports, and nothing else, are behind an upstream port')
  }
  if (bus.kind === 'root' && bus !== main && (kind === 'endpoint' || kind === 'hostBridge')) {
    refuse('an expander bridge takes ports and bridges only')
  }
  if (kind === 'rootPort' && bus.kind !== 'root') refuse('root ports are on a root bus')
  if (kind === 'upstreamPort' && bus.kind !== 'link')
    refuse('an upstream port is behind a root or downstream port')
}
