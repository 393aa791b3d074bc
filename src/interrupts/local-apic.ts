/**
 * "Advanced Programmable Interrupt Controller (APIC)": one processor's local APIC, with its two faces, the xAPIC page
 * and the x2APIC MSRs.
 */
import { hex, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import { AcceptedInterrupts } from './accepted-interrupts.ts'
import { ApicBase, isBaseLegal } from './apic-base.ts'
import { ApicTimer } from './apic-timer.ts'
import { names, x2apicLdr } from './destination.ts'
import { APIC_BASE, ESR, ICR, LOCAL_APIC, LVT_MASKED, SVR, XAPIC_BASE } from './formats/local-apic.ts'
import { DELIVERY_MODE } from './formats/message.ts'
import type { InterprocessorBus, MessageSender } from './interprocessor-bus.ts'
import { InterruptCommand } from './interrupt-command.ts'
import { at, X2APIC_ACCESS, XAPIC_ACCESS } from './local-apic-registers.ts'
import { describeLocalApic, type LocalApicView } from './local-apic-view.ts'
import { LOCAL_SOURCES, type LocalSource, LocalVectorTable, LVT_ENTRIES } from './local-vector-table.ts'
import type { InterruptMessage } from './message.ts'
import { PendingEvents } from './pending-events.ts'

export type { LocalApicView } from './local-apic-view.ts'

const ID = at(LOCAL_APIC.ID)
const TPR = at(LOCAL_APIC.TPR)
const PPR = at(LOCAL_APIC.PPR)
const EOI = at(LOCAL_APIC.EOI)
const LDR = at(LOCAL_APIC.LDR)
const DFR = at(LOCAL_APIC.DFR)
const SPURIOUS = at(LOCAL_APIC.SVR)
const ERROR_STATUS = at(LOCAL_APIC.ESR)
const COMMAND = at(LOCAL_APIC.ICR_LOW)
const COMMAND_HIGH = at(LOCAL_APIC.ICR_HIGH)
const SELF_IPI = at(LOCAL_APIC.SELF_IPI)
const INITIAL_COUNT = at(LOCAL_APIC.TIMER_INITIAL)
const CURRENT_COUNT = at(LOCAL_APIC.TIMER_CURRENT)
const DIVIDE = at(LOCAL_APIC.TIMER_DIVIDE)
const LVT_TIMER = at(LOCAL_APIC.LVT_TIMER)
const IS_LVT = Uint8Array.from({ length: 64 }, (_, index) => (LVT_ENTRIES.includes(index) ? 1 : 0))

/** Version 15H, seven LVT entries, suppression of EOI broadcasts. */
const VERSION_VALUE = 0x0106_0015
const LOWEST_LEGAL_VECTOR = 16

export class LocalApic implements MessageSender {
  /** Number of the logical processor that this local APIC serves. */
  readonly processor: number
  readonly apicId: number
  readonly #bus: InterprocessorBus
  /** One word per register, by offset / 16: the same for both faces. */
  readonly #words = new Uint32Array(64)
  readonly #accepted = new AcceptedInterrupts(this.#words)
  readonly #base = new ApicBase()
  readonly #events = new PendingEvents()
  readonly #lvt: LocalVectorTable
  readonly #command: InterruptCommand
  /** For IA32_TSC_DEADLINE, which is no register of the page. */
  readonly timer: ApicTimer
  readonly #engine: Engine
  /** Errors since the last write of ESR, which makes them readable. */
  #errors = 0

  constructor(processor: number, apicId: number, bus: InterprocessorBus, engine: Engine) {
    this.processor = processor
    this.apicId = apicId
    this.#bus = bus
    this.#engine = engine
    this.#lvt = new LocalVectorTable(this.#words, {
      request: (vector, levelTriggered) => this.#request(vector, levelTriggered),
      signal: (mode, vector) => this.#signal(mode, vector),
    })
    this.#command = new InterruptCommand(this, bus)
    this.timer = new ApicTimer(engine, processor, () => this.#lvt.raise(LOCAL_SOURCES.timer))
    this.reset()
  }

  reset(): void {
    this.#base.set(XAPIC_BASE | APIC_BASE.EN | (this.processor === 0 ? APIC_BASE.BSP : 0), 0)
    this.#initialize()
  }

  #initialize(): void {
    const words = this.#words.fill(0)
    words[ID] = (this.apicId & 0xff) << 24
    words[at(LOCAL_APIC.VERSION)] = VERSION_VALUE
    words[DFR] = 0xffff_ffff
    words[SPURIOUS] = 0xff
    for (const entry of LVT_ENTRIES) words[entry] = LVT_MASKED
    this.#errors = 0
    this.#events.clear()
    this.timer.reset()
    this.#accepted.evaluate()
  }

  /** "Local APIC State After It Receives an INIT-Reset": as after reset, but the identifier and IA32_APIC_BASE stay. */
  initialize(): void {
    this.#initialize()
    if (this.x2apic) this.#deriveIdentifiers()
  }

  /** Enabled by SVR, and globally by IA32_APIC_BASE: else fixed interrupts are not accepted. */
  get enabled(): boolean {
    return this.#base.enabled && (this.#words[SPURIOUS]! & SVR.enable) !== 0
  }

  get x2apic(): boolean {
    return this.#base.x2apic
  }

  /** TPR. CR8 is its bits 7:4. */
  get taskPriority(): number {
    return this.#words[TPR]!
  }

  set taskPriority(value: number) {
    this.#words[TPR] = value & 0xff
    this.#accepted.evaluate()
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
    return this.#events.has(deliveryMode)
  }

  /** Whether any event that bypasses IRR waits. */
  get eventPending(): boolean {
    return this.#events.any
  }

  takeEvent(deliveryMode: number): void {
    this.#events.take(deliveryMode)
  }

  /** Vector of the start-up message that came last: where the processor begins. */
  get startUpVector(): number {
    return this.#events.startUpVector
  }

  /** What the external controller behind an ExtINT message answers to INTA. */
  get externalVector(): number {
    return this.#events.externalVector
  }

  /** Whether a message names this local APIC. */
  matches(message: InterruptMessage): boolean {
    const { enabled, x2apic } = this.#base
    return enabled && names(message, x2apic, this.apicId, this.#words[LDR]!, this.#words[DFR]!)
  }

  /** Takes a message meant for this local APIC. False if it is not accepted. */
  accept(message: InterruptMessage): boolean {
    const { deliveryMode, vector } = message
    if (deliveryMode === DELIVERY_MODE.fixed || deliveryMode === DELIVERY_MODE.lowestPriority) {
      return this.#request(vector, message.levelTriggered)
    }
    return this.#signal(deliveryMode, vector)
  }

  #signal(deliveryMode: number, vector: number): boolean {
    if (!this.#events.accept(deliveryMode, vector)) return false
    if (this.#engine.trace.enabled) this.#trace(`an event of delivery mode ${deliveryMode} waits`, vector)
    return true
  }

  #request(vector: number, levelTriggered: boolean): boolean {
    if (!this.enabled) return false
    if (vector < LOWEST_LEGAL_VECTOR) {
      this.error(ESR.receiveIllegalVector)
      return false
    }
    this.#accepted.request(vector, levelTriggered)
    if (this.#engine.trace.enabled) this.#trace(`vector ${hex(vector)} accepted`, vector)
    return true
  }

  #trace(what: string, vector: number): void {
    this.#engine.trace.emit('interrupt', `local APIC ${this.apicId}: ${what}`, {
      step: 'accepted',
      processor: this.processor,
      vector,
    })
  }

  /** Stimulus: an interrupt of a source inside the processor. LINT0 and LINT1 are pins: {@link drive}. */
  raise(source: Exclude<LocalSource, 'lint0' | 'lint1'>): void {
    this.#lvt.raise(LOCAL_SOURCES[source])
  }

  /** Stimulus: drives the pin LINT0 or LINT1; `high` is the electrical level. */
  drive(pin: 0 | 1, high: boolean): void {
    this.#lvt.drive(pin, high)
  }

  /** The processor acknowledges: the deliverable vector goes into service. Without one: the spurious vector. */
  acknowledge(): number {
    return this.#accepted.deliverable < 0 ? this.#words[SPURIOUS]! & 0xff : this.#accepted.acknowledge()
  }

  /** "Signaling Interrupt Servicing Completion". Level-triggered vectors are told to the I/O APICs, unless suppressed. */
  endOfInterrupt(): void {
    const vector = this.#accepted.complete()
    if (vector < 0 || !this.#accepted.isLevelTriggered(vector)) return
    this.#lvt.endOfInterrupt(vector)
    if ((this.#words[SPURIOUS]! & SVR.suppressEoiBroadcast) === 0) this.#bus.endOfInterrupt(vector)
  }

  /** "Error Handling": the first error since software wrote ESR interrupts; that write arms the interrupt again. */
  error(error: number): void {
    const first = this.#errors === 0
    this.#errors |= error
    if (first) this.#lvt.raise(LOCAL_SOURCES.error)
  }

  // The xAPIC page.

  /** Base of the xAPIC page as a page number, or -1 where there is none: disabled, or x2APIC mode. */
  get page(): number {
    return this.#base.page
  }

  /** An aligned dword of the xAPIC page. */
  readDword(offset: number): number {
    const index = offset >>> 4
    if ((offset & 0xf) !== 0) return 0
    if (offset >= 0x400 || !XAPIC_ACCESS.present(index)) this.error(ESR.illegalRegister)
    else if (XAPIC_ACCESS.readable(index)) return this.#read(index)
    return 0
  }

  #read(index: number): number {
    return index === CURRENT_COUNT ? this.timer.currentCount : this.#words[index]!
  }

  writeDword(offset: number, value: number, lanes: number): void {
    const index = offset >>> 4
    if ((offset & 0xf) !== 0) return
    if (offset >= 0x400 || !XAPIC_ACCESS.present(index)) this.error(ESR.illegalRegister)
    else this.#write(index, (value & lanes) >>> 0, XAPIC_ACCESS.writable(index) & lanes)
  }

  // The x2APIC MSRs.

  /** RDMSR of 0x800 + `index`: the low word, or -1 for #GP. */
  readMsr(index: number): number {
    return this.x2apic && index < 64 && X2APIC_ACCESS.readable(index) ? this.#read(index) : -1
  }

  /** The high word of the same register: only ICR has one. */
  readMsrHigh(index: number): number {
    return index === COMMAND ? this.#words[COMMAND_HIGH]! : 0
  }

  /** WRMSR of 0x800 + `index`; false for #GP. */
  writeMsr(index: number, value: number, high: number): boolean {
    // Delivery status is no reserved bit of the ICR: what is written there is ignored, as processors do.
    const low = index === COMMAND ? (value & ~ICR.deliveryStatus) >>> 0 : value
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
        this.endOfInterrupt()
        return
      case ERROR_STATUS:
        words[ERROR_STATUS] = this.#errors
        this.#errors = 0
        return
      case SELF_IPI:
        this.#command.self(value & 0xff)
        return
    }
    words[index] = (words[index]! & ~writable) | (value & writable)
    switch (index) {
      case TPR:
        this.#accepted.evaluate()
        return
      case COMMAND:
        this.#command.send(words[COMMAND]!, this.x2apic ? words[COMMAND_HIGH]! : words[COMMAND_HIGH]! >>> 24)
        return
      case SPURIOUS:
        this.#maskWhileDisabled()
        return
      case INITIAL_COUNT:
        this.timer.start(words[INITIAL_COUNT]!)
        words[INITIAL_COUNT] = this.timer.initialCount
        return
      case DIVIDE:
        this.timer.setDivide(words[DIVIDE]!)
        return
    }
    if (IS_LVT[index] === 0) return
    this.#maskWhileDisabled()
    if (index === LVT_TIMER) this.timer.setMode((words[LVT_TIMER]! >>> 17) & 3)
    else this.#lvt.written(index)
  }

  /** "State After It Has Been Software Disabled": the mask bits of the LVT are set and stay so. */
  #maskWhileDisabled(): void {
    if (this.enabled) return
    for (const entry of LVT_ENTRIES) this.#words[entry]! |= LVT_MASKED
  }

  /** Sends a message of the processor's own, which its ICR did not compose: a posted-interrupt notification. */
  send(message: InterruptMessage): void {
    this.#bus.deliver(message)
  }

  // IA32_APIC_BASE.

  get baseLow(): number {
    return this.#base.words[0]!
  }

  get baseHigh(): number {
    return this.#base.words[1]!
  }

  /** WRMSR of IA32_APIC_BASE; false for #GP. */
  writeBase(low: number, high: number, physicalAddressWidth: number): boolean {
    const mode = APIC_BASE.EN | APIC_BASE.EXTD
    const before = this.#base.words[0]!
    if (!isBaseLegal(before, low, high, physicalAddressWidth)) return false
    this.#base.set(low, high)
    if (((low ^ before) & mode) === 0) return true
    if ((low & mode) === mode) this.#deriveIdentifiers()
    else this.#initialize()
    return true
  }

  /** "Deriving Logical x2APIC ID from the Local x2APIC ID". */
  #deriveIdentifiers(): void {
    this.#words[ID] = this.apicId
    this.#words[LDR] = x2apicLdr(this.apicId)
    this.#words[COMMAND_HIGH] = 0
  }

  // Inspection and state.

  view(): LocalApicView {
    const { enabled, x2apic } = this.#base
    const mode = !enabled ? 'disabled' : x2apic ? 'x2APIC' : 'xAPIC'
    return describeLocalApic(this.apicId, mode, this.enabled, this.#words, this.timer.currentCount)
  }

  save(): Saved {
    return {
      version: 2,
      words: this.#words.slice(),
      base: this.#base.words.slice(),
      errors: this.#errors,
      events: this.#events.save(),
      pins: this.#lvt.save(),
      timer: this.timer.save(),
    }
  }

  load(saved: Saved): void {
    const state = saved as {
      words: Uint32Array
      base: Uint32Array
      errors: number
      events: Saved
      pins: readonly number[]
      timer: Saved
    }
    this.#words.set(state.words)
    this.#base.set(state.base[0]!, state.base[1]!)
    this.#errors = state.errors
    this.#events.load(state.events)
    this.#lvt.load(state.pins)
    this.timer.load(state.timer)
    this.#accepted.evaluate()
  }
}
