/**
 * The SFP+ module in a port's cage, as far as software can see it: an identification memory on a two-wire bus (SFF-8472,
 * "Address A0h") whose lines software moves one by one through I2CCTL.
 */
import type { Saved } from '../../../core/index.ts'

const ADDRESS = 0xa0
const SIZE = 256
const CHECKED = 63
/** What the module does with the bytes that pass. */
const PHASE = { idle: 0, address: 1, pointer: 2, data: 3, send: 4 } as const
/** Ninth clock of a byte: the receiver pulls the data line down. */
const ACKNOWLEDGE = 8

const text = (of: string, length: number): number[] =>
  Array.from({ length }, (_, i) => (i < of.length ? of.charCodeAt(i) : 0x20))

/** SFF-8472 table 4-1, of a 10GBASE-SR module of Intel's. */
function identification(serialNumber: string): Uint8Array {
  const memory = new Uint8Array(SIZE)
  memory.set([
    // SFP, two-wire interface, LC connector, 10GBASE-SR.
    0x03, 0x04, 0x07, 0x10,
  ])
  // 64B/66B, units of 100 Mb/s; metres of the kinds of fibre, the first two in tens.
  memory.set([0x06, 103], 11)
  memory.set([8, 3, 0, 30], 16)
  memory.set(text('Intel Corp', 16), 20)
  memory.set([0x00, 0x1b, 0x21], 37)
  memory.set(text('FTLX8571D3BCV-IT', 16), 40)
  memory.set(text('A', 4), 56)
  // 850 nm.
  memory.set([0x03, 0x52], 60)
  memory[CHECKED] = memory.subarray(0, CHECKED).reduce((sum, byte) => sum + byte, 0)
  memory.set(text(serialNumber, 16), 68)
  return memory
}

export class SfpModule {
  readonly #memory: Uint8Array
  #clock = true
  #data = true
  /** What the module does to the data line: false pulls it down. */
  #output = true
  #phase: number = PHASE.idle
  /** Clock of the byte, from 0; -1 between a start and the first one. */
  #bit = 0
  #byte = 0
  #pointer = 0
  #acknowledged = false

  constructor(serialNumber: string) {
    this.#memory = identification(serialNumber)
  }

  /** The data line: both ends can only pull it down. */
  get data(): boolean {
    return this.#data && this.#output
  }

  /** Software has moved its ends of the lines. */
  drive(clock: boolean, data: boolean): void {
    const rose = clock && !this.#clock
    const fell = !clock && this.#clock
    const before = this.#data
    this.#clock = clock
    this.#data = data
    if (rose) this.#sample()
    else if (fell) this.#advance()
    else if (clock && before !== data) this.#mark(data)
  }

  /** The data line moves while the clock is high: down is a start, up a stop. */
  #mark(stop: boolean): void {
    this.#output = true
    this.#phase = stop ? PHASE.idle : PHASE.address
    this.#bit = -1
  }

  #sample(): void {
    if (this.#bit < ACKNOWLEDGE) {
      if (this.#phase !== PHASE.send) this.#byte = ((this.#byte << 1) | Number(this.data)) & 0xff
    } else if (this.#phase === PHASE.send) this.#acknowledged = !this.#data
  }

  #advance(): void {
    if (this.#phase === PHASE.idle) return
    this.#bit++
    if (this.#bit > ACKNOWLEDGE) {
      this.#bit = 0
      this.#next()
    }
    if (this.#bit === ACKNOWLEDGE) this.#output = !this.#accepts()
    else this.#output = this.#phase !== PHASE.send || ((this.#byte >>> (7 - this.#bit)) & 1) !== 0
  }

  /** Whether the module acknowledges the byte that it was told. */
  #accepts(): boolean {
    if (this.#phase === PHASE.send) return false
    return this.#phase !== PHASE.address || (this.#byte & 0xfe) === ADDRESS
  }

  /** A byte and its acknowledgement are over. */
  #next(): void {
    switch (this.#phase) {
      case PHASE.address:
        if ((this.#byte & 0xfe) !== ADDRESS) this.#phase = PHASE.idle
        else if (this.#byte & 1) this.#send()
        else this.#phase = PHASE.pointer
        break
      case PHASE.pointer:
        this.#pointer = this.#byte
        // What follows would be written: the memory is read-only.
        this.#phase = PHASE.data
        break
      case PHASE.send:
        if (this.#acknowledged) this.#send()
        else this.#phase = PHASE.idle
    }
  }

  #send(): void {
    this.#phase = PHASE.send
    this.#byte = this.#memory[this.#pointer]!
    this.#pointer = (this.#pointer + 1) % SIZE
  }

  save(): Saved {
    const lines = [this.#clock, this.#data, this.#output, this.#acknowledged]
    return { lines, progress: [this.#phase, this.#bit, this.#byte, this.#pointer] }
  }

  load(saved: Saved): void {
    const { lines, progress } = saved as {
      lines: [boolean, boolean, boolean, boolean]
      progress: [number, number, number, number]
    }
    ;[this.#clock, this.#data, this.#output, this.#acknowledged] = lines
    ;[this.#phase, this.#bit, this.#byte, this.#pointer] = progress
  }
}
