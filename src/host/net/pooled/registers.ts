/** The registers of a network controller, by declaration, for its driver. */
import type { NicRegister } from '../../../devices/formats/nic/register.ts'
import { offsetOf } from '../../../devices/formats/nic/register.ts'
import { type Engine, type Software, sleep } from '../../../engine/index.ts'
import type { DeviceAccess } from '../../device-access.ts'

const CSR_BAR = 0

export class NicRegisters {
  readonly #access: DeviceAccess
  readonly #engine: Engine

  constructor(access: DeviceAccess, engine: Engine) {
    this.#access = access
    this.#engine = engine
  }

  read(register: NicRegister, index = 0): number {
    return this.#access.readRegister(CSR_BAR, offsetOf(register, index)) >>> 0
  }

  write(register: NicRegister, value: number, index = 0): void {
    this.#access.writeRegister(CSR_BAR, offsetOf(register, index), value >>> 0)
  }

  set(register: NicRegister, mask: number, index = 0): void {
    this.write(register, this.read(register, index) | mask, index)
  }

  clear(register: NicRegister, mask: number, index = 0): void {
    this.write(register, this.read(register, index) & ~mask, index)
  }

  /** Sets or clears bits. */
  put(register: NicRegister, mask: number, on: boolean, index = 0): void {
    if (on) this.set(register, mask, index)
    else this.clear(register, mask, index)
  }

  *wait(nanoseconds: number): Software {
    yield* sleep(this.#engine, nanoseconds)
  }

  /** Looks at a register up to `times`, `interval` nanoseconds apart, until bits have a value. */
  *poll(
    register: NicRegister,
    mask: number,
    value: number,
    { times, interval, index = 0 }: { times: number; interval: number; index?: number },
  ): Software<boolean> {
    for (let look = 0; look < times; look++) {
      if ((this.read(register, index) & mask) >>> 0 === value >>> 0) return true
      yield* this.wait(interval)
    }
    return false
  }
}
