/**
 * Namespaces of an installation: each has topologies, platforms, policies and experiments of its own, a journal of its own
 * and limits of its own. They share the store, the threads and the topologies that come with Northbridge.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Journal, type Restored, restoreInstallation } from '../durability/index.ts'
import { installation, type LaunchExperiment, NO_LIMITS, type OperationContext } from '../operations/index.ts'
import { type KeptAnswer, MemoryStore, type Store } from '../store/index.ts'
import {
  DEFAULT_SERVER_LIMITS,
  limitsOf,
  type NamespaceLimits,
  type ServerLimits,
} from './limits-document.ts'
import { keptByNamespace, NamespaceStore, namespacesWith } from './namespace-store.ts'
import { DEFAULT_NAMESPACE } from './tokens.ts'

export interface Namespace {
  readonly name: string
  readonly context: OperationContext
  readonly journal: Journal
  readonly limits: NamespaceLimits
  /** Under idempotency keys of an earlier process, oldest first. */
  readonly answers: readonly KeptAnswer[]
}

export interface NamespacesOptions {
  /** Default: what is done ends with the process. */
  readonly store?: Store | undefined
  readonly limits?: ServerLimits
  /** Folder of the files that disks may be put on; default: none may be. */
  readonly files?: string | undefined
  /** Who simulates experiments; default: this thread, at once. */
  readonly launch?: LaunchExperiment
}

export class Namespaces {
  readonly #options: NamespacesOptions
  readonly #store: Store
  readonly #namespaces = new Map<string, Namespace>()
  /** What could not be read and was cut off. */
  readonly losses: string[] = []
  /** Worlds that are kept, but cannot go on under this version, and why. */
  readonly refused = new Map<string, string>()

  private constructor(options: NamespacesOptions) {
    this.#options = options
    this.#store = options.store ?? new MemoryStore()
  }

  /** With everything that the store has kept. Throws `storeFailed`. */
  static async open(options: NamespacesOptions = {}): Promise<Namespaces> {
    const namespaces = new Namespaces(options)
    await namespaces.#restore()
    return namespaces
  }

  async #restore(): Promise<void> {
    const kept = await this.#store.open()
    this.losses.push(...kept.losses)
    const parts = keptByNamespace(kept)
    const names = new Set([
      DEFAULT_NAMESPACE,
      ...parts.keys(),
      ...(await namespacesWith(this.#store, 'experiment')),
    ])
    for (const name of names) {
      const { worlds = [], answers = [] } = parts.get(name) ?? {}
      const context = this.#contextOf(name)
      const { limits } = context
      // Nobody loses what is there because a limit was lowered.
      context.limits = NO_LIMITS
      const { journal, refused }: Restored = await restoreInstallation(
        context,
        { worlds },
        new NamespaceStore(this.#store, name),
      )
      context.limits = limits
      for (const [world, reason] of refused)
        this.refused.set(name === DEFAULT_NAMESPACE ? world : `${name}/${world}`, reason)
      this.#namespaces.set(name, { name, context, journal, limits: this.#limitsOf(name), answers })
    }
  }

  /** Size of the largest request. */
  get requestMiB(): number {
    return (this.#options.limits ?? DEFAULT_SERVER_LIMITS).requestMiB
  }

  /** Why nothing can be kept at the moment. */
  get trouble(): Store['trouble'] {
    return this.#store.trouble
  }

  /** Those that have something, or have been asked for. */
  all(): readonly Namespace[] {
    return [...this.#namespaces.values()]
  }

  has(name: string): boolean {
    return this.#namespaces.has(name)
  }

  /** Begins empty when it is asked for the first time. */
  get(name: string): Namespace {
    let namespace = this.#namespaces.get(name)
    if (namespace === undefined) {
      const context = this.#contextOf(name)
      const journal = new Journal(context, new NamespaceStore(this.#store, name))
      namespace = { name, context, journal, limits: this.#limitsOf(name), answers: [] }
      this.#namespaces.set(name, namespace)
    }
    return namespace
  }

  get default(): Namespace {
    return this.get(DEFAULT_NAMESPACE)
  }

  #contextOf(name: string): OperationContext {
    const { launch, files } = this.#options
    return installation({
      limits: this.#limitsOf(name),
      files: filesOf(files, name),
      ...(launch !== undefined && { launch }),
    })
  }

  #limitsOf(name: string): NamespaceLimits {
    return limitsOf(this.#options.limits ?? DEFAULT_SERVER_LIMITS, name)
  }

  /** Keeps every state, so that the next start has little to do, and lets go of the store. */
  async close(): Promise<void> {
    for (const { journal } of this.#namespaces.values()) await journal.keepAll()
    await this.#store.close()
  }
}

/** Names of files never begin with a dot: no namespace reaches the folder of another. */
function filesOf(files: string | undefined, name: string): string | undefined {
  if (files === undefined || name === DEFAULT_NAMESPACE) return files
  const folder = join(files, '.namespaces', name)
  mkdirSync(folder, { recursive: true })
  return folder
}
