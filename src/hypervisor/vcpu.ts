/** A virtual processor: pinned to a logical one, run, put to sleep, woken, moved and saved. */
import { assert, NorthbridgeError } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import { PIN_BASED, PRIMARY } from '../vmx/formats/controls.ts'
import type { Operation, OperationResult, Word64 } from '../vmx/formats/operations.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import type { VcpuBoard } from './exit-handling.ts'
import { GuestExecution } from './guest-execution.ts'
import type { HostProcessor } from './host-processor.ts'
import { readGuestState, type VcpuImage, writeGuestState } from './moves/vcpu-image.ts'
import { VcpuTracking } from './moves/vcpu-tracking.ts'
import type { NestedExits } from './nested/nested-exits.ts'
import type { GuestResult, GuestRun, GuestSoftware, Meanwhile, VcpuPort, VcpuRun, VcpuView } from './types.ts'
import type { SavedVcpu, VcpuOptions } from './vcpu-options.ts'
import { apicView } from './vcpu-trace.ts'
import type { VirtualApic } from './virtual-apic.ts'
import type { VirtualizedInterrupts } from './virtualized-interrupts.ts'
import type { Vmcs } from './vmcs.ts'

/** Operations of a stream between pauses. */
const SLICE = 128
const HLT: Operation = { op: 'hlt' }
const STI: Operation = { op: 'sti' }

export class Vcpu implements VcpuPort {
  readonly number: number
  readonly apic: VirtualApic
  readonly tracking: VcpuTracking
  readonly #guest: GuestExecution
  readonly #vmcs01: Vmcs
  readonly #board: VcpuBoard
  /** Where the processor itself delivers interrupts; else the hypervisor injects them. */
  readonly #virtualized: VirtualizedInterrupts | undefined
  #running = false
  /** Whether its turns end by the preemption timer: never between two commands. */
  #timed = false

  constructor(options: VcpuOptions) {
    this.number = options.number
    this.apic = options.apic
    this.#virtualized = options.virtualized
    this.#vmcs01 = options.vmcs
    this.tracking = new VcpuTracking(options.vmcs)
    this.#board = options.board
    this.#guest = new GuestExecution(options)
  }

  /** Gives the guest VMX. */
  nest(nested: NestedExits): void {
    this.#guest.nested = nested
  }

  /** A page left EPT01: L2 must not reach it either. */
  dropShadow(): void {
    this.#nested?.vmx.ept.drop(this.processor)
  }

  get #nested(): NestedExits | undefined {
    return this.#guest.nested
  }

  /** The logical processor to which it is pinned. */
  get processor(): HostProcessor {
    return this.#guest.processor
  }

  /** Runs the first code of the virtual processor until it is idle. */
  *start(software: GuestSoftware): Software {
    this.#guest.software = software
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
      this.#guest.operation = index
      if (meanwhile?.before === index) yield* this.#interrupted(meanwhile)
      if (index % SLICE === SLICE - 1) yield* pause()
      const result = yield* this.#perform(operation)
      results.push(result)
      if (result.outcome === 'halted') break
    }
    this.#guest.operation = null
    if (results.at(-1)?.outcome === 'halted') this.#stop()
    else yield* this.#idle()
    return { results, exits: this.#guest.exits ?? [] }
  }

  /** Runs code of the guest's kernel, then returns to its idle loop, also if the code gives up: what it throws comes after that. */
  *runCode<Result>(code: (software: GuestSoftware) => Software<Result>): Software<GuestRun<Result>> {
    assert(!this.#running, 'one stream at a time runs on a virtual processor')
    this.#begin()
    const ended = yield* outcomeOf(() => code(this.software))
    yield* this.#idle()
    if ('refusal' in ended) throw ended.refusal
    return { result: ended.result, exits: this.#guest.exits ?? [] }
  }

  /** What runs here. */
  get software(): GuestSoftware {
    return this.#guest.software!
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
    this.#guest.tell('interrupt', 'was posted an interrupt while it slept: it is scheduled', {
      step: 'wakeup',
    })
    this.kick()
  }

  /** Takes what {@link wakes} saw, then idles again. */
  *wake(): Software {
    this.#begin()
    this.#guest.exits = undefined
    yield* this.#idle()
  }

  #begin(): void {
    this.#running = true
    this.#guest.exits = []
    this.#virtualized?.run()
  }

  // Turns of computing.

  /**
   * Computes: in its guest until the preemption timer has counted `units` down, or a host interrupt comes. Time has to pass
   * before {@link endTurn}.
   */
  *beginTurn(units: number): Software {
    this.#begin()
    this.#guest.exits = undefined
    if (!this.#timed) this.#vmcs01.setControls('pin', PIN_BASED.activatePreemptionTimer, true)
    this.#timed = true
    this.#vmcs01.write(VMCS.preemptionTimerValue, units)
    yield* this.#guest.enter()
    yield* this.software.compute?.() ?? []
  }

  /** Goes on with the turn where somebody else's made it leave its guest. */
  *goOn(): Software {
    yield* this.#guest.enter()
  }

  *endTurn(): Software {
    if (this.#guest.inGuest) yield* this.#guest.stayUntilExit()
    this.#stop()
  }

  /** No turn ends by the timer any more. */
  endTurns(): void {
    if (!this.#timed) return
    this.#timed = false
    this.#vmcs01.setControls('pin', PIN_BASED.activatePreemptionTimer, false)
  }

  /** What happens outside while the guest runs, or while the host has taken its processor away. */
  *#interrupted({ state, act }: Meanwhile): Software {
    yield* this.#guest.enter()
    if (state === 'running') return act()
    this.#board.reschedule(this.processor.number)
    // Any operation will do: only the event before it is of interest.
    const { outcome } = this.processor.port.execute({ op: 'pause' })
    assert(outcome === 'vmExit', 'a message of the host ends the guest’s turn')
    yield* this.#guest.exit(undefined)
    this.#guest.tell('interrupt', 'is preempted: notifications are suppressed', { step: 'preempted' })
    this.#virtualized?.preempt(true)
    act()
    this.#virtualized?.preempt(false)
    this.#guest.tell('interrupt', 'has its processor again', { step: 'scheduled' })
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
    const { number } = this.processor
    this.processor.release()
    this.#guest.processor = processor
    // The new processor may remember translations of an earlier stay.
    invalidate(processor)
    this.#virtualized?.point(processor.number)
    const detail = { step: 'migrated', from: number, to: processor.number }
    this.#guest.tell('vm', `moves from processor ${number} to ${processor.number}`, detail)
    if (this.#virtualized?.descriptor?.outstanding) this.kick()
  }

  /** An operation of a stream, as the guest's software lets it be executed. */
  #perform(operation: Operation): Software<GuestResult> {
    return this.#guest.software?.execute?.(operation) ?? this.execute(operation)
  }

  /** The guest kernel's idle loop: HLT, handlers, HLT again, until nothing is left. */
  *#idle(): Software {
    while ((yield* this.#perform(HLT)).outcome !== 'halted');
    this.#stop()
  }

  /** The guest sleeps: the processor is the host's again, which takes interrupts between instructions. */
  #stop(): void {
    this.#running = false
    this.processor.run(STI)
    if (this.#virtualized?.block()) this.kick()
  }

  get interruptsEnabled(): boolean {
    return this.#guest.flags.interruptsEnabled
  }

  /** {@link GuestExecution.attempt} */
  attempt(operation: Operation): OperationResult | undefined {
    return this.#guest.attempt(operation)
  }

  /** Executes one operation as the guest would, with every VM exit and interrupt that comes with it. */
  execute(operation: Operation): Software<GuestResult> {
    return this.#guest.execute(operation)
  }

  /** Host page of the VMCS. */
  get vmcsPage(): number {
    return this.#guest.vmcs.page
  }

  /** VMWRITE of a guest-state field by a user; what is remembered of the guest's state follows. */
  writeVmcs(field: number, [low, high]: Word64): void {
    this.#guest.vmcs.write(field, low, high)
    this.#guest.flags.read(this.#guest.vmcs)
  }

  /** Leaves nothing behind on the processor. */
  free(): void {
    assert(!this.#guest.inGuest, 'a virtual processor is freed in root mode')
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
      ...this.#guest.counters.view(),
      ...this.#virtualized?.view(),
      ...(this.#nested && {
        nested: { running: this.#guest.inL2 ? 'l2' : 'l1', ...this.#nested.counters.view() },
      }),
    }
  }

  save(): SavedVcpu {
    return {
      version: 3,
      number: this.number,
      processor: this.processor.number,
      vmcs: this.#vmcs01.save(),
      inGuest: this.#guest.inGuest,
      running: this.#running,
      rflags: this.#guest.flags.rflags,
      interruptibility: this.#guest.flags.interruptibility,
      events: this.#guest.events.save(),
      counters: this.#guest.counters.save(),
      virtualized: this.#virtualized?.save() ?? null,
      apic: this.apic.save(),
      software: this.#guest.software?.save() ?? null,
      nested: this.#nested?.save() ?? null,
    }
  }

  /** Whether its guest is a hypervisor that is at work: what it runs is in structures of this host. */
  get nests(): boolean {
    return this.#nested?.vmx.vmxOn ?? false
  }

  /** Its state without anything of this host, while it sleeps. */
  image(): VcpuImage {
    assert(!this.#running && !this.#guest.inGuest, 'a virtual processor is imaged while it sleeps')
    return {
      number: this.number,
      fields: readGuestState(this.#vmcs01),
      exception: this.#guest.events.save().exception,
      counters: this.#guest.counters.save(),
      apic: this.apic.image(),
      software: this.#guest.software?.save() ?? null,
      featureControl: this.#nested?.vmx.featureControl.value ?? null,
    }
  }

  /** New, it takes the place of one elsewhere that sleeps: the next VM entry goes on with its guest. */
  adopt(image: VcpuImage, software: GuestSoftware): void {
    writeGuestState(this.#vmcs01, image.fields)
    this.#guest.flags.read(this.#vmcs01)
    this.#guest.events.load({ exception: image.exception, windowExiting: false })
    this.#guest.counters.load(image.counters)
    this.apic.adopt(image.apic)
    if (image.featureControl !== null) this.#nested!.vmx.featureControl.value = image.featureControl
    if (image.software !== null) software.load(image.software)
    this.#guest.software = software
    if (this.#virtualized === undefined) return
    this.#virtualized.block()
    this.#virtualized.kicked = true
  }

  /** "Timestamp-Counter Offsetting": what the guest's time-stamp counter, of 1 GHz, is ahead of the processor's. */
  setClock(ahead: number): void {
    this.#vmcs01.setControls('primary', PRIMARY.useTscOffsetting, ahead !== 0)
    this.#vmcs01.write(VMCS.tscOffset, ahead % 2 ** 32, Math.floor(ahead / 2 ** 32))
  }

  /** Goes on from a state with which its parts were made. */
  load(saved: SavedVcpu, software: GuestSoftware): void {
    this.#guest.inGuest = saved.inGuest
    this.#running = saved.running
    this.#guest.flags.rflags = saved.rflags
    this.#guest.flags.interruptibility = saved.interruptibility
    this.#guest.events.load(saved.events)
    this.#guest.counters.load(saved.counters)
    if (saved.nested !== null) this.#nested!.load(saved.nested)
    if (saved.software === null) return
    software.load(saved.software)
    this.#guest.software = software
  }
}

/** What code of a guest's kernel ends with: one of its drivers may give up. */
function* outcomeOf<Result>(
  code: () => Software<Result>,
): Software<{ readonly result: Result } | { readonly refusal: NorthbridgeError }> {
  try {
    return { result: yield* code() }
  } catch (error) {
    // A host that has stopped runs no guest.
    if (!(error instanceof NorthbridgeError) || error.code === 'hostHalted') throw error
    return { refusal: error }
  }
}
