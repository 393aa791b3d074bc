/** Register accesses and the command protocol of a remapping unit ("Global Command Register"). */
import { decode, type Field, get, type Register } from '../../core/index.ts'
import { type Software, until } from '../../engine/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { CAP, ECAP, GCMD, GSTS } from '../../vtd/formats/index.ts'

/** GSTS without SRTP, SFL, WBF and SIRTP: commands that act once are not repeated. */
const PERSISTENT = 0x96ff_ffff

export class UnitRegisters {
  readonly base: number
  readonly name: string
  readonly cap: Readonly<Record<keyof typeof CAP.f, number>>
  readonly ecap: Readonly<Record<keyof typeof ECAP.f, number>>
  readonly #machine: Pick<MachinePort, 'readDword' | 'writeDword'>

  constructor(machine: Pick<MachinePort, 'readDword' | 'writeDword'>, base: number, name: string) {
    this.#machine = machine
    this.name = name
    this.base = base
    this.cap = decode(CAP.f, this.words(CAP)) as typeof this.cap
    this.ecap = decode(ECAP.f, this.words(ECAP)) as typeof this.ecap
  }

  /** All words of a register, low first. */
  words(register: Register): number[] {
    return Array.from({ length: register.width / 32 }, (_, word) => this.read(register.offset + word * 4))
  }

  read(offset: number): number {
    return this.#machine.readDword(this.base + offset) >>> 0
  }

  write(offset: number, value: number): void {
    this.#machine.writeDword(this.base + offset, value >>> 0)
  }

  /** A 64-bit register, low dword first: the high one is what triggers, where either does. */
  write64(register: Register, low: number, high: number): void {
    this.write(register.offset, low)
    this.write(register.offset + 4, high)
  }

  /** A register that holds the address of a page, with `bits` beside it. */
  writePage(register: Register, page: number, bits = 0): void {
    this.write64(register, (page % 2 ** 20) * 4096 + bits, Math.floor(page / 2 ** 20))
  }

  field(register: Register, f: Field): number {
    return get(f, this.words(register))
  }

  /** Issues one command and waits until Global Status shows it. `on: false` takes a persistent command back. */
  *command(command: 'SRTP' | 'SIRTP' | 'TE' | 'IRE' | 'QIE' | 'CFI' | 'WBF', on = true): Software {
    const { mask } = GCMD.f[command]
    const status = this.read(GSTS.offset) & PERSISTENT
    this.write(GCMD.offset, on ? status | mask : status & ~mask)
    // The status bits stand where the command bits do. A write buffer flush shows while it is under way.
    const shown = command === 'WBF' ? false : on
    yield* until(() => ((this.read(GSTS.offset) & mask) !== 0) === shown)
  }
}
