/**
 * What the command line has to know of the rooms below before it is told what to do: names, flags, what there is to
 * choose from. `openapi/command-line.json` holds it, made of the code by `npm run openapi` and compared with it by a test,
 * so that help and completion come at once instead of after loading a simulator.
 */
import { readFileSync } from 'node:fs'
import { packageFile } from '../../core/package-file.ts'
import type { OperationId, RestBinding } from '../../operations/index.ts'

export const CATALOGUE_FILE = 'openapi/command-line.json'

/** What a flag of an operation takes. */
export type FlagValue = 'text' | 'number' | 'document' | 'documentOrText'

export interface FlagEntry {
  /** The field of the operation's input. */
  readonly name: string
  readonly about: string
  readonly takes: FlagValue
  readonly required?: true
}

export interface OperationEntry {
  readonly id: OperationId
  readonly words: string
  readonly summary: string
  readonly rest: RestBinding
  /** It is a list, which a server answers in pages. */
  readonly list?: true
  /** It is answered without a server. */
  readonly ofInstallation?: true
  readonly flags: readonly FlagEntry[]
  /** Codes of what it may refuse. */
  readonly errors: readonly string[]
}

/** A name, and what it stands for. */
export type Choice = readonly [name: string, about: string]

export interface Catalogue {
  readonly operations: readonly OperationEntry[]
  readonly importFormats: readonly Choice[]
  readonly exportFormats: readonly Choice[]
  readonly policySystems: readonly Choice[]
  readonly techniques: readonly string[]
  readonly costTables: readonly string[]
  readonly usualCosts: string
  readonly quirks: readonly string[]
  readonly roles: readonly string[]
  readonly usualNamespace: string
}

let read: Catalogue | undefined

export function catalogue(): Catalogue {
  read ??= JSON.parse(readFileSync(packageFile(CATALOGUE_FILE), 'utf8')) as Catalogue
  return read
}

const byId = new Map<OperationId, OperationEntry>()

export function operationEntry(id: OperationId): OperationEntry {
  if (byId.size === 0) for (const entry of catalogue().operations) byId.set(entry.id, entry)
  return byId.get(id)!
}

/** Names of the input that a path holds, in its order. */
export const namesInPath = (path: string): readonly string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(match => match[1]!)
