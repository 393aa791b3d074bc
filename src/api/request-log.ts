/** What is written of requests: one line for each, with an identifier that its answer carries too, and no secrets. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { LoggerOptions } from 'pino'

/** Chance, not a count: it must not tell one team how much another one asks. */
export const newRequestId = (): string => randomUUID()

const HIDDEN = '[hidden]'

/** Fields that may hold secrets, wherever an error brings them along. */
export const REDACTED: NonNullable<LoggerOptions['redact']> = {
  paths: ['authorization', 'token', 'secret', 'password', 'connectionString'].flatMap(name => [
    name,
    `*.${name}`,
    `*.*.${name}`,
    `err.config.${name}`,
  ]),
  censor: HIDDEN,
}

/** Tokens, and passwords in addresses of databases. */
const SECRETS = /\bnb_[0-9a-f]{12}_[\w-]{43}|(?<=:\/\/[^\s/@:]+:)[^\s/@]+(?=@)/g

/** Text as it may be written: messages and paths repeat what clients have sent. */
export const withoutSecrets = (text: string): string => text.replace(SECRETS, HIDDEN)

/** Who has sent a request, and for which namespace. */
export const senderOf = ({ principal, tenant }: FastifyRequest): object => ({
  ...(principal && { holder: principal.name }),
  ...(tenant && { namespace: tenant.namespace.name }),
})

export function addRequestLog(app: FastifyInstance): void {
  app.addHook('onSend', (request, reply, _payload, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info(
      {
        method: request.method,
        // Queries are left out: they are long, and nobody should put a secret there, but somebody will.
        path: withoutSecrets(request.url.split('?')[0]!),
        status: reply.statusCode,
        milliseconds: Math.round(reply.elapsedTime * 1000) / 1000,
        from: request.ip,
        ...senderOf(request),
      },
      'answered',
    )
    done()
  })
}
