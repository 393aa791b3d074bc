/**
 * What runs first on a machine that was powered on: numbers the buses, gives out addresses, switches decoding on and
 * leaves tables in memory that tell a kernel what it finds. It touches configuration space and RAM only.
 */
import { hex } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import { BRIDGE_CONTROL, COMMAND_STATUS, INTERRUPT } from '../pcie/formats/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { enumerate, type FoundFunction } from './enumeration.ts'
import { type PlacedTable, placeTables } from './tables.ts'
import { assignAddresses } from './windows.ts'

export interface FirmwareReport {
  readonly functions: number
  readonly buses: number
  readonly tables: readonly PlacedTable[]
  /** What did not go as the board asked for, in sentences. */
  readonly notes: readonly string[]
}

/** Interrupt lines of the 8259s that INTA# to INTD# of device 0 are routed to; other devices rotate them. */
const LEGACY_LINES = [10, 10, 11, 11] as const
/** Devices of a root bus from here on are the chipset's own, which do not rotate them. */
const FIRST_CHIPSET_DEVICE = 25
/** The bytes of Bridge Control beside those of the interrupt line and pin. */
const BRIDGE_CONTROL_REGISTER = 0xffff_0000

/**
 * Runs on a machine in reset state. Throws `outOfResources` if bus numbers, addresses or the place for tables run out.
 */
export function* runFirmware(machine: MachinePort): Software<FirmwareReport> {
  const { roots, functions, buses, notes } = yield* enumerate(machine)
  const remarks = [...notes, ...(yield* assignAddresses(roots, machine.board))]
  for (const one of roots.flat()) yield* enable(one, deviceOf(one) < FIRST_CHIPSET_DEVICE ? deviceOf(one) : 0)
  const tables = placeTables(machine)
  return { functions, buses, tables, notes: remarks }
}

const deviceOf = ({ config }: FoundFunction): number => (config.rid >>> 3) & 31

/**
 * Decoding on; bus mastering for bridges only, so that no endpoint writes to memory before its driver is there. Bridges
 * pass error messages on. `rotation`: "Interrupt Binding", the device numbers on the way from the root bus, added up.
 */
function* enable(one: FoundFunction, rotation: number): Software {
  const { config, bridge } = one
  const { IOSE, MSE, BME, SERR } = COMMAND_STATUS.f
  const ports =
    bridge !== undefined || one.bars.every(bar => bar.kind !== 'io' || config.read(bar.offset) > 3)
  const bits = MSE.mask | SERR.mask | (ports ? IOSE.mask : 0) | (bridge === undefined ? 0 : BME.mask)
  config.write(COMMAND_STATUS.offset, bits, 0xffff)
  const pin = config.get(INTERRUPT.offset, INTERRUPT.f.PIN)
  if (pin !== 0) {
    config.write(INTERRUPT.offset, LEGACY_LINES[(rotation + pin - 1) & 3]!, INTERRUPT.f.LINE.mask)
  }
  if (bridge !== undefined) {
    const { SERR: FORWARD } = BRIDGE_CONTROL.f
    const control = config.read(BRIDGE_CONTROL.offset) & BRIDGE_CONTROL_REGISTER
    config.write(BRIDGE_CONTROL.offset, control | FORWARD.mask, BRIDGE_CONTROL_REGISTER)
  }
  yield* pause()
  for (const below of bridge?.functions ?? []) yield* enable(below, rotation + deviceOf(below))
}

/** The report in sentences, for the trace. */
export const describeReport = ({ functions, buses, tables, notes }: FirmwareReport): string[] => [
  `firmware numbered ${buses} buses with ${functions} functions`,
  ...notes,
  ...tables.map(({ signature, address, length }) => `${signature} of ${length} bytes is at ${hex(address)}`),
]
