/**
 * "Advanced Programmable Interrupt Controller (APIC)": one processor's local APIC, with its two faces, the xAPIC page
 * and the x2APIC MSRs. The timer and the LVT are registers only: of the local sources nothing but errors occurs here.
 */
import type { Saved } from '../core/index.ts'
import { AcceptedInterrupts } from './accepted-interrupts.ts'
import { isBaseLegal } from './apic-base.ts'
import {
  BROADCAST_8,
  BROADCAST_32,
  isBroadcast,
  matchesCluster,
  matchesLogical,
  x2apicLdr,
} from './destination.ts'
import {
  APIC_BASE,
  ESR,
  ICR,
  ICR_SHORTHAND,
  LOCAL_APIC,
  LVT_MASKED,
  SVR,
  XAPIC_BASE,
} from './formats/local-apic.ts'
import { DELIVERY_MODE } from './formats/message.ts'
import { at, X2APIC_ACCESS, XAPIC_ACCESS } from './local-apic-registers.ts'
import { InterruptMessage } from './message.ts'
import { vectorsOf } from './vector-sets.ts'

/** What a local APIC sends on: interprocessor interrupts and EOI messages. */
export interface InterprocessorBus {
  deliver(message: InterruptMessage): number
  deliverExcept(message: InterruptMessage, excluded: LocalApic | undefined): number
  endOfInterrupt(vector: number): void
}

/** State for display: vectors ascending. */
export interface LocalApicView {
  readonly apicId: number
  readonly mode: 'disabled' | 'xAPIC' | 'x2APIC'
  readonly enabled: boolean
  readonly taskPriority: number
  readonly processorPriority: number
  readonly requested: readonly number[]
  readonly inService: readonly number[]
  readonly levelTriggered: readonly number[]
}

const ID = at(LOCAL_APIC.ID)
const TPR = at(LOCAL_APIC.TPR)
const PPR = at(LOCAL_APIC.PPR)
const EOI = at(LOCAL_APIC.EOI)
const LDR = at(LOCAL_APIC.LDR)
const DFR = at(LOCAL_APIC.DFR)
const SPURIOUS = at(LOCAL_APIC.SVR)
const ISR = at(LOCAL_APIC.ISR)
const TMR = at(LOCAL_APIC.TMR)
const IRR = at(LOCAL_APIC.IRR)
const ERROR_STATUS = at(LOCAL_APIC.ESR)
const COMMAND = at(LOCAL_APIC.ICR_LOW)
const COMMAND_HIGH = at(LOCAL_APIC.ICR_HIGH)
const LVT_ERROR = at(LOCAL_APIC.LVT_ERROR)
const SELF_IPI = at(LOCAL_APIC.SELF_IPI)
const LVT = [at(LOCAL_APIC.CMCI), ...[0, 1, 2, 3, 4, 5].map(i => at(LOCAL_APIC.LVT_TIMER) + i)] as const

/** Version 15H, seven LVT entries, suppression of EOI broadcasts. */
const VERSION_VALUE = 0x0106_0015
const LOWEST_LEGAL_VECTOR = 16

export class LocalApic {
  /** Number of the logical processor that this local APIC serves. */
  readonly processor: number
  readonly apicId: number
  readonly #bus: InterprocessorBus
  /** One word per register, by offset / 16: the same for both faces. */
  readonly #words = new Uint32Array(64)
  readonly #accepted = new AcceptedInterrupts(this.#words)
  /** IA32_APIC_BASE, low and high word. */
  readonly #base = new Uint32Array(2)
  readonly #message = new InterruptMessage()
  /** Errors since the last write of ESR, which makes them readable. */
  #errors = 0
  /** Bit d: an event of delivery mode d (NMI, SMI, INIT, start-up, ExtINT) waits for the processor. */
  #events = 0
  #page = -1

  constructor(processor: number, apicId: number, bus: InterprocessorBus) {
    this.processor = processor
    this.apicId = apicId
    this.#bus = bus
    this.reset()
  }

  reset(): void {
    this.#setBase(XAPIC_BASE | APIC_BASE.EN | (this.processor === 0 ? APIC_BASE.BSP : 0), 0)
    this.#initialize()
  }

  #initialize(): void {
    const words = this.#words.fill(0)
    words[ID] = (this.apicId & 0xff) << 24
    words[at(LOCAL_APIC.VERSION)] = VERSION_VALUE
    words[DFR] = 0xffff_ffff
    words[SPURIOUS] = 0xff
    for (const entry of LVT) words[entry] = LVT_MASKED
    this.#errors = 0
    this.#events = 0
    this.#accepted.evaluate()
  }

  /** Enabled by SVR, and globally by IA32_APIC_BASE: else fixed interrupts are not accepted. */
  get enabled(): boolean {
    return (this.#base[0]! & APIC_BASE.EN) !== 0 && (this.#words[SPURIOUS]! & SVR.enable) !== 0
  }

  get x2apic(): boolean {
    return (this.#base[0]! & APIC_BASE.EXTD) !== 0
  }

  get processorPriority(): number {
    return this.#words[PPR]!
  }

  /** The vector that the processor would be given now, or -1. */
  get deliverable(): number {
    return this.#accepted.deliverable
  }

  /** Whether an event that bypasses IRR waits. */
  hasEvent(deliveryMode: number): boolean {
    return (this.#events & (1 << deliveryMode)) !== 0
  }

  /** Whether any event that bypasses IRR waits. */
  get eventPending(): boolean {
    return this.#events !== 0
  }

  takeEvent(deliveryMode: number): void {
    this.#events &= ~(1 << deliveryMode)
  }

  /** Whether a message names this local APIC. */
  matches(message: InterruptMessage): boolean {
    if ((this.#base[0]! & APIC_BASE.EN) === 0) return false
    if (isBroadcast(message)) return true
    const { destination } = message
    if (!message.logical) return destination === (this.x2apic ? this.apicId : this.apicId & 0xff)
    const ldr = this.#words[LDR]!
    return this.x2apic
      ? matchesCluster(destination, ldr)
      : matchesLogical(destination, ldr, this.#words[DFR]!)
  }

  /** Takes a message meant for this local APIC. False if it is not accepted. */
  accept(message: InterruptMessage): boolean {
    const { deliveryMode, vector } = message
    if (deliveryMode === DELIVERY_MODE.fixed || deliveryMode === DELIVERY_MODE.lowestPriority) {
      return this.#request(vector, message.levelTriggered)
    }
    if ((KNOWN_EVENTS & (1 << deliveryMode)) === 0) return false
    this.#events |= 1 << deliveryMode
    return true
  }

  #request(vector: number, levelTriggered: boolean): boolean {
    if (!this.enabled) return false
    if (vector < LOWEST_LEGAL_VECTOR) {
      this.#error(ESR.receiveIllegalVector)
      return false
    }
    this.#accepted.request(vector, levelTriggered)
    return true
  }

  /** The processor acknowledges: the deliverable vector goes into service. Without one: the spurious vector. */
  acknowledge(): number {
    return this.#accepted.deliverable < 0 ? this.#words[SPURIOUS]! & 0xff : this.#accepted.acknowledge()
  }

  #endOfInterrupt(): void {
    const vector = this.#accepted.complete()
    const broadcast = (this.#words[SPURIOUS]! & SVR.suppressEoiBroadcast) === 0
    if (vector >= 0 && broadcast && this.#accepted.isLevelTriggered(vector)) this.#bus.endOfInterrupt(vector)
  }

  #error(error: number): void {
    const first = (this.#errors & error) === 0
    this.#errors |= error
    const entry = this.#words[LVT_ERROR]!
    if (first && (entry & LVT_MASKED) === 0) this.#request(entry & 0xff, false)
  }

  // The xAPIC page.

  /** Base of the xAPIC page as a page number, or -1 where there is none: disabled, or x2APIC mode. */
  get page(): number {
    return this.#page
  }

  /** An aligned dword of the xAPIC page. */
  readDword(offset: number): number {
    const index = offset >>> 4
    if ((offset & 0xf) !== 0) return 0
    if (offset >= 0x400 || !XAPIC_ACCESS.present(index)) this.#error(ESR.illegalRegister)
    else if (XAPIC_ACCESS.readable(index)) return this.#words[index]!
    return 0
  }

  writeDword(offset: number, value: number, lanes: number): void {
    const index = offset >>> 4
    if ((offset & 0xf) !== 0) return
    if (offset >= 0x400 || !XAPIC_ACCESS.present(index)) this.#error(ESR.illegalRegister)
    else this.#write(index, (value & lanes) >>> 0, XAPIC_ACCESS.writable(index) & lanes)
  }

  // The x2APIC MSRs.

  /** RDMSR of 0x800 + `index`: the low word, or -1 for #GP. */
  readMsr(index: number): number {
    return this.x2apic && index < 64 && X2APIC_ACCESS.readable(index) ? this.#words[index]! : -1
  }

  /** The high word of the same register: only ICR has one. */
  readMsrHigh(index: number): number {
    return index === COMMAND ? this.#words[COMMAND_HIGH]! : 0
  }

  /** WRMSR of 0x800 + `index`; false for #GP. */
  writeMsr(index: number, low: number, high: number): boolean {
    if (!this.x2apic || index >= 64 || !X2APIC_ACCESS.present(index)) return false
    const writable = X2APIC_ACCESS.writable(index)
    const actsOnZero = index === EOI || index === ERROR_STATUS
    if (writable === 0 && !actsOnZero) return false
    if ((low & ~writable) !== 0 || (high !== 0 && index !== COMMAND)) return false
    if (index === COMMAND) this.#words[COMMAND_HIGH] = high
    this.#write(index, low, writable)
    return true
  }

  #write(index: number, value: number, writable: number): void {
    const words = this.#words
    switch (index) {
      case EOI:
        this.#endOfInterrupt()
        return
      case ERROR_STATUS:
        words[ERROR_STATUS] = this.#errors
        this.#errors = 0
        return
      case SELF_IPI:
        this.#sendSelf(value & 0xff)
        return
    }
    words[index] = (words[index]! & ~writable) | (value & writable)
    if (index === TPR) this.#accepted.evaluate()
    else if (index === COMMAND) this.#send()
    else if (index === SPURIOUS || LVT.includes(index)) this.#maskWhileDisabled()
  }

  /** "State After It Has Been Software Disabled": the mask bits of the LVT are set and stay so. */
  #maskWhileDisabled(): void {
    if (this.enabled) return
    for (const entry of LVT) this.#words[entry]! |= LVT_MASKED
  }

  #sendSelf(vector: number): void {
    if (vector < LOWEST_LEGAL_VECTOR) this.#error(ESR.sendIllegalVector)
    else this.#request(vector, false)
  }

  /** "Interrupt Command Register (ICR)": a write of its low dword sends. */
  #send(): void {
    const command = this.#words[COMMAND]!
    const message = this.#message
    message.vector = command & 0xff
    message.deliveryMode = (command >>> 8) & 7
    message.logical = (command & ICR.logical) !== 0
    message.levelTriggered = false
    message.extended = this.x2apic
    message.destination = this.x2apic ? this.#words[COMMAND_HIGH]! : this.#words[COMMAND_HIGH]! >>> 24
    if (
      message.deliveryMode === DELIVERY_MODE.init &&
      (command & ICR.level) !== 0 &&
      (command & ICR.assert) === 0
    ) {
      return // INIT level de-assert only synchronizes arbitration identifiers, which no longer exist.
    }
    const vectored =
      message.deliveryMode === DELIVERY_MODE.fixed || message.deliveryMode === DELIVERY_MODE.lowestPriority
    if (vectored && message.vector < LOWEST_LEGAL_VECTOR) {
      this.#error(ESR.sendIllegalVector)
      return
    }
    const shorthand = (command >>> 18) & 3
    if (shorthand === ICR_SHORTHAND.none) this.#bus.deliver(message)
    else if (shorthand === ICR_SHORTHAND.self) this.accept(message)
    else {
      message.destination = message.extended ? BROADCAST_32 : BROADCAST_8
      this.#bus.deliverExcept(message, shorthand === ICR_SHORTHAND.allExcludingSelf ? this : undefined)
    }
  }

  // IA32_APIC_BASE.

  get baseLow(): number {
    return this.#base[0]!
  }

  get baseHigh(): number {
    return this.#base[1]!
  }

  /** WRMSR of IA32_APIC_BASE; false for #GP. */
  writeBase(low: number, high: number, physicalAddressWidth: number): boolean {
    const mode = APIC_BASE.EN | APIC_BASE.EXTD
    const before = this.#base[0]!
    if (!isBaseLegal(before, low, high, physicalAddressWidth)) return false
    this.#setBase(low, high)
    if (((low ^ before) & mode) === 0) return true
    if ((low & mode) === mode) {
      this.#words[ID] = this.apicId
      this.#words[LDR] = x2apicLdr(this.apicId)
      this.#words[COMMAND_HIGH] = 0
    } else this.#initialize()
    return true
  }

  #setBase(low: number, high: number): void {
    this.#base[0] = low
    this.#base[1] = high
    const hasPage = (low & (APIC_BASE.EN | APIC_BASE.EXTD)) === APIC_BASE.EN
    this.#page = hasPage ? high * 2 ** 20 + (low >>> 12) : -1
  }

  // Inspection and state.

  view(): LocalApicView {
    const words = this.#words
    return {
      apicId: this.apicId,
      mode: (this.#base[0]! & APIC_BASE.EN) === 0 ? 'disabled' : this.x2apic ? 'x2APIC' : 'xAPIC',
      enabled: this.enabled,
      taskPriority: words[TPR]!,
      processorPriority: words[PPR]!,
      requested: vectorsOf(words, IRR),
      inService: vectorsOf(words, ISR),
      levelTriggered: vectorsOf(words, TMR),
    }
  }

  save(): Saved {
    return {
      version: 1,
      words: this.#words.slice(),
      base: this.#base.slice(),
      errors: this.#errors,
      events: this.#events,
    }
  }

  load(saved: Saved): void {
    const state = saved as { words: Uint32Array; base: Uint32Array; errors: number; events: number }
    this.#words.set(state.words)
    this.#setBase(state.base[0]!, state.base[1]!)
    this.#errors = state.errors
    this.#events = state.events
    this.#accepted.evaluate()
  }
}

const KNOWN_EVENTS =
  (1 << DELIVERY_MODE.smi) |
  (1 << DELIVERY_MODE.nmi) |
  (1 << DELIVERY_MODE.init) |
  (1 << DELIVERY_MODE.startUp) |
  (1 << DELIVERY_MODE.extInt)
