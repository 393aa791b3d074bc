/**
 * The host's memory shared out among virtual machines whose memory is paged: who gets pages, who loses them when there are
 * too few, and which pages are kept once for several. Machines are admitted only if everybody's reservation stays good.
 */
import { assert, NorthbridgeError, opened, type PageNumber, type Saved } from '../../core/index.ts'
import type { PageAllocator } from '../../host/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { LARGE_PAGES } from './backing.ts'
import { PAGE_KIND } from './guest-pages.ts'
import type { PagedBacking, PageSource } from './paged-backing.ts'
import type { PagedMachine } from './paged-machine.ts'
import { type MemoryClient, revoke } from './reclaim-policy.ts'
import { SharedPages } from './shared-pages.ts'

/** Parts of the host's memory: below the first, pages are taken back before one is given; then up to the second. */
const LOW_WATERMARK = 1 / 64
const HIGH_WATERMARK = 1 / 32
/** Pages that are always left for tables. */
const LEAST_FREE = 64
/** Pages of one decision of the policy. */
const STEP = 256

/** `none`: nobody shares. `vm`: pages of one machine only. `host`: whoever has the same contents. */
export const SHARING_SCOPES = ['none', 'vm', 'host'] as const
export type SharingScope = (typeof SHARING_SCOPES)[number]

type SavedManager = {
  readonly version: 1
  readonly zeroPage: PageNumber
  readonly shared: Saved
  readonly sharing: SharingScope
}

export interface SharingReport {
  /** Pages that were compared. */
  readonly scanned: number
  /** Pages that have no host page of their own any more. */
  readonly merged: number
}

export class MemoryManager implements PageSource {
  readonly machine: MachinePort
  readonly allocator: PageAllocator
  readonly shared: SharedPages
  /** In the order of creation. */
  readonly #machines: PagedMachine[] = []
  /** While there is a machine: a host page of zeros; else -1. */
  #zeroPage: PageNumber = -1
  sharing: SharingScope = 'vm'

  constructor(machine: MachinePort, allocator: PageAllocator) {
    this.machine = machine
    this.allocator = allocator
    this.shared = new SharedPages(machine, allocator)
  }

  get machines(): readonly PagedMachine[] {
    return this.#machines
  }

  get zeroPage(): PageNumber {
    assert(this.#zeroPage >= 0, 'there is a machine whose memory is paged')
    return this.#zeroPage
  }

  // Machines

  /** Throws `outOfMemory` if the reservations of all could not be kept any more. */
  admit(reserved: number): void {
    const available = this.unreserved
    if (reserved + LEAST_FREE <= available) return
    throw new NorthbridgeError(
      'outOfMemory',
      `the reservation of ${reserved} pages cannot be kept: ${Math.max(0, available - LEAST_FREE)} pages of host memory are neither in use nor reserved`,
      { pages: reserved, freePages: available },
    )
  }

  /** Host pages that are free, or could be taken back, and that nobody has reserved. */
  get unreserved(): number {
    let pages = this.allocator.freePages
    for (const machine of this.#machines) pages += machine.backing.resident - machine.kept
    return pages
  }

  enter(machine: PagedMachine): void {
    this.#machines.push(machine)
    if (this.#zeroPage >= 0) return
    this.#zeroPage = this.allocator.allocate(1)
    this.machine.zeroPages(this.#zeroPage, 1)
  }

  /** Goes on with a machine that was there when this was saved. */
  reenter(machine: PagedMachine): void {
    this.#machines.push(machine)
  }

  leave(machine: PagedMachine): void {
    this.#machines.splice(this.#machines.indexOf(machine), 1)
    if (this.#machines.length > 0) return
    this.allocator.free(this.#zeroPage, 1)
    this.#zeroPage = -1
  }

  // Pages

  takePage(backing: PagedBacking): PageNumber {
    this.#of(backing)?.makeRoomForOne()
    if (this.allocator.freePages <= this.#low) this.#swapOut(this.#high - this.allocator.freePages)
    return this.allocator.allocate(1)
  }

  takeLarge(backing: PagedBacking): PageNumber | undefined {
    const { allocator } = this
    if (this.#of(backing)?.mayGrow(LARGE_PAGES) === false) return undefined
    if (allocator.freePages - LARGE_PAGES <= this.#high) return undefined
    try {
      return allocator.allocate(LARGE_PAGES, LARGE_PAGES)
    } catch (error) {
      // Free memory is in pieces.
      if (error instanceof NorthbridgeError && error.code === 'outOfMemory') return undefined
      throw error
    }
  }

  #of(backing: PagedBacking): PagedMachine | undefined {
    return this.#machines.find(machine => machine.backing === backing)
  }

  /** Takes pages back until so many are free for somebody else, as far as there are any. */
  makeRoom(pages: number): void {
    const missing = pages + LEAST_FREE - this.allocator.freePages
    if (missing > 0) this.#swapOut(missing)
  }

  get #low(): number {
    return Math.max(LEAST_FREE, Math.floor(this.allocator.totalPages * LOW_WATERMARK))
  }

  get #high(): number {
    return Math.max(2 * LEAST_FREE, Math.floor(this.allocator.totalPages * HIGH_WATERMARK))
  }

  /** Pages that are missing for the host to be at ease, or (negative) that it has beyond that. */
  get shortage(): number {
    return this.#high - this.allocator.freePages
  }

  #clients(): MemoryClient[] {
    return this.#machines.map(machine => ({
      shares: machine.settings.shares,
      resident: machine.backing.resident,
      kept: machine.kept,
      active: machine.active,
    }))
  }

  /** What each machine has to lose so that so many pages are free, in the order of {@link machines}. */
  revocation(pages: number): number[] {
    return revoke(this.#clients(), pages, STEP)
  }

  #swapOut(pages: number): void {
    for (const [i, lost] of this.revocation(pages).entries()) {
      if (lost > 0) this.#machines[i]!.swapOut(lost)
    }
  }

  /**
   * Compares pages of all machines by content and keeps alike ones once; pages of zeros not at all. Large pages are
   * taken apart for that only if `large` is given: they translate faster than what is gained may be worth.
   */
  share(large: boolean): SharingReport {
    if (this.sharing === 'none') return { scanned: 0, merged: 0 }
    /** By scope and hash: pages of this scan that are nobody's twin yet. */
    const alone = new Map<string, { readonly machine: PagedMachine; readonly page: PageNumber }[]>()
    let scanned = 0
    let merged = 0
    for (const machine of this.#machines) {
      const { backing } = machine
      if (backing.pinned) continue
      const scope = this.sharing === 'host' ? '' : machine.name
      for (const { page, pages } of backing.pages.of(PAGE_KIND.own)) {
        if (pages > 1 && !large) continue
        if (pages > 1) backing.breakUp(page)
        for (let i = page; i < page + pages; i++) {
          scanned++
          if (this.#shareOne(machine, i, scope, alone)) merged++
        }
      }
    }
    return { scanned, merged }
  }

  #shareOne(
    machine: PagedMachine,
    page: PageNumber,
    scope: string,
    alone: Map<string, { readonly machine: PagedMachine; readonly page: PageNumber }[]>,
  ): boolean {
    const { backing } = machine
    const frame = backing.pages.frame(page)
    const hash = this.shared.hashOf(frame)
    if (hash === 0) {
      backing.dropZeros(page)
      return true
    }
    const known = this.shared.find(scope, hash, frame)
    if (known !== undefined) {
      backing.replaceByShared(page, known)
      return true
    }
    const key = `${hash} ${scope}`
    const candidates = alone.get(key) ?? []
    const at = candidates.findIndex(twin => {
      const other = twin.machine.backing.pages
      return other.kind(twin.page) === PAGE_KIND.own && this.shared.areAlike(other.frame(twin.page), frame)
    })
    if (at < 0) {
      alone.set(key, [...candidates, { machine, page }])
      return false
    }
    const [twin] = candidates.splice(at, 1)
    backing.replaceByShared(page, twin!.machine.backing.makeShared(twin!.page, scope, hash))
    return true
  }

  load(saved: Saved): void {
    const { zeroPage, shared, sharing } = opened<SavedManager>(saved, 'the memory of virtual machines', 1)
    this.#zeroPage = zeroPage
    this.sharing = sharing
    this.shared.load(shared)
  }

  save(): SavedManager {
    return {
      version: 1,
      zeroPage: this.#zeroPage,
      shared: this.shared.save(),
      sharing: this.sharing,
    }
  }
}
