/** Headers that tell browsers what answers of this server must not be used for. */
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

/** For answers that are data: nothing in them is to be loaded or run, wherever they are shown. */
const DATA_POLICY = {
  defaultSrc: ["'none'"],
  frameAncestors: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
}

/** The same for a report: it has a style of its own, and nothing else. */
export const REPORT_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** For the page of the documentation: scripts, styles and pictures of this server only, and requests to it only. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

export async function addSecurityHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: DATA_POLICY },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    frameguard: { action: 'deny' },
    // The server speaks plain HTTP: whoever puts TLS before it answers for that.
    strictTransportSecurity: false,
  })
  app.addHook('onRequest', (_request, reply, done) => {
    // What a token may see is for its holder only.
    reply.header('cache-control', 'no-store')
    done()
  })
}
