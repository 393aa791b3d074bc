/**
 * "Register-based Invalidation Interface": CCMD, and IVA with IOTLB. Write-only fields are kept here until the write of
 * the upper half, whose top bit starts the command.
 */
import { get, type RegisterFile, type Saved, set } from '../core/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { CCMD, GRANULARITY, GSTS, TRANSLATION_TABLE_MODE } from './formats/registers.ts'
import type { Invalidation } from './invalidation.ts'
import type { RegisterBlock } from './register-block.ts'

/** From this major version on there is no register-based invalidation. */
const FIRST_MAJOR_WITHOUT = 6

export class RegisterInvalidation {
  readonly #file: RegisterFile
  readonly #block: RegisterBlock
  readonly #capabilities: UnitCapabilities
  readonly #invalidation: Invalidation
  readonly #mode: () => number
  /** As last written: CCMD, then IVA. */
  readonly #command = new Uint32Array(2)
  readonly #address = new Uint32Array(2)

  constructor(
    block: RegisterBlock,
    capabilities: UnitCapabilities,
    invalidation: Invalidation,
    mode: () => number,
  ) {
    this.#file = block.file
    this.#block = block
    this.#capabilities = capabilities
    this.#invalidation = invalidation
    this.#mode = mode
  }

  reset(): void {
    this.#command.fill(0)
    this.#address.fill(0)
  }

  /** After a write to a half of CCMD. */
  commandWritten(half: number, value: number, lanes: number): void {
    store(this.#command, half, value, lanes)
    const { words } = this.#file
    if (half === 0 || get(CCMD.f.ICC, words, CCMD.at) === 0) return
    const granularity = get(CCMD.f.CIRG, words, CCMD.at)
    const done = this.#refused()
      ? GRANULARITY.none
      : this.#invalidation.contextCache(
          granularity,
          get(CCMD.f.DID, words, CCMD.at),
          get(CCMD.f.SID, this.#command),
          get(CCMD.f.FM, this.#command),
        )
    set(CCMD.f.CAIG, words, done, CCMD.at)
    set(CCMD.f.ICC, words, 0, CCMD.at)
  }

  addressWritten(half: number, value: number, lanes: number): void {
    store(this.#address, half, value, lanes)
  }

  /** After a write to the upper half of IOTLB. */
  iotlbWritten(): void {
    const { words } = this.#file
    const { IOTLB, IVA } = this.#block
    const { at, f } = IOTLB
    if (get(f.IVT, words, at) === 0) return
    const done = this.#refused()
      ? GRANULARITY.none
      : this.#invalidation.iotlb(
          get(f.IIRG, words, at),
          get(f.DID, words, at),
          get(IVA.f.ADDR, this.#address),
          get(IVA.f.AM, this.#address),
        )
    set(f.IAIG, words, done, at)
    set(f.IVT, words, 0, at)
  }

  /** Conditions under which a command is ignored and granularity 00 reported. */
  #refused(): boolean {
    return (
      this.#capabilities.MAJOR >= FIRST_MAJOR_WITHOUT ||
      this.#mode() !== TRANSLATION_TABLE_MODE.legacy ||
      (this.#file.words[GSTS.at]! & GSTS.f.QIES.mask) !== 0
    )
  }

  save(): Saved {
    return { command: this.#command.slice(), address: this.#address.slice() }
  }

  load(saved: Saved): void {
    const { command, address } = saved as { command: Uint32Array; address: Uint32Array }
    this.#command.set(command)
    this.#address.set(address)
  }
}

function store(words: Uint32Array, half: number, value: number, lanes: number): void {
  words[half] = (words[half]! & ~lanes) | (value & lanes)
}
