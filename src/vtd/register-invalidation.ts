/**
 * "Register-based Invalidation Interface": CCMD, and IVA with IOTLB. Write-only fields are kept here until the write of
 * the upper half, whose top bit starts the command.
 */
import { get, type RegisterFile, type Saved, set } from '../core/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { CCMD, GRANULARITY, GSTS, TRANSLATION_TABLE_MODE } from './formats/registers.ts'
import type { Invalidation } from './invalidation.ts'
import { type PendingWork, WORK } from './pending-work.ts'
import type { RegisterBlock } from './register-block.ts'

/** From this major version on there is no register-based invalidation. */
const FIRST_MAJOR_WITHOUT = 6

/** What commands act on. */
export interface RegisterInvalidationTargets {
  readonly invalidation: Invalidation
  readonly work: PendingWork
  /** `DmaRemapping.effectiveMode` */
  mode(): number
}

export class RegisterInvalidation {
  readonly #file: RegisterFile
  readonly #block: RegisterBlock
  readonly #capabilities: UnitCapabilities
  readonly #targets: RegisterInvalidationTargets
  readonly #latency: number
  /** As last written: CCMD, then IVA. */
  readonly #command = new Uint32Array(2)
  readonly #address = new Uint32Array(2)

  /** @param latency nanoseconds until ICC or IVT is 0 again. */
  constructor(
    block: RegisterBlock,
    capabilities: UnitCapabilities,
    targets: RegisterInvalidationTargets,
    latency: number,
  ) {
    this.#file = block.file
    this.#block = block
    this.#capabilities = capabilities
    this.#targets = targets
    this.#latency = latency
    targets.work.handle(WORK.contextCommand, () => this.#invalidateContexts())
    targets.work.handle(WORK.iotlbCommand, () => this.#invalidateIotlb())
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
    if (this.#latency === 0) this.#invalidateContexts()
    else if (!this.#targets.work.has(WORK.contextCommand)) {
      this.#targets.work.start(this.#latency, WORK.contextCommand)
    }
  }

  #invalidateContexts(): void {
    const { words } = this.#file
    const done = this.#refused()
      ? GRANULARITY.none
      : this.#targets.invalidation.contextCache(
          get(CCMD.f.CIRG, words, CCMD.at),
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
    const { at, f } = this.#block.IOTLB
    if (get(f.IVT, this.#file.words, at) === 0) return
    if (this.#latency === 0) this.#invalidateIotlb()
    else if (!this.#targets.work.has(WORK.iotlbCommand)) {
      this.#targets.work.start(this.#latency, WORK.iotlbCommand)
    }
  }

  #invalidateIotlb(): void {
    const { words } = this.#file
    const { IOTLB, IVA } = this.#block
    const { at, f } = IOTLB
    const done = this.#refused()
      ? GRANULARITY.none
      : this.#targets.invalidation.iotlb(
          get(f.IIRG, words, at),
          get(f.DID, words, at),
          get(IVA.f.ADDR, this.#address),
          get(IVA.f.AM, this.#address),
          get(IVA.f.IH, this.#address) === 1,
        )
    set(f.IAIG, words, done, at)
    set(f.IVT, words, 0, at)
  }

  /** Conditions under which a command is ignored and granularity 00 reported. */
  #refused(): boolean {
    return (
      this.#capabilities.MAJOR >= FIRST_MAJOR_WITHOUT ||
      this.#targets.mode() !== TRANSLATION_TABLE_MODE.legacy ||
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
