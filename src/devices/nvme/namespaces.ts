/**
 * The namespaces of a subsystem: which exist, and what is left to make more: NVM Express 1.4, §8.12 "Namespace
 * Management".
 */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import { AbsentStore, type BlockStore, SparseStore } from './block-store.ts'
import { LBA_FORMATS, Namespace, type SavedNamespace } from './namespace.ts'
import { MOST_NAMESPACES, type NvmeSettings } from './settings.ts'

export class Namespaces {
  /** NN: identifiers are 1 to this. */
  readonly most = MOST_NAMESPACES
  /** TNVMCAP: bytes of the medium. */
  readonly capacity: number
  /** Controllers of the subsystem, whether their functions are enabled or not. */
  readonly controllers: number
  /** By identifier less 1. */
  readonly #made: (Namespace | undefined)[] = new Array(MOST_NAMESPACES).fill(undefined)

  /** As delivered: every namespace is attached to every controller. */
  constructor({ capacity, virtualFunctions, namespaces }: NvmeSettings) {
    this.capacity = capacity
    this.controllers = virtualFunctions + 1
    for (const [i, size] of namespaces.entries()) {
      const attached = new Uint8Array(this.controllers).fill(1)
      const shared = virtualFunctions > 0
      this.#made[i] = new Namespace(i + 1, shared, attached, new SparseStore(size), 0)
    }
  }

  /** The allocated namespace of an identifier. */
  get(nsid: number): Namespace | undefined {
    return nsid >= 1 ? this.#made[nsid - 1] : undefined
  }

  /** Whether a number can name a namespace. */
  isIdentifier(nsid: number): boolean {
    return nsid >= 1 && nsid <= this.most
  }

  /** Allocated ones, ascending by identifier. */
  get all(): Namespace[] {
    return this.#made.filter(namespace => namespace !== undefined)
  }

  /** UNVMCAP: bytes that belong to no namespace. */
  get unallocated(): number {
    return this.all.reduce((left, { store }) => left - store.size, this.capacity)
  }

  /** The lowest identifier that names nothing; 0 if all do. */
  get freeIdentifier(): number {
    return this.#made.indexOf(undefined) + 1
  }

  /** Makes a namespace that is attached to no controller. There is room for it. */
  create(nsid: number, blocks: number, format: number, shared: boolean): Namespace {
    const store = new SparseStore(blocks * 2 ** LBA_FORMATS[format]!)
    const namespace = new Namespace(nsid, shared, new Uint8Array(this.controllers), store, format)
    this.#made[nsid - 1] = namespace
    return namespace
  }

  delete(nsid: number): void {
    this.#made[nsid - 1] = undefined
  }

  /** Throws `notFound`. */
  replaceStore(nsid: number, store: BlockStore): void {
    const namespace = this.get(nsid)
    if (namespace === undefined) {
      throw new NorthbridgeError('notFound', `the controller has no namespace ${nsid}`)
    }
    namespace.replaceStore(store)
  }

  save(): Saved {
    return { version: 1, namespaces: this.all.map(namespace => namespace.save()) }
  }

  /** A store of the world outside stays, or is absent until it is put back. */
  load(saved: Saved): void {
    const { namespaces } = opened<{ namespaces: readonly SavedNamespace[] }>(saved, 'NVMe namespaces', 1)
    const before = this.#made.splice(0, MOST_NAMESPACES, ...new Array(MOST_NAMESPACES).fill(undefined))
    for (const { id, shared, format, attached, size, store: contents } of namespaces) {
      const present = before[id - 1]?.store
      const stays = contents === null && present?.size === size && present.save() === null
      const store = stays ? present : contents === null ? new AbsentStore(size) : new SparseStore(size)
      if (contents !== null) store.load(contents)
      this.#made[id - 1] = new Namespace(id, shared, attached.slice(), store, format)
    }
  }
}
