/**
 * Host pages with the same contents for several guest pages, which none of them may write ("content-based page sharing",
 * Waldspurger, OSDI 2002, §4). Who may share with whom is said by a scope: pages of different scopes are never compared.
 */
import { assert, opened, PAGE_SIZE, type PageNumber, type Saved } from '../../core/index.ts'
import type { PageAllocator } from '../../host/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'

const FNV_OFFSET = 0x811c_9dc5
const FNV_PRIME = 0x0100_0193

interface Shared {
  readonly scope: string
  readonly hash: number
  /** Guest pages that lead to it. */
  count: number
}

type SavedShared = {
  readonly version: 1
  readonly pages: readonly (readonly [frame: PageNumber, scope: string, hash: number, count: number])[]
}

export class SharedPages {
  readonly #machine: MachinePort
  readonly #allocator: PageAllocator
  readonly #pages = new Map<PageNumber, Shared>()
  /** By scope and hash: contents may differ all the same. */
  readonly #byHash = new Map<string, PageNumber[]>()
  readonly #bytes = new Uint8Array(PAGE_SIZE)
  readonly #words = new Uint32Array(this.#bytes.buffer)
  readonly #other = new Uint8Array(PAGE_SIZE)
  readonly #otherWords = new Uint32Array(this.#other.buffer)

  constructor(machine: MachinePort, allocator: PageAllocator) {
    this.#machine = machine
    this.#allocator = allocator
  }

  load(saved: Saved): void {
    for (const [frame, scope, hash, count] of opened<SavedShared>(saved, 'shared pages', 1).pages) {
      this.#enter(frame, { scope, hash, count })
    }
  }

  /** Host pages that are shared, and guest pages that have no host page of their own for it. */
  get frames(): number {
    return this.#pages.size
  }

  get references(): number {
    let sum = 0
    for (const { count } of this.#pages.values()) sum += count
    return sum
  }

  /** FNV-1a over the words of a host page; 0 if all of it is zero. */
  hashOf(frame: PageNumber): number {
    assert(this.#machine.readBytes(frame * PAGE_SIZE, this.#bytes), 'guest memory is RAM')
    let hash = FNV_OFFSET
    let any = 0
    const words = this.#words
    for (let i = 0; i < words.length; i++) {
      const word = words[i]!
      any |= word
      hash = Math.imul(hash ^ word, FNV_PRIME)
    }
    return any === 0 ? 0 : hash >>> 0 || 1
  }

  areAlike(a: PageNumber, b: PageNumber): boolean {
    this.#machine.readBytes(a * PAGE_SIZE, this.#bytes)
    this.#machine.readBytes(b * PAGE_SIZE, this.#other)
    for (let i = 0; i < this.#words.length; i++) if (this.#words[i] !== this.#otherWords[i]) return false
    return true
  }

  /** A shared page of a scope with the contents of a host page. */
  find(scope: string, hash: number, frame: PageNumber): PageNumber | undefined {
    return this.#byHash.get(key(scope, hash))?.find(candidate => this.areAlike(candidate, frame))
  }

  /** Makes a guest's host page a shared one, with that guest's page as the first that leads to it. */
  add(scope: string, hash: number, frame: PageNumber): void {
    this.#enter(frame, { scope, hash, count: 1 })
  }

  join(frame: PageNumber): void {
    this.#pages.get(frame)!.count++
  }

  /** One guest page less leads there; with the last the host page is free. */
  leave(frame: PageNumber): void {
    const shared = this.#pages.get(frame)
    assert(shared !== undefined, 'a shared page is known')
    if (--shared.count > 0) return
    this.#remove(frame, shared)
    this.#allocator.free(frame, 1)
  }

  /** Whether nobody else has it: the guest page that leads there may take it over. */
  isLast(frame: PageNumber): boolean {
    return this.#pages.get(frame)?.count === 1
  }

  /** The last guest page that led to it owns it now. */
  yield(frame: PageNumber): void {
    this.#remove(frame, this.#pages.get(frame)!)
  }

  #enter(frame: PageNumber, shared: Shared): void {
    this.#pages.set(frame, shared)
    const at = key(shared.scope, shared.hash)
    const others = this.#byHash.get(at)
    if (others === undefined) this.#byHash.set(at, [frame])
    else others.push(frame)
  }

  #remove(frame: PageNumber, { scope, hash }: Shared): void {
    this.#pages.delete(frame)
    const at = key(scope, hash)
    const rest = this.#byHash.get(at)!.filter(other => other !== frame)
    if (rest.length === 0) this.#byHash.delete(at)
    else this.#byHash.set(at, rest)
  }

  save(): SavedShared {
    return {
      version: 1,
      pages: [...this.#pages].map(([frame, { scope, hash, count }]) => [frame, scope, hash, count]),
    }
  }
}

const key = (scope: string, hash: number): string => `${hash} ${scope}`
