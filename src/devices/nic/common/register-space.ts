/**
 * The words behind a register file: where each dword of the window is kept, who it is, and the one rule for reading and
 * writing that all registers share.
 */
import type { NicRegister, NicRegisterFile } from '../../formats/nic/register.ts'

const ACCESS = { RO: 0, RW: 1, WO: 2, RC: 3, RW1C: 4 } as const

/** What a register file means, dword by dword: shared by all chips of a kind. */
export class RegisterMap {
  readonly size: number
  /** Number of the register's declaration at each dword, 0 where none was declared, and which of an array it is. */
  readonly id: Uint16Array
  readonly index: Uint16Array
  /** Dword where it is kept: of an alias, the one of the register. */
  readonly home: Uint32Array
  readonly access: Uint8Array
  readonly writable: Uint32Array
  readonly #resets: Uint32Array

  constructor({ size, registers }: NicRegisterFile) {
    const dwords = size >>> 2
    this.size = size
    this.id = new Uint16Array(dwords)
    this.index = new Uint16Array(dwords)
    // What was not declared is kept nowhere else: it reads 0.
    this.home = Uint32Array.from({ length: dwords }, (_, at) => at)
    this.access = new Uint8Array(dwords)
    this.writable = new Uint32Array(dwords)
    this.#resets = new Uint32Array(dwords)
    for (const register of registers) this.#place(register)
  }

  #place(register: NicRegister): void {
    const { offset, count, stride, alias } = register
    for (let i = 0; i < count; i++) {
      const home = (offset + i * stride) >>> 2
      this.#fill(home, home, register, i)
      if (alias !== undefined && i < alias.count) {
        this.#fill((alias.offset + i * alias.stride) >>> 2, home, register, i)
      }
    }
  }

  #fill(at: number, home: number, { id, access, writable, reset }: NicRegister, index: number): void {
    this.id[at] = id
    this.index[at] = index
    this.home[at] = home
    this.access[at] = ACCESS[access]
    this.writable[at] = access === 'RW' || access === 'RW1C' ? writable : 0
    this.#resets[home] = reset
  }

  /** Gives all words the values that they have after a reset. */
  reset(words: Uint32Array): void {
    words.set(this.#resets)
  }

  /** The value of one dword after a reset. */
  resetOf(at: number): number {
    return this.#resets[at]!
  }
}

export class RegisterSpace {
  readonly map: RegisterMap
  readonly words: Uint32Array

  constructor(map: RegisterMap) {
    this.map = map
    this.words = new Uint32Array(map.size >>> 2)
    map.reset(this.words)
  }

  /** Reads a register by its place, with what reading does to it. */
  read(at: number): number {
    const { words, map } = this
    const access = map.access[at]
    if (access === ACCESS.WO) return 0
    const home = map.home[at]!
    const value = words[home]!
    if (access === ACCESS.RC) words[home] = 0
    return value
  }

  /** Writes the bits of a register that `lanes` carries and software may write. */
  write(at: number, value: number, lanes: number): void {
    const { words, map } = this
    const home = map.home[at]!
    const writable = map.writable[at]! & lanes
    if (map.access[at] === ACCESS.RW1C) words[home] = words[home]! & ~(value & writable)
    else words[home] = (words[home]! & ~writable) | (value & writable)
  }

  /** Adds to a statistic, which sticks at its highest value. */
  count(at: number, amount = 1): void {
    const sum = this.words[at]! + amount
    this.words[at] = sum > 0xffff_ffff ? 0xffff_ffff : sum
  }

  /** Adds to a statistic of two dwords, low first. */
  countWide(at: number, amount: number): void {
    const { words } = this
    const sum = words[at]! + amount
    words[at] = sum
    if (sum > 0xffff_ffff) words[at + 1]!++
  }
}
