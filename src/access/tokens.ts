/**
 * API tokens: `nb_<identifier>_<secret>`. Of the secret only a digest is kept. It has 256 bits of chance, so the digest need
 * not be a slow one: nobody tries them all.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { NorthbridgeError } from '../core/index.ts'
import { ROLES, type Role } from './roles.ts'

export interface TokenRecord {
  readonly id: string
  readonly role: Role
  /** The only one that it may be used in; absent: the default one, and for administrators all. */
  readonly namespace?: string
  /** What it is for, in the words of who made it. */
  readonly note?: string
  /** Of the secret. */
  readonly digest: string
  /** Milliseconds since 1970. */
  readonly createdMs: number
  readonly expiresMs?: number
  readonly revoked: boolean
}

export type TokenWishes = Pick<TokenRecord, 'role'> &
  Partial<Pick<TokenRecord, 'namespace' | 'note' | 'expiresMs'>>

/** Names of namespaces: parts of file names and of log lines. */
const NAMESPACE = /^[a-z0-9][a-z0-9-]{0,62}$/

/** The namespace of requests that name none. */
export const DEFAULT_NAMESPACE = 'default'

export const isNamespace = (name: string): boolean => NAMESPACE.test(name)

/** Throws `invalidArgument`. */
function checkNamespace(name: string): void {
  if (isNamespace(name)) return
  throw new NorthbridgeError(
    'invalidArgument',
    `namespace "${name}" must be 1 to 63 small letters, digits and "-", beginning with a letter or digit`,
  )
}

/** Makes a token. Its text is shown once: only its record is kept. Throws `invalidArgument`. */
export function makeToken(
  { role, namespace, note, expiresMs }: TokenWishes,
  nowMs: number,
): { readonly text: string; readonly record: TokenRecord } {
  if (!ROLES.includes(role))
    throw new NorthbridgeError('invalidArgument', `role must be ${ROLES.join(', ')}, not "${role}"`)
  if (namespace !== undefined) checkNamespace(namespace)
  if (note !== undefined && note.length > 200)
    throw new NorthbridgeError('invalidArgument', 'a note must not be longer than 200 characters')
  if (expiresMs !== undefined && !(expiresMs > nowMs))
    throw new NorthbridgeError('invalidArgument', 'a token must expire in the future')
  const id = randomBytes(6).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  const record: TokenRecord = {
    id,
    role,
    ...(namespace !== undefined && { namespace }),
    ...(note !== undefined && { note }),
    digest: digestOf(secret),
    createdMs: nowMs,
    ...(expiresMs !== undefined && { expiresMs }),
    revoked: false,
  }
  return { text: `nb_${id}_${secret}`, record }
}

const TOKEN = /^nb_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/

/** Identifier and secret of a token; undefined for other text. */
export function partsOf(text: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? []
  return id === undefined ? undefined : { id, secret: secret! }
}

export const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('base64')

/** Whether a secret is the one of a digest; takes as long either way. */
export const matches = (secret: string, digest: string): boolean =>
  timingSafeEqual(Buffer.from(digestOf(secret)), Buffer.from(digest.padEnd(44).slice(0, 44)))

/** Digest of a secret that nobody has: who asks with an identifier that is not there waits as long as others. */
export const NOBODYS_DIGEST = digestOf(randomBytes(32).toString('base64url'))
