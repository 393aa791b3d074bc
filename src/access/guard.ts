/** Says who sends a request, by the token that it carries. */
import { NorthbridgeError } from '../core/index.ts'
import type { Principal } from './roles.ts'
import type { TokenBook } from './token-book.ts'
import { digestOf, matches, NOBODYS_DIGEST, partsOf, type TokenRecord } from './tokens.ts'

/** Milliseconds after which a token that was made or revoked beside the server is known here. */
const REFRESH_MS = 1_000

/** A secret of the environment that is shorter could be guessed. */
const SHORTEST_SECRET = 24

/** Who asks where everybody may. */
const ANYBODY: Principal = { role: 'admin', namespace: undefined, name: 'anybody' }

/** Name of who has the secret of the environment. */
const ENVIRONMENT = 'environment'

export interface GuardOptions {
  readonly book?: TokenBook | undefined
  /** A token of an administrator from the environment. */
  readonly secret?: string | undefined
  readonly nowMs?: () => number
}

export class Guard {
  readonly #book: TokenBook | undefined
  readonly #secretDigest: string | undefined
  readonly #nowMs: () => number
  #tokens = new Map<string, TokenRecord>()
  #timer: NodeJS.Timeout | undefined

  private constructor({ book, secret, nowMs = Date.now }: GuardOptions) {
    if (secret !== undefined && !/^[\x21-\x7e]+$/.test(secret))
      throw new NorthbridgeError('invalidArgument', 'NORTHBRIDGE_TOKEN must be visible ASCII characters')
    if (secret !== undefined && secret.length < SHORTEST_SECRET)
      throw new NorthbridgeError(
        'invalidArgument',
        `NORTHBRIDGE_TOKEN must have at least ${SHORTEST_SECRET} characters`,
      )
    this.#book = book
    this.#secretDigest = secret === undefined ? undefined : digestOf(secret)
    this.#nowMs = nowMs
  }

  /** Knows the tokens of a book, and asks it again every now and then. Throws `invalidArgument`, `storeFailed`. */
  static async open(options: GuardOptions = {}): Promise<Guard> {
    const guard = new Guard(options)
    await guard.refresh()
    if (options.book !== undefined) {
      // While the store does not answer, what was known goes on.
      guard.#timer = setInterval(() => guard.refresh().catch(() => {}), REFRESH_MS)
      guard.#timer.unref()
    }
    return guard
  }

  async refresh(): Promise<void> {
    const tokens = (await this.#book?.tokens()) ?? []
    this.#tokens = new Map(tokens.map(token => [token.id, token]))
  }

  /** Whether requests need a token: from the first one on that was ever made. */
  get demands(): boolean {
    return this.#secretDigest !== undefined || this.#tokens.size > 0
  }

  /** Namespaces that tokens were made for. */
  get namespaces(): ReadonlySet<string> {
    return new Set([...this.#tokens.values()].flatMap(({ namespace }) => namespace ?? []))
  }

  /**
   * Who sends a request with this `Authorization`. Throws `unauthenticated`; the message does not tell a token that was
   * revoked from one that never was.
   */
  identify(authorization: string | undefined): Principal {
    if (!this.demands) return ANYBODY
    if (authorization === undefined) throw refused('it has none')
    const [, text = ''] = /^Bearer +(\S+)$/i.exec(authorization) ?? []
    const principal = this.#byToken(text) ?? this.#bySecret(text)
    if (principal === undefined) throw refused('the one that it has is not valid')
    return principal
  }

  #byToken(text: string): Principal | undefined {
    const parts = partsOf(text)
    if (parts === undefined) return undefined
    const record = this.#tokens.get(parts.id)
    const right = matches(parts.secret, record?.digest ?? NOBODYS_DIGEST)
    if (record === undefined || !right || !this.#isValid(record)) return undefined
    return { role: record.role, namespace: record.namespace, name: record.id }
  }

  #bySecret(text: string): Principal | undefined {
    if (this.#secretDigest === undefined || !matches(text, this.#secretDigest)) return undefined
    return { role: 'admin', namespace: undefined, name: ENVIRONMENT }
  }

  /** Whether a request of the same sender would be taken now. */
  isStillValid({ name }: Principal): boolean {
    if (name === ANYBODY.name) return !this.demands
    if (name === ENVIRONMENT) return true
    const record = this.#tokens.get(name)
    return record !== undefined && this.#isValid(record)
  }

  #isValid({ revoked, expiresMs }: TokenRecord): boolean {
    return !revoked && (expiresMs === undefined || expiresMs > this.#nowMs())
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#book?.close()
  }
}

const refused = (why: string): NorthbridgeError =>
  new NorthbridgeError(
    'unauthenticated',
    `${why}: "Authorization: Bearer nb_…" is to be sent, by the command line what NORTHBRIDGE_TOKEN holds`,
  )
