/** The console: a page of static files, built by `npm run build:web`. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import { packageFile } from '../core/index.ts'

/** Nothing comes from anywhere else; reports of experiments bring their styles and charts with them. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-src 'self'",
  "frame-ancestors 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

/** Serves the console at `/`, if it was built. */
export async function addConsole(app: FastifyInstance): Promise<void> {
  const root = fileURLToPath(packageFile('web/dist'))
  if (!existsSync(root)) return
  await app.register(fastifyStatic, {
    root,
    wildcard: false,
    cacheControl: false,
    setHeaders: (response, path) => {
      response.setHeader('content-security-policy', POLICY)
      response.setHeader('x-content-type-options', 'nosniff')
      // Names of assets hold a digest of what is in them.
      const forever = path.includes('/assets/')
      response.setHeader('cache-control', forever ? 'public, max-age=31536000, immutable' : 'no-cache')
    },
  })
}
