/**
 * Memory that the kernel's own drivers share with their devices ("DMA API"): allocated, and made reachable at an I/O
 * virtual address of the function's domain, in an aperture, or at its physical address.
 */
import { hex, NorthbridgeError, opened, PAGE_SIZE, type PageNumber, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { ApertureDriver, SavedAperture } from './aperture.ts'
import type { TranslationDomain } from './iommu/domain.ts'
import type { Rights } from './iommu/entry-format.ts'
import type { Iommu } from './iommu/iommu.ts'
import { PageAllocator } from './page-allocator.ts'
import type { HostPciFunction } from './pci/pci-function.ts'
import type { TableMemory } from './table-memory.ts'
import type { DmaBuffer } from './types.ts'
import { usesKernelDma } from './vfio/rules.ts'

/** I/O virtual addresses that drivers get: above the RAM that reserved regions lie in, below the interrupt range. */
const ARENA = { first: 0x8_0000, pages: 0xfee00 - 0x8_0000 } as const

export interface KernelDmaOptions {
  readonly iommu: Iommu
  readonly memory: TableMemory
  /** All units have forgotten a buffer when {@link KernelDma.free} returns. */
  readonly strict: boolean
}

/** Pages that are contiguous in the host's memory. */
export interface HostRun {
  readonly hostPage: PageNumber
  readonly pages: number
}

/** Memory of others that a function reaches, and where. */
export interface LentMemory extends HostRun {
  /** For the function's requests. */
  readonly address: number
}

export type SavedKernelDma = {
  readonly version: 2
  readonly buffers: readonly {
    readonly function: string
    readonly buffers: readonly { readonly [Key in keyof DmaBuffer]: DmaBuffer[Key] }[]
  }[]
  readonly lent: readonly {
    readonly function: string
    readonly memory: readonly { readonly [Key in keyof LentMemory]: number }[]
  }[]
  /** Addresses that are free, of domains of which some are taken. */
  readonly arenas: readonly { readonly domain: number; readonly arena: Saved }[]
  readonly aperture: SavedAperture | null
}

export class KernelDma {
  /** An address-range unit, if the machine has one. */
  aperture: ApertureDriver | undefined
  readonly #options: KernelDmaOptions
  readonly #buffers = new Map<HostPciFunction, readonly DmaBuffer[]>()
  /** Memory of virtual machines that functions reach. */
  readonly #lent = new Map<HostPciFunction, readonly LentMemory[]>()
  /** Free I/O virtual addresses. */
  readonly #arenas = new WeakMap<TranslationDomain, PageAllocator>()
  /** Domains with unmaps that units may not know of yet. */
  readonly #deferring = new Set<TranslationDomain>()

  constructor(options: KernelDmaOptions) {
    this.#options = options
  }

  get strict(): boolean {
    return this.#options.strict
  }

  /** Of a function, ascending by address. */
  buffers(fn: HostPciFunction): readonly DmaBuffer[] {
    return this.#buffers.get(fn) ?? []
  }

  /**
   * Zeroed, contiguous memory that a function may reach. Throws `functionInUse` unless a driver of this kernel that does
   * DMA has the function: others do not hold its group, whose domain may become user space's; `outOfMemory`, `outOfResources`; nothing has changed then.
   */
  *allocate(fn: HostPciFunction, pages: number, access: Rights, inUse: boolean): Software<DmaBuffer> {
    const { memory, iommu } = this.#options
    this.#check(fn, access)
    const hostPage = memory.allocator.allocate(pages)
    let page: PageNumber
    try {
      page = yield* this.#map(iommu.stateOf(fn)?.domain, hostPage, pages, access)
    } catch (error) {
      memory.allocator.free(hostPage, pages)
      throw error
    }
    memory.machine.zeroPages(hostPage, pages)
    const buffer: DmaBuffer = { address: page * PAGE_SIZE, hostPage, pages, ...access, inUse }
    this.#buffers.set(
      fn,
      [...this.buffers(fn), buffer].sort((a, b) => a.address - b.address),
    )
    return buffer
  }

  /**
   * Lets a function reach memory that is not the driver's: a virtual machine's. Throws as {@link allocate}; then it
   * reaches none of it.
   */
  *lend(fn: HostPciFunction, memory: readonly HostRun[], access: Rights): Software<readonly LentMemory[]> {
    this.#check(fn, access)
    const domain = this.#options.iommu.stateOf(fn)?.domain
    const lent: LentMemory[] = []
    try {
      for (const { hostPage, pages } of memory) {
        const page = yield* this.#map(domain, hostPage, pages, access)
        lent.push({ address: page * PAGE_SIZE, hostPage, pages })
      }
    } catch (error) {
      for (const one of lent) yield* this.#withdraw(domain, one)
      throw error
    }
    this.#lent.set(fn, [...(this.#lent.get(fn) ?? []), ...lent])
    return lent
  }

  /** The function reaches it no more when this returns, whatever the mode: its owner may give it to others. */
  *takeBack(fn: HostPciFunction, lent: readonly LentMemory[]): Software {
    const domain = this.#options.iommu.stateOf(fn)?.domain
    for (const one of lent) yield* this.#withdraw(domain, one)
    const rest = (this.#lent.get(fn) ?? []).filter(
      ({ address }) => !lent.some(one => one.address === address),
    )
    if (rest.length > 0) this.#lent.set(fn, rest)
    else this.#lent.delete(fn)
  }

  *#withdraw(domain: TranslationDomain | undefined, { address, pages }: LentMemory): Software {
    const page = address / PAGE_SIZE
    if (domain === undefined) this.aperture?.unmap(page, pages)
    else if (!this.#options.iommu.isIdentity(domain)) {
      yield* domain.unmap(page, pages)
      this.#arena(domain).free(page, pages)
    }
  }

  /** Whether a driver may have memory reached by a function. */
  #check(fn: HostPciFunction, access: Rights): void {
    if (fn.owner.kind !== 'driver') {
      throw new NorthbridgeError('functionInUse', `no driver of the host has ${fn.address}`, {
        owner: fn.owner,
      })
    }
    if (!usesKernelDma(fn.driver)) {
      throw new NorthbridgeError('functionInUse', `driver ${fn.driver} of ${fn.address} does no DMA`, {
        owner: fn.owner,
      })
    }
    if (!access.read && !access.write) {
      throw new NorthbridgeError('invalidArgument', 'a buffer is for reading, writing, or both')
    }
  }

  /**
   * Takes a buffer back. Its memory and its address are used again only when no unit knows them, which in deferred mode
   * is later: until then the device may still reach the memory. Throws `notFound`.
   */
  *free(fn: HostPciFunction, address: number): Software {
    const buffer = this.buffers(fn).find(one => one.address === address)
    if (buffer === undefined) {
      throw new NorthbridgeError('notFound', `${fn.address} has no buffer at ${hex(address)}`)
    }
    const rest = this.buffers(fn).filter(one => one !== buffer)
    if (rest.length > 0) this.#buffers.set(fn, rest)
    else this.#buffers.delete(fn)
    yield* this.#unmap(this.#options.iommu.stateOf(fn)?.domain, buffer)
  }

  /** Every buffer of a function, and what was lent to it, when its driver leaves. */
  *release(fn: HostPciFunction): Software {
    for (const { address } of this.buffers(fn)) yield* this.free(fn, address)
    const lent = this.#lent.get(fn)
    if (lent !== undefined) yield* this.takeBack(fn, lent)
  }

  /** Makes every unit forget what was unmapped. */
  *flush(): Software {
    for (const domain of [...this.#deferring].sort((a, b) => a.number - b.number)) yield* domain.flush()
    this.#deferring.clear()
  }

  save(): SavedKernelDma {
    return {
      version: 2,
      buffers: [...this.#buffers]
        .map(([fn, buffers]) => ({ function: fn.address, buffers: buffers.map(one => ({ ...one })) }))
        .sort((a, b) => (a.function < b.function ? -1 : 1)),
      lent: [...this.#lent]
        .map(([fn, memory]) => ({ function: fn.address, memory: memory.map(one => ({ ...one })) }))
        .sort((a, b) => (a.function < b.function ? -1 : 1)),
      // One that nothing is taken from is as good as none.
      arenas: this.#options.iommu.domains().flatMap(domain => {
        const arena = this.#arenas.get(domain)
        const inUse = arena !== undefined && arena.freePages < arena.totalPages
        return inUse ? [{ domain: domain.number, arena: arena.save() }] : []
      }),
      aperture: this.aperture?.save() ?? null,
    }
  }

  /** The aperture is the caller's to open. */
  load(saved: SavedKernelDma, find: (address: string) => HostPciFunction): void {
    opened(saved, 'the DMA interface of the kernel', 2)
    const { iommu } = this.#options
    for (const { function: address, buffers } of saved.buffers) {
      this.#buffers.set(
        find(address),
        buffers.map(one => ({ ...one })),
      )
    }
    for (const { function: address, memory } of saved.lent) {
      this.#lent.set(
        find(address),
        memory.map(one => ({ ...one })),
      )
    }
    for (const { domain, arena } of saved.arenas) this.#openArena(iommu.domain(domain)).load(arena)
    for (const domain of iommu.domains()) if (domain.deferred > 0) this.#deferring.add(domain)
  }

  *#map(
    domain: TranslationDomain | undefined,
    hostPage: PageNumber,
    pages: number,
    access: Rights,
  ): Software<PageNumber> {
    if (domain === undefined) return this.aperture?.map(hostPage, pages) ?? hostPage
    if (this.#options.iommu.isIdentity(domain)) return hostPage
    const arena = this.#arena(domain)
    const page = arena.allocate(pages)
    try {
      yield* domain.map(page, hostPage, pages, access)
    } catch (error) {
      arena.free(page, pages)
      throw error
    }
    return page
  }

  *#unmap(domain: TranslationDomain | undefined, { address, hostPage, pages }: DmaBuffer): Software {
    const page = address / PAGE_SIZE
    const giveBack = (): void => this.#options.memory.allocator.free(hostPage, pages)
    if (domain === undefined) {
      this.aperture?.unmap(page, pages)
      return giveBack()
    }
    if (this.#options.iommu.isIdentity(domain)) return giveBack()
    const arena = this.#arena(domain)
    if (this.#options.strict) {
      yield* domain.unmap(page, pages)
      arena.free(page, pages)
      return giveBack()
    }
    yield* domain.unmapLater(page, pages)
    if (domain.deferred > 0) this.#deferring.add(domain)
  }

  #arena(domain: TranslationDomain): PageAllocator {
    let arena = this.#arenas.get(domain)
    if (arena === undefined) arena = this.#openArena(domain)
    return arena
  }

  #openArena(domain: TranslationDomain): PageAllocator {
    const arena = new PageAllocator([ARENA])
    this.#arenas.set(domain, arena)
    domain.onForgotten = ({ page, pages, hostPage }) => {
      arena.free(page, pages)
      this.#options.memory.allocator.free(hostPage, pages)
    }
    return arena
  }
}
