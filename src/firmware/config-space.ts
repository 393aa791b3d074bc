/** Configuration space as firmware reaches it: through the extended configuration access window of a segment. */
import { ALL_LANES, type Field, formatFunctionAddress, type RequesterId } from '../core/index.ts'
import { type CapabilityEntry, EXPRESS_CONFIG_SIZE, listCapabilities } from '../pcie/formats/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'

/** "Enhanced Configuration Access Mechanism (ECAM)": 4 KiB per function, 1 MiB per bus. */
const BYTES_PER_FUNCTION = 0x1000

export class ConfigSpace {
  readonly segment: number
  readonly rid: RequesterId
  readonly #machine: MachinePort
  readonly #base: number

  constructor(machine: MachinePort, ecamBase: number, segment: number, rid: RequesterId) {
    this.#machine = machine
    this.#base = ecamBase + rid * BYTES_PER_FUNCTION
    this.segment = segment
    this.rid = rid
  }

  /** `dddd:bb:dd.f` */
  get address(): string {
    return formatFunctionAddress(this.segment, this.rid)
  }

  read(offset: number): number {
    return this.#machine.readDword(this.#base + offset)
  }

  /** `lanes` marks the bytes that the access carries. */
  write(offset: number, value: number, lanes: number = ALL_LANES): void {
    this.#machine.writeDword(this.#base + offset, value >>> 0, lanes)
  }

  /** A field of the dword at `offset`. */
  get(offset: number, f: Field): number {
    return (this.read(offset) & f.mask) >>> f.shift
  }

  capabilities(): CapabilityEntry[] {
    return listCapabilities(offset => this.read(offset), EXPRESS_CONFIG_SIZE)
  }
}
