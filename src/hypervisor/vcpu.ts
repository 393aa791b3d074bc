/**
 * A virtual processor: its VMCS, virtual APIC and software, and the loop that enters the guest, injects what is
 * pending, and answers VM exits ("VM Entries", "Event Injection", "VM Exits").
 */
import { assert, hex, type Saved } from '../core/index.ts'
import { type Engine, pause, type Software } from '../engine/index.ts'
import { PRIMARY } from '../vmx/formats/controls.ts'
import { EVENT_TYPE, INTERRUPTIBILITY, interruptionInformation } from '../vmx/formats/events.ts'
import { ENTRY_FAILURE, EXIT_REASON } from '../vmx/formats/exit-reasons.ts'
import { RFLAGS } from '../vmx/formats/msrs.ts'
import type { Operation } from '../vmx/formats/operations.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import { handleExit, type VcpuBoard } from './exit-handling.ts'
import { decodeQualification, exitName, readExit } from './exit-record.ts'
import type { HostProcessor } from './host-processor.ts'
import {
  type ExitRecord,
  type GuestResult,
  type GuestSoftware,
  guestResult,
  type VcpuPort,
  type VcpuRun,
  type VcpuView,
} from './types.ts'
import type { VirtualApic } from './virtual-apic.ts'
import type { Vmcs } from './vmcs.ts'

const BLOCKING = INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs
/** Operations of a stream between pauses. */
const SLICE = 128
/** Basic exit reasons are below this. */
const REASONS = 128

export class Vcpu implements VcpuPort {
  readonly number: number
  readonly apic: VirtualApic
  readonly processor: HostProcessor
  readonly #name: string
  readonly #vmcs: Vmcs
  readonly #board: VcpuBoard
  readonly #engine: Engine
  #software: GuestSoftware | undefined
  /** Whether the processor is in non-root mode for this virtual processor. */
  #inGuest = false
  #running = false
  // What the VMCS says of the guest, read after each VM exit.
  #rflags: number = RFLAGS.fixed1
  #interruptibility = 0
  #windowExiting = false
  /** An exception to deliver at the next VM entry. */
  #exception: { readonly vector: number; readonly error: number | undefined } | undefined
  /** Index of the user's operation that is executing; null in guest kernel code. */
  #operation: number | null = null
  #exits: ExitRecord[] = []
  #entries = 0
  readonly #exitCounts = new Uint32Array(REASONS)
  readonly #injected = new Uint32Array(256)

  constructor(options: {
    name: string
    number: number
    apic: VirtualApic
    processor: HostProcessor
    vmcs: Vmcs
    board: VcpuBoard
    engine: Engine
  }) {
    this.#name = options.name
    this.number = options.number
    this.apic = options.apic
    this.processor = options.processor
    this.#vmcs = options.vmcs
    this.#board = options.board
    this.#engine = options.engine
  }

  /** Runs the first code of the virtual processor until it is idle. */
  *start(software: GuestSoftware): Software {
    this.#software = software
    this.#running = true
    yield* software.start()
    yield* this.#idle()
  }

  /** Executes a stream, then returns to the guest kernel's idle loop. */
  *run(operations: readonly Operation[]): Software<VcpuRun> {
    assert(!this.#running, 'one stream at a time runs on a virtual processor')
    const results: GuestResult[] = []
    this.#exits = []
    this.#running = true
    for (const [index, operation] of operations.entries()) {
      this.#operation = index
      if (index % SLICE === SLICE - 1) yield* pause()
      const result = yield* this.execute(operation)
      results.push(result)
      if (result.outcome === 'halted') break
    }
    this.#operation = null
    if (results.at(-1)?.outcome === 'halted') this.#stop()
    else yield* this.#idle()
    return { results, exits: this.#exits }
  }

  /** Whether an interrupt waits that a halted virtual processor would take. */
  get wakes(): boolean {
    return !this.#running && this.interruptsEnabled && this.apic.deliverable >= 0
  }

  /** Takes what {@link wakes} saw, then idles again. */
  *wake(): Software {
    this.#running = true
    this.#exits = []
    yield* this.#idle()
  }

  /** The guest kernel's idle loop: HLT, handlers, HLT again, until nothing is left. */
  *#idle(): Software {
    while ((yield* this.execute({ op: 'hlt' })).outcome !== 'halted');
    this.#stop()
  }

  /** The guest sleeps: the processor is the host's again, which takes interrupts between instructions. */
  #stop(): void {
    this.#running = false
    this.processor.run({ op: 'sti' })
  }

  get interruptsEnabled(): boolean {
    return (this.#rflags & RFLAGS.IF) !== 0
  }

  /** Executes one operation as the guest would, with every VM exit and interrupt that comes with it. */
  *execute(operation: Operation): Software<GuestResult> {
    for (;;) {
      yield* this.#enter()
      const result = this.processor.port.execute(operation)
      switch (result.outcome) {
        case 'done':
          return { ...guestResult('done', result), vector: -1 }
        case 'exception':
          return guestResult('exception', result)
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

  /** Enters the guest unless it is entered, and runs the handlers of what was injected. */
  *#enter(): Software {
    while (!this.#inGuest) {
      const image = this.interruptsEnabled
      this.#prepareEvent()
      const op = this.#vmcs.entryOperation()
      const { outcome, vector, error } = this.processor.port.execute({ op })
      assert(outcome === 'done' || outcome === 'vmExit', `${op} succeeds (${outcome}, error ${error})`)
      this.#inGuest = outcome === 'done'
      this.#vmcs.noteLaunched()
      this.#entries++
      this.#trace('vmEntry', `enters by ${op.toUpperCase()}`, vector < 0 ? {} : { injected: hex(vector) })
      if (outcome === 'vmExit') yield* this.#exit(undefined)
      if (vector >= 0) yield* this.#software!.interrupt(vector, image)
    }
  }

  /** "Event Injection": an exception first, else the interrupt that may be taken; a window for one that may not. */
  #prepareEvent(): void {
    const requested = this.apic.deliverable
    let window = requested >= 0
    if (this.#exception !== undefined) {
      const { vector, error } = this.#exception
      this.#exception = undefined
      const information = interruptionInformation(EVENT_TYPE.hardwareException, vector, error !== undefined)
      if (error !== undefined) this.#vmcs.write(VMCS.entryExceptionErrorCode, error)
      this.#vmcs.write(VMCS.entryInterruptionInformation, information)
    } else if (requested >= 0 && this.interruptsEnabled && (this.#interruptibility & BLOCKING) === 0) {
      this.apic.acknowledge(requested)
      this.#injected[requested]!++
      this.#vmcs.write(
        VMCS.entryInterruptionInformation,
        interruptionInformation(EVENT_TYPE.externalInterrupt, requested),
      )
      this.#trace('interrupt', `vector ${hex(requested)} is injected`, { guestVector: hex(requested) })
      window = this.apic.deliverable >= 0
    }
    if (window !== this.#windowExiting) {
      this.#windowExiting = window
      const controls = this.#vmcs.read(VMCS.primaryProcessorBasedControls)
      const { interruptWindowExiting } = PRIMARY
      this.#vmcs.write(
        VMCS.primaryProcessorBasedControls,
        window ? controls | interruptWindowExiting : controls & ~interruptWindowExiting,
      )
    }
  }

  /** Answers a VM exit. Returns the result of the operation that caused it; undefined: it must be offered again. */
  *#exit(operation: Operation | undefined): Software<GuestResult | undefined> {
    this.#inGuest = false
    const reason = this.#vmcs.read(VMCS.exitReason)
    assert((reason & ENTRY_FAILURE) === 0, `guest state is valid (exit reason ${hex(reason)})`)
    const exit = readExit(this.#vmcs, reason & 0xffff)
    this.#rflags = this.#vmcs.read(VMCS.guestRflags)
    this.#interruptibility = this.#vmcs.read(VMCS.guestInterruptibilityState)
    this.#exitCounts[exit.reason]!++
    const answer = yield* handleExit(exit, operation, this, this.#board)
    const record: ExitRecord = {
      reason: exitName(exit.reason),
      code: exit.reason,
      qualification: decodeQualification(exit),
      ...(exit.reason === EXIT_REASON.eptViolation && {
        guestPhysicalAddress: hex(exit.guestPhysicalAddress),
      }),
      handledBy: answer.by,
      operation: this.#operation,
    }
    this.#exits.push(record)
    this.#trace('vmExit', `exits: ${record.reason}, answered by ${record.handledBy}`, { ...record })
    if (answer.exception !== undefined) {
      this.#exception = answer.exception
      yield* this.#enter()
      return guestResult('exception', { vector: answer.exception.vector, error: answer.exception.error ?? 0 })
    }
    if (answer.result !== undefined) this.#skip()
    return answer.result
  }

  /** Moves RIP past an emulated instruction, which ends what it was blocked by. */
  #skip(): void {
    const length = this.#vmcs.read(VMCS.exitInstructionLength)
    const [low, high] = this.#vmcs.read64(VMCS.guestRip)
    const next = low + length
    this.#vmcs.write(VMCS.guestRip, next, high + (next > 0xffff_ffff ? 1 : 0))
    if ((this.#interruptibility & BLOCKING) !== 0) {
      this.#interruptibility &= ~BLOCKING
      this.#vmcs.write(VMCS.guestInterruptibilityState, this.#interruptibility)
    }
  }

  #trace(
    kind: 'vmEntry' | 'vmExit' | 'interrupt',
    message: string,
    detail: Readonly<Record<string, unknown>>,
  ): void {
    const { trace } = this.#engine
    if (!trace.enabled) return
    trace.emit(kind, `${this.#name} vCPU ${this.number} ${message}`, {
      vm: this.#name,
      vcpu: this.number,
      processor: this.processor.number,
      ...detail,
    })
  }

  /** Leaves nothing behind on the processor. */
  free(): void {
    assert(!this.#inGuest, 'a virtual processor is freed in root mode')
    this.#vmcs.free()
    this.processor.release()
  }

  view(): VcpuView {
    return {
      number: this.number,
      processor: this.processor.number,
      state: this.#running ? 'running' : 'halted',
      interruptsEnabled: this.interruptsEnabled,
      pending: this.apic.pending,
      inService: this.apic.inService,
      taskPriority: this.apic.taskPriority,
      processorPriority: this.apic.processorPriority,
      exitsByReason: Object.fromEntries(
        [...this.#exitCounts].flatMap((count, reason) => (count > 0 ? [[exitName(reason), count]] : [])),
      ),
      entries: this.#entries,
      injected: Object.fromEntries(
        [...this.#injected].flatMap((count, vector) => (count > 0 ? [[hex(vector), count]] : [])),
      ),
    }
  }

  save(): Saved {
    return {
      version: 1,
      number: this.number,
      processor: this.processor.number,
      vmcs: this.#vmcs.page,
      running: this.#running,
      rflags: this.#rflags,
      interruptibility: this.#interruptibility,
      windowExiting: this.#windowExiting,
      entries: this.#entries,
      exits: this.#exitCounts.slice(),
      injected: this.#injected.slice(),
      apic: this.apic.save(),
      software: this.#software?.save() ?? null,
    }
  }
}
