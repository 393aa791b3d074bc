/**
 * Ring deprivileging: the guest runs on the processor in an outer ring, the hypervisor takes its traps and emulates.
 * What traps is emulated faithfully; what does not trap misbehaves, and nobody notices but the guest.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { EXCEPTION, PAGE_FAULT, RFLAGS } from '../../vmx/formats/msrs.ts'
import { LENGTH } from '../../vmx/formats/operation-lengths.ts'
import type { Operation, OperationResult } from '../../vmx/formats/operations.ts'
import { emulateMemory, emulatePort, emulateRegisters, isLinear } from './emulation.ts'
import { EventFrames } from './event-frames.ts'
import { GuestSpace } from './guest-space.ts'
import { Ledger } from './ledger.ts'
import { RingMonitor, type RingPlan } from './ring-monitor.ts'
import { ShadowPaging } from './shadow-paging.ts'
import {
  type GuestStart,
  OutcomeRecord,
  type Technique,
  type TechniqueHost,
  type TechniqueName,
} from './technique.ts'
import { VirtualBoard } from './virtual-board.ts'
import { isIoSensitive, isPrivileged, pushesError, readOwnTables, VirtualCpu } from './virtual-cpu.ts'

/** The operation is to be tried again. */
export const RETRY = undefined

export class Deprivileged implements Technique {
  readonly name: TechniqueName
  readonly ledger = new Ledger()
  protected readonly host: TechniqueHost
  protected readonly startState: GuestStart
  protected readonly space: GuestSpace
  protected readonly board: VirtualBoard
  protected readonly cpu: VirtualCpu
  protected readonly monitor: RingMonitor
  protected readonly events: EventFrames
  protected readonly shadow: ShadowPaging
  protected readonly outcome = new OutcomeRecord()
  /** Whether the guest has the processor; else the hypervisor runs, at ring 0. */
  protected inGuest = false
  #stepping = false
  #root = 0

  constructor(name: TechniqueName, host: TechniqueHost, start: GuestStart, plan: RingPlan) {
    this.name = name
    this.host = host
    this.startState = start
    this.space = this.makeSpace(host)
    this.board = new VirtualBoard(host.machine)
    this.cpu = new VirtualCpu(host, start)
    this.monitor = new RingMonitor(host, plan)
    this.events = new EventFrames(host.bits, this.space, this.cpu, this.monitor)
    const options = { everythingUser: plan.kernelRing === 3, hole: this.monitor.hole }
    this.shadow = new ShadowPaging(host, this.space, this.ledger, options, () => this.reload())
  }

  protected makeSpace(host: TechniqueHost): GuestSpace {
    return new GuestSpace(host)
  }

  /** Cached translations are forgotten: MOV to CR3 with the same value. */
  protected reload(): void {
    if (this.#root !== 0) this.monitor.loadRoot(this.#root)
  }

  /** Makes an address space of the guest the present one. */
  protected switchTo(cr3: number): void {
    this.#root = this.rootOf(cr3)
    this.monitor.loadRoot(this.#root)
  }

  protected rootOf(cr3: number): number {
    return this.shadow.root(cr3)
  }

  start(): void {
    const { cr3, gdt, task, rip, rsp, code, data } = this.startState
    this.#root = this.rootOf(cr3)
    this.monitor.boot(this.#root)
    const descriptor = gdt.base + (task & ~7) + 4
    this.space.write(descriptor, this.space.read(descriptor) | 0x200)
    const { frame } = this.monitor
    frame.rip = rip
    frame.rsp = rsp
    frame.cs = this.monitor.realSelector(code)
    frame.ss = this.monitor.realSelector(data)
  }

  execute(operation: Operation, at: number): OutcomeRecord {
    for (;;) {
      const before = this.#boundary()
      if (before !== RETRY) return before
      const answer = this.attempt(operation, at)
      if (answer !== RETRY) return answer
    }
  }

  /** Between two operations: interrupts of the machine, then those of the guest; afterwards the guest may run. */
  #boundary(): OutcomeRecord | undefined {
    const { processor } = this.host
    if (this.cpu.halted && !this.inGuest) this.#idle()
    for (;;) {
      if (!this.inGuest) {
        const delivered = this.#deliverPending()
        if (delivered !== RETRY) return delivered
        if (this.cpu.halted) return this.outcome.end('halted')
        if (!this.enterGuest()) return RETRY
      }
      const vector = processor.takeInterrupt()
      if (vector < 0) return RETRY
      this.#machineInterrupt(vector)
    }
  }

  /** The hypervisor waits on its own stack, with interrupts on. */
  #idle(): void {
    this.monitor.run({ op: 'sti' })
    this.monitor.run({ op: 'nop' })
    const vector = this.host.processor.takeInterrupt()
    if (vector >= 0) this.#accept(vector)
    else this.monitor.run({ op: 'cli' })
  }

  #machineInterrupt(vector: number): void {
    this.inGuest = false
    this.takeFrame(false)
    this.ledger.count('trap', 'interrupt')
    this.#accept(vector)
  }

  #accept(vector: number): void {
    this.board.apic.accept(vector)
    this.monitor.endInterrupt()
  }

  #deliverPending(): OutcomeRecord | undefined {
    const vector = this.board.apic.deliverable
    if (vector < 0 || !this.cpu.interruptFlag || this.cpu.blocked) return RETRY
    this.board.apic.acknowledge(vector)
    this.cpu.halted = false
    return this.reflect(vector, undefined)
  }

  /** Gives the processor to the guest. False: translated code goes on without it. */
  protected enterGuest(): boolean {
    // A virtual interrupt waits behind STI: one operation, then the trap flag brings the hypervisor back.
    this.#stepping = this.cpu.blocked && this.cpu.interruptFlag && this.board.apic.deliverable >= 0
    this.monitor.resume(this.#stepping)
    this.inGuest = true
    return true
  }

  /** The hypervisor has the processor: the guest's registers are in what the trap pushed. */
  protected takeFrame(hasError: boolean): void {
    this.monitor.readFrame(hasError)
  }

  /** One try of an operation. */
  protected attempt(operation: Operation, _at: number): OutcomeRecord | undefined {
    return this.native(operation)
  }

  /** The operation on the processor, and what became of it. */
  protected native(operation: Operation): OutcomeRecord | undefined {
    const result = this.host.processor.execute(operation)
    if (result.outcome === 'done') {
      if (operation.op === 'sysenter') return this.#fastCall()
      this.ledger.count('nativeOperation')
      if (!this.#stepping) this.cpu.blocked = false
      return this.outcome.copy(result)
    }
    if (result.outcome !== 'exception') return this.outcome.end('failed')
    this.inGuest = false
    return this.#trapped(operation, result)
  }

  #trapped(operation: Operation, result: OperationResult): OutcomeRecord | undefined {
    const { vector, error } = result
    this.takeFrame(pushesError(vector))
    if (vector === EXCEPTION.DB && this.#stepping) {
      this.#stepping = false
      this.cpu.blocked = false
      this.ledger.count('trap', 'singleStep')
      return RETRY
    }
    this.ledger.count('trap', vector === EXCEPTION.PF ? 'pageFault' : operation.op)
    return this.trap(operation, vector, error)
  }

  /** Answers a trap: the hypervisor has the processor, and the guest's registers in the frame. */
  protected trap(operation: Operation, vector: number, error: number): OutcomeRecord | undefined {
    if (vector === EXCEPTION.PF) return this.pageFault(operation, error)
    if (vector === EXCEPTION.GP) {
      const answer = this.#generalProtection(operation)
      if (answer !== false) return answer
    }
    return this.reflect(vector, pushesError(vector) ? error : undefined)
  }

  /** False: the fault is the guest's own. */
  #generalProtection(operation: Operation): OutcomeRecord | undefined | false {
    const level = this.monitor.virtualLevel
    if (operation.op === 'int') return this.softwareInterrupt(operation)
    if (isPrivileged(operation) && level === 0) return this.emulate(operation)
    if (isIoSensitive(operation) && level <= this.cpu.ioPrivilege) return this.emulate(operation)
    if (level !== 0) return false
    switch (operation.op) {
      case 'iretFrame':
        this.ledger.count('emulatedOperation', operation.op)
        this.events.return(operation.pop ?? 0)
        return this.outcome.done()
      case 'loadSegment':
        if (operation.segment !== 'ss') return false
        this.monitor.frame.ss = this.monitor.realSelector(operation.selector)
        return this.finish(operation)
      case 'retFar':
        return this.finish(operation)
      case 'readLinear':
      case 'writeLinear':
        return this.limitExceeded(operation)
    }
    return readOwnTables(operation, this.cpu, this.outcome) === undefined
      ? false
      : this.finish(operation, true)
  }

  /** Beyond the limit of its segments the guest meets the hypervisor: plainly deprivileged, it gets a fault. */
  protected limitExceeded(_operation: Operation): OutcomeRecord | undefined | false {
    return false
  }

  protected softwareInterrupt(operation: Extract<Operation, { op: 'int' }>): OutcomeRecord | undefined {
    this.advance(operation)
    const { frame } = this.monitor
    const delivered = this.deliver(operation.vector, undefined, true)
    if (delivered !== 'generalProtection') return delivered
    frame.rip -= LENGTH.int
    return this.reflect(EXCEPTION.GP, operation.vector * 8 + 2)
  }

  /** The operation is emulated; RIP moves over it. */
  protected finish(operation: Operation, keepsResult = false): OutcomeRecord {
    this.ledger.count('emulatedOperation', operation.op)
    this.advance(operation)
    this.cpu.blocked = false
    return keepsResult ? this.outcome : this.outcome.done()
  }

  protected advance(operation: Operation): void {
    const { frame } = this.monitor
    frame.rip = (frame.rip + LENGTH[operation.op]) >>> 0
    frame.flags &= ~RFLAGS.RF
  }

  /** A privileged operation of the guest's kernel. */
  protected emulate(operation: Operation): OutcomeRecord | undefined {
    const { cpu, outcome, board } = this
    this.ledger.count('emulatedOperation', operation.op)
    const blockedBefore = cpu.blocked
    switch (operation.op) {
      case 'in':
      case 'out':
        emulatePort(operation, board, outcome)
        break
      case 'hlt':
        cpu.halted = true
        this.advance(operation)
        cpu.blocked = false
        return outcome.end('halted')
      case 'invlpg':
        this.invalidate()
        outcome.done()
        break
      case 'sysexit':
        this.#fastReturn(operation)
        return outcome.done()
      default: {
        const answer = cpu.emulate(operation, board, outcome)
        if (answer === undefined) return outcome.end('failed')
        if (answer === false) return this.reflect(EXCEPTION.GP, 0)
        if (operation.op === 'movToCr' && operation.cr === 3) this.loadCr3(operation.value[0])
      }
    }
    if (blockedBefore && operation.op !== 'sti') cpu.blocked = false
    this.advance(operation)
    return outcome
  }

  protected invalidate(): void {
    this.shadow.invalidate()
  }

  protected loadCr3(cr3: number): void {
    this.ledger.count('shadowSwitch')
    this.cpu.cr3 = cr3
    this.switchTo(cr3)
  }

  /** SYSENTER leads to ring 0, which is the hypervisor: it goes on in the guest's kernel. */
  #fastCall(): OutcomeRecord {
    const { cpu, monitor } = this
    this.inGuest = false
    this.ledger.count('trap', 'sysenter')
    const { frame } = monitor
    frame.flags = monitor.run({ op: 'pushf' }).low
    frame.cs = monitor.realSelector(cpu.sysenterCs)
    frame.ss = monitor.realSelector(cpu.sysenterCs + 8)
    frame.rip = cpu.sysenterEip
    frame.rsp = cpu.sysenterEsp
    cpu.interruptFlag = false
    cpu.blocked = false
    return this.outcome.done()
  }

  #fastReturn({ rip, rsp }: Extract<Operation, { op: 'sysexit' }>): void {
    const { frame } = this.monitor
    const selector = this.cpu.sysenterCs + (this.host.bits === 64 ? 32 : 16)
    frame.cs = selector | 3
    frame.ss = (selector + 8) | 3
    frame.rip = rip[0]
    frame.rsp = rsp[0]
    this.cpu.blocked = false
  }

  protected pageFault(operation: Operation, error: number): OutcomeRecord | undefined {
    const { low, high } = this.monitor.run({ op: 'movFromCr', cr: 2 })
    const user = this.monitor.virtualLevel === 3
    const fault = this.shadow.fault(this.cpu, low, high, { write: (error & PAGE_FAULT.write) !== 0, user })
    switch (fault.kind) {
      case 'guest':
        this.cpu.cr2 = low
        return this.reflect(EXCEPTION.PF, fault.error)
      case 'registers':
        if (!isLinear(operation)) return this.outcome.end('failed')
        emulateRegisters(operation, fault.address, this.board, this.outcome)
        return this.finish(operation, true)
      case 'traced':
        if (!isLinear(operation)) return this.outcome.end('failed')
        this.traced(operation, fault.address)
        this.advance(operation)
        return this.outcome.done()
      case 'hole':
        return this.holeTouched(operation, low, error)
      default:
        return RETRY
    }
  }

  /** A write to a page that is watched. */
  protected traced(
    operation: Extract<Operation, { op: 'readLinear' | 'writeLinear' }>,
    address: number,
  ): void {
    this.ledger.count('tracedWrite')
    emulateMemory(operation, address, this.space, this.outcome)
    if (this.shadow.isTable(Math.floor(address / PAGE_SIZE))) this.shadow.entryWritten(address)
    this.cpu.blocked = false
  }

  /** The guest touched the hypervisor's part of the address space. */
  protected holeTouched(_operation: Operation, low: number, error: number): OutcomeRecord | undefined {
    this.cpu.cr2 = low
    return this.reflect(EXCEPTION.PF, error)
  }

  /** An exception of the guest's own. */
  protected reflect(vector: number, error: number | undefined): OutcomeRecord | undefined {
    const delivered = this.deliver(vector, error, false)
    return delivered === 'generalProtection' ? this.outcome.end('failed') : delivered
  }

  protected deliver(
    vector: number,
    error: number | undefined,
    software: boolean,
  ): OutcomeRecord | 'generalProtection' {
    const delivery = this.events.deliver(vector, error, software)
    if (delivery === 'generalProtection') return delivery
    if (delivery === 'failed') return this.outcome.end('failed')
    this.ledger.count('deliveredEvent', `vector ${vector}`)
    return this.outcome.event(vector, error ?? 0)
  }

  readGuest(address: number): number {
    return this.space.read(address)
  }
}
