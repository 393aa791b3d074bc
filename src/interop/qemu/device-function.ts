/** One placed device as a function of the topology document: its configuration space at power-on, and who may write. */
import { hex } from '../../core/index.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import { ConfigImage } from './config-image.ts'
import {
  addedAcs,
  macOf,
  nvmeProperties,
  Properties,
  type PropertyContext,
  portProperties,
  reservations,
  type SriovProperties,
  serialNumber,
  setVectors,
  vmxnet3SerialNumber,
} from './device-properties.ts'
import type { DeviceSheet } from './device-sheet.ts'
import type { PlacedDevice } from './placement.ts'
import { virtioFunction } from './virtio.ts'
import {
  barDocument,
  composedSriov,
  type Imported,
  imageText,
  integrate,
  nvmeSriov,
  sriovOf,
} from './virtual-functions.ts'
import { type Traits, writeMasks } from './write-masks.ts'

/** Where a device is, whom its netdev is and the like: none of these touches configuration space. */
const WITHOUT_EFFECT = new Set([
  'id', 'bus', 'addr', 'multifunction', 'netdev', 'drive', 'chardev', 'serial', 'bootindex', 'subsys', 'iommu_platform',
  'romfile', 'rombar', 'romsize', 'acpi-index', 'mac', 'chassis', 'chassis_nr', 'x-pcie-lnksta-dllla', 'failover',
  'x-pcie-extcap-init', 'packed', 'event_idx', 'indirect_desc', 'mq', 'rss', 'hash', 'guest_csum', 'csum', 'queue-size',
  'iothread', 'num-queues', 'max-ram-below-4g', 'mrg_rxbuf', 'host_mtu', 'config-wce', 'share-rw', 'write-cache',
  'discard', 'scsi', 'bus-reserve', 'io-reserve', 'mem-reserve', 'pref32-reserve', 'pref64-reserve', 'x-native-hotplug',
  'bus_nr',
  'numa_node',
  'bypass_iommu',
  'intremap',
  'subsys_ven',
  'p2', 'p3', 'intrs', 'slots', 'streams', 'mdts', 'cmb_size_mb', 'zoned.zasl', 'sriov-pf', 'aer_log_max',
]) // biome-ignore format: a list of names

const SLOT = 0x0100
/** Link Status: Data Link Layer Link Active. Slot Status: Presence Detect State. */
const LINK_ACTIVE = 0x2000
const PRESENT = 0x0040

export function deviceFunction(context: PropertyContext): { imported: Imported } {
  const { device, notes } = context
  const { sheet, bus, argument } = device
  const properties = new Properties(device)
  const built =
    sheet.virtio === undefined
      ? sheetFunction(sheet, context, properties)
      : {
          ...virtioFunction(sheet, properties, context),
          sriov: undefined,
        }
  const { image, express } = built
  placeFlags(image, context, properties)
  if (device.hotAdded) image.setBytes(sheet.hotAddedBytes)
  if (express && bus.kind === 'root' && sheet.kind === 'endpoint') integrate(image)
  romProperties(image, sheet, properties)
  for (const name of properties.unread()) {
    if (!WITHOUT_EFFECT.has(name)) {
      notes.push(`-device ${argument.driver}: ${name} is taken to have no effect on configuration space`)
    }
  }
  const composed = composedSriov(image, context)
  addedAcs(image, properties, context.addedAcs)
  const traits = traitsOf(device, image, built)
  const overrides = writeMasks(image, traits, built.writeMasks)
  return {
    imported: {
      name: argument.driver,
      kind: sheet.kind,
      image: imageText(image),
      configSizeBytes: image.bytes.length === 256 ? 256 : 4096,
      bars: image.bars.map(barDocument),
      romSizeBytes: image.romSizeBytes,
      overrides,
      ...(sheet.registerModel !== undefined && { registerModel: sheet.registerModel }),
      ...(image.find(CAPABILITY.PM) !== undefined && { keepsStateInD3: true }),
      ...hotPlugRegistersOf(image, device),
      ...(composed ?? sriovOf(sheet, image, built.sriov, express)),
    },
  }
}

interface Built {
  readonly image: ConfigImage
  readonly express: boolean
  readonly deviceErrors: boolean
  readonly linkControl: boolean
  readonly sriov: SriovProperties | undefined
  readonly writeMasks: readonly {
    offset: string
    readWrite?: string | undefined
    clearable?: string | undefined
  }[]
}

function sheetFunction(sheet: DeviceSheet, context: PropertyContext, properties: Properties): Built {
  const { bus } = context.device
  const express = sheet.express === 'always' || (sheet.express === 'onExpressBus' && bus.express)
  const image = ConfigImage.of(sheet, express, capabilitiesOff(sheet, properties))
  image.romSizeBytes = sheet.romSizeBytes
  let sriov: SriovProperties | undefined
  switch (sheet.properties) {
    case 'port':
      portProperties(image, properties, sheet.kind)
      break
    case 'bridge':
      bridgeProperties(image, properties)
      break
    case 'network':
      serialNumber(image, macOf(properties, context.networkIndex))
      subsystemProperties(image, properties)
      break
    case 'vmxnet3':
      vmxnet3SerialNumber(image, macOf(properties, context.networkIndex))
      break
    case 'vga':
      displayMemory(image, properties)
      break
    case 'ivshmem':
      sharedMemory(image, properties, context)
      break
    case 'igb':
      igbProperties(image, properties)
      break
    case 'nvme':
      sriov = nvmeProperties(image, properties)
      if (sriov !== undefined) nvmeSriov(image, sriov, sheet)
      break
    case 'xhci':
      setVectors(image, properties.number('intrs', 16))
      break
  }
  const { deviceErrors, linkControl } = sheet
  return { image, express, deviceErrors, linkControl, sriov, writeMasks: sheet.writeMasks }
}

function subsystemProperties(image: ConfigImage, properties: Properties): void {
  image.word(0x2c, properties.number('subsys_ven', image.readWord(0x2c)))
  image.word(0x2e, properties.number('subsys', image.readWord(0x2e)))
}

/** Capabilities that a property takes away. Without its hot-plug controller a bridge has nothing to signal either. */
function capabilitiesOff({ kind }: DeviceSheet, properties: Properties): number[] {
  const off: number[] = []
  if (kind === 'bridge' && properties.flag('shpc') === false) off.push(CAPABILITY.HOT_PLUG, CAPABILITY.MSI)
  if (properties.flag('msi') === false) off.push(CAPABILITY.MSI)
  if (properties.flag('msix') === false) off.push(CAPABILITY.MSI_X)
  return off
}

/** "Slot Identification": the chassis number. The controller's registers are the only BAR, and what interrupts. */
function bridgeProperties(image: ConfigImage, properties: Properties): void {
  const at = image.find(CAPABILITY.SLOT_ID)
  const chassis = properties.number('chassis_nr', 0)
  if (at !== undefined) image.bytes[at + 3] = chassis
  reservations(image, properties)
  if (image.find(CAPABILITY.HOT_PLUG) !== undefined) return
  image.bars.splice(0)
  image.bytes[0x3d] = 0
}

/** The frame buffer is BAR 0. */
function displayMemory(image: ConfigImage, properties: Properties): void {
  const [first, ...others] = image.bars
  const asked = properties.number('vgamem_mb', 16) * 2 ** 20
  const sizeBytes = properties.size('vgamem') ?? asked
  if (first !== undefined) image.bars.splice(0, image.bars.length, { ...first, sizeBytes }, ...others)
}

/** The memory that is shared is BAR 2; its size is that of the `-object` that `memdev` names. */
function sharedMemory(image: ConfigImage, properties: Properties, { objectSizes }: PropertyContext): void {
  const size = objectSizes.get(properties.text('memdev') ?? '')
  const at = image.bars.findIndex(({ index }) => index === 2)
  if (size !== undefined && at >= 0) image.bars[at] = { ...image.bars[at]!, sizeBytes: size }
  const vectors = properties.number('vectors', 1)
  setVectors(image, vectors)
}

function igbProperties(image: ConfigImage, properties: Properties): void {
  const at = image.findExtended(EXTENDED_CAPABILITY.ARI)
  if (at !== undefined && properties.flag('x-pcie-ari-nextfn-1')) image.word(at + 4, SLOT)
}

function placeFlags(image: ConfigImage, { device }: PropertyContext, properties: Properties): void {
  if (properties.flag('multifunction')) image.bytes[0x0e]! |= 0x80
  if (device.sheet.kind !== 'endpoint' && device.sheet.kind !== 'hostBridge') {
    image.bytes[0x0e]! |= 1
    image.word(0x24, image.readWord(0x24) | 1)
    image.word(0x26, image.readWord(0x26) | 1)
  }
}

function romProperties(image: ConfigImage, sheet: DeviceSheet, properties: Properties): void {
  if (sheet.virtio !== undefined) image.romSizeBytes = sheet.romSizeBytes
  if (properties.flag('rombar') === false || properties.text('romfile') === '') image.romSizeBytes = 0
}

function traitsOf({ sheet, bus, secondary }: PlacedDevice, image: ConfigImage, built: Built): Traits {
  const behind = secondary?.devices.length ?? 0
  const native = bus.nativeHotplug
  const express = image.find(CAPABILITY.EXPRESS)
  const hasSlot = express !== undefined && (image.readWord(express + 2) & SLOT) !== 0
  if (hasSlot) {
    // Attention indicator off, power indicator off; power off where no device is.
    image.word(express + 0x18, 0x03c0 | (behind === 0 ? 0x0400 : 0))
    // An empty slot shows what its link could do, one lane of 2.5 GT/s at least; presence is shown where ACPI does not speak for the slot.
    const link = image.readWord(express + 0x0c) & 0x03ff
    if (behind === 0) image.word(express + 0x12, (link & 0xf || 1) | (link & 0x3f0 || 0x10))
    else if (native) {
      image.word(express + 0x12, image.readWord(express + 0x12) | LINK_ACTIVE)
      image.word(express + 0x1a, PRESENT)
    }
  }
  return {
    deviceErrors: built.deviceErrors,
    linkControl: built.linkControl,
    slot: hasSlot,
    nativeHotplug: native,
    rootPort: sheet.kind === 'rootPort',
    bridge: image.headerType === 1,
  }
}

const SHPC_SLOTS = 31
/** Slot status: open, empty and without power; with a device, which every slot holds enabled at power-on. */
const SLOT_EMPTY = 0x7f00_0d3f
const SLOT_FILLED = 0x7f00_0036

/** QEMU's standard hot-plug controller at power-on: 31 slots from device 1 on, interrupts and errors masked. */
function hotPlugRegistersOf(
  image: ConfigImage,
  device: PropertyContext['device'],
): Pick<Imported, 'hotPlugRegisters'> {
  if (image.find(CAPABILITY.HOT_PLUG) === undefined) return {}
  const slots = Array.from({ length: SHPC_SLOTS }, (_, i) =>
    device.secondary?.devices.some(({ devfn }) => devfn >>> 3 === i + 1) ? SLOT_FILLED : SLOT_EMPTY,
  )
  return {
    hotPlugRegisters: [0, 0x1f, 0, 0xe001_011f, 0x0100_0000, 0, 0, 0, 0xf, ...slots].map(value => hex(value)),
  }
}
