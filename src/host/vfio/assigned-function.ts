/** A function in the hands of user space. */
import {
  assert,
  lanesOf,
  NorthbridgeError,
  PAGE_SIZE,
  type PageNumber,
  pageOf,
  type RequesterId,
} from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { FunctionInterrupts, SavedFunctionInterrupts } from '../function-interrupts.ts'
import { dmaAliases } from '../grouping/dma-aliases.ts'
import type { PageRequestHandler, TranslationDomain } from '../iommu/domain.ts'
import { msiOf, msixOf } from '../pci/message-interrupts.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type {
  AssignedFunction,
  DeviceRegion,
  GuestTable,
  HotResetMember,
  MsiLayout,
  MsixLayout,
  PostedTarget,
  ResetMethod,
} from '../types.ts'
import { guestView, guestWritable } from './config-filter.ts'
import type { Container } from './container.ts'

export interface Assignment {
  readonly fn: HostPciFunction
  /** Whose it is, and where its mappings are. */
  readonly container: Container
  /** Where its group points. */
  readonly domain: () => TranslationDomain
  readonly interrupts: FunctionInterrupts | undefined
  /** The driver that had it, which gets it back. */
  readonly before: string | null
  readonly servePageRequests: (handler: PageRequestHandler | undefined) => Software
  /** Resets the function; its interrupts are disarmed. */
  readonly reset: () => Software<ResetMethod>
  readonly hotResetMembers: () => readonly HotResetMember[]
  readonly hotReset: () => Software
  /** Gives the function back to the kernel. */
  readonly release: () => Software
}

type Plain<Of> = { readonly [Key in keyof Of]: Of[Key] }

export type SavedAssigned = {
  readonly function: string
  readonly owner: string
  readonly container: string
  readonly before: string | null
  readonly aliases: readonly RequesterId[]
  readonly regions: readonly Plain<DeviceRegion>[]
  readonly msix: Plain<MsixLayout> | null
  readonly msi: Plain<MsiLayout> | null
  readonly mapped: readonly (readonly [page: PageNumber, pages: number, times: number])[]
  readonly interrupts: SavedFunctionInterrupts | null
}

export class VfioFunction implements AssignedFunction {
  readonly function: HostPciFunction
  readonly owner: string
  readonly aliases: readonly RequesterId[]
  readonly regions: readonly DeviceRegion[]
  readonly msix: MsixLayout | undefined
  readonly msi: MsiLayout | undefined
  readonly #assignment: Assignment
  /** Interrupts that wait for {@link resumeInterrupts}. */
  readonly #saved: SavedFunctionInterrupts | null
  /** Ranges mapped through this handle, by first page: pages, and how often. */
  readonly #mapped = new Map<PageNumber, { readonly pages: number; times: number }>()
  #released = false

  constructor(assignment: Assignment, saved?: SavedAssigned) {
    const { fn, container } = assignment
    this.#assignment = assignment
    this.#saved = saved?.interrupts ?? null
    this.function = fn
    this.owner = container.owner
    if (saved !== undefined) {
      this.aliases = [...saved.aliases]
      this.msix = saved.msix === null ? undefined : { ...saved.msix }
      this.msi = saved.msi === null ? undefined : { ...saved.msi }
      this.regions = saved.regions.map(region => ({ ...region }))
      for (const [page, pages, times] of saved.mapped) this.#mapped.set(page, { pages, times })
      return
    }
    this.aliases = [...new Set(dmaAliases(fn).map(({ rid }) => rid as RequesterId))]
    this.msix = msixOf(fn)
    this.msi = msiOf(fn)
    this.regions = fn.bars
      .filter(({ kind, address }) => kind !== 'io' && address !== 0)
      .map(({ index, kind, prefetchable, address, size }) => ({
        index,
        hostAddress: address,
        size,
        prefetchable,
        is64: kind === 'memory64',
      }))
  }

  get domain(): number {
    return this.#assignment.domain().number
  }

  *map(
    iova: number,
    hostPage: PageNumber,
    pages: number,
    access: { readonly read: boolean; readonly write: boolean },
  ): Software {
    this.#checkHeld()
    const page = checkRange(iova, pages)
    if (!access.read && !access.write) {
      throw new NorthbridgeError('invalidArgument', 'a mapping allows reading, writing, or both')
    }
    yield* this.#assignment.container.map(page, hostPage, pages, access)
    const known = this.#mapped.get(page)
    if (known === undefined) this.#mapped.set(page, { pages, times: 1 })
    else known.times++
  }

  *unmap(iova: number, pages: number): Software {
    this.#checkHeld()
    const page = checkRange(iova, pages)
    const known = this.#mapped.get(page)
    if (known?.pages !== pages) {
      throw new NorthbridgeError(
        'invalidArgument',
        `${this.function.address}: what is unmapped must be a range that was mapped, whole`,
      )
    }
    yield* this.#assignment.container.unmap(page, pages)
    if (--known.times === 0) this.#mapped.delete(page)
  }

  get whyNotNested(): string | undefined {
    return this.#assignment.container.whyNotNested
  }

  *nest(table: GuestTable | undefined): Software {
    this.#checkHeld()
    yield* this.#assignment.container.nest(table)
  }

  *forgetNested(iova: number, pages: number): Software {
    this.#checkHeld()
    yield* this.#assignment.container.forgetNested(checkRange(iova, pages), pages)
  }

  *trackDirty(on: boolean): Software {
    this.#checkHeld()
    yield* this.#assignment.container.trackDirty(on)
  }

  *dirtyPages(iova: number, pages: number): Software<Uint8Array> {
    this.#checkHeld()
    const page = checkRange(iova, pages)
    return yield* this.#assignment.container.dirtyPages(page, pages)
  }

  *servePageRequests(handler: Parameters<AssignedFunction['servePageRequests']>[0]): Software {
    this.#checkHeld()
    yield* this.#assignment.servePageRequests(
      handler && ((page, access) => handler(page * PAGE_SIZE, access)),
    )
  }

  readConfig(offset: number, width: number): number {
    const dword = guestView(this.function, offset & ~3)
    const bits = 8 * (offset & 3)
    return width === 4 ? dword : (dword >>> bits) & (width === 2 ? 0xffff : 0xff)
  }

  writeConfig(offset: number, width: number, value: number): void {
    this.#checkHeld()
    const lanes = lanesOf(((1 << width) - 1) << (offset & 3)) & guestWritable(this.function, offset & ~3)
    if (lanes !== 0) this.function.config.write(offset & ~3, value << (8 * (offset & 3)), lanes >>> 0)
  }

  *enableInterrupts(count: number, onInterrupt: (index: number) => void, processor: number): Software {
    this.#checkHeld()
    const { interrupts } = this.#assignment
    if (interrupts === undefined) {
      throw new NorthbridgeError(
        'noInterruptRemapping',
        `${this.function.address} is covered by no unit that remaps its interrupts`,
      )
    }
    yield* interrupts.enable(count, onInterrupt, processor)
  }

  *disableInterrupts(): Software {
    yield* this.#assignment.interrupts?.disable() ?? []
  }

  get postsInterrupts(): boolean {
    return this.#assignment.interrupts?.postable ?? false
  }

  *postInterrupt(index: number, target: PostedTarget | undefined): Software {
    this.#checkHeld()
    yield* this.#assignment.interrupts?.post(index, target) ?? []
  }

  *reset(): Software<ResetMethod> {
    this.#checkHeld()
    return yield* this.#assignment.reset()
  }

  hotResetMembers(): readonly HotResetMember[] {
    this.#checkHeld()
    return this.#assignment.hotResetMembers()
  }

  *hotReset(): Software {
    this.#checkHeld()
    yield* this.#assignment.hotReset()
  }

  /** After a reset, which disables messages: their vectors and entries are free. */
  *forgetInterrupts(): Software {
    yield* this.#assignment.interrupts?.forget() ?? []
  }

  *release(): Software {
    this.#checkHeld()
    this.#released = true
    yield* this.#assignment.interrupts?.disable() ?? []
    for (const [page, { pages, times }] of [...this.#mapped].sort(([a], [b]) => a - b)) {
      for (let i = 0; i < times; i++) yield* this.#assignment.container.unmap(page, pages)
    }
    this.#mapped.clear()
    yield* this.#assignment.release()
  }

  /** Interrupts that were armed when the function's state was saved go to this handler from now on. */
  resumeInterrupts(onInterrupt: (index: number) => void): void {
    if (this.#saved !== null) this.#assignment.interrupts?.load(this.#saved, onInterrupt)
  }

  save(): SavedAssigned {
    return {
      function: this.function.address,
      owner: this.owner,
      container: this.#assignment.container.name,
      before: this.#assignment.before,
      aliases: [...this.aliases],
      regions: this.regions.map(region => ({ ...region })),
      msix: this.msix ? { ...this.msix } : null,
      msi: this.msi ? { ...this.msi } : null,
      mapped: [...this.#mapped]
        .sort(([a], [b]) => a - b)
        .map(([page, { pages, times }]) => [page, pages, times]),
      interrupts: this.#assignment.interrupts?.save() ?? null,
    }
  }

  #checkHeld(): void {
    assert(!this.#released, 'a function that was given back is not used any more')
  }
}

/** Page number of a byte address. Throws `invalidArgument` unless whole pages below 2^64 are meant. */
function checkRange(iova: number, pages: number): PageNumber {
  const whole = Number.isSafeInteger(iova) && iova >= 0 && iova % PAGE_SIZE === 0
  if (!whole || !Number.isSafeInteger(pages) || pages < 1) {
    throw new NorthbridgeError(
      'invalidArgument',
      'mappings are whole pages: iova a multiple of 4096, pages 1 or more',
    )
  }
  return pageOf(iova)
}
