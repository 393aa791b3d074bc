/** The contract that the server gives out, and the page that shows it. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { VERSION } from '../core/index.ts'
import { liftComponents, markComponents } from './openapi.ts'
import { PAGE_POLICY } from './security-headers.ts'

/** Before the routes that it tells of. */
export async function addContract(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Northbridge',
        description:
          'I/O virtualization platform simulator: platforms, virtual machines and assigned functions.',
        version: VERSION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description: 'Made by `northbridge token create`. A server for its own machine alone needs none.',
          },
        },
      },
      security: [{}, { token: [] }],
    },
    transform: ({ schema, url }) => ({ schema: markComponents(schema) as typeof schema, url }),
    transformObject: document =>
      liftComponents('openapiObject' in document ? document.openapiObject : document.swaggerObject) as never,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    // The bar of the standalone layout has a picture with a style inside, which the policy forbids.
    uiConfig: { validatorUrl: null, docExpansion: 'list', layout: 'BaseLayout' } as never,
  })
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}
