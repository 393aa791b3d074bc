/**
 * The part of a store that is one namespace's. Worlds and documents of others than the default namespace carry `@name/`
 * before their own names; no name of a world begins with "@", so what belongs to whom is never in doubt.
 */
import type { NorthbridgeError } from '../core/index.ts'
import type { CommandRecord, Commit, Kept, KeptDocument, Snapshot, Sooner, Store } from '../store/index.ts'
import { DEFAULT_NAMESPACE } from './tokens.ts'

const prefixOf = (namespace: string): string => (namespace === DEFAULT_NAMESPACE ? '' : `@${namespace}/`)

/** Namespace and own name of what is called so in the store. */
function ownerOf(name: string): readonly [namespace: string, own: string] {
  if (!name.startsWith('@')) return [DEFAULT_NAMESPACE, name]
  const end = name.indexOf('/')
  return [name.slice(1, end), name.slice(end + 1)]
}

/** Clients choose the keys of answers freely: these say in every namespace whose they are. */
const answerKey = (namespace: string, key: string): string => `${namespace}/${key}`

/** What was found in a store, by namespace. What was lost is for those who run the server. */
export function keptByNamespace(kept: Kept): ReadonlyMap<string, Pick<Kept, 'worlds' | 'answers'>> {
  const parts = new Map<string, { worlds: Kept['worlds'][number][]; answers: Kept['answers'][number][] }>()
  const part = (namespace: string) => {
    let found = parts.get(namespace)
    if (found === undefined) parts.set(namespace, (found = { worlds: [], answers: [] }))
    return found
  }
  for (const { world, snapshot, commands } of kept.worlds) {
    const [namespace, own] = ownerOf(world)
    part(namespace).worlds.push({
      world: own,
      snapshot: snapshot && { ...snapshot, world: own },
      commands: commands.map(command => ({ ...command, world: own })),
    })
  }
  for (const answer of kept.answers) {
    const end = answer.key.indexOf('/')
    part(answer.key.slice(0, end)).answers.push({ ...answer, key: answer.key.slice(end + 1) })
  }
  return parts
}

/** Namespaces that have documents of a kind. */
export async function namespacesWith(store: Store, kind: string): Promise<ReadonlySet<string>> {
  return new Set((await store.documents(kind)).map(({ key }) => ownerOf(key)[0]))
}

export class NamespaceStore implements Store {
  readonly #store: Store
  readonly #namespace: string
  readonly #prefix: string

  constructor(store: Store, namespace: string) {
    this.#store = store
    this.#namespace = namespace
    this.#prefix = prefixOf(namespace)
  }

  get trouble(): NorthbridgeError | undefined {
    return this.#store.trouble
  }

  get commandsPerSnapshot(): number {
    return this.#store.commandsPerSnapshot
  }

  get immediate(): boolean {
    return this.#store.immediate
  }

  /** Of the whole store, as it is opened once for all. */
  open(): Promise<Kept> {
    return this.#store.open()
  }

  commit({ forgotten, commands, snapshots, documents, answer }: Commit): Promise<void> {
    const prefix = this.#prefix
    return this.#store.commit({
      ...(forgotten && { forgotten: forgotten.map(world => prefix + world) }),
      ...(commands && { commands: commands.map(part => ({ ...part, world: prefix + part.world })) }),
      ...(snapshots && { snapshots: snapshots.map(part => ({ ...part, world: prefix + part.world })) }),
      ...(documents && { documents: documents.map(part => ({ ...part, key: prefix + part.key })) }),
      ...(answer && { answer: { ...answer, key: answerKey(this.#namespace, answer.key) } }),
    })
  }

  snapshotBefore(world: string, sequence: number): Sooner<Snapshot | undefined> {
    const own = (found: Snapshot | undefined) => found && { ...found, world }
    return then(this.#store.snapshotBefore(this.#prefix + world, sequence), own)
  }

  commandsOf(world: string, after: number, upTo: number): Sooner<readonly CommandRecord[]> {
    const found = this.#store.commandsOf(this.#prefix + world, after, upTo)
    return then(found, commands => commands.map(command => ({ ...command, world })))
  }

  documents(kind: string): Sooner<readonly KeptDocument[]> {
    return then(this.#store.documents(kind), documents =>
      documents.flatMap(document => {
        const [namespace, key] = ownerOf(document.key)
        return namespace === this.#namespace ? [{ ...document, key }] : []
      }),
    )
  }

  /** Others still use the store: who opened it closes it. */
  close(): Promise<void> {
    return Promise.resolve()
  }
}

const then = <Value, Result>(value: Sooner<Value>, map: (value: Value) => Result): Sooner<Result> =>
  value instanceof Promise ? value.then(map) : map(value)
