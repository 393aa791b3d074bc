/** The memory of one virtual machine and the tables by which its processors find it. */
import { NorthbridgeError, PAGE_SIZE, type PageNumber, pageOf } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import { ExtendedPageTable } from '../extended-page-table.ts'
import { GuestMemory, memoryRanges } from '../guest-memory.ts'
import type { HostProcessor } from '../host-processor.ts'
import type { MachineContext } from '../machine-state.ts'
import type { Arrivals } from '../moves/arrivals.ts'
import { DirtyLog, type DirtyTracking, type LoggedMachine } from '../moves/dirty-log.ts'
import type { HugePages, MemoryBackingKind, VmOptions } from '../types.ts'
import { FixedBacking, HUGE_PAGES, LARGE_PAGES } from './backing.ts'
import { defaultSettings } from './memory-settings.ts'
import { PagedBacking } from './paged-backing.ts'
import { PagedMachine } from './paged-machine.ts'
import type { SavedMachineMemory } from './saved-memory.ts'

/** Bits 2:0 of an entry. */
const ALL_RIGHTS = 7
const READ_ONLY = 5
const WRITE = 2
/** IA32_VMX_EPT_VPID_CAP: 1-GiB pages; accessed and dirty flags. */
const CAPABILITY = { gigabytePages: 1 << 17, accessedDirty: 1 << 21 } as const

const LEAF_LEVEL = { none: 1, '2MiB': 2, '1GiB': 3 } as const

export class MachineMemory {
  readonly memory: GuestMemory
  readonly ept: ExtendedPageTable
  readonly kind: MemoryBackingKind
  readonly hugePages: HugePages
  /** Where memory is paged. */
  readonly paged: PagedMachine | undefined
  /** While changes are tracked. */
  log: DirtyLog | undefined
  /** While parts of it are still elsewhere. */
  #arrivals: Arrivals | undefined
  readonly #context: MachineContext
  readonly #forget: () => void

  /**
   * Throws `outOfMemory` or `unsupported`, having taken nothing.
   *
   * @param forget has the machine's processors forget translations
   * @param saved one that has taken everything already
   */
  constructor(
    context: MachineContext,
    options: VmOptions,
    processors: readonly HostProcessor[],
    forget: () => void,
    saved?: SavedMachineMemory,
  ) {
    this.#context = context
    this.#forget = forget
    this.kind = options.backing ?? 'fixed'
    this.hugePages = options.hugePages ?? '2MiB'
    const { machine, host, pages, memory: manager } = context
    const table = this.#tableOptions(processors, saved !== undefined)
    const size = options.memoryMiB * 2 ** 20
    const ranges = memoryRanges(size)
    if (this.kind === 'fixed') {
      if (saved === undefined) manager.makeRoom(size / PAGE_SIZE)
      const largest = this.hugePages === '1GiB' ? HUGE_PAGES : LARGE_PAGES
      const backing = new FixedBacking(machine, host.memory, ranges, largest, saved?.pages)
      this.memory = new GuestMemory(machine, host.memory, size, undefined, backing)
      if (saved === undefined) this.#checkHuge(backing)
      this.ept = this.#orFree(() => new ExtendedPageTable(machine, pages, saved?.ept, table))
      if (saved === undefined) this.#mapAll()
      return
    }
    const settings = { ...defaultSettings(options.memoryMiB), ...options.memorySettings }
    if (saved === undefined) manager.admit(settings.reservationMiB * (2 ** 20 / PAGE_SIZE))
    this.ept = new ExtendedPageTable(machine, pages, saved?.ept, table)
    const paging = {
      ranges,
      largePages: this.hugePages !== 'none',
      swapPages: size / PAGE_SIZE - settings.reservationMiB * (2 ** 20 / PAGE_SIZE),
    }
    const tables = { withdraw: (page: PageNumber, count: number): void => this.#withdraw(page, count) }
    const backing = new PagedBacking(manager, tables, paging, saved?.pages)
    this.memory = new GuestMemory(machine, host.memory, size, undefined, backing)
    this.paged = new PagedMachine(options.name, backing, this.ept, forget, settings, saved?.paged)
    if (saved === undefined) manager.enter(this.paged)
    else manager.reenter(this.paged)
  }

  #tableOptions(processors: readonly HostProcessor[], known: boolean) {
    const largestLeaf = LEAF_LEVEL[this.hugePages]
    const accessedDirty = this.kind === 'paged'
    if (known || (largestLeaf < 3 && !accessedDirty)) return { largestLeaf, accessedDirty }
    for (const processor of new Set(processors)) {
      const { outcome, low } = processor.port.execute({ op: 'rdmsr', msr: MSR.IA32_VMX_EPT_VPID_CAP })
      const lacks = (bit: number): boolean => outcome !== 'done' || (low & bit) === 0
      if (largestLeaf === 3 && lacks(CAPABILITY.gigabytePages)) {
        throw new NorthbridgeError(
          'unsupported',
          `logical processor ${processor.number} has no 1-GiB pages in EPT`,
        )
      }
      if (accessedDirty && lacks(CAPABILITY.accessedDirty)) {
        throw new NorthbridgeError(
          'unsupported',
          `logical processor ${processor.number} keeps no accessed flags in EPT, by which paged memory is managed`,
        )
      }
    }
    return { largestLeaf, accessedDirty }
  }

  /** Pages of 1 GiB are promised: memory in smaller pieces is not what was asked for. */
  #checkHuge({ runs }: FixedBacking): void {
    const whole = runs.every(({ hostPage, pages }) => hostPage % HUGE_PAGES === 0 && pages % HUGE_PAGES === 0)
    if (this.hugePages !== '1GiB' || whole) return
    this.memory.free()
    throw new NorthbridgeError('outOfMemory', 'host memory is not free in aligned pieces of 1 GiB')
  }

  #orFree<Result>(make: () => Result): Result {
    try {
      return make()
    } catch (error) {
      this.memory.free()
      throw error
    }
  }

  #mapAll(): void {
    try {
      for (const { guestPage, hostPage, pages } of this.memory.runs) {
        this.ept.map(guestPage, hostPage, pages, 'WB')
      }
    } catch (error) {
      this.free()
      throw error
    }
  }

  #withdraw(page: PageNumber, pages: number): void {
    if (pages === 1 && this.ept.lookUp(page) === undefined) return
    this.log?.withdrawn(page, pages)
    this.ept.unmap(page, pages)
    this.#forget()
  }

  /**
   * An EPT violation: brings the page and maps it. True: the guest may try again. False: there is no paged memory. Throws
   * `outOfMemory`.
   */
  fault(address: number, write: boolean): boolean {
    if (this.paged === undefined || !this.memory.contains(address, 1)) return false
    const { backing } = this.paged
    const page = pageOf(address)
    const frame = backing.hostPage(page, write)
    const writable = backing.isWritable(page)
    const mapped = this.ept.lookUp(page)
    // Another virtual processor has brought it meanwhile.
    if (mapped?.page === frame && (!writable || (mapped.rights & WRITE) !== 0)) return true
    if (mapped !== undefined) this.ept.unmap(page, 1)
    if (backing.pages.isLarge(page)) {
      const within = page % LARGE_PAGES
      this.ept.map(page - within, frame - within, LARGE_PAGES, 'WB')
    } else this.ept.map(page, frame, 1, 'WB', writable ? ALL_RIGHTS : READ_ONLY)
    return true
  }

  // Moving to another host, or coming from one.

  /** Throws `unsupported`, `outOfMemory`, `alreadyDone`. */
  startLog(
    tracking: DirtyTracking,
    parts: Pick<LoggedMachine, 'port' | 'pages' | 'vcpus' | 'assigned'>,
  ): DirtyLog {
    if (this.log !== undefined)
      throw new NorthbridgeError('alreadyDone', 'changes of memory are tracked already')
    const { memory, ept } = this
    this.log = new DirtyLog({ ...parts, memory, ept, forget: this.#forget }, tracking)
    return this.log
  }

  endLog(): void {
    this.log?.stop()
    this.log = undefined
  }

  /** Pages that are still on their way cannot be reached until they are here. Throws `outOfMemory`. */
  expectPages(arrivals: Arrivals): void {
    for (const { base, size } of this.memory.ranges) this.ept.split(pageOf(base), size / PAGE_SIZE)
    this.#arrivals = arrivals
    this.memory.awaited = (address, length) => arrivals.hurry(address, length)
    for (const page of arrivals.missing) this.ept.unmap(page, 1)
    this.#forget()
  }

  /** A page has come. */
  came(page: PageNumber): void {
    this.ept.map(page, pageOf(this.memory.hostAddress(page * PAGE_SIZE)), 1, 'WB')
  }

  /** Everything has come. */
  complete(): void {
    this.#arrivals = undefined
    this.memory.awaited = undefined
  }

  /** Waits for the page at an address, if it is on its way; false: it is not. */
  *arrive(address: number): Software<boolean> {
    const page = pageOf(address)
    if (this.#arrivals?.missing.has(page) !== true) return false
    yield* this.#arrivals.fetch(page)
    return true
  }

  /** Gives all of it host pages, until it is let go. Throws `outOfMemory`, with nothing changed but pages brought. */
  hold(holder: string): void {
    const { paged } = this
    if (paged === undefined) return
    const { backing, settings } = paged
    const size = backing.size * PAGE_SIZE
    if (settings.limitMiB * 2 ** 20 < size) {
      throw new NorthbridgeError(
        'outOfMemory',
        `${holder} may reach all ${size / 2 ** 20} MiB of ${paged.name}, which has a limit of ${settings.limitMiB} MiB of host memory`,
      )
    }
    this.#context.memory.admit(backing.size - paged.kept)
    this.#context.memory.makeRoom(backing.missing)
    backing.pin(holder)
  }

  letGo(holder: string): void {
    this.paged?.backing.unpin(holder)
  }

  free(): void {
    this.ept.destroy()
    this.memory.free()
    if (this.paged !== undefined) this.#context.memory.leave(this.paged)
  }

  save(): SavedMachineMemory {
    return {
      backing: this.kind,
      hugePages: this.hugePages,
      pages: this.memory.save(),
      ept: this.ept.root,
      paged: this.paged?.save() ?? null,
    }
  }
}
