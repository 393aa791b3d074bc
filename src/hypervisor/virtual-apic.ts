/**
 * The virtual local APIC of one virtual processor, in software: "Advanced Programmable Interrupt Controller (APIC)" in
 * xAPIC and x2APIC mode. Timer and local interrupt pins are registers without effect: nothing raises them.
 */
import { hex, opened } from '../core/index.ts'
import {
  APIC_BASE,
  ESR as ESR_BITS,
  LOCAL_APIC,
  LVT_MASKED,
  SVR as SVR_BITS,
} from '../interrupts/formats/local-apic.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import { type ApicRegisters, OwnRegisters } from './apic-registers.ts'
import type { PostedDescriptor } from './posted-descriptor.ts'
import type { VirtualApicView } from './types.ts'

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

/** LVT entries by the names of their sources. */
const LOCAL_VECTORS = {
  cmci: CMCI,
  timer: LVT_TIMER,
  thermal: LVT_TIMER + 0x10,
  performance: LVT_TIMER + 0x20,
  lint0: LVT_TIMER + 0x30,
  lint1: LVT_TIMER + 0x40,
  error: LVT_ERROR,
} as const

/** Version 14H, seven LVT entries. */
const VERSION_VALUE = 0x0006_0014
const BROADCAST_8 = 0xff
const BROADCAST_32 = 0xffff_ffff

/** Where a virtual local APIC that processors virtualize keeps its registers, and what is posted to it. */
export interface ApicPlace {
  readonly registers: ApicRegisters
  /** Undefined: requests go straight into IRR. */
  readonly descriptor: PostedDescriptor | undefined
}

/** The index of the register at an offset: registers are 16 bytes apart. */
const at = (offset: number): number => offset >>> 4

export type SavedVirtualApic = {
  readonly version: 1
  readonly base: number
  readonly words: Uint32Array
}

export class VirtualApic {
  readonly id: number
  /** The whole state, with IA32_APIC_BASE. */
  readonly #registers: ApicRegisters
  readonly #descriptor: PostedDescriptor | undefined
  readonly #send: (command: InterruptCommand) => void
  #base: number

  /** @param saved what it was; a page of registers holds that already. */
  constructor(
    id: number,
    send: (command: InterruptCommand) => void,
    place?: ApicPlace,
    saved?: SavedVirtualApic,
  ) {
    this.id = id
    this.#send = send
    this.#registers = place?.registers ?? new OwnRegisters()
    this.#descriptor = place?.descriptor
    if (saved !== undefined) {
      opened(saved, 'a virtual APIC', 1)
      this.#base = saved.base
      if (place === undefined)
        for (const [index, word] of saved.words.entries()) this.#registers.write(index, word)
      return
    }
    this.#base = APIC_BASE.EN | (id === 0 ? APIC_BASE.BSP : 0)
    this.#set(ID, (id << 24) >>> 0)
    this.#set(VERSION, VERSION_VALUE)
    this.#set(SVR, 0xff)
    this.#set(DFR, 0xffff_ffff)
    this.#set(CMCI, LVT_MASKED)
    for (let offset: number = LVT_TIMER; offset <= LVT_ERROR; offset += 0x10) this.#set(offset, LVT_MASKED)
  }

  #get(offset: number): number {
    return this.#registers.read(at(offset))
  }

  #set(offset: number, value: number): void {
    this.#registers.write(at(offset), value)
  }

  #setVector(bank: number, vector: number, present: boolean): void {
    const offset = bank + (vector >>> 5) * 0x10
    const bit = 1 << (vector & 31)
    this.#set(offset, (present ? this.#get(offset) | bit : this.#get(offset) & ~bit) >>> 0)
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
      this.#set(ID, this.id)
      this.#set(LDR, (((this.id >>> 4) << 16) | (1 << (this.id & 15))) >>> 0)
    }
    return true
  }

  /** Whether a message is addressed to this APIC: "Determining IPI Destination". */
  matches(destination: number, logical: boolean): boolean {
    if (destination === (this.x2apic ? BROADCAST_32 : BROADCAST_8)) return true
    if (!logical) return destination === this.id || destination === BROADCAST_8
    const ldr = this.#get(LDR)
    if (this.x2apic) return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0
    if (this.#get(DFR) >>> 28 === 0xf) return (destination & (ldr >>> 24)) !== 0
    const cluster = destination >>> 4
    return (cluster === 0xf || cluster === ldr >>> 28) && (destination & (ldr >>> 24) & 0xf) !== 0
  }

  /** Takes an edge-triggered interrupt into IRR. False if the APIC is disabled or the vector is illegal. */
  accept(vector: number): boolean {
    if ((this.#base & APIC_BASE.EN) === 0 || (this.#get(SVR) & SVR_BITS.enable) === 0) return false
    if (vector < 16) {
      this.#set(ESR, this.#get(ESR) | ESR_BITS.receiveIllegalVector)
      return false
    }
    if (this.#descriptor === undefined) this.#setVector(IRR, vector, true)
    else this.#descriptor.post(vector)
    return true
  }

  /** Takes into IRR what was posted to the descriptor, by whomever. */
  collectPosted(): void {
    this.#descriptor?.take((word, bits) => {
      const offset = IRR + word * 0x10
      this.#set(offset, (this.#get(offset) | bits) >>> 0)
    })
  }

  /** The guest interrupt status that a VM entry needs: RVI in bits 7:0, SVI in bits 15:8. */
  get interruptStatus(): number {
    return Math.max(this.#highest(IRR), 0) | (Math.max(this.#highest(ISR), 0) << 8)
  }

  /** "Processor Priority Register": the higher class of TPR and the highest vector in service. */
  get processorPriority(): number {
    const taskPriority = this.taskPriority
    const inService = Math.max(this.#highest(ISR), 0)
    return taskPriority >>> 4 >= inService >>> 4 ? taskPriority : inService & 0xf0
  }

  get taskPriority(): number {
    return this.#get(TPR)
  }

  /** The vector that the processor may take now as far as priorities go; -1 if none. */
  get deliverable(): number {
    const requested = this.#highest(IRR)
    return requested >= 0 && requested >>> 4 > this.processorPriority >>> 4 ? requested : -1
  }

  /** The processor takes a deliverable vector: from IRR to ISR. */
  acknowledge(vector: number): void {
    this.#setVector(IRR, vector, false)
    this.#setVector(ISR, vector, true)
  }

  /** Vectors requested, ascending: set in IRR, or posted and not taken yet. */
  get pending(): number[] {
    return vectorsIn(word => this.#get(IRR + word * 0x10) | (this.#descriptor?.requests(word) ?? 0))
  }

  get inService(): number[] {
    return vectorsIn(word => this.#get(ISR + word * 0x10))
  }

  /** Reads a register by its xAPIC offset; undefined if it cannot be read in the present mode. */
  read(offset: number): number | undefined {
    if (offset === PPR) return this.processorPriority
    if (isReadable(offset) && !(this.x2apic && X2APIC_ABSENT.has(offset))) return this.#get(offset)
    return undefined
  }

  /** Bits 63:32 of the x2APIC's ICR. */
  get interruptCommandHigh(): number {
    return this.#get(ICR_HIGH)
  }

  /**
   * Writes a register by its xAPIC offset. `high` is the upper half, which only the x2APIC's ICR has. False if the
   * register cannot be written so in the present mode.
   */
  write(offset: number, value: number, high = 0): boolean {
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
        this.#set(ICR_LOW, value & 0x000c_cfff)
        if (this.x2apic) this.#set(ICR_HIGH, high)
        this.#command()
        return true
      case TPR:
        if (value > 0xff) return false
        this.#set(TPR, value)
        return true
      case ESR:
        if (this.x2apic && value !== 0) return false
        this.#set(ESR, 0)
        return true
      default: {
        const mask = WRITABLE.get(offset)
        if (mask === undefined || (this.x2apic && (X2APIC_ABSENT.has(offset) || offset === LDR))) return false
        this.#set(offset, (value & mask) >>> 0)
        return true
      }
    }
  }

  /** What a write of a register does beyond storing it, where the processor has stored it already. */
  written(offset: number): void {
    this.write(offset, this.#get(offset), this.interruptCommandHigh)
  }

  #endOfInterrupt(): void {
    const vector = this.#highest(ISR)
    if (vector >= 0) this.#setVector(ISR, vector, false)
  }

  #command(): void {
    const low = this.#get(ICR_LOW)
    const high = this.#get(ICR_HIGH)
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
      const bits = this.#get(bank + word * 0x10)
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits)
    }
    return -1
  }

  view(): VirtualApicView {
    const enabled = (this.#base & APIC_BASE.EN) !== 0
    const entry = (offset: number): { entry: string; masked: boolean } => ({
      entry: hex(this.#get(offset)),
      masked: (this.#get(offset) & LVT_MASKED) !== 0,
    })
    return {
      apicId: this.id,
      mode: !enabled ? 'disabled' : this.x2apic ? 'x2APIC' : 'xAPIC',
      enabled: enabled && (this.#get(SVR) & SVR_BITS.enable) !== 0,
      taskPriority: this.taskPriority,
      processorPriority: this.processorPriority,
      requested: vectorsIn(word => this.#get(IRR + word * 0x10)),
      posted: vectorsIn(word => this.#descriptor?.requests(word) ?? 0),
      inService: this.inService,
      logicalId: hex(this.#get(LDR)),
      spuriousVector: this.#get(SVR) & 0xff,
      errorStatus: hex(this.#get(ESR)),
      localVectors: Object.fromEntries(
        Object.entries(LOCAL_VECTORS).map(([name, offset]) => [name, entry(offset)]),
      ),
    }
  }

  save(): SavedVirtualApic {
    const words = Uint32Array.from({ length: 64 }, (_, index) => this.#registers.read(index))
    return { version: 1, base: this.#base, words }
  }

  /** As {@link save}, with what was posted among the requests: the descriptor stays behind. */
  image(): SavedVirtualApic {
    const saved = this.save()
    for (let word = 0; word < 8; word++) saved.words[at(IRR) + word]! |= this.#descriptor?.requests(word) ?? 0
    return saved
  }

  /** Takes the place of one elsewhere, which {@link image} told of. */
  adopt(from: SavedVirtualApic): void {
    const { base, words } = opened<SavedVirtualApic>(from, 'a virtual APIC', 1)
    this.#base = base
    for (const [index, word] of words.entries()) this.#registers.write(index, word)
  }
}

function vectorsIn(word: (index: number) => number): number[] {
  const found: number[] = []
  for (let vector = 0; vector < 256; vector++) {
    if ((word(vector >>> 5) >>> (vector & 31)) & 1) found.push(vector)
  }
  return found
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
