/**
 * Follows what a public driver does to registers (test/data/driver-sequences). A fact is a line: what it is for, how the
 * register is reached, where and with what.
 *
 * `write` offset value; `set` and `clear` offset bits, by reading first; `read` offset mask answer; `poll` offset mask
 * answer looks; `wait` microseconds; `nvm` word mask answer; `nvmSum` last word; `phy` register mask answer; `module` byte
 * mask answer, by the two-wire bus; `ask` dwords and the answer's first dwords, by a virtual function's mailbox.
 */
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'

export type DriverName = 'igb' | 'igbvf' | 'ixgbe' | 'ixgbevf'
type Fact = readonly [does: string, kind: string, ...rest: (string | number | readonly string[])[]]

export interface DriverSequence {
  readonly driver: DriverName
  readonly model: 'intel-82576' | 'intel-82599'
  readonly about: string
  readonly phases: readonly {
    readonly phase: string
    readonly source: string
    readonly steps: readonly Fact[]
  }[]
}

/** What the driver works on. */
export interface DriverBench {
  read(offset: number): number
  write(offset: number, value: number): void
  /** Lets virtual time pass. */
  wait(microseconds: number): void
}

export const driverSequence = (driver: DriverName): DriverSequence =>
  JSON.parse(readFileSync(new URL(`../data/driver-sequences/${driver}.json`, import.meta.url), 'utf8'))

/** Where EEPROM and mailbox are. */
const EERD = { igb: 0x14, ixgbe: 0x1_0014 } as const
const MAILBOX = { igbvf: [0xc40, 0x800], ixgbevf: [0x2fc, 0x200] } as const
const NVM_SUM = 0xbaba

export class DriverRun {
  readonly #driver: DriverName
  readonly #bench: DriverBench

  constructor(driver: DriverName, bench: DriverBench) {
    this.#driver = driver
    this.#bench = bench
  }

  follow(steps: readonly Fact[]): void {
    for (const [does, kind, ...rest] of steps) {
      const [first = 0, second = 0, third = 0, fourth = 0] = rest.map(Number)
      switch (kind) {
        case 'write':
          this.#bench.write(first, second)
          break
        case 'set':
          this.#bench.write(first, this.#bench.read(first) | second)
          break
        case 'clear':
          this.#bench.write(first, this.#bench.read(first) & ~second)
          break
        case 'wait':
          this.#bench.wait(first)
          break
        case 'read':
          same(does, this.#bench.read(first), second, third)
          break
        case 'poll':
          same(does, this.#poll(first, second, third, fourth), second, third)
          break
        case 'nvm':
          same(does, this.#nvm(first), second, third)
          break
        case 'nvmSum':
          same(does, this.#nvmSum(first), 0xffff, NVM_SUM)
          break
        case 'phy':
          same(does, this.#phy(first), second, third)
          break
        case 'module':
          same(does, new TwoWireBus(this.#bench).readByte(first), second, third)
          break
        case 'ask':
          this.#ask(does, rest[0] as readonly string[], rest[1] as readonly string[])
          break
        default:
          throw new Error(`${does}: there is no kind of fact ${kind}`)
      }
    }
  }

  #poll(offset: number, mask: number, expected: number, looks: number): number {
    let value = this.#bench.read(offset)
    for (let look = 1; look < looks && (value & mask) >>> 0 !== expected; look++) {
      this.#bench.wait(1)
      value = this.#bench.read(offset)
    }
    return value
  }

  #nvm(word: number): number {
    const register = EERD[this.#driver as 'igb']
    this.#bench.write(register, (word << 2) | 1)
    return this.#poll(register, 2, 2, 1000) >>> 16
  }

  /** Words 0 to the last, and what the pointers 3 to E lead to, as ixgbe adds it up; igb's pointers lead nowhere. */
  #nvmSum(last: number): number {
    let sum = 0
    for (let word = 0; word <= last; word++) sum += this.#nvm(word)
    if (this.#driver !== 'ixgbe') return sum
    for (let word = 3; word < 0xf; word++) {
      const pointer = this.#nvm(word)
      const length = pointer === 0 || pointer === 0xffff ? 0 : this.#nvm(pointer)
      if (length !== 0xffff) for (let i = 1; i <= length; i++) sum += this.#nvm(pointer + i)
    }
    return sum
  }

  #phy(register: number): number {
    this.#bench.write(0x20, 0x0820_0000 | (register << 16))
    return this.#poll(0x20, 0x5000_0000, 0x1000_0000, 64)
  }

  #ask(does: string, message: readonly string[], answer: readonly string[]): void {
    const [register, memory] = MAILBOX[this.#driver as 'igbvf']
    const bench = this.#bench
    bench.write(register, 4)
    expect([does, bench.read(register) & 4]).toEqual([does, 4])
    for (const [i, word] of message.entries()) bench.write(memory + 4 * i, Number(word))
    bench.write(register, 1)
    bench.wait(1000)
    expect([does, 'answered', bench.read(register) & 0x10]).toEqual([does, 'answered', 0x10])
    const words = answer.map((_, i) => bench.read(memory + 4 * i) >>> 0)
    expect([does, words]).toEqual([does, answer.map(Number)])
    bench.write(register, 2)
  }
}

function same(does: string, value: number, mask: number, expected: number): void {
  const text = (number: number): string => `0x${(number >>> 0).toString(16)}`
  expect([does, text(value & mask)]).toEqual([does, text(expected)])
}

/** A master of the two-wire bus, bit by bit as ixgbe is: clock and data out at bits 1 and 3 of I2CCTL, in at 0 and 2. */
export class TwoWireBus {
  readonly #bench: DriverBench

  constructor(bench: DriverBench) {
    this.#bench = bench
  }

  /** One byte of the module at A0h; throws if it does not acknowledge. */
  readByte(at: number): number {
    this.start()
    if (!this.write(0xa0) || !this.write(at)) throw new Error('the module is silent')
    this.start()
    if (!this.write(0xa1)) throw new Error('the module is silent')
    const value = this.read(false)
    this.stop()
    return value
  }

  start(): void {
    this.#data(true)
    this.#clock(true)
    this.#data(false)
    this.#clock(false)
  }

  stop(): void {
    this.#data(false)
    this.#clock(true)
    this.#data(true)
  }

  /** Whether the byte was acknowledged. */
  write(value: number): boolean {
    for (let bit = 7; bit >= 0; bit--) {
      this.#data(((value >> bit) & 1) !== 0)
      this.#clock(true)
      this.#clock(false)
    }
    this.#data(true)
    this.#clock(true)
    const acknowledged = (this.#bench.read(0x28) & 4) === 0
    this.#clock(false)
    return acknowledged
  }

  read(more: boolean): number {
    let value = 0
    this.#data(true)
    for (let bit = 0; bit < 8; bit++) {
      this.#clock(true)
      value = (value << 1) | ((this.#bench.read(0x28) >> 2) & 1)
      this.#clock(false)
    }
    this.#data(!more)
    this.#clock(true)
    this.#clock(false)
    return value
  }

  #clock(high: boolean): void {
    const lines = this.#bench.read(0x28)
    this.#bench.write(0x28, high ? lines | 2 : lines & ~2)
    expect(this.#bench.read(0x28) & 1).toBe(Number(high))
  }

  #data(high: boolean): void {
    const lines = this.#bench.read(0x28)
    this.#bench.write(0x28, high ? lines | 8 : lines & ~8)
  }
}
