/** The console: a page of static files, built by `npm run build:web`. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { packageFile } from '../core/index.ts'

/** Nothing comes from anywhere else. Reports of experiments are shown in the page, and bring their styles with them. */
const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** Serves the console at `/`, if it was built. */
export async function addConsole(app: FastifyInstance): Promise<void> {
  const root = fileURLToPath(packageFile('web/dist'))
  if (!existsSync(root)) return
  await app.register(async scope => {
    scope.addHook('onSend', async ({ url }, reply) => {
      reply.header('content-security-policy', CONSOLE_POLICY)
      // Names of assets hold a digest of what is in them.
      const forever = url.startsWith('/assets/')
      reply.header('cache-control', forever ? 'public, max-age=31536000, immutable' : 'no-cache')
    })
    await scope.register(fastifyStatic, { root, wildcard: false, cacheControl: false })
  })
}
