/**
 * Pages that assigned functions have asked for, and may reach until they are taken back ("Page Request Services"). Nobody else
 * takes such a page away: first the units, and the device-TLBs behind them, are made to forget it, and that takes time.
 */
import { NorthbridgeError, opened, PAGE_SIZE, type PageNumber, pageOf, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction } from '../../host/index.ts'

/** The memory that they ask for. */
export interface RequestedMemory {
  contains(address: number, length: number): boolean
  /** A host page of the guest's own. Throws `outOfMemory`. */
  bring(page: PageNumber): PageNumber
  /** Takes pages back that functions of other machines may reach, too. */
  recallAll(): Software
}

type SavedDevicePages = {
  readonly version: 1
  readonly functions: readonly string[]
  readonly pinning: readonly string[]
  readonly held: readonly (readonly [page: PageNumber, function: string])[]
  readonly requested: number
  readonly recalled: number
}

const READ_WRITE = { read: true, write: true } as const

export class DevicePages {
  readonly #memory: RequestedMemory
  /** Functions that ask for pages, by address. */
  readonly #functions = new Map<string, AssignedFunction | undefined>()
  /** Functions for which all memory is mapped: while there are any, the others find all of it, too. */
  readonly #pinning = new Set<string>()
  /** By page: the function through whose handle it is mapped. */
  readonly #held = new Map<PageNumber, string>()
  /** Pages that were brought because a function asked, and that were taken back. */
  requested = 0
  recalled = 0

  constructor(memory: RequestedMemory, saved?: Saved) {
    this.#memory = memory
    if (saved === undefined) return
    const state = opened<SavedDevicePages>(saved, 'pages of assigned functions', 1)
    for (const address of state.functions) this.#functions.set(address, undefined)
    for (const address of state.pinning) this.#pinning.add(address)
    for (const [page, address] of state.held) this.#held.set(page, address)
    this.requested = state.requested
    this.recalled = state.recalled
  }

  get functions(): readonly string[] {
    return [...this.#functions.keys()].sort()
  }

  get count(): number {
    return this.#held.size
  }

  /** Whether a function may reach a page at any moment. */
  holds(page: PageNumber): boolean {
    return this.#held.has(page)
  }

  /** Has a function ask for pages. Throws `unsupported` if it, or its unit, cannot. */
  *serve(assigned: AssignedFunction): Software {
    yield* assigned.servePageRequests(this.#handlerOf(assigned))
    this.#functions.set(assigned.function.address, assigned)
  }

  /** After a restore: its requests come here again. */
  resume(assigned: AssignedFunction): void {
    if (!this.#functions.has(assigned.function.address)) return
    this.#functions.set(assigned.function.address, assigned)
    assigned.resumePageRequests(this.#handlerOf(assigned))
  }

  #handlerOf(assigned: AssignedFunction): (iova: number) => Software<boolean> {
    return iova => this.#bring(assigned, iova)
  }

  /** False: there is no such memory, or the host has none left. */
  *#bring(assigned: AssignedFunction, iova: number): Software<boolean> {
    const page = pageOf(iova)
    if (!this.#memory.contains(iova, PAGE_SIZE)) return false
    if (this.#held.has(page) || this.#pinning.size > 0) return true
    const frame = yield* this.#frameOf(page)
    if (frame === undefined) return false
    // From here on nobody takes it away.
    this.#held.set(page, assigned.function.address)
    try {
      yield* assigned.map(page * PAGE_SIZE, frame, 1, READ_WRITE)
    } catch (error) {
      this.#held.delete(page)
      if (error instanceof NorthbridgeError) return false
      throw error
    }
    this.requested++
    return true
  }

  *#frameOf(page: PageNumber): Software<PageNumber | undefined> {
    for (const last of [false, true]) {
      try {
        return this.#memory.bring(page)
      } catch (error) {
        if (!(error instanceof NorthbridgeError) || error.code !== 'outOfMemory') throw error
        // What functions hold is what a host that runs short passes over.
        if (!last) yield* this.#memory.recallAll()
      }
    }
    return undefined
  }

  /** Takes every page back: returns when no unit and no device knows it any more. Functions ask again for what they need. */
  *recall(): Software {
    for (const [page, address] of [...this.#held].sort(([a], [b]) => a - b)) {
      const assigned = this.#functions.get(address)
      if (this.#held.get(page) !== address || assigned === undefined) continue
      yield* assigned.unmap(page * PAGE_SIZE, 1)
      this.#held.delete(page)
      this.recalled++
    }
  }

  /** All memory is about to be mapped for a function: what others asked for would be in the way. */
  *pin(address: string): Software {
    yield* this.recall()
    this.#pinning.add(address)
  }

  /** A function has left, with all that was mapped through its handle. */
  left(address: string): void {
    this.#functions.delete(address)
    this.#pinning.delete(address)
    for (const [page, owner] of this.#held) if (owner === address) this.#held.delete(page)
  }

  save(): SavedDevicePages {
    return {
      version: 1,
      functions: this.functions,
      pinning: [...this.#pinning].sort(),
      held: [...this.#held].sort(([a], [b]) => a - b),
      requested: this.requested,
      recalled: this.recalled,
    }
  }
}
