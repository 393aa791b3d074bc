/**
 * What runs first on a machine that was powered on: numbers the buses, gives out addresses, switches decoding on and
 * leaves tables in memory that tell a kernel what it finds. It touches configuration space and RAM only.
 */
import { hex } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import { COMMAND_STATUS, INTERRUPT } from '../pcie/formats/index.ts'
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

/**
 * Runs on a machine in reset state. Throws `outOfResources` if bus numbers, addresses or the place for tables run out.
 */
export function* runFirmware(machine: MachinePort): Software<FirmwareReport> {
  const { roots, functions, buses, notes } = yield* enumerate(machine)
  const remarks = [...notes, ...(yield* assignAddresses(roots, machine.board.hostBridges))]
  for (const one of roots.flat()) yield* enable(one)
  const tables = placeTables(machine)
  return { functions, buses, tables, notes: remarks }
}

/** Decoding on; bus mastering for bridges only, so that no endpoint writes to memory before its driver is there. */
function* enable(one: FoundFunction): Software {
  const { config, bridge } = one
  const { IOSE, MSE, BME, SERR } = COMMAND_STATUS.f
  const ports =
    bridge !== undefined || one.bars.every(bar => bar.kind !== 'io' || config.read(bar.offset) > 3)
  const bits = MSE.mask | SERR.mask | (ports ? IOSE.mask : 0) | (bridge === undefined ? 0 : BME.mask)
  config.write(COMMAND_STATUS.offset, bits, 0xffff)
  const pin = config.get(INTERRUPT.offset, INTERRUPT.f.PIN)
  if (pin !== 0) {
    const device = (config.rid >>> 3) & 31
    config.write(INTERRUPT.offset, LEGACY_LINES[(device + pin - 1) & 3]!, INTERRUPT.f.LINE.mask)
  }
  yield* pause()
  for (const below of bridge?.functions ?? []) yield* enable(below)
}

/** The report in sentences, for the trace. */
export const describeReport = ({ functions, buses, tables, notes }: FirmwareReport): string[] => [
  `firmware numbered ${buses} buses with ${functions} functions`,
  ...notes,
  ...tables.map(({ signature, address, length }) => `${signature} of ${length} bytes is at ${hex(address)}`),
]
