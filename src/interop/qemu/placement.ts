/** Where QEMU puts each device: the bus that `bus=` names, the slot of `addr=` or the first free one. */
import { NorthbridgeError } from '../../core/index.ts'
import type { DeviceArgument } from './command-line.ts'
import type { DeviceSheet } from './device-sheet.ts'

/** One device with its place. Bridges and expander bridges have a bus behind them. */
export interface PlacedDevice {
  readonly argument: DeviceArgument
  readonly sheet: DeviceSheet
  readonly bus: QemuBus
  readonly devfn: number
  secondary: QemuBus | undefined
  /** Plugged while the machine runs. */
  readonly hotAdded: boolean
  /** Made a virtual function of this function by `sriov-pf`. */
  physical?: string
}

export interface QemuBus {
  readonly name: string
  readonly kind: 'root' | 'link' | 'switch' | 'conventional'
  /** Express slots allow extended configuration space. */
  readonly express: boolean
  /** Slots of the hierarchy tell software what happens; else ACPI does, and they show nothing. */
  readonly nativeHotplug: boolean
  readonly devices: PlacedDevice[]
}

const conflict = (message: string): never => {
  throw new NorthbridgeError('topologyConflict', `QEMU arguments: ${message}`)
}

export const makeBus = (name: string, kind: QemuBus['kind'], nativeHotplug: boolean): QemuBus => ({
  name,
  kind,
  express: kind !== 'conventional',
  nativeHotplug,
  devices: [],
})

/** `addr=`: a slot, `slot.function` in hexadecimal, or a number that stands for both. */
export function parseAddress(text: string): number {
  const [, slot, fn] = /^(?:0x)?([0-9a-f]{1,2})(?:\.(?:0x)?([0-7]))?$/i.exec(text) ?? []
  if (slot === undefined) return conflict(`addr=${text} is no slot`)
  const device = Number.parseInt(slot, 16)
  if (device > 31) return conflict(`addr=${text} is beyond slot 1f`)
  return device * 8 + Number(fn ?? 0)
}

/** The device and function number that a device gets on a bus. */
export function placeOn(bus: QemuBus, address: string | undefined, who: string): number {
  const taken = (devfn: number): boolean => bus.devices.some(device => device.devfn === devfn)
  if (address === undefined || address === '-1') {
    const last = bus.kind === 'link' ? 0 : 31
    for (let slot = 0; slot <= last; slot++) if (!taken(slot * 8)) return slot * 8
    return conflict(`${who} finds no free slot on bus ${bus.name}`)
  }
  const devfn = parseAddress(address)
  const first = bus.devices.find(device => device.devfn === devfn)
  if (first !== undefined)
    conflict(`${who} wants slot ${address} of bus ${bus.name}, where ${first.sheet.model} is`)
  if (bus.kind === 'link' && devfn > 7) conflict(`${who}: behind bus ${bus.name} there is slot 0 only`)
  return devfn
}
