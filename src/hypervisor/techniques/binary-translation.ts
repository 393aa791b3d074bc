/**
 * Binary translation: user code runs directly at ring 3, kernel code from a translation cache at ring 1. Most operations
 * are translated to themselves; those on the virtual processor's state work on memory, with no trap; the rest call out.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { EXCEPTION } from '../../vmx/formats/msrs.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { RETRY } from './deprivileged.ts'
import { emulateCpuid, emulateMemory, emulateRegisters, isLinear, type LinearOperation } from './emulation.ts'
import { inlineOperation } from './inline-operations.ts'
import { PreparedKernel } from './prepared-kernel.ts'
import type { GuestStart, OutcomeRecord, TechniqueHost } from './technique.ts'
import { TranslationCache } from './translation-cache.ts'

/** The gate by which translated code enters the hypervisor. */
const CALLOUT_VECTOR = 0xfe
/** Traps at one operation after which it is translated anew, to a callout. */
const ADAPT_AFTER = 3

/** Operations that are translated to a callout. */
const CALLOUTS: readonly Operation['op'][] = [
  'in',
  'out',
  'invlpg',
  'lgdt',
  'lidt',
  'lldt',
  'ltr',
  'rdmsr',
  'wrmsr',
  'hlt',
  'invd',
  'wbinvd',
  'movToDr',
  'movFromDr',
  'movToCr',
  'clts',
  'lmsw',
  'sysexit',
  'iretFrame',
  'int',
  'cpuid',
]

export class BinaryTranslation extends PreparedKernel {
  readonly #cache: TranslationCache
  readonly #traps = new Map<number, number>()
  readonly #adapted = new Set<number>()
  #at = 0

  constructor(host: TechniqueHost, start: GuestStart) {
    super('binaryTranslation', host, start, { kernelRing: 1, openVectors: [CALLOUT_VECTOR] })
    this.#cache = new TranslationCache(this.ledger)
  }

  protected override enterGuest(): boolean {
    if (this.monitor.virtualLevel !== 0) this.#cache.leave()
    return super.enterGuest()
  }

  /** From translated code into the hypervisor. */
  #callout(cause: string): void {
    this.ledger.count('callout', cause)
    this.callHypervisor(CALLOUT_VECTOR)
  }

  protected override attempt(operation: Operation, at: number): OutcomeRecord | undefined {
    if (this.monitor.virtualLevel !== 0) return this.native(operation)
    // Translated code looks for virtual interrupts between operations.
    if (this.interruptWaits) {
      this.#callout('pendingInterrupt')
      return RETRY
    }
    this.#at = at
    const blocks = this.ledger.translatedBlocks
    if (this.#cache.reach(operation, at)) {
      // The translator is part of the hypervisor. It takes a unit at once; here, as operations are offered.
      if (this.ledger.translatedBlocks > blocks) this.ledger.count('callout', 'translate')
      this.callHypervisor(CALLOUT_VECTOR)
      this.#watch(at)
      return RETRY
    }
    const inline = inlineOperation(operation, this)
    if (inline !== undefined) {
      this.ledger.count('inlineOperation', operation.op)
      this.passed(operation)
      return inline
    }
    if (CALLOUTS.includes(operation.op)) return this.#callOut(operation)
    if (this.#adapted.has(at) && isLinear(operation)) return this.#simulated(operation)
    return this.nativeInKernel(operation)
  }

  #watch(at: number): void {
    const page = this.#guestPage(at)
    this.#cache.watch(page, at)
    this.shadow.protect(page)
  }

  #guestPage(linear: number): number {
    const { cr3, cr0 } = this.cpu
    const walk = this.space.walk(cr3, cr0, linear, 0, { write: false, user: false }, false)
    return walk.kind === 'mapped' ? walk.page : Math.floor(linear / PAGE_SIZE)
  }

  #callOut(operation: Operation): OutcomeRecord | undefined {
    this.#callout(operation.op)
    switch (operation.op) {
      case 'int':
        return this.softwareInterrupt(operation)
      case 'iretFrame':
        this.events.return(operation.pop ?? 0)
        return this.outcome.done()
      case 'cpuid':
        emulateCpuid(operation, this.host.processor, this.outcome)
        return this.finish(operation, true)
      default:
        return this.emulate(operation)
    }
  }

  /** An operation that trapped often: its access is simulated in a callout, unless its page is an innocent one. */
  #simulated(operation: LinearOperation): OutcomeRecord | undefined {
    this.#callout('adapted')
    const [low, high] = operation.address
    const access = { write: operation.op === 'writeLinear', user: false }
    const walk = this.space.walk(this.cpu.cr3, this.cpu.cr0, low, high, access, true)
    if (walk.kind === 'fault') {
      this.cpu.cr2 = low
      return this.reflect(EXCEPTION.PF, walk.error)
    }
    const address = walk.page * PAGE_SIZE + (low % PAGE_SIZE)
    if (this.space.hostPage(walk.page) < 0) emulateRegisters(operation, address, this.board, this.outcome)
    else if (access.write) this.#written(operation, address)
    else emulateMemory(operation, address, this.space, this.outcome)
    return this.finish(operation, true)
  }

  #written(operation: LinearOperation, address: number): void {
    const page = Math.floor(address / PAGE_SIZE)
    emulateMemory(operation, address, this.space, this.outcome)
    if (this.shadow.isTable(page)) this.shadow.entryWritten(address)
    this.#sourceWritten(page)
  }

  #sourceWritten(page: number): void {
    if (!this.#cache.invalidate(page)) return
    this.ledger.count('tracedWrite', 'translatedSource')
    this.shadow.unprotect(page)
  }

  /** Counts traps by operation: what traps again and again is translated anew. */
  protected override trap(operation: Operation, vector: number, error: number): OutcomeRecord | undefined {
    const kernel = this.monitor.virtualLevel === 0
    const before = this.ledger.total('hiddenFault')
    const outcome = super.trap(operation, vector, error)
    if (kernel && isLinear(operation) && this.ledger.total('hiddenFault') === before) {
      const count = (this.#traps.get(this.#at) ?? 0) + 1
      this.#traps.set(this.#at, count)
      if (count === ADAPT_AFTER) {
        this.#adapted.add(this.#at)
        this.ledger.count('translatedOperation', 'adapted')
      }
    }
    return outcome
  }

  protected override traced(operation: LinearOperation, address: number): void {
    super.traced(operation, address)
    this.#sourceWritten(Math.floor(address / PAGE_SIZE))
  }

  /** Segment limits keep translated code out of the hypervisor's part: what the guest meant is simulated. */
  protected override limitExceeded(operation: Operation): OutcomeRecord | undefined | false {
    return isLinear(operation) ? this.#behindHole(operation) : false
  }

  protected override holeTouched(operation: Operation): OutcomeRecord | undefined {
    return isLinear(operation) ? this.#behindHole(operation) : this.outcome.end('failed')
  }

  #behindHole(operation: LinearOperation): OutcomeRecord | undefined {
    const [low, high] = operation.address
    const user = this.monitor.virtualLevel === 3
    const access = { write: operation.op === 'writeLinear', user }
    const walk = this.space.walk(this.cpu.cr3, this.cpu.cr0, low, high, access, true)
    if (walk.kind === 'fault') {
      this.cpu.cr2 = low
      return this.reflect(EXCEPTION.PF, walk.error)
    }
    const address = walk.page * PAGE_SIZE + (low % PAGE_SIZE)
    if (access.write) this.#written(operation, address)
    else emulateMemory(operation, address, this.space, this.outcome)
    return this.finish(operation, true)
  }
}
