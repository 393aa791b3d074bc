/** An assigned function that goes elsewhere with its machine: what its guest has set up, and the state of the device itself. */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { COMMAND_STATUS, INTERRUPT } from '../../pcie/formats/index.ts'
import type { VirtualFunction } from '../virtual-function.ts'

export type FunctionImage = {
  readonly version: 1
  /** Address on the host that it comes from. */
  readonly address: string
  readonly slot: number
  readonly vendorId: number
  readonly deviceId: number
  /** Registers as the guest reads them. */
  readonly bars: readonly number[]
  readonly command: number
  readonly interruptLine: number
  /** The message capability, and the MSI-X table. */
  readonly messages: readonly number[]
  readonly table: readonly number[]
  /** Where the guest's memory map has its BARs. */
  readonly placed: readonly number[]
  /** Of the device: as it was when it stood still. */
  readonly state: Uint32Array
}

const ALL_LANES = 0xffff_ffff
const BAR_FIRST = 0x10
const BARS = 6
const COMMAND_LANES = 0xffff

/** @param state of the device; of one that still works it is out of date at once */
export function imageOfFunction(device: VirtualFunction, state: Uint32Array): FunctionImage {
  const { function: fn } = device.assigned
  const { at, size } = device.messageRegisters
  return {
    version: 1,
    address: fn.address,
    slot: device.slot,
    vendorId: fn.vendorId,
    deviceId: fn.deviceId,
    bars: Array.from({ length: BARS }, (_, i) => device.readConfig(BAR_FIRST + 4 * i)),
    command: device.readConfig(COMMAND_STATUS.offset) & COMMAND_LANES,
    interruptLine: device.readConfig(INTERRUPT.offset),
    messages: Array.from({ length: size / 4 }, (_, i) => device.readConfig(at + 4 * i)),
    table: device.messageTable,
    placed: device.view().bars.flatMap(({ guestAddress }) => (guestAddress === null ? [] : [guestAddress])),
    state,
  }
}

/**
 * Sets a new function up as its guest had the one before, and gives the device its state. It stands still then. Throws
 * `notMigratable` for a device of another kind.
 */
export function* adoptFunction(device: VirtualFunction, from: FunctionImage): Software {
  const image = opened<FunctionImage>(from as unknown as Saved, 'an assigned function', 1)
  const { function: fn } = device.assigned
  const { migration } = device
  const isLike = fn.vendorId === image.vendorId && fn.deviceId === image.deviceId
  if (!isLike || migration?.answers !== true) {
    throw new NorthbridgeError('notMigratable', `${fn.address} is not a device like ${image.address}`)
  }
  for (const [i, value] of image.bars.entries())
    yield* device.writeConfig(BAR_FIRST + 4 * i, value, ALL_LANES)
  yield* device.writeConfig(INTERRUPT.offset, image.interruptLine, ALL_LANES)
  yield* device.writeConfig(COMMAND_STATUS.offset, image.command, COMMAND_LANES)
  yield* device.setMessageTable(image.table)
  const { at } = device.messageRegisters
  for (const [i, value] of image.messages.entries()) yield* device.writeConfig(at + 4 * i, value, ALL_LANES)
  migration.set('RESUMING')
  migration.writeState(image.state)
  migration.set('STOP')
}
