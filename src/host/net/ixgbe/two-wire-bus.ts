/** The two-wire bus to the module in a port's cage, moved line by line through I2CCTL as ixgbe does. */
import { I2CCTL } from '../../../devices/formats/nic/i82599-registers.ts'
import type { Software } from '../../../engine/index.ts'
import type { NicRegisters } from '../pooled/registers.ts'

/** "Address A0h" of SFF-8472: the identification. */
const IDENTIFICATION = 0xa0
const READ = 1
/** Nanoseconds that a line keeps its level, at 100 kHz. */
const HALF_CLOCK = 5000
const { CLK_OUT, DATA_IN, DATA_OUT } = I2CCTL.bits

export class TwoWireBus {
  readonly #registers: NicRegisters

  constructor(registers: NicRegisters) {
    this.#registers = registers
  }

  /** A byte of the identification; -1 if no module acknowledges. */
  *read(at: number): Software<number> {
    yield* this.#start()
    let value = -1
    if ((yield* this.#send(IDENTIFICATION)) && (yield* this.#send(at))) {
      yield* this.#start()
      if (yield* this.#send(IDENTIFICATION | READ)) value = yield* this.#receive()
    }
    yield* this.#stop()
    return value
  }

  *#start(): Software {
    this.#data(true)
    yield* this.#clock(true)
    this.#data(false)
    yield* this.#clock(false)
  }

  *#stop(): Software {
    this.#data(false)
    yield* this.#clock(true)
    this.#data(true)
  }

  /** Whether the byte was acknowledged. */
  *#send(byte: number): Software<boolean> {
    for (let bit = 7; bit >= 0; bit--) {
      this.#data(((byte >>> bit) & 1) !== 0)
      yield* this.#clock(true)
      yield* this.#clock(false)
    }
    return (yield* this.#sample()) === 0
  }

  /** One byte, and no acknowledgement: no other is wanted. */
  *#receive(): Software<number> {
    let byte = 0
    for (let bit = 0; bit < 8; bit++) byte = (byte << 1) | (yield* this.#sample())
    yield* this.#sample()
    return byte
  }

  /** A clock during which the other end has the data line. */
  *#sample(): Software<number> {
    this.#data(true)
    yield* this.#clock(true)
    const bit = this.#registers.read(I2CCTL) & DATA_IN ? 1 : 0
    yield* this.#clock(false)
    return bit
  }

  *#clock(high: boolean): Software {
    this.#registers.put(I2CCTL, CLK_OUT, high)
    yield* this.#registers.wait(HALF_CLOCK)
  }

  #data(high: boolean): void {
    this.#registers.put(I2CCTL, DATA_OUT, high)
  }
}
