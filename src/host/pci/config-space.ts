/** Configuration accesses to one function, through the memory-mapped window (ECAM) that MCFG names. */
import { ALL_LANES, type Field, get, type Register, set } from '../../core/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'

export class ConfigSpace {
  readonly #machine: MachinePort
  readonly #base: number

  /** @param base physical address of the function's 4 KiB. */
  constructor(machine: MachinePort, base: number) {
    this.#machine = machine
    this.#base = base
  }

  /** An aligned dword; all ones if nobody answers. */
  read(offset: number): number {
    return this.#machine.readDword(this.#base + offset) >>> 0
  }

  write(offset: number, value: number, lanes = ALL_LANES): void {
    this.#machine.writeDword(this.#base + offset, value >>> 0, lanes)
  }

  /** A field of a register of the structure (header: 0, or a capability) that starts at `structure`. */
  get(structure: number, register: Register, field: Field): number {
    return get(field, [this.read(structure + register.offset)])
  }

  /** Changes one field, writing only its bytes, and zeros to write-1-to-clear bits beside it. */
  set(structure: number, register: Register, field: Field, value: number): void {
    const words = [(this.read(structure + register.offset) & ~clearedByOnes(register)) >>> 0]
    set(field, words, value)
    this.write(structure + register.offset, words[0]!, bytesOf(field.mask))
  }
}

const clearedByOnes = (register: Register): number =>
  Object.values(register.f).reduce(
    (mask, { access, mask: bits }) => (access === 'RW1C' ? mask | bits : mask),
    0,
  )

/** The lanes of all bytes that a mask touches. */
function bytesOf(mask: number): number {
  let lanes = 0
  for (const byte of [0xff, 0xff00, 0xff_0000, 0xff00_0000]) if (mask & byte) lanes |= byte
  return lanes >>> 0
}
