/**
 * Paravirtualization: the kernel was written, or patched at boot by the VMI ROM, to ask the hypervisor instead of being
 * trapped; page tables are its own (direct paging), and requests for them travel together.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { EXCEPTION, PAGE_FAULT } from '../../vmx/formats/msrs.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { RETRY } from './deprivileged.ts'
import { DirectPaging } from './direct-paging.ts'
import { emulatePort, emulateRegisters, isLinear, type LinearOperation } from './emulation.ts'
import { GuestSpace, type Walk } from './guest-space.ts'
import { inlineOperation } from './inline-operations.ts'
import {
  MMU_UPDATE,
  MULTICALL,
  type ParavirtualCall,
  RELOCATION,
  relocationOf,
  VMI_CALLS,
  XEN_CALLS,
} from './paravirtual-calls.ts'
import { PreparedKernel } from './prepared-kernel.ts'
import type { GuestStart, OutcomeRecord, TechniqueHost } from './technique.ts'

/** INT 82H: the hypercall gate of a 32-bit kernel. */
const HYPERCALL_VECTOR = 0x82
/** Requests for page tables that wait for each other at most. */
const BATCH = 32

interface Request {
  readonly name: string
  act(): void
}

export class Paravirtual extends PreparedKernel {
  readonly #calls: typeof XEN_CALLS
  readonly #tables: DirectPaging
  readonly #queue: Request[] = []

  constructor(name: 'paravirtual' | 'vmi', host: TechniqueHost, start: GuestStart) {
    super(name, host, start, { kernelRing: 1, openVectors: [HYPERCALL_VECTOR] })
    this.#calls = name === 'vmi' ? VMI_CALLS : XEN_CALLS
    this.#tables = new DirectPaging(host, new GuestSpace(host), this.ledger, this.monitor.hole)
  }

  /** Software walks read the guest's own view of its tables. */
  protected override makeSpace(host: TechniqueHost): GuestSpace {
    return new TableView(host, () => this.#tables)
  }

  protected override rootOf(cr3: number): number {
    return this.#tables.root(cr3)
  }

  protected override attempt(operation: Operation): OutcomeRecord | undefined {
    if (this.monitor.virtualLevel !== 0) return this.native(operation)
    if (this.interruptWaits) {
      this.#hypercall('forced callback')
      return RETRY
    }
    if (operation.op === 'writeLinear' && this.#queueEntry(operation)) {
      this.passed(operation)
      return this.outcome.done()
    }
    const call = this.#callFor(operation)
    if (call?.way === 'shared' || isOwnKnowledge(operation)) {
      const inline = inlineOperation(operation, this)
      if (inline !== undefined) {
        this.ledger.count('inlineOperation', call?.name ?? operation.op)
        this.passed(operation)
        return inline
      }
    }
    if (isLinear(operation) && this.#isEventChannel(operation)) return this.#eventChannel(operation)
    if (call?.way === 'call') return this.#request(call, operation)
    this.#flushQueue()
    return this.#queueEmptied(operation)
  }

  /** After a hypercall the hypervisor has the processor; then the operation is tried again in the guest. */
  #queueEmptied(operation: Operation): OutcomeRecord | undefined {
    return this.inGuest ? this.nativeInKernel(operation) : RETRY
  }

  #callFor(operation: Operation): ParavirtualCall | undefined {
    const call = this.#calls[operation.op]
    return relocationOf(call, 'hypervisor') === RELOCATION.none ? undefined : call
  }

  #hypercall(name: string): void {
    this.ledger.count('hypercall', name)
    if (this.inGuest) this.callHypervisor(HYPERCALL_VECTOR)
  }

  #request(call: ParavirtualCall, operation: Operation): OutcomeRecord | undefined {
    if (operation.op === 'invlpg') {
      this.#enqueue({ name: call.name, act: () => this.reload() })
      this.passed(operation)
      return this.outcome.done()
    }
    if (this.#queue.length > 0) this.#flushQueue(call.name)
    else this.#hypercall(call.name)
    return this.#serve(operation)
  }

  #serve(operation: Operation): OutcomeRecord | undefined {
    switch (operation.op) {
      case 'iretFrame':
        this.events.return(operation.pop ?? 0)
        return this.outcome.done()
      case 'in':
      case 'out':
        emulatePort(operation, this.board, this.outcome)
        return this.finish(operation, true)
      default:
        return this.emulate(operation)
    }
  }

  #enqueue(request: Request): void {
    if (this.#queue.length === BATCH) this.#flushQueue()
    this.#queue.push(request)
  }

  /** What waits goes in one multicall, with the call that could not wait as its last request. */
  #flushQueue(last?: string): void {
    if (this.#queue.length === 0) return
    const requests = this.#queue.splice(0)
    const names = requests.map(({ name }) => name)
    if (last !== undefined) names.push(last)
    const [only] = names
    if (names.length === 1) this.#hypercall(only!)
    else {
      this.#hypercall(MULTICALL[this.name as 'paravirtual' | 'vmi'])
      for (const name of names) this.ledger.count('batchedRequest', name)
    }
    for (const request of requests) request.act()
  }

  /** The kernel knows when it writes a page-table entry: SetPxE, mmu_update. */
  #queueEntry(operation: Extract<Operation, { op: 'writeLinear' }>): boolean {
    const walk = this.#walk(operation, false)
    if (walk.kind === 'fault' || !this.#tables.isTable(walk.page)) return false
    const address = walk.page * PAGE_SIZE + (operation.address[0] % PAGE_SIZE)
    const name = MMU_UPDATE[this.name as 'paravirtual' | 'vmi']
    this.#enqueue({ name, act: () => this.#tables.update(address, operation.value[0]) })
    return true
  }

  #walk({ op, address }: LinearOperation, mark: boolean): Walk {
    const { cr3, cr0 } = this.cpu
    const access = { write: op === 'writeLinear', user: false }
    return this.space.walk(cr3, cr0, address[0], address[1], access, mark)
  }

  /** Where the original has its local APIC, this kernel has event channels: bits in shared memory. */
  #isEventChannel(operation: LinearOperation): boolean {
    const walk = this.#walk(operation, false)
    return walk.kind === 'mapped' && this.space.hostPage(walk.page) < 0
  }

  #eventChannel(operation: LinearOperation): OutcomeRecord {
    const walk = this.#walk(operation, true)
    const page = walk.kind === 'mapped' ? walk.page : 0
    const address = page * PAGE_SIZE + (operation.address[0] % PAGE_SIZE)
    this.ledger.count('inlineOperation', 'event channel')
    this.passed(operation)
    return emulateRegisters(operation, address, this.board, this.outcome)
  }

  /** The processor walks the guest's tables: every fault is the guest's own. */
  protected override pageFault(_operation: Operation, error: number): OutcomeRecord | undefined {
    const { low } = this.monitor.run({ op: 'movFromCr', cr: 2 })
    this.cpu.cr2 = low
    return this.reflect(EXCEPTION.PF, error & ~(this.monitor.virtualLevel === 0 ? PAGE_FAULT.user : 0))
  }

  protected override invalidate(): void {
    this.reload()
  }

  /** Whoever looks at the guest's tables finds them as the kernel meant them: it leaves its lazy mode first. */
  override readGuest(address: number): number {
    this.#flushQueue()
    return this.space.read(address)
  }
}

/** What such a kernel knows without asking the processor: where it put its tables, that it is the kernel. */
const isOwnKnowledge = ({ op }: Operation): boolean => ['sgdt', 'sidt', 'sldt', 'str', 'smsw'].includes(op)

/** The guest's memory with its tables in guest frames. */
class TableView extends GuestSpace {
  readonly #tables: () => DirectPaging | undefined

  constructor(host: TechniqueHost, tables: () => DirectPaging | undefined) {
    super(host)
    this.#tables = tables
  }

  override read(address: number): number {
    return this.#tables()?.read(address) ?? super.read(address)
  }
}
