/** A disk in the host's memory: a page of it is taken when it is first written. */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { pause, type Software } from '../../engine/index.ts'
import type { PageAllocator } from '../../host/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { SECTOR_SIZE } from '../formats/virtio.ts'
import type { CopyingBackend, SavedBackend } from './backend.ts'

/** Sectors between two pauses of a large discard. */
const PAUSE = 4096

type SavedMemory = SavedBackend & { readonly kind: 'memory' }

export class MemoryBackend implements CopyingBackend {
  readonly kind = 'copying'
  readonly sectors: number
  readonly #machine: MachinePort
  readonly #allocator: PageAllocator
  /** Page of the disk to page of the host. */
  readonly #pages = new Map<number, PageNumber>()
  /** While somebody copies the disk: its pages that changed since they were taken last. */
  #changed: Set<number> | undefined

  constructor(machine: MachinePort, allocator: PageAllocator, sectors: number) {
    this.sectors = sectors
    this.#machine = machine
    this.#allocator = allocator
  }

  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *read(sector: number, target: Uint8Array, start: number, length: number): Software<boolean> {
    for (let done = 0; done < length; ) {
      const at = sector * SECTOR_SIZE + done
      const part = Math.min(PAGE_SIZE - (at % PAGE_SIZE), length - done)
      const page = this.#pages.get(Math.floor(at / PAGE_SIZE))
      if (page === undefined) target.fill(0, start + done, start + done + part)
      else this.#machine.readBytes(page * PAGE_SIZE + (at % PAGE_SIZE), target, start + done, part)
      done += part
    }
    return true
  }

  /** False when the host has no memory left. */
  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *write(sector: number, source: Uint8Array, start: number, length: number): Software<boolean> {
    for (let done = 0; done < length; ) {
      const at = sector * SECTOR_SIZE + done
      const part = Math.min(PAGE_SIZE - (at % PAGE_SIZE), length - done)
      const page = this.#pageFor(Math.floor(at / PAGE_SIZE))
      if (page === undefined) return false
      this.#changed?.add(Math.floor(at / PAGE_SIZE))
      this.#machine.writeBytes(page * PAGE_SIZE + (at % PAGE_SIZE), source, start + done, part)
      done += part
    }
    return true
  }

  #pageFor(number: number): PageNumber | undefined {
    let page = this.#pages.get(number)
    if (page === undefined && this.#allocator.freePages > 0) {
      page = this.#allocator.allocate(1)
      this.#machine.zeroPages(page, 1)
      this.#pages.set(number, page)
    }
    return page
  }

  *discard(sector: number, count: number): Software<boolean> {
    const zeros = new Uint8Array(SECTOR_SIZE)
    for (let i = 0; i < count; i++) {
      if (i % PAUSE === PAUSE - 1) yield* pause()
      const at = (sector + i) * SECTOR_SIZE
      const page = this.#pages.get(Math.floor(at / PAGE_SIZE))
      if (page === undefined) continue
      this.#changed?.add(Math.floor(at / PAGE_SIZE))
      this.#machine.writeBytes(page * PAGE_SIZE + (at % PAGE_SIZE), zeros)
    }
    return true
  }

  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *flush(): Software<boolean> {
    return true
  }

  /** The disk is empty then. */
  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *close(): Software {
    for (const page of this.#pages.values()) {
      this.#machine.zeroPages(page, 1)
      this.#allocator.free(page, 1)
    }
    this.#pages.clear()
  }

  // Copying the disk while it is used.

  /** Pages that were ever written, ascending. */
  get pages(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b)
  }

  /** Begins, or ends, to remember which pages change. Who copies a disk is gone after a restore. */
  track(on: boolean): void {
    this.#changed = on ? new Set() : undefined
  }

  /** Pages that have changed since the last call, ascending. */
  takeChanged(): number[] {
    const changed = [...(this.#changed ?? [])].sort((a, b) => a - b)
    this.#changed?.clear()
    return changed
  }

  save(): SavedMemory {
    return { kind: 'memory', sectors: this.sectors, pages: [...this.#pages].sort(([a], [b]) => a - b) }
  }

  /** A disk that has its pages already. */
  static restore(
    machine: MachinePort,
    allocator: PageAllocator,
    { sectors, pages }: SavedMemory,
  ): MemoryBackend {
    const backend = new MemoryBackend(machine, allocator, sectors)
    for (const [number, page] of pages) backend.#pages.set(number, page)
    return backend
  }
}
