/** The document that says which machines ask a policy for what. */
import { z } from 'zod'

export type Needs = { readonly resource: string; readonly count: number }[]

const needs = z.array(z.strictObject({ resource: z.string(), count: z.int().min(1).default(1) }))

export const requestsSchema = z.strictObject({
  $schema: z.string().optional(),
  /** Machines that `apply` creates. */
  create: z.strictObject({ vcpus: z.int(), memoryMiB: z.int() }).optional(),
  tenants: z.record(z.string(), z.string()).optional(),
  requests: z
    .array(
      z.strictObject({
        vm: z.string(),
        /** A list, or a list for each system: every system has names of its own. */
        needs: z.union([needs, z.record(z.string(), needs)]),
        numaNodes: z.array(z.int()).optional(),
        tenant: z.string().optional(),
        numaPolicy: z.string().optional(),
        host: z.string().optional(),
      }),
    )
    .min(1),
})

export type Requests = z.output<typeof requestsSchema>

export const requestsJsonSchema = (): object => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Requests to an assignment policy',
  ...z.toJSONSchema(requestsSchema, { io: 'input' }),
})
