/**
 * A virtual processor: its VMCS, virtual APIC and software, and the loop that enters the guest, injects what is
 * pending, and answers VM exits ("VM Entries", "Event Injection", "VM Exits").
 */
import { assert, hex } from '../core/index.ts'
import { pause, type Software, type TraceKind } from '../engine/index.ts'
import { ENTRY_FAILURE } from '../vmx/formats/exit-reasons.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import { EventInjection } from './event-injection.ts'
import { handleExit, type VcpuBoard } from './exit-handling.ts'
import { readExit, recordOf } from './exit-record.ts'
import { GuestFlags } from './guest-flags.ts'
import type { HostProcessor } from './host-processor.ts'
import type { NestedExits } from './nested/nested-exits.ts'
import {
  type ExitRecord,
  type GuestResult,
  type GuestRun,
  type GuestSoftware,
  guestResult,
  type Meanwhile,
  type VcpuPort,
  type VcpuRun,
  type VcpuView,
} from './types.ts'
import { VcpuCounters } from './vcpu-counters.ts'
import type { SavedVcpu, VcpuOptions } from './vcpu-options.ts'
import { apicView, VcpuTrace } from './vcpu-trace.ts'
import type { VirtualApic } from './virtual-apic.ts'
import type { VirtualizedInterrupts } from './virtualized-interrupts.ts'
import type { Vmcs } from './vmcs.ts'

/** Operations of a stream between pauses. */
const SLICE = 128
/** Vectors below are exceptions. */
const FIRST_INTERRUPT_VECTOR = 32

export class Vcpu implements VcpuPort {
  readonly number: number
  readonly apic: VirtualApic
  readonly #vmcs01: Vmcs
  /** Where the guest finds VMX. */
  #nested: NestedExits | undefined
  readonly #board: VcpuBoard
  readonly #trace: VcpuTrace
  /** Where the processor itself delivers interrupts; else the hypervisor injects them. */
  readonly #virtualized: VirtualizedInterrupts | undefined
  #processor: HostProcessor
  #software: GuestSoftware | undefined
  /** Whether the processor is in non-root mode for this virtual processor. */
  #inGuest = false
  #running = false
  /** What the VMCS says of the guest, read after each VM exit. */
  readonly #flags = new GuestFlags()
  readonly #events = new EventInjection()
  /** Index of the user's operation that is executing; null in guest kernel code. */
  #operation: number | null = null
  #exits: ExitRecord[] = []
  readonly #counters = new VcpuCounters()

  constructor(options: VcpuOptions) {
    this.number = options.number
    this.apic = options.apic
    this.#processor = options.processor
    this.#virtualized = options.virtualized
    this.#vmcs01 = options.vmcs
    this.#board = options.board
    this.#trace = new VcpuTrace(options.engine.trace, options.name, options.number)
  }

  /** Gives the guest VMX. */
  nest(nested: NestedExits): void {
    this.#nested = nested
  }

  /** A page left EPT01: L2 must not reach it either. */
  dropShadow(): void {
    this.#nested?.vmx.ept.drop(this.processor)
  }

  /** The VMCS of the guest that runs: the virtual machine's, or that guest's own. */
  get #vmcs(): Vmcs {
    return this.#nested?.vmx.active ?? this.#vmcs01
  }

  get #inL2(): boolean {
    return this.#nested?.vmx.inL2 ?? false
  }

  /** The logical processor to which it is pinned. */
  get processor(): HostProcessor {
    return this.#processor
  }

  /** Runs the first code of the virtual processor until it is idle. */
  *start(software: GuestSoftware): Software {
    this.#software = software
    this.#running = true
    yield* software.start()
    yield* this.#idle()
  }

  /** Executes a stream, then returns to the guest kernel's idle loop. */
  *run(operations: readonly Operation[], meanwhile?: Meanwhile): Software<VcpuRun> {
    assert(!this.#running, 'one stream at a time runs on a virtual processor')
    const results: GuestResult[] = []
    this.#begin()
    for (const [index, operation] of operations.entries()) {
      this.#operation = index
      if (meanwhile?.before === index) yield* this.#interrupted(meanwhile)
      if (index % SLICE === SLICE - 1) yield* pause()
      const result = yield* this.#perform(operation)
      results.push(result)
      if (result.outcome === 'halted') break
    }
    this.#operation = null
    if (results.at(-1)?.outcome === 'halted') this.#stop()
    else yield* this.#idle()
    return { results, exits: this.#exits }
  }

  /** Runs code of the guest's kernel, then returns to its idle loop. */
  *runCode<Result>(code: (software: GuestSoftware) => Software<Result>): Software<GuestRun<Result>> {
    assert(!this.#running, 'one stream at a time runs on a virtual processor')
    this.#begin()
    const result = yield* code(this.software)
    yield* this.#idle()
    return { result, exits: this.#exits }
  }

  /** What runs here. */
  get software(): GuestSoftware {
    return this.#software!
  }

  /** Whether an interrupt waits that a halted virtual processor would take. */
  get wakes(): boolean {
    if (this.#running || !this.interruptsEnabled || this.#virtualized?.kicked === false) return false
    return this.apic.deliverable >= 0
  }

  /** Something was requested of a virtual processor that may sleep: it is to be looked at. */
  kick(): void {
    if (this.#virtualized === undefined || this.#running) return
    this.apic.collectPosted()
    this.#virtualized.kicked = true
  }

  /** The wakeup vector arrived at its processor: kicked if it was meant. */
  wakeUp(): void {
    if (this.#running || !(this.#virtualized?.descriptor?.outstanding ?? false)) return
    this.#tell('interrupt', 'was posted an interrupt while it slept: it is scheduled', { step: 'wakeup' })
    this.kick()
  }

  /** Takes what {@link wakes} saw, then idles again. */
  *wake(): Software {
    this.#begin()
    yield* this.#idle()
  }

  #begin(): void {
    this.#running = true
    this.#exits = []
    this.#virtualized?.run()
  }

  /** What happens outside while the guest runs, or while the host has taken its processor away. */
  *#interrupted({ state, act }: Meanwhile): Software {
    yield* this.#enter()
    if (state === 'running') return act()
    this.#board.reschedule(this.processor.number)
    // Any operation will do: only the event before it is of interest.
    const { outcome } = this.processor.port.execute({ op: 'pause' })
    assert(outcome === 'vmExit', 'a message of the host ends the guest’s turn')
    yield* this.#exit(undefined)
    this.#tell('interrupt', 'is preempted: notifications are suppressed', { step: 'preempted' })
    this.#virtualized?.preempt(true)
    act()
    this.#virtualized?.preempt(false)
    this.#tell('interrupt', 'has its processor again', { step: 'scheduled' })
  }

  /**
   * Pins a sleeping virtual processor to another logical processor: its VMCS is cleared on the old one, notifications
   * go to the new one. Throws `unsupported`, with nothing changed.
   */
  moveTo(processor: HostProcessor, invalidate: (processor: HostProcessor) => void): void {
    assert(!this.#running, 'only a sleeping virtual processor moves')
    processor.retain()
    this.#vmcs01.moveTo(processor)
    this.#nested?.vmx.moveTo(processor)
    const { number } = this.#processor
    this.#processor.release()
    this.#processor = processor
    // The new processor may remember translations of an earlier stay.
    invalidate(processor)
    this.#virtualized?.point(processor.number)
    const detail = { step: 'migrated', from: number, to: processor.number }
    this.#tell('vm', `moves from processor ${number} to ${processor.number}`, detail)
    if (this.#virtualized?.descriptor?.outstanding) this.kick()
  }

  /** An operation of a stream, as the guest's software lets it be executed. */
  #perform(operation: Operation): Software<GuestResult> {
    return this.#software?.execute?.(operation) ?? this.execute(operation)
  }

  /** The guest kernel's idle loop: HLT, handlers, HLT again, until nothing is left. */
  *#idle(): Software {
    while ((yield* this.#perform({ op: 'hlt' })).outcome !== 'halted');
    this.#stop()
  }

  /** The guest sleeps: the processor is the host's again, which takes interrupts between instructions. */
  #stop(): void {
    this.#running = false
    this.processor.run({ op: 'sti' })
    if (this.#virtualized?.block()) this.kick()
  }

  get interruptsEnabled(): boolean {
    return this.#flags.interruptsEnabled
  }

  /** Executes one operation as the guest would, with every VM exit and interrupt that comes with it. */
  *execute(operation: Operation): Software<GuestResult> {
    const inL2 = this.#inL2
    for (;;) {
      if (this.#nested?.vmx.shutdown) return guestResult('halted')
      yield* this.#enter()
      // An interrupt of L1's ended the turn of L2, whose operation this is.
      if (inL2 && !this.#inL2) return guestResult('vmExit')
      const result = this.processor.port.execute(operation)
      switch (result.outcome) {
        case 'done':
          return { ...guestResult('done', result), vector: -1 }
        case 'exception':
          return guestResult('exception', result)
        // VMCS shadowing: an access of L1, where no VMCS is current.
        case 'vmFailInvalid':
          return guestResult('vmFailInvalid')
        case 'interrupted':
          yield* this.#deliveredByProcessor(result.vector)
          break
        case 'vmExit': {
          const answer = yield* this.#exit(operation)
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
    this.#counters.delivered(vector)
    const detail = { step: 'delivered', guestVector: hex(vector) }
    this.#tell('interrupt', `takes vector ${hex(vector)}, delivered by the processor`, detail)
    yield* this.#handle(vector, true)
  }

  *#handle(vector: number, interruptFlag: boolean): Software {
    yield* this.#software!.interrupt(vector, interruptFlag)
    this.#tell('interrupt', `has handled vector ${hex(vector)}`, { step: 'handled', vector })
  }

  /** Enters the guest unless it is entered, and runs the handlers of what was injected. */
  *#enter(): Software {
    while (!this.#inGuest) {
      this.#interruptL1()
      const image = this.interruptsEnabled
      this.#prepareEvent()
      const op = this.#vmcs.entryOperation()
      const { outcome, vector, error } = this.processor.port.execute({ op })
      assert(outcome === 'done' || outcome === 'vmExit', `${op} succeeds (${outcome}, error ${error})`)
      this.#inGuest = outcome === 'done'
      this.#vmcs.noteLaunched()
      this.#counters.entries++
      this.#tell('vmEntry', `enters by ${op.toUpperCase()}`, vector < 0 ? {} : { injected: hex(vector) })
      if (outcome === 'vmExit') yield* this.#exit(undefined)
      // The faults of L2 are its program's, which has them as results; the software here is that of L1.
      const ofL2 = this.#inL2 && vector < FIRST_INTERRUPT_VECTOR
      if (vector >= 0 && !ofL2) yield* this.#handle(vector, image)
    }
  }

  /** L1 may be interrupted instead of its guest. */
  #interruptL1(): void {
    const vector = this.apic.deliverable
    if (!this.#inL2 || vector < 0 || this.#events.exception !== undefined) return
    if (this.#nested?.interruptL1(vector, () => this.apic.acknowledge(vector))) this.#flags.read(this.#vmcs)
  }

  #prepareEvent(): void {
    this.#virtualized?.prepareEntry()
    const window = this.#events.prepare({
      vmcs: this.#vmcs,
      mayInterrupt: this.#flags.mayInterrupt,
      // Where the processor delivers, nothing but exceptions is injected.
      requested: () => (this.#virtualized === undefined ? this.apic.deliverable : -1),
      acknowledge: vector => this.#injectInterrupt(vector),
    })
    if (this.#inL2) this.#nested?.openWindow(window)
    else this.#events.openWindow(this.#vmcs, window)
  }

  #injectInterrupt(vector: number): void {
    this.apic.acknowledge(vector)
    this.#counters.injected(vector)
    this.#tell('interrupt', `vector ${hex(vector)} is injected`, {
      step: 'injected',
      guestVector: hex(vector),
    })
  }

  /** Answers a VM exit. Returns the result of the operation that caused it; undefined: it must be offered again. */
  *#exit(operation: Operation | undefined): Software<GuestResult | undefined> {
    this.#inGuest = false
    const reason = this.#vmcs.read(VMCS.exitReason)
    assert((reason & ENTRY_FAILURE) === 0, `guest state is valid (exit reason ${hex(reason)})`)
    const exit = readExit(this.#vmcs, reason & 0xffff)
    this.#flags.read(this.#vmcs)
    this.#counters.exit(exit.reason)
    const level = this.#nested === undefined ? undefined : this.#inL2 ? 2 : 1
    const answer =
      this.#nested === undefined
        ? yield* handleExit(exit, operation, this, this.#board)
        : yield* this.#nested.handle(exit, operation)
    const record = recordOf(exit, answer.by, this.#operation, level)
    this.#exits.push(record)
    const who = level === 2 ? 'exits from L2' : 'exits'
    this.#tell('vmExit', `${who}: ${record.reason}, answered by ${record.handledBy}`, { ...record })
    if (answer.exception !== undefined) {
      this.#events.exception = answer.exception
      yield* this.#enter()
      return guestResult('exception', { vector: answer.exception.vector, error: answer.exception.error ?? 0 })
    }
    this.#inGuest = answer.entered ?? false
    if (answer.switched && !answer.entered) this.#flags.read(this.#vmcs)
    else if (answer.result !== undefined && !answer.entered) this.#flags.skip(this.#vmcs)
    return answer.result
  }

  #tell(kind: TraceKind, message: string, detail: Readonly<Record<string, unknown>>): void {
    if (this.#trace.enabled) this.#trace.emit(this.processor.number, kind, message, detail)
  }

  /** Host page of the VMCS. */
  get vmcsPage(): number {
    return this.#vmcs.page
  }

  /** VMWRITE of a guest-state field by a user; what is remembered of the guest's state follows. */
  writeVmcs(field: number, [low, high]: Word64): void {
    this.#vmcs.write(field, low, high)
    this.#flags.read(this.#vmcs)
  }

  /** Leaves nothing behind on the processor. */
  free(): void {
    assert(!this.#inGuest, 'a virtual processor is freed in root mode')
    this.#nested?.vmx.free()
    this.#vmcs01.free()
    this.processor.release()
  }

  view(): VcpuView {
    return {
      number: this.number,
      processor: this.processor.number,
      state: this.#running ? 'running' : 'halted',
      interruptsEnabled: this.interruptsEnabled,
      ...apicView(this.apic),
      ...this.#counters.view(),
      ...this.#virtualized?.view(),
      ...(this.#nested && { nested: { running: this.#inL2 ? 'l2' : 'l1', ...this.#nested.counters.view() } }),
    }
  }

  save(): SavedVcpu {
    return {
      version: 3,
      number: this.number,
      processor: this.processor.number,
      vmcs: this.#vmcs01.save(),
      inGuest: this.#inGuest,
      running: this.#running,
      rflags: this.#flags.rflags,
      interruptibility: this.#flags.interruptibility,
      events: this.#events.save(),
      counters: this.#counters.save(),
      virtualized: this.#virtualized?.save() ?? null,
      apic: this.apic.save(),
      software: this.#software?.save() ?? null,
      nested: this.#nested?.save() ?? null,
    }
  }

  /** Goes on from a state with which its parts were made. */
  load(saved: SavedVcpu, software: GuestSoftware): void {
    this.#inGuest = saved.inGuest
    this.#running = saved.running
    this.#flags.rflags = saved.rflags
    this.#flags.interruptibility = saved.interruptibility
    this.#events.load(saved.events)
    this.#counters.load(saved.counters)
    if (saved.nested !== null) this.#nested!.load(saved.nested)
    if (saved.software === null) return
    software.load(saved.software)
    this.#software = software
  }
}
