/**
 * Which pages of a machine's memory change: by the processors ("Accessed and Dirty Flags for EPT", read by scanning the
 * tables or told by "Page-Modification Logging"), by the hypervisor's own hand, and by assigned functions, which log for
 * themselves. While it is on, memory is mapped by 4-KiB pages, as KVM does it:
 * the dirty flag of a larger one would say too little.
 */
import { PAGE_SIZE, type PageNumber, pageOf } from '../../core/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { ExtendedPageTable } from '../extended-page-table.ts'
import type { GuestMemory } from '../guest-memory.ts'
import type { HostPages } from '../host-pages.ts'
import type { Vcpu } from '../vcpu.ts'
import type { VirtualFunction } from '../virtual-function.ts'
import { pagesOf } from './memory-image.ts'

/** How the processors' writes are found: every entry is looked at, or they tell themselves. */
export const DIRTY_TRACKING = ['accessedDirty', 'pml'] as const
export type DirtyTracking = (typeof DIRTY_TRACKING)[number]

/** What finding dirty pages has cost. */
export interface TrackingCost {
  /** Leaves of the tables that were looked at. */
  readonly entriesRead: number
  /** VM exits because a page-modification log was full. */
  readonly logExits: number
}

/** The machine whose memory it is. */
export interface LoggedMachine {
  readonly memory: GuestMemory
  readonly ept: ExtendedPageTable
  readonly pages: HostPages
  readonly port: MachinePort
  readonly vcpus: readonly Vcpu[]
  readonly assigned: readonly VirtualFunction[]
  /** Has its processors forget translations of its memory. */
  forget(): void
}

export class DirtyLog {
  readonly tracking: DirtyTracking
  readonly #machine: LoggedMachine
  /** Pages found since the last {@link take}. */
  readonly #found = new Set<PageNumber>()
  /** With page-modification logging: a log for each virtual processor. */
  readonly #logs: PageNumber[] = []
  /** Whether the tables had flags for another reason. */
  readonly #flagsBefore: boolean
  #entriesRead = 0
  #logExits = 0

  /** Throws `unsupported`, `outOfMemory`, with nothing switched on. */
  constructor(machine: LoggedMachine, tracking: DirtyTracking) {
    this.#machine = machine
    this.tracking = tracking
    const { memory, ept, pages, vcpus } = machine
    for (const vcpu of vcpus) vcpu.tracking.check(vcpu.processor, tracking === 'pml')
    try {
      if (tracking === 'pml') for (const _vcpu of vcpus) this.#logs.push(pages.allocate())
      for (const { base, size } of memory.ranges) ept.split(pageOf(base), size / PAGE_SIZE)
    } catch (error) {
      for (const page of this.#logs) pages.free(page)
      throw error
    }
    this.#flagsBefore = ept.accessedDirty
    ept.accessedDirty = true
    for (const vcpu of vcpus) vcpu.tracking.set(ept.pointer, this.#logs[vcpu.number])
    memory.dirtied = (address, length) => this.#wrote(address, length)
    for (const { migration } of machine.assigned) migration?.log(true)
    this.#clear()
  }

  get cost(): TrackingCost {
    return { entriesRead: this.#entriesRead, logExits: this.#logExits }
  }

  /** Pages that the hypervisor takes from the guest, and with them their flags. */
  withdrawn(page: PageNumber, pages: number): void {
    this.#wrote(page * PAGE_SIZE, pages * PAGE_SIZE)
  }

  /** Forgets what changed so far. */
  #clear(): void {
    const { memory, ept, forget } = this.#machine
    for (const { base, size } of memory.ranges) ept.takeDirty(pageOf(base), size / PAGE_SIZE, () => {})
    forget()
    this.#found.clear()
  }

  #wrote(address: number, length: number): void {
    for (let page = pageOf(address); page * PAGE_SIZE < address + length; page++) this.#found.add(page)
  }

  /** The log of a virtual processor is full, and its guest waits. */
  full(vcpu: Vcpu): void {
    this.#logExits++
    this.#drain(vcpu)
  }

  #drain(vcpu: Vcpu): void {
    const { port, memory } = this.#machine
    vcpu.tracking.drain(port, page => {
      if (memory.contains(page * PAGE_SIZE, PAGE_SIZE)) this.#found.add(page)
    })
  }

  /** Pages that changed since the last call, ascending: whoever changes one from now on is found again. */
  take(): PageNumber[] {
    const { memory, ept, vcpus, forget } = this.#machine
    if (this.tracking === 'pml') {
      for (const vcpu of vcpus) this.#drain(vcpu)
      // A page whose flag is set is not logged again.
      for (const page of this.#found) ept.takeDirty(page, 1, () => this.#entriesRead++)
    } else {
      for (const { base, size } of memory.ranges) {
        this.#entriesRead += size / PAGE_SIZE
        ept.takeDirty(pageOf(base), size / PAGE_SIZE, page => this.#found.add(page))
      }
    }
    forget()
    this.#takeFromFunctions()
    const pages = [...this.#found].sort((a, b) => a - b)
    this.#found.clear()
    return pages
  }

  /** Their devices log by themselves; one that could not remember all may have written anywhere. */
  #takeFromFunctions(): void {
    const { memory, assigned } = this.#machine
    for (const { migration } of assigned) {
      const pages = migration?.takeLog() ?? pagesOf(memory)
      for (const page of pages) if (memory.contains(page * PAGE_SIZE, PAGE_SIZE)) this.#found.add(page)
    }
  }

  /** Switches everything off. */
  stop(): void {
    const { memory, ept, pages, vcpus, forget } = this.#machine
    memory.dirtied = undefined
    for (const { migration } of this.#machine.assigned) migration?.log(false)
    ept.accessedDirty = this.#flagsBefore
    for (const vcpu of vcpus) vcpu.tracking.set(ept.pointer, undefined)
    forget()
    for (const page of this.#logs) pages.free(page)
    this.#logs.length = 0
  }
}
