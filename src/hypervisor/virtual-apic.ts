/**
 * The virtual local APIC of one virtual processor, in software: "Advanced Programmable Interrupt Controller (APIC)" in
 * xAPIC and x2APIC mode. Timer and local interrupt pins are registers without effect: nothing raises them.
 */
import type { Saved } from '../core/index.ts'
import {
  APIC_BASE,
  ESR as ESR_BITS,
  LOCAL_APIC,
  LVT_MASKED,
  SVR as SVR_BITS,
} from '../interrupts/formats/local-apic.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'

/** An interrupt command of the guest, decoded. */
export interface InterruptCommand {
  readonly vector: number
  readonly deliveryMode: number
  readonly logical: boolean
  /** 0 none, 1 self, 2 all including self, 3 all excluding self. */
  readonly shorthand: number
  readonly destination: number
}

const {
  ID,
  VERSION,
  TPR,
  PPR,
  EOI,
  LDR,
  DFR,
  SVR,
  ISR,
  TMR,
  IRR,
  ESR,
  CMCI,
  ICR_LOW,
  ICR_HIGH,
  LVT_TIMER,
  LVT_ERROR,
  TIMER_INITIAL,
  TIMER_CURRENT,
  TIMER_DIVIDE,
  SELF_IPI,
} = LOCAL_APIC

/** Version 14H, seven LVT entries. */
const VERSION_VALUE = 0x0006_0014
const BROADCAST_8 = 0xff
const BROADCAST_32 = 0xffff_ffff

/** The word of the register at an offset: registers are 16 bytes apart. */
const at = (offset: number): number => offset >>> 4

export class VirtualApic {
  readonly id: number
  /** One word per register; the whole state, with IA32_APIC_BASE. */
  readonly #words = new Uint32Array(64)
  readonly #send: (command: InterruptCommand) => void
  #base: number

  constructor(id: number, send: (command: InterruptCommand) => void) {
    this.id = id
    this.#send = send
    this.#base = APIC_BASE.EN | (id === 0 ? APIC_BASE.BSP : 0)
    const words = this.#words
    words[at(ID)] = (id << 24) >>> 0
    words[at(VERSION)] = VERSION_VALUE
    words[at(SVR)] = 0xff
    words[at(DFR)] = 0xffff_ffff
    words[at(CMCI)] = LVT_MASKED
    for (let offset: number = LVT_TIMER; offset <= LVT_ERROR; offset += 0x10) words[at(offset)] = LVT_MASKED
  }

  get x2apic(): boolean {
    return (this.#base & APIC_BASE.EXTD) !== 0
  }

  /** Attribute bits of IA32_APIC_BASE; the address is fixed. */
  get base(): number {
    return this.#base
  }

  /** "x2APIC State Transitions": false (a general protection fault) for a transition that is not allowed. */
  writeBase(value: number): boolean {
    const next = value & (APIC_BASE.EN | APIC_BASE.EXTD)
    const now = this.#base & (APIC_BASE.EN | APIC_BASE.EXTD)
    if (next === APIC_BASE.EXTD) return false
    if (now === (APIC_BASE.EN | APIC_BASE.EXTD) && next === APIC_BASE.EN) return false
    if (now === 0 && next === (APIC_BASE.EN | APIC_BASE.EXTD)) return false
    this.#base = (this.#base & APIC_BASE.BSP) | next
    if (this.x2apic) {
      this.#words[at(ID)] = this.id
      this.#words[at(LDR)] = (((this.id >>> 4) << 16) | (1 << (this.id & 15))) >>> 0
    }
    return true
  }

  /** Whether a message is addressed to this APIC: "Determining IPI Destination". */
  matches(destination: number, logical: boolean): boolean {
    const words = this.#words
    if (destination === (this.x2apic ? BROADCAST_32 : BROADCAST_8)) return true
    if (!logical) return destination === this.id || destination === BROADCAST_8
    const ldr = words[at(LDR)]!
    if (this.x2apic) return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0
    if (words[at(DFR)]! >>> 28 === 0xf) return (destination & (ldr >>> 24)) !== 0
    const cluster = destination >>> 4
    return (cluster === 0xf || cluster === ldr >>> 28) && (destination & (ldr >>> 24) & 0xf) !== 0
  }

  /** Takes an edge-triggered interrupt into IRR. False if the APIC is disabled or the vector is illegal. */
  accept(vector: number): boolean {
    if ((this.#base & APIC_BASE.EN) === 0 || (this.#words[at(SVR)]! & SVR_BITS.enable) === 0) return false
    if (vector < 16) {
      this.#words[at(ESR)]! |= ESR_BITS.receiveIllegalVector
      return false
    }
    this.#words[at(IRR) + (vector >>> 5)]! |= 1 << (vector & 31)
    return true
  }

  /** "Processor Priority Register": the higher class of TPR and the highest vector in service. */
  get processorPriority(): number {
    const taskPriority = this.taskPriority
    const inService = Math.max(this.#highest(ISR), 0)
    return taskPriority >>> 4 >= inService >>> 4 ? taskPriority : inService & 0xf0
  }

  get taskPriority(): number {
    return this.#words[at(TPR)]!
  }

  /** The vector that the processor may take now as far as priorities go; -1 if none. */
  get deliverable(): number {
    const requested = this.#highest(IRR)
    return requested >= 0 && requested >>> 4 > this.processorPriority >>> 4 ? requested : -1
  }

  /** The processor takes a deliverable vector: from IRR to ISR. */
  acknowledge(vector: number): void {
    const bit = 1 << (vector & 31)
    this.#words[at(IRR) + (vector >>> 5)]! &= ~bit
    this.#words[at(ISR) + (vector >>> 5)]! |= bit
  }

  /** Vectors set in IRR, ascending. */
  get pending(): number[] {
    return this.#vectors(IRR)
  }

  get inService(): number[] {
    return this.#vectors(ISR)
  }

  /** Reads a register by its xAPIC offset; undefined if it cannot be read in the present mode. */
  read(offset: number): number | undefined {
    if (offset === PPR) return this.processorPriority
    if (isReadable(offset) && !(this.x2apic && X2APIC_ABSENT.has(offset))) return this.#words[at(offset)]!
    return undefined
  }

  /** Bits 63:32 of the x2APIC's ICR. */
  get interruptCommandHigh(): number {
    return this.#words[at(ICR_HIGH)]!
  }

  /**
   * Writes a register by its xAPIC offset. `high` is the upper half, which only the x2APIC's ICR has. False if the
   * register cannot be written so in the present mode.
   */
  write(offset: number, value: number, high = 0): boolean {
    const words = this.#words
    switch (offset) {
      case EOI:
        if (this.x2apic && value !== 0) return false
        this.#endOfInterrupt()
        return true
      case SELF_IPI:
        if (!this.x2apic || value > 0xff) return false
        this.accept(value)
        return true
      case ICR_LOW:
        words[at(ICR_LOW)] = value & 0x000c_cfff
        if (this.x2apic) words[at(ICR_HIGH)] = high
        this.#command()
        return true
      case TPR:
        if (value > 0xff) return false
        words[at(TPR)] = value
        return true
      case ESR:
        if (this.x2apic && value !== 0) return false
        words[at(ESR)] = 0
        return true
      default: {
        const mask = WRITABLE.get(offset)
        if (mask === undefined || (this.x2apic && (X2APIC_ABSENT.has(offset) || offset === LDR))) return false
        words[at(offset)] = value & mask
        return true
      }
    }
  }

  #endOfInterrupt(): void {
    const vector = this.#highest(ISR)
    if (vector >= 0) this.#words[at(ISR) + (vector >>> 5)]! &= ~(1 << (vector & 31))
  }

  #command(): void {
    const low = this.#words[at(ICR_LOW)]!
    const high = this.#words[at(ICR_HIGH)]!
    this.#send({
      vector: low & 0xff,
      deliveryMode: (low >>> 8) & 7,
      logical: (low & 0x800) !== 0,
      shorthand: (low >>> 18) & 3,
      destination: this.x2apic ? high : high >>> 24,
    })
  }

  #highest(bank: number): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.#words[at(bank) + word]!
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits)
    }
    return -1
  }

  #vectors(bank: number): number[] {
    const found: number[] = []
    for (let vector = 0; vector < 256; vector++) {
      if ((this.#words[at(bank) + (vector >>> 5)]! >>> (vector & 31)) & 1) found.push(vector)
    }
    return found
  }

  save(): Saved {
    return { version: 1, base: this.#base, words: this.#words.slice() }
  }
}

/** Whether a message of this mode enters IRR by its vector. */
export const isVectored = (deliveryMode: number): boolean =>
  deliveryMode === DELIVERY_MODE.fixed || deliveryMode === DELIVERY_MODE.lowestPriority

/** "x2APIC Register Address Space": xAPIC registers that have no MSR. */
const X2APIC_ABSENT: ReadonlySet<number> = new Set([DFR, ICR_HIGH])

/** Plain registers and the bits that software may set. */
const WRITABLE: ReadonlyMap<number, number> = new Map([
  [LDR, 0xff00_0000],
  [DFR, 0xf000_0000],
  [SVR, 0x1ff],
  [CMCI, 0x1_07ff],
  [ICR_HIGH, 0xff00_0000],
  [LVT_TIMER, 0x7_00ff],
  [LVT_TIMER + 0x10, 0x1_07ff],
  [LVT_TIMER + 0x20, 0x1_07ff],
  [LVT_TIMER + 0x30, 0x1_a7ff],
  [LVT_TIMER + 0x40, 0x1_a7ff],
  [LVT_ERROR, 0x1_00ff],
  [TIMER_INITIAL, 0xffff_ffff],
  [TIMER_DIVIDE, 0xb],
])

const isReadable = (offset: number): boolean =>
  offset === ID ||
  offset === VERSION ||
  offset === TPR ||
  offset === ESR ||
  offset === ICR_LOW ||
  offset === TIMER_CURRENT ||
  (offset >= ISR && offset < ISR + 0x80) ||
  (offset >= TMR && offset < TMR + 0x80) ||
  (offset >= IRR && offset < IRR + 0x80) ||
  WRITABLE.has(offset)
