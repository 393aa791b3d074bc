/** Northbridge's own policy document, for those who start fresh: what may go to whom, in one page. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import { type Expression, parseExpression } from '../expression.ts'

/** What two devices may have in common. */
export const SHARED_SCOPES = ['physicalFunction', 'iommuGroup', 'unisolatedSwitch', 'pcieRoot'] as const
export type SharedScope = (typeof SHARED_SCOPES)[number]

const name = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 of a-z 0-9 . _ / -, not . _ / - at its ends',
  )

const resourceSchema = z.strictObject({
  name,
  select: z
    .string()
    .max(4096)
    .describe('CEL over `device` and `vm`, e.g. `device.vendorId == "8086" && device.role == "VF"`'),
  numa: z
    .enum(['any', 'preferred', 'required'])
    .default('preferred')
    .describe('Whether devices must, or had better, lie on the NUMA nodes of the virtual machine'),
  pcieRoot: z
    .enum(['any', 'same'])
    .default('any')
    .describe('`same`: all devices of this resource that a virtual machine has are below one host bridge'),
  placement: z
    .enum(['pack', 'spread'])
    .default('pack')
    .describe('Fill one physical function before the next, or use the emptiest first'),
  neverShare: z
    .array(z.enum(SHARED_SCOPES))
    .default([])
    .describe('What a device of this resource must not have in common with a device of another tenant'),
  reserve: z.int().min(0).default(0).describe('Devices that stay free on every host'),
  priority: z.int().min(0).max(100).default(50).describe('Needs of higher priority are served first'),
})

export const policySchema = z.strictObject({
  $schema: z.string().max(512).optional().describe('For editors'),
  title: z.string().max(200).default(''),
  about: z.string().max(8192).default(''),
  interrupts: z
    .enum(['isolated', 'any'])
    .default('isolated')
    .describe('`isolated`: only on hosts where devices cannot raise interrupts that they were not given'),
  resources: z.array(resourceSchema).min(1).max(256),
})

/** JSON Schema of policy documents, for editors. */
export const policyJsonSchema = () => ({
  ...z.toJSONSchema(policySchema, { io: 'input', target: 'draft-2020-12' }),
  title: 'Northbridge assignment policy',
})

export type PolicyResource = Omit<z.output<typeof resourceSchema>, 'select'> & { readonly select: Expression }

export interface OwnPolicy {
  readonly title: string
  readonly interrupts: 'isolated' | 'any'
  readonly resources: ReadonlyMap<string, PolicyResource>
}

/** Throws `invalidDocument` naming the field. */
export function parseOwnPolicy(document: unknown): OwnPolicy {
  const { title, interrupts, resources } = parseDocument(policySchema, document, 'policy')
  const byName = new Map<string, PolicyResource>()
  for (const [index, { select, ...resource }] of resources.entries()) {
    byName.set(resource.name, { ...resource, select: parseExpression(select, `resources/${index}/select`) })
  }
  return { title, interrupts, resources: byName }
}
