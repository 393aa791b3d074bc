/** What the properties of a `-device` argument change in the configuration space of its model. */
import { NorthbridgeError } from '../../core/index.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from '../../pcie/formats/index.ts'
import type { ConfigImage } from './config-image.ts'
import type { AddedAcs } from './input.ts'
import type { PlacedDevice } from './placement.ts'

/** What a property may depend on. */
export interface PropertyContext {
  readonly device: PlacedDevice
  readonly processors: number
  readonly netdevQueues: ReadonlyMap<string, number>
  /** Bytes of memory objects, by id. */
  readonly objectSizes: ReadonlyMap<string, number>
  /** Network cards before this one: QEMU counts up the last byte of its default address. */
  readonly networkIndex: number
  readonly notes: string[]
  readonly addedAcs: readonly AddedAcs[]
}

/** SR-IOV as a property gives it to a function. */
export interface SriovProperties {
  readonly totalVfs: number
  readonly barSizeBytes: number
  readonly vectors: number
}

const ON = new Set(['on', 'yes', 'true', 'y', '1'])
const OFF = new Set(['off', 'no', 'false', 'n', '0'])

/** Undefined for what is neither on nor off. */
export function parseFlag(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  return ON.has(text) ? true : OFF.has(text) ? false : undefined
}

export class Properties {
  readonly #values: ReadonlyMap<string, string>
  readonly #who: string
  readonly #read = new Set<string>()

  constructor({ argument }: PlacedDevice) {
    this.#values = argument.properties
    this.#who = `-device ${argument.driver}`
  }

  text(name: string): string | undefined {
    this.#read.add(name)
    return this.#values.get(name)
  }

  number(name: string, otherwise: number): number {
    const text = this.text(name)
    if (text === undefined) return otherwise
    const value = Number(text)
    if (Number.isInteger(value) && value >= 0) return value
    throw new NorthbridgeError('invalidArgument', `${this.#who}: ${name}=${text} is no whole number`)
  }

  /** A number of bytes, with a unit or without. */
  size(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const [, digits, unit = ''] = /^(\d+|0x[0-9a-f]+)([kmgt]?)b?$/i.exec(text) ?? []
    if (digits === undefined) {
      throw new NorthbridgeError('invalidArgument', `${this.#who}: ${name}=${text} is no size`)
    }
    return Number(digits) * 1024 ** ' kmgt'.indexOf(unit.toLowerCase() || ' ')
  }

  /** Undefined for a property that is left out or `auto`. */
  flag(name: string): boolean | undefined {
    const text = this.text(name)
    const flag = parseFlag(text)
    if (flag !== undefined || text === undefined || text === 'auto') return flag
    throw new NorthbridgeError('invalidArgument', `${this.#who}: ${name}=${text} is neither on nor off`)
  }

  /** Names of properties that nothing looked at. */
  unread(): string[] {
    return [...this.#values.keys()].filter(name => !this.#read.has(name))
  }
}

const LINK_SPEEDS: Readonly<Record<string, number>> = { '2_5': 1, '5': 2, '8': 3, '16': 4, '32': 5, '64': 6 }

/** Slot, port number, link and hot-plug of a root or downstream port; port number of an upstream port. */
export function portProperties(image: ConfigImage, properties: Properties, kind: string): void {
  const express = image.find(CAPABILITY.EXPRESS)!
  const port = properties.number('port', 0)
  let link = (image.readDword(express + 0x0c) & 0x00ff_ffff) | (port << 24)
  const speed = properties.text('x-speed')
  const width = properties.text('x-width')
  if (speed !== undefined && LINK_SPEEDS[speed] !== undefined) {
    link = (link & ~0xf) | LINK_SPEEDS[speed]!
    image.bytes[express + 0x30] = LINK_SPEEDS[speed]!
    image.dword(express + 0x2c, speed === '2_5' || speed === '5' ? 0 : LINK_SPEEDS[speed]! > 3 ? 0x1e : 0x0e)
  }
  if (width !== undefined) link = (link & ~0x3f0) | (Number(width) << 4)
  image.dword(express + 0x0c, link >>> 0)
  properties.text('chassis')
  if (kind === 'upstreamPort') return
  if (properties.flag('disable-acs')) image.dropLastExtended(EXTENDED_CAPABILITY.ACS)
  reservations(image, properties)
  const slot = properties.number('slot', 0)
  const capabilities = (image.readDword(express + 0x14) & 0x0007_ffff) | (slot << 19)
  const hotplug = properties.flag('hotplug') ?? true
  const power = properties.flag('power_controller_present') ?? true
  const kept = capabilities & ~(hotplug ? 0 : 0x60) & ~(power ? 0 : 0x02)
  image.dword(express + 0x14, kept >>> 0)
}

const RESERVATIONS = [
  ['bus-reserve', 4],
  ['io-reserve', 8],
  ['mem-reserve', 4],
  ['pref32-reserve', 4],
  ['pref64-reserve', 8],
] as const

/** What the firmware is asked to keep free below a bridge: a capability of QEMU's own, all ones where nothing is asked. */
export function reservations(image: ConfigImage, properties: Properties): void {
  const asked = RESERVATIONS.map(([name, bytes]) => [properties.size(name), bytes] as const)
  if (asked.every(([value]) => value === undefined)) return
  const content = asked.map(([value, bytes]) =>
    value === undefined ? 'ff'.repeat(bytes) : littleEndian(value, bytes),
  )
  image.capability(CAPABILITY.VENDOR, 0x20, `2001${content.join('')}`)
}

const littleEndian = (value: number, bytes: number): string =>
  Array.from({ length: bytes }, (_, i) =>
    (Math.floor(value / 256 ** i) & 0xff).toString(16).padStart(2, '0'),
  ).join('')

/** MSI-X table size; the tables lie where the model puts them. */
export function setVectors(image: ConfigImage, vectors: number): void {
  const at = image.find(CAPABILITY.MSI_X)
  if (at !== undefined) image.word(at + 2, (image.readWord(at + 2) & ~0x7ff) | ((vectors - 1) & 0x7ff))
}

/** The serial number that a card makes of its address: EUI-64 with FFFFh in the middle. */
export function serialNumber(image: ConfigImage, mac: readonly number[]): void {
  const at = image.findExtended(EXTENDED_CAPABILITY.DSN)
  if (at === undefined) return
  const identifier = [...mac.slice(0, 3), 0xff, 0xff, ...mac.slice(3)].reverse()
  image.bytes.set(identifier, at + 4)
}

/** VMXNET3 makes its serial number in another way. */
export function vmxnet3SerialNumber(image: ConfigImage, mac: readonly number[]): void {
  const at = image.findExtended(EXTENDED_CAPABILITY.DSN)
  if (at !== undefined) image.bytes.set([0xfe, ...mac.slice(3), ...mac.slice(0, 3), 0xff], at + 4)
}

const QEMU_ADDRESS = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56] as const

export function macOf(properties: Properties, index: number): number[] {
  const text = properties.text('mac')
  if (text === undefined) return [...QEMU_ADDRESS.slice(0, 5), QEMU_ADDRESS[5] + index]
  const mac = text.split(/[:-]/).map(part => Number.parseInt(part, 16))
  if (mac.length === 6 && mac.every(byte => byte >= 0 && byte <= 255)) return mac
  throw new NorthbridgeError('invalidArgument', `-device …,mac=${text} is no Ethernet address`)
}

const NVME_REGISTERS = 4096
const DOORBELLS = 8
const PAGE = 4096
const up = (value: number, to: number): number => Math.ceil(value / to) * to

/** Doorbells, then the MSI-X table, then its pending bits, each in pages of its own. */
function nvmeLayout(queues: number, vectors: number): { table: number; pending: number; size: number } {
  const table = up(NVME_REGISTERS + queues * DOORBELLS, PAGE)
  const pending = up(table + vectors * 16, PAGE)
  return { table, pending, size: 2 ** Math.ceil(Math.log2(pending + up(vectors, 64) / 8)) }
}

/** Queues and vectors size the controller's BAR; with `sriov_max_vfs` it gets ARI and SR-IOV. */
export function nvmeProperties(image: ConfigImage, properties: Properties): SriovProperties | undefined {
  const queues = properties.number('max_ioqpairs', 64) + 1
  const vectors = properties.number('msix_qsize', 65)
  const { table, pending, size } = nvmeLayout(queues, vectors)
  const msix = image.find(CAPABILITY.MSI_X)!
  setVectors(image, vectors)
  image.dword(msix + 4, table)
  image.dword(msix + 8, pending)
  image.bars[0] = { ...image.bars[0]!, sizeBytes: size }
  const buffer = properties.number('cmb_size_mb', 0)
  if (buffer > 0) {
    image.bars.push({ index: 2, kind: 'memory64', prefetchable: true, sizeBytes: buffer * 2 ** 20 })
  }
  if (properties.flag('use-intel-id')) {
    image.word(0x00, 0x8086)
    image.word(0x02, 0x5845)
  }
  const totalVfs = properties.number('sriov_max_vfs', 0)
  if (totalVfs === 0) return undefined
  const share = (flexible: string, most: string): number => {
    const all = properties.number(flexible, 0)
    const asked = properties.number(most, 0)
    return asked === 0 ? Math.floor(all / totalVfs) : asked
  }
  // Resources that move between functions are not the controller's own at power-on.
  setVectors(image, vectors - properties.number('sriov_vi_flexible', 0))
  const virtualQueues = share('sriov_vq_flexible', 'sriov_max_vq_per_vf')
  const virtualVectors = share('sriov_vi_flexible', 'sriov_max_vi_per_vf')
  return {
    totalVfs,
    barSizeBytes: nvmeLayout(virtualQueues, virtualVectors).size,
    vectors: Math.max(1, virtualVectors),
  }
}

const ACS_NAMES = { SV: 0x01, TB: 0x02, RR: 0x04, CR: 0x08, UF: 0x10, EC: 0x20, DT: 0x40 } as const
const ADDED_ACS_AT = 0x3c0

/** The access control capability that a capture's makers added to a model, as the last of its list. */
export function addedAcs(image: ConfigImage, properties: Properties, added: readonly AddedAcs[]): void {
  const id = `${hexWord(image.readWord(0x00))}:${hexWord(image.readWord(0x02))}`
  const slot = properties.text('slot')
  const subsys = properties.text('subsys')
  const found = added.find(
    entry =>
      entry.id.toLowerCase() === id &&
      (entry.slot === undefined || entry.slot === Number(slot)) &&
      (entry.subsys === undefined || entry.subsys === Number(subsys)),
  )
  if (found === undefined || image.bytes.length === 256) return
  const names = found.acs.match(/../g) ?? []
  const bits = names.reduce((sum, name) => sum | (ACS_NAMES[name as keyof typeof ACS_NAMES] ?? 0), 0)
  image.extendedCapability(
    EXTENDED_CAPABILITY.ACS,
    1,
    ADDED_ACS_AT,
    `${bits.toString(16).padStart(2, '0')}000000`,
  )
}

const hexWord = (value: number): string => value.toString(16).padStart(4, '0')
