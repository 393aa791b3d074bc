/**
 * The loop that enters a guest, injects what is pending, and answers VM exits ("VM Entries", "Event Injection", "VM
 * Exits"), one operation of its software at a time.
 */
import { assert, hex } from '../core/index.ts'
import type { Software, TraceKind } from '../engine/index.ts'
import { eventVectorOf } from '../vmx/formats/events.ts'
import { ENTRY_FAILURE, EXIT_REASON } from '../vmx/formats/exit-reasons.ts'
import type { Operation, OperationResult } from '../vmx/formats/operations.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import { EventInjection, type InjectedVcpu } from './event-injection.ts'
import { answerAtOnce, answerInTime, type ExitedVcpu, type VcpuBoard } from './exit-handling.ts'
import { readExit, recordOf } from './exit-record.ts'
import { GuestFlags } from './guest-flags.ts'
import type { HostProcessor, Occupant } from './host-processor.ts'
import type { NestedExits } from './nested/nested-exits.ts'
import { DONE, type ExitRecord, type GuestResult, type GuestSoftware, guestResult, HALTED } from './types.ts'
import { VcpuCounters } from './vcpu-counters.ts'
import type { VcpuOptions } from './vcpu-options.ts'
import { VcpuTrace } from './vcpu-trace.ts'
import type { VirtualApic } from './virtual-apic.ts'
import type { VirtualizedInterrupts } from './virtualized-interrupts.ts'
import type { Vmcs } from './vmcs.ts'

/** Vectors below are exceptions. */
const FIRST_INTERRUPT_VECTOR = 32

export class GuestExecution implements ExitedVcpu, InjectedVcpu, Occupant {
  readonly number: number
  readonly apic: VirtualApic
  /** The logical processor to which the virtual one is pinned. */
  processor: HostProcessor
  /** Where the guest finds VMX. */
  nested: NestedExits | undefined = undefined
  /** What the VMCS says of the guest, read after each VM exit. */
  readonly flags = new GuestFlags()
  readonly events = new EventInjection()
  readonly counters = new VcpuCounters()
  /** Index of the user's operation that is executing; null in guest kernel code. */
  operation: number | null = null
  /** Of the run that is under way; undefined where nobody will ask for them. */
  exits: ExitRecord[] | undefined = undefined
  /** What runs here. */
  software: GuestSoftware | undefined = undefined
  /** How an attempt ended that {@link execute} has to go on from. */
  #left: OperationResult | undefined = undefined
  #inGuest = false
  /** Vectors that the processor delivered when the guest had to leave, and that nobody has handled yet. */
  #delivered: number[] = []
  readonly #vmcs01: Vmcs
  readonly #board: VcpuBoard
  readonly #trace: VcpuTrace
  /** Where the processor itself delivers interrupts; else the hypervisor injects them. */
  readonly #virtualized: VirtualizedInterrupts | undefined

  constructor({ number, apic, processor, vmcs, board, virtualized, engine, name }: VcpuOptions) {
    this.number = number
    this.apic = apic
    this.processor = processor
    this.#vmcs01 = vmcs
    this.#board = board
    this.#virtualized = virtualized
    this.#trace = new VcpuTrace(engine.trace, name, number)
  }

  /** Whether the processor is in non-root mode for this virtual processor. */
  get inGuest(): boolean {
    return this.#inGuest
  }

  set inGuest(inGuest: boolean) {
    this.#inGuest = inGuest
    this.processor.occupant = inGuest ? this : undefined
  }

  /** The VMCS of the guest that runs: the virtual machine's, or that guest's own. */
  get vmcs(): Vmcs {
    return this.nested?.vmx.active ?? this.#vmcs01
  }

  get inL2(): boolean {
    return this.nested?.vmx.inL2 ?? false
  }

  get interruptsEnabled(): boolean {
    return this.flags.interruptsEnabled
  }

  /**
   * Executes an operation that needs nobody else: most loads and stores of a guest that runs. Returns its result, a record
   * reused by the next call. undefined: something came in between, and {@link execute} has to follow with the same operation.
   */
  attempt(operation: Operation): OperationResult | undefined {
    if (!this.inGuest || this.#left !== undefined || this.nested !== undefined) return undefined
    const result = this.processor.port.execute(operation)
    if (result.outcome === 'done') return result
    this.#left = result
    return undefined
  }

  /** Executes one operation as the guest would, with every VM exit and interrupt that comes with it. */
  *execute(operation: Operation): Software<GuestResult> {
    const inL2 = this.inL2
    for (;;) {
      let result = this.#left
      this.#left = undefined
      if (result === undefined) {
        if (this.nested?.vmx.shutdown) return HALTED
        if (!this.inGuest) yield* this.enter()
        // An interrupt of L1's ended the turn of L2, whose operation this is.
        if (inL2 && !this.inL2) return guestResult('vmExit')
        result = this.processor.port.execute(operation)
      }
      switch (result.outcome) {
        case 'done':
          return doneResult(result)
        case 'exception':
          return guestResult('exception', result)
        // VMCS shadowing: an access of L1, where no VMCS is current.
        case 'vmFailInvalid':
          return guestResult('vmFailInvalid')
        case 'interrupted':
          yield* this.#deliveredByProcessor(result.vector)
          break
        case 'vmExit': {
          const answer = yield* this.exit(operation)
          if (answer !== undefined) return answer
          break
        }
        default:
          assert(false, `a guest's ${operation.op} does not end with ${result.outcome}`)
      }
    }
  }

  /** "Virtual-Interrupt Delivery": the processor took the guest to its handler, and the operation waits. */
  *#deliveredByProcessor(vector: number): Software {
    this.counters.delivered(vector)
    if (this.#trace.enabled) {
      const detail = { step: 'delivered', guestVector: hex(vector) }
      this.tell('interrupt', `takes vector ${hex(vector)}, delivered by the processor`, detail)
    }
    yield* this.#handle(vector, true)
  }

  *#handle(vector: number, interruptFlag: boolean): Software {
    yield* this.software!.interrupt(vector, interruptFlag)
    if (this.#trace.enabled)
      this.tell('interrupt', `has handled vector ${hex(vector)}`, { step: 'handled', vector })
  }

  /** The host needs the processor: a message from another one ends the guest's turn ("shootdown"). */
  leave(): void {
    this.#board.reschedule(this.processor.number)
    for (;;) {
      const { outcome, vector } = this.processor.port.execute({ op: 'pause' })
      if (outcome === 'vmExit') break
      assert(outcome === 'interrupted', 'a message of the host ends the guest’s turn')
      this.#delivered.push(vector)
    }
    this.inGuest = false
    const exit = readExit(this.vmcs, this.vmcs.read(VMCS.exitReason) & 0xffff)
    this.flags.read(this.vmcs)
    this.counters.exit(exit.reason)
    this.#note(recordOf(exit, 'shootdown', this.operation, undefined))
    // Where the turn was over anyhow, the message is taken with the host's other interrupts.
    if (exit.reason === EXIT_REASON.externalInterrupt)
      this.#board.hostInterrupt(this.processor.number, eventVectorOf(exit.interruptionInformation))
  }

  /**
   * Stays in the guest until something ends its turn: its time is over, or a host interrupt came. Interrupts that the
   * processor delivers first are handled.
   */
  *stayUntilExit(): Software {
    for (;;) {
      const { outcome, vector } = this.processor.port.execute({ op: 'nop' })
      if (outcome === 'vmExit') break
      assert(outcome === 'interrupted', 'a turn that is over ends with the first operation after it')
      yield* this.#deliveredByProcessor(vector)
      // Its handler may have left the guest and come back, with the time of a whole turn.
      if (!this.inGuest) return
    }
    yield* this.exit(undefined)
  }

  /** Enters the guest unless it is entered, and runs the handlers of what was injected. */
  *enter(): Software {
    while (!this.inGuest) {
      this.#interruptL1()
      const image = this.interruptsEnabled
      this.#prepareEvent()
      const op = this.vmcs.entryOperation()
      const { outcome, vector, error } = this.processor.port.execute({ op })
      assert(outcome === 'done' || outcome === 'vmExit', `${op} succeeds (${outcome}, error ${error})`)
      this.inGuest = outcome === 'done'
      this.vmcs.noteLaunched()
      this.counters.entries++
      if (this.#trace.enabled)
        this.tell('vmEntry', `enters by ${op.toUpperCase()}`, vector < 0 ? {} : { injected: hex(vector) })
      if (outcome === 'vmExit') yield* this.exit(undefined)
      // The faults of L2 are its program's, which has them as results; the software here is that of L1.
      const ofL2 = this.inL2 && vector < FIRST_INTERRUPT_VECTOR
      if (vector >= 0 && !ofL2) yield* this.#handle(vector, image)
    }
    for (let taken = this.#delivered.shift(); taken !== undefined; taken = this.#delivered.shift())
      yield* this.#deliveredByProcessor(taken)
  }

  /** L1 may be interrupted instead of its guest. */
  #interruptL1(): void {
    const vector = this.apic.deliverable
    if (!this.inL2 || vector < 0 || this.events.exception !== undefined) return
    if (this.nested?.interruptL1(vector, () => this.apic.acknowledge(vector))) this.flags.read(this.vmcs)
  }

  #prepareEvent(): void {
    this.#virtualized?.prepareEntry()
    const window = this.events.prepare(this)
    if (this.inL2) this.nested?.openWindow(window)
    else this.events.openWindow(this.vmcs, window)
  }

  get mayInterrupt(): boolean {
    return this.flags.mayInterrupt
  }

  /** Where the processor delivers, nothing but exceptions is injected. */
  requested(): number {
    return this.#virtualized === undefined ? this.apic.deliverable : -1
  }

  acknowledge(vector: number): void {
    this.apic.acknowledge(vector)
    this.counters.injected(vector)
    if (!this.#trace.enabled) return
    const detail = { step: 'injected', guestVector: hex(vector) }
    this.tell('interrupt', `vector ${hex(vector)} is injected`, detail)
  }

  /** Answers a VM exit. Returns the result of the operation that caused it; undefined: it must be offered again. */
  *exit(operation: Operation | undefined): Software<GuestResult | undefined> {
    this.inGuest = false
    const reason = this.vmcs.read(VMCS.exitReason)
    assert((reason & ENTRY_FAILURE) === 0, `guest state is valid (exit reason ${hex(reason)})`)
    const exit = readExit(this.vmcs, reason & 0xffff)
    this.flags.read(this.vmcs)
    this.counters.exit(exit.reason)
    const level = this.nested === undefined ? undefined : this.inL2 ? 2 : 1
    const answer =
      this.nested === undefined
        ? (answerAtOnce(exit, operation, this, this.#board) ??
          (yield* answerInTime(exit, operation, this, this.#board)))
        : yield* this.nested.handle(exit, operation)
    if (this.exits !== undefined || this.#trace.enabled)
      this.#note(recordOf(exit, answer.by, this.operation, level))
    if (answer.exception !== undefined) {
      this.events.exception = answer.exception
      yield* this.enter()
      return guestResult('exception', { vector: answer.exception.vector, error: answer.exception.error ?? 0 })
    }
    this.inGuest = answer.entered ?? false
    if (answer.switched && !answer.entered) this.flags.read(this.vmcs)
    else if (answer.result !== undefined && !answer.entered) this.flags.skip(this.vmcs)
    return answer.result
  }

  #note(record: ExitRecord): void {
    this.exits?.push(record)
    const who = record.level === 2 ? 'exits from L2' : 'exits'
    this.tell('vmExit', `${who}: ${record.reason}, answered by ${record.handledBy}`, { ...record })
  }

  tell(kind: TraceKind, message: string, detail: Readonly<Record<string, unknown>>): void {
    if (this.#trace.enabled) this.#trace.emit(this.processor.number, kind, message, detail)
  }
}

/** The values of an operation that is over; most have none. */
function doneResult({ low, high, eax, ebx, ecx, edx, error }: OperationResult): GuestResult {
  if ((low | high | eax | ebx | ecx | edx | error) === 0) return DONE
  return { outcome: 'done', low, high, eax, ebx, ecx, edx, vector: -1, error }
}
