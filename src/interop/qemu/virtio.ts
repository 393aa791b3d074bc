/**
 * A virtio device behind PCI: legacy, transitional or modern by its bus and properties. Its capabilities are found by
 * the driver through the structures of "Virtio Structure PCI Capabilities" of the virtio specification.
 */
import { NorthbridgeError } from '../../core/index.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import { CONVENTIONAL_SIZE, ConfigImage, EXPRESS_SIZE } from './config-image.ts'
import type { Properties, PropertyContext } from './device-properties.ts'
import type { DeviceSheet } from './device-sheet.ts'

const MODERN_DEVICE_BASE = 0x1040
const PAGE = 0x1000
/** Capability types, with the page of BAR 4 where each structure lies. */
const STRUCTURES = [
  { type: 1, page: 0 },
  { type: 3, page: 1 },
  { type: 4, page: 2 },
  { type: 2, page: 3 },
] as const
const CONFIGURATION_ACCESS = 5
const NOTIFICATION = 2
const QUEUES = 1024

/** Device Control, link registers of one lane at 2.5 GT/s, and Device Capabilities 2 of QEMU's endpoints. */
const EXPRESS_REST = '00000000110400000000110000000000000000000000000000000000000030'

const bytesOf = (...values: readonly [value: number, size: 1 | 4][]): string =>
  values
    .map(([value, size]) =>
      Array.from({ length: size }, (_, i) =>
        (Math.floor(value / 256 ** i) & 0xff).toString(16).padStart(2, '0'),
      ).join(''),
    )
    .join('')

export interface VirtioFunction {
  readonly image: ConfigImage
  readonly express: boolean
  readonly deviceErrors: boolean
  readonly linkControl: boolean
  /** Registers that the driver writes beyond those of PCI: the window of "PCI configuration access". */
  readonly writeMasks: readonly { offset: string; readWrite: string }[]
}

export function virtioFunction(
  sheet: DeviceSheet,
  properties: Properties,
  context: PropertyContext,
): VirtioFunction {
  const virtio = sheet.virtio!
  const { bus } = context.device
  const port = bus.express && bus.kind !== 'root'
  const variant = /-(non-)?transitional$/.exec(context.device.argument.driver)
  const modern = variant !== null || !(properties.flag('disable-modern') ?? false)
  const legacy =
    !virtio.modernOnly &&
    (variant === null ? !(properties.flag('disable-legacy') ?? port) : variant[1] === undefined)
  if (!modern && !legacy) {
    throw new NorthbridgeError(
      'invalidArgument',
      `-device ${context.device.argument.driver}: neither legacy nor modern mode is left`,
    )
  }
  const express = port && modern && !(properties.flag('x-disable-pcie') ?? false)
  const image = new ConfigImage(express ? EXPRESS_SIZE : CONVENTIONAL_SIZE)
  header(image, sheet, legacy)
  const on = (name: string): boolean => properties.flag(name) ?? true
  const deviceErrors = express && on('x-pcie-deverr-init')
  const linkControl = express && on('x-pcie-lnkctl-init')
  if (express) {
    const reset = on('x-pcie-flr-init') ? '0010' : '0000'
    image.capability(CAPABILITY.EXPRESS, 0x3c, `02002080${reset}${EXPRESS_REST}`)
    image.capability(CAPABILITY.PM, 8, '0300')
    if (properties.flag('ats')) {
      const aligned = properties.flag('x-ats-page-aligned') ?? true
      image.extendedCapability(EXTENDED_CAPABILITY.ATS, 1, 0x100, aligned ? '20000080' : '00000080')
    }
  }
  const writeMasks = modern ? structures(image, properties.flag('page-per-vq') ?? false) : []
  messages(image, vectorsOf(sheet, properties, context))
  if (legacy) {
    image.bars.push({ index: 0, kind: 'io', prefetchable: false, sizeBytes: virtio.legacyIoBytes })
  }
  image.bars.sort((a, b) => a.index - b.index)
  return { image, express, deviceErrors, linkControl, writeMasks }
}

function header(image: ConfigImage, { header, virtio }: DeviceSheet, legacy: boolean): void {
  const { id, transitionalId } = virtio!
  image.word(0x00, 0x1af4)
  image.word(0x02, legacy ? Number(transitionalId ?? MODERN_DEVICE_BASE + id) : MODERN_DEVICE_BASE + id)
  image.dword(0x08, Number(header.classCode) * 256 + (legacy ? 0 : 1))
  image.word(0x2c, 0x1af4)
  image.word(0x2e, legacy ? id : 0x1100)
  image.bytes[0x3d] = 1
}

/** The structures in BAR 4, and the window through which they can be reached from configuration space. */
function structures(image: ConfigImage, pagePerQueue: boolean): { offset: string; readWrite: string }[] {
  const multiplier = pagePerQueue ? PAGE : 4
  const notify = multiplier * QUEUES
  for (const { type, page } of STRUCTURES) {
    const isNotify = type === NOTIFICATION
    const place = bytesOf(
      [isNotify ? 0x14 : 0x10, 1],
      [type, 1],
      [4, 4],
      [page * PAGE, 4],
      [isNotify ? notify : PAGE, 4],
    )
    image.capability(
      CAPABILITY.VENDOR,
      isNotify ? 0x14 : 0x10,
      isNotify ? place + bytesOf([multiplier, 4]) : place,
    )
  }
  const at = image.capability(CAPABILITY.VENDOR, 0x14, bytesOf([0x14, 1], [CONFIGURATION_ACCESS, 1]))
  image.bars.push({
    index: 4,
    kind: 'memory64',
    prefetchable: true,
    sizeBytes: 2 ** Math.ceil(Math.log2(3 * PAGE + notify)),
  })
  return [4, 8, 12, 16].map(offset => ({
    offset: `0x${(at + offset).toString(16)}`,
    readWrite: offset === 4 ? '0xff' : '0xffffffff',
  }))
}

/** MSI-X in a BAR of its own: the table in its lower half, the pending bits in the upper one. */
function messages(image: ConfigImage, vectors: number): void {
  if (vectors === 0) return
  const table = 2 ** Math.ceil(Math.log2(vectors * 16))
  const pending = Math.max(PAGE / 2, table)
  image.capability(
    CAPABILITY.MSI_X,
    12,
    bytesOf([(vectors - 1) & 0xff, 1], [(vectors - 1) >>> 8, 1], [1, 4], [pending | 1, 4]),
  )
  image.bars.push({ index: 1, kind: 'memory32', prefetchable: false, sizeBytes: pending * 2 })
}

function vectorsOf({ virtio }: DeviceSheet, properties: Properties, context: PropertyContext): number {
  const asked = properties.text('vectors')
  if (asked !== undefined) return Number(asked)
  const { vectors } = virtio!
  if (typeof vectors === 'number') return vectors
  if (vectors === 'queuePairs') {
    return 2 + 2 * (context.netdevQueues.get(properties.text('netdev') ?? '') ?? 1)
  }
  const queues = properties.number('num-queues', properties.number('num_queues', context.processors))
  return queues + (virtio!.id === 8 ? 3 : 1)
}
