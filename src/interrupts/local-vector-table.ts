/**
 * "Local Vector Table": how a local APIC delivers interrupts of its own sources. Works on the register words of its
 * local APIC.
 */
import { LOCAL_APIC, LVT } from './formats/local-apic.ts'
import { DELIVERY_MODE } from './formats/message.ts'
import { at } from './local-apic-registers.ts'

/** The sources by name: their LVT entries. */
export const LOCAL_SOURCES = {
  cmci: at(LOCAL_APIC.CMCI),
  timer: at(LOCAL_APIC.LVT_TIMER),
  thermal: at(LOCAL_APIC.LVT_THERMAL),
  performance: at(LOCAL_APIC.LVT_PERFORMANCE),
  lint0: at(LOCAL_APIC.LVT_LINT0),
  lint1: at(LOCAL_APIC.LVT_LINT1),
  error: at(LOCAL_APIC.LVT_ERROR),
} as const
export type LocalSource = keyof typeof LOCAL_SOURCES

/** Words of all entries. */
export const LVT_ENTRIES: readonly number[] = Object.values(LOCAL_SOURCES)

const LINTS = [LOCAL_SOURCES.lint0, LOCAL_SOURCES.lint1] as const
/** Timer and error have no delivery mode: they are fixed. */
const ALWAYS_FIXED: readonly number[] = [LOCAL_SOURCES.timer, LOCAL_SOURCES.error]

/** What a local APIC does with an interrupt of its own. */
export interface LocalDelivery {
  request(vector: number, levelTriggered: boolean): boolean
  /** `vector` matters to ExtINT only: what INTA yields, there being no external controller. */
  signal(deliveryMode: number, vector: number): void
}

export class LocalVectorTable {
  readonly #words: Uint32Array
  readonly #delivery: LocalDelivery
  /** Electrical level of LINT0 and LINT1, 1 is high. */
  readonly #pins = new Uint8Array(2)

  constructor(words: Uint32Array, delivery: LocalDelivery) {
    this.#words = words
    this.#delivery = delivery
  }

  /** An interrupt of a source that is no pin. */
  raise(entry: number): void {
    const value = this.#words[entry]!
    if ((value & LVT.masked) !== 0) return
    // "When the processor handles a performance-monitoring interrupt, it sets the mask flag."
    if (entry === LOCAL_SOURCES.performance) this.#words[entry]! |= LVT.masked
    const mode = ALWAYS_FIXED.includes(entry) ? DELIVERY_MODE.fixed : (value >>> 8) & 7
    this.#deliver(value & 0xff, mode, false)
  }

  #deliver(vector: number, mode: number, levelTriggered: boolean): boolean {
    if (mode === DELIVERY_MODE.fixed) return this.#delivery.request(vector, levelTriggered)
    this.#delivery.signal(mode, vector)
    return true
  }

  /** Drives LINT0 or LINT1; `high` is the electrical level. */
  drive(pin: 0 | 1, high: boolean): void {
    const before = this.#asserted(pin)
    this.#pins[pin] = high ? 1 : 0
    if (this.#levelTriggered(pin)) this.#serviceLevel(pin)
    else if (!before && this.#asserted(pin)) this.raise(LINTS[pin])
  }

  #asserted(pin: 0 | 1): boolean {
    return (this.#pins[pin] === 1) !== ((this.#words[LINTS[pin]]! & LVT.activeLow) !== 0)
  }

  /** Only fixed interrupts look at the trigger mode; LINT1 is always edge-triggered. */
  #levelTriggered(pin: 0 | 1): boolean {
    const value = this.#words[LINTS[pin]]!
    const mode = (value >>> 8) & 7
    // ExtINT is a level by nature, but ends at the external controller: it is signalled once for each assertion.
    return pin === 0 && mode === DELIVERY_MODE.fixed && (value & LVT.level) !== 0
  }

  #serviceLevel(pin: 0 | 1): void {
    const entry = LINTS[pin]
    const value = this.#words[entry]!
    if ((value & (LVT.masked | LVT.remoteIrr)) !== 0 || !this.#asserted(pin)) return
    if (this.#deliver(value & 0xff, DELIVERY_MODE.fixed, true)) this.#words[entry]! |= LVT.remoteIrr
  }

  /** A level-triggered vector was completed: a pin that is still asserted interrupts again. */
  endOfInterrupt(vector: number): void {
    const entry = LINTS[0]
    const value = this.#words[entry]!
    if ((value & LVT.remoteIrr) === 0 || (value & 0xff) !== vector) return
    this.#words[entry]! &= ~LVT.remoteIrr
    this.#serviceLevel(0)
  }

  /** After an entry was written. */
  written(entry: number): void {
    if (entry !== LINTS[0]) return
    if (this.#levelTriggered(0)) this.#serviceLevel(0)
    else this.#words[entry]! &= ~LVT.remoteIrr
  }

  save(): readonly number[] {
    return [...this.#pins]
  }

  load(pins: readonly number[]): void {
    this.#pins.set(pins)
  }
}
