/** Keeps what is of no one platform: snapshots of virtual machines, and protections. */
import { type Saved, savedFromText, savedToText } from '../core/index.ts'
import type { OperationContext, Registry } from '../operations/index.ts'
import type { KeptDocument, Store } from '../store/index.ts'

/** By the kind of their documents. Entries are replaced, never changed. */
const registriesOf = ({
  snapshots,
  protections,
}: OperationContext): Readonly<Record<string, Registry<object>>> => ({
  vmSnapshot: snapshots,
  vmProtection: protections,
})

export class RecordKeeper {
  readonly #store: Store
  readonly #registries: Readonly<Record<string, Registry<object>>>
  /** What is kept, by kind and name. */
  readonly #kept = new Map<string, Map<string, object>>()

  constructor(context: OperationContext, store: Store) {
    this.#store = store
    this.#registries = registriesOf(context)
    for (const kind of Object.keys(this.#registries)) this.#kept.set(kind, new Map())
  }

  /** What a command has changed, for the commit of that command. */
  changes(): readonly KeptDocument[] {
    return Object.entries(this.#registries).flatMap(([kind, registry]) =>
      this.#changesOf(kind, registry, this.#kept.get(kind)!),
    )
  }

  #changesOf(kind: string, registry: Registry<object>, kept: Map<string, object>): readonly KeptDocument[] {
    const documents: KeptDocument[] = []
    for (const key of kept.keys()) {
      if (registry.find(key) !== undefined) continue
      kept.delete(key)
      documents.push({ kind, key, value: undefined })
    }
    for (const [key, entry] of registry.entries()) {
      if (kept.get(key) === entry) continue
      kept.set(key, entry)
      documents.push({ kind, key, value: savedToText(entry as unknown as Saved) })
    }
    return documents
  }

  /** Brings back those of an earlier process. Throws `storeFailed`. */
  async restore(): Promise<void> {
    for (const [kind, registry] of Object.entries(this.#registries)) {
      for (const { key, value } of await this.#store.documents(kind)) {
        const entry = savedFromText(value as string) as unknown as object
        this.#kept.get(kind)!.set(key, entry)
        registry.set(key, entry)
      }
    }
  }
}
