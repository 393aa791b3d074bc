/** What an administrator does about the memory of virtual machines, and what is seen of it. */
import { NorthbridgeError, type PageNumber } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import type { EmulatedDevice } from '../emulated-device.ts'
import { VirtioDevice } from '../virtio/index.ts'
import type { Machine } from '../virtual-machine.ts'
import { noCounters, type PagingCounters } from './counters.ts'
import { PAGE_KIND } from './guest-pages.ts'
import type { MemoryManager, SharingReport, SharingScope } from './memory-manager.ts'
import { checkSettings, type MemorySettings, PAGES_PER_MIB } from './memory-settings.ts'
import type { PagedMachine } from './paged-machine.ts'
import { VirtioBalloon } from './virtio-balloon.ts'

/** The memory of one machine; sizes in pages of 4 KiB unless the name says otherwise. */
export interface VmMemoryView extends MemorySettings {
  readonly vm: string
  readonly memoryMiB: number
  readonly backing: 'fixed' | 'paged'
  /** Host pages that are its own, and how many large pages make up a part of them. */
  readonly resident: number
  readonly largePages: number
  readonly shared: number
  readonly swapped: number
  readonly balloon: { readonly wanted: number; readonly actual: number; readonly driven: boolean } | null
  /** Pages that the guest gave back and has not used since. */
  readonly ballooned: number
  /** Part of its resident pages that it used lately. */
  readonly active: number
  /** Functions and disks that may reach all of it. */
  readonly pinnedBy: readonly string[]
  readonly counters: Readonly<PagingCounters>
}

export interface HostMemoryView {
  readonly totalPages: number
  readonly freePages: number
  /** Free, or to be had from machines, and promised to nobody. */
  readonly unreservedPages: number
  /** Host pages that stand for several guest pages each, and how many those are. */
  readonly sharedPages: number
  readonly sharedBy: number
  readonly sharing: SharingScope
}

/** What {@link VmMemory.balance} did, in pages by machine. */
export interface BalanceReport {
  readonly shortage: number
  readonly shared: number
  readonly machines: readonly {
    readonly vm: string
    /** What it was to lose, or (negative) to get back; what of that came from its balloon, and what was swapped out. */
    readonly asked: number
    readonly ballooned: number
    readonly swapped: number
  }[]
}

/** What it needs of the hypervisor. */
export interface VmMemoryHost {
  readonly manager: MemoryManager
  readonly engine: Engine
  find(name: string): Machine
  machines(): readonly Machine[]
  plug(machine: Machine, device: EmulatedDevice): Software<number>
  settle(): Software
}

export class VmMemory {
  readonly #host: VmMemoryHost
  /** By machine; forgotten with it. */
  readonly #balloons = new WeakMap<Machine, VirtioBalloon>()

  constructor(host: VmMemoryHost) {
    this.#host = host
  }

  /** Gives a new machine whose memory is paged its balloon. */
  *addBalloon(machine: Machine): Software {
    if (machine.space.paged !== undefined) yield* this.#host.plug(machine, this.#makeBalloon(machine))
  }

  /** After a restore, or at the end of a journey: the balloon is back in its slot. */
  replugBalloon(machine: Machine): void {
    const slot = machine.awaits('virtio-balloon')
    if (slot !== undefined) machine.replug(slot, this.#makeBalloon(machine))
  }

  #makeBalloon(machine: Machine): VirtioDevice {
    const inMemory = (page: PageNumber): boolean => machine.memory.contains(page * 4096, 4096)
    const balloon = new VirtioBalloon({
      inflate: page => {
        if (inMemory(page)) machine.space.paged?.backing.inflate(page)
      },
      deflate: page => {
        if (inMemory(page)) machine.space.paged?.backing.deflate(page)
      },
    })
    this.#balloons.set(machine, balloon)
    // "Traditional Memory Balloon Device": it works on guest-physical addresses, whatever a unit of the guest's says.
    return new VirtioDevice(balloon, { accessPlatform: false })
  }

  #pagedOf(name: string): { readonly machine: Machine; readonly paged: PagedMachine } {
    const machine = this.#host.find(name)
    const { paged } = machine.space
    if (paged === undefined) {
      throw new NorthbridgeError(
        'memoryPinned',
        `the memory of ${name} is fixed: its host pages were taken when it was made and stay`,
        { vm: name, holders: [], ranges: [] },
      )
    }
    return { machine, paged }
  }

  /** Throws `notFound`. */
  view(name: string): VmMemoryView {
    return this.#view(this.#host.find(name))
  }

  views(): readonly VmMemoryView[] {
    return this.#host.machines().map(machine => this.#view(machine))
  }

  #view(machine: Machine): VmMemoryView {
    const { name, memoryMiB } = machine
    const { paged } = machine.space
    if (paged === undefined) {
      const pages = memoryMiB * PAGES_PER_MIB
      return {
        vm: name,
        memoryMiB,
        backing: 'fixed',
        resident: pages,
        largePages: machine.memory.runs.reduce((sum, run) => sum + largeIn(run), 0),
        shared: 0,
        swapped: 0,
        balloon: null,
        ballooned: 0,
        active: 1,
        pinnedBy: machine.assigned.map(device => device.assigned.function.address),
        counters: noCounters(),
        shares: 0,
        reservationMiB: memoryMiB,
        limitMiB: memoryMiB,
      }
    }
    const { backing, settings, active } = paged
    const balloon = this.#balloons.get(machine)
    return {
      vm: name,
      memoryMiB,
      backing: 'paged',
      resident: backing.resident,
      largePages: backing.pages.large,
      shared: backing.pages.count(PAGE_KIND.shared),
      swapped: backing.swap.used,
      balloon: balloon ? { wanted: balloon.wanted, actual: balloon.actual, driven: balloon.driven } : null,
      ballooned: backing.pages.count(PAGE_KIND.ballooned),
      active,
      pinnedBy: [...backing.holders],
      counters: { ...backing.counters },
      ...settings,
    }
  }

  get hostView(): HostMemoryView {
    const { manager } = this.#host
    const { allocator, shared } = manager
    return {
      totalPages: allocator.totalPages,
      freePages: allocator.freePages,
      unreservedPages: manager.unreserved,
      sharedPages: shared.frames,
      sharedBy: shared.references,
      sharing: manager.sharing,
    }
  }

  /** Throws `notFound`, `memoryPinned`; `invalidArgument` or `outOfMemory`, with nothing changed. */
  set(name: string, wanted: Partial<MemorySettings>): VmMemoryView {
    const { machine, paged } = this.#pagedOf(name)
    const settings = { ...paged.settings, ...wanted }
    checkSettings(settings, machine.memoryMiB)
    const limit = settings.limitMiB * PAGES_PER_MIB
    if (limit < paged.backing.size) paged.backing.checkUnpinned(name, `a limit of ${settings.limitMiB} MiB`)
    const more = settings.reservationMiB - paged.settings.reservationMiB
    if (more > 0 && !paged.backing.pinned) this.#host.manager.admit(more * PAGES_PER_MIB)
    paged.settings = settings
    const over = paged.backing.resident - limit
    if (over > 0) paged.swapOut(over)
    return this.#view(machine)
  }

  /** Who may share pages with whom. What is shared already stays so. */
  setSharing(scope: SharingScope): void {
    this.#host.manager.sharing = scope
  }

  /** Asks the guest for so many MiB of its memory in all. Throws `notFound`, `memoryPinned`, `invalidArgument`. */
  *setBalloon(name: string, mebibytes: number): Software<VmMemoryView> {
    const { machine, paged } = this.#pagedOf(name)
    if (!Number.isInteger(mebibytes) || mebibytes < 0 || mebibytes > machine.memoryMiB) {
      throw new NorthbridgeError('invalidArgument', `a balloon has from 0 to ${machine.memoryMiB} MiB`, {
        issues: [{ path: '/mebibytes', message: `must be a whole number from 0 to ${machine.memoryMiB}` }],
      })
    }
    if (mebibytes > 0) paged.backing.checkUnpinned(name, 'ballooning')
    yield* this.#inflateTo(machine, mebibytes * PAGES_PER_MIB)
    return this.#view(machine)
  }

  *#inflateTo(machine: Machine, pages: number): Software {
    const balloon = this.#balloons.get(machine)
    if (balloon === undefined || balloon.wanted === pages) return
    balloon.want(pages)
    this.#tell(machine.name, `${machine.name} is asked for ${pages} pages of its memory`)
    yield* this.#host.settle()
  }

  /** Swaps out up to so many MiB that the guest did not use lately. Throws `notFound`, `memoryPinned`. */
  swapOut(name: string, mebibytes: number): VmMemoryView {
    const { machine, paged } = this.#pagedOf(name)
    paged.backing.checkUnpinned(name, 'swapping')
    paged.swapOut(mebibytes * PAGES_PER_MIB)
    return this.#view(machine)
  }

  /** Puts small pages of a machine together into large ones. Throws `notFound`, `memoryPinned`. */
  collapse(name: string): VmMemoryView {
    const { machine, paged } = this.#pagedOf(name)
    paged.backing.checkUnpinned(name, 'moving pages')
    paged.collapse()
    return this.#view(machine)
  }

  /** Looks for pages of the same contents, see `MemoryManager.share`. */
  share(large: boolean): SharingReport {
    return this.#host.manager.share(large)
  }

  /**
   * What a host does when it looks after its memory: it learns who uses what. If too little is free, alike pages are
   * shared, guests are asked for what they do not use, and what they do not give is swapped out. If there is enough, they
   * get back what they gave.
   *
   * @param room pages that are about to be needed beside
   */
  *balance(room = 0): Software<BalanceReport> {
    const { manager } = this.#host
    for (const paged of manager.machines) paged.sample()
    const before = manager.shortage + room
    const shared = before > 0 ? manager.share(true).merged : 0
    const machines: BalanceReport['machines'][number][] = []
    const missing = manager.shortage + room
    if (missing > 0) {
      const asked = manager.revocation(missing)
      const paged = [...manager.machines]
      for (const [i, one] of paged.entries()) {
        if (asked[i]! > 0) machines.push(yield* this.#takeFrom(one, asked[i]!))
      }
    } else {
      let surplus = -missing
      for (const one of manager.machines) {
        const machine = this.#host.find(one.name)
        const wanted = this.#balloons.get(machine)?.wanted ?? 0
        const back = Math.min(wanted, surplus)
        if (back === 0) continue
        surplus -= back
        yield* this.#inflateTo(machine, wanted - back)
        machines.push({ vm: one.name, asked: -back, ballooned: -back, swapped: 0 })
      }
    }
    return { shortage: before, shared, machines }
  }

  *#takeFrom(paged: PagedMachine, asked: number): Software<BalanceReport['machines'][number]> {
    const machine = this.#host.find(paged.name)
    const { backing } = paged
    const before = backing.resident
    const balloon = this.#balloons.get(machine)
    if (balloon?.driven && !machine.paused) {
      // Pages in the balloon that never had a host page bring nothing: the guest is asked for more, up to all it can spare.
      for (let left = asked; left > 0; left = asked - (before - backing.resident)) {
        const given = balloon.actual
        yield* this.#inflateTo(machine, Math.min(machine.memoryMiB * PAGES_PER_MIB, given + left))
        if (balloon.actual === given) break
      }
    }
    const ballooned = Math.max(0, before - backing.resident)
    const swapped = ballooned < asked ? paged.swapOut(asked - ballooned) : 0
    return { vm: paged.name, asked, ballooned, swapped }
  }

  #tell(vm: string, what: string): void {
    this.#host.engine.trace.emit('vm', what, { vm })
  }
}

/** Whole 2-MiB pages in a run, aligned on both sides. */
function largeIn({
  guestPage,
  hostPage,
  pages,
}: {
  guestPage: number
  hostPage: number
  pages: number
}): number {
  if ((guestPage - hostPage) % 512 !== 0) return 0
  const first = Math.ceil(guestPage / 512)
  return Math.max(0, Math.floor((guestPage + pages) / 512) - first)
}
