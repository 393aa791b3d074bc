/** The document with the limits of a server: what every namespace may take, and what some may take instead. */
import { z } from 'zod'
import { invalidDocument, parseDocument } from '../core/index.ts'
import { DEFAULT_LIMITS, type Limits } from '../operations/index.ts'
import { isNamespace } from './tokens.ts'

/** What a namespace may take of a server, beside what its platforms and experiments are. */
export interface NamespaceLimits extends Limits {
  /** Requests with a token that are answered on average; for a moment they may be twice as many. */
  readonly requestsPerSecond: number
  /** Event streams that are open. */
  readonly eventStreams: number
}

const DEFAULTS: NamespaceLimits = { ...DEFAULT_LIMITS, requestsPerSecond: 2_000, eventStreams: 1_000 }

const count = (about: string) =>
  z
    .int()
    .min(0)
    .max(2 ** 31)
    .optional()
    .describe(about)

const One = z.strictObject({
  topologies: count('Topologies that it has stored'),
  platforms: count('Platforms'),
  functions: count('Functions of all its platforms, virtual ones too'),
  vms: count('Virtual machines of all its platforms'),
  memoryMiB: count('MiB of RAM of all its platforms that were written to'),
  experiments: count('Experiments'),
  runningExperiments: count('Experiments that run'),
  requestsPerSecond: z.number().positive().optional().describe('Requests that are answered on average'),
  eventStreams: count('Event streams that are open'),
})

const Document = z.strictObject({
  requestMiB: z.int().min(1).max(256).default(16).describe('Size of the largest request'),
  each: One.default({}).describe('What a namespace may take'),
  namespaces: z.record(z.string(), One).default({}).describe('What some may take instead, by name'),
})

export type ServerLimits = z.infer<typeof Document>

/** Of a server that was not told any. */
export const DEFAULT_SERVER_LIMITS: ServerLimits = Document.parse({})

/** Throws `invalidDocument`. */
export function parseLimits(document: unknown): ServerLimits {
  const limits = parseDocument(Document, document, 'limits')
  const wrong = Object.keys(limits.namespaces).filter(name => !isNamespace(name))
  if (wrong.length === 0) return limits
  throw invalidDocument(
    'limits',
    wrong.map(name => ({ path: `/namespaces/${name}`, message: 'is not a name of a namespace' })),
  )
}

/** What a namespace may take. */
export function limitsOf({ each, namespaces }: ServerLimits, name: string): NamespaceLimits {
  const own = Object.hasOwn(namespaces, name) ? namespaces[name] : {}
  return { ...DEFAULTS, ...given(each), ...given(own!) }
}

/** Fields that are there. */
const given = (limits: object): Partial<NamespaceLimits> =>
  Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
