/** Manifests of `resource.k8s.io` and of the SR-IOV driver, as people apply them. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import { parseExpression } from '../expression.ts'
import { refusePolicy } from '../model/index.ts'
import type { Claim, Constraint, DeviceClass, DeviceRequest } from './allocator.ts'
import {
  type DeviceAttributes,
  parseSriovResourcePolicy,
  type SriovResourcePolicy,
} from './sriov-policies.ts'

const selectors = z.array(z.object({ cel: z.object({ expression: z.string() }) })).default([])
const name = z.object({ name: z.string(), labels: z.record(z.string(), z.string()).default({}) })

const classSchema = z.object({ metadata: name, spec: z.object({ selectors }) })

const requestFields = {
  deviceClassName: z.string().default(''),
  selectors,
  allocationMode: z.enum(['ExactCount', 'All']).default('ExactCount'),
  count: z.int().min(1).default(1),
  adminAccess: z.boolean().default(false),
}

/** v1 puts the request into `exactly`; v1beta1 had it beside the name. */
const requestSchema = z.object({
  name: z.string(),
  exactly: z.object(requestFields).optional(),
  ...requestFields,
})

const claimSchema = z.object({
  devices: z.object({
    requests: z.array(requestSchema).default([]),
    constraints: z
      .array(
        z.object({
          requests: z.array(z.string()).default([]),
          matchAttribute: z.string().optional(),
          distinctAttribute: z.string().optional(),
        }),
      )
      .default([]),
  }),
})

const templateSchema = z.object({ metadata: name, spec: z.object({ spec: claimSchema }) })
const claimObjectSchema = z.object({ metadata: name, spec: claimSchema })
const attributesSchema = z.object({
  metadata: name,
  spec: z.object({
    attributes: z.record(
      z.string(),
      z.union([
        z.object({ string: z.string() }),
        z.object({ int: z.int() }),
        z.object({ bool: z.boolean() }),
        z.object({ version: z.string() }),
      ]),
    ),
  }),
})

const expressions = (list: z.output<typeof selectors>, field: string) =>
  list.map(({ cel }, index) => parseExpression(cel.expression, `${field}/selectors/${index}/cel/expression`))

export function parseClaim(value: unknown, field: string): Claim {
  const { devices } = parseDocument(claimSchema, value, field)
  return {
    requests: devices.requests.map((request): DeviceRequest => {
      const {
        deviceClassName,
        allocationMode,
        count,
        adminAccess,
        selectors: list,
      } = request.exactly ?? request
      return {
        name: request.name,
        deviceClassName,
        count: allocationMode === 'All' ? 'all' : count,
        adminAccess,
        selectors: expressions(list, `${field}/${request.name}`),
      }
    }),
    constraints: devices.constraints.map(
      ({ requests, matchAttribute, distinctAttribute }, index): Constraint => {
        const attribute = matchAttribute ?? distinctAttribute
        if (attribute === undefined)
          return refusePolicy(`${field}/constraints/${index}: neither matchAttribute nor distinctAttribute`, {
            errorClass: 'invalid-constraint',
            field: `${field}/constraints/${index}`,
          })
        return { requests, attribute, kind: matchAttribute === undefined ? 'distinct' : 'match' }
      },
    ),
  }
}

/** Everything that decides about devices on a node. */
export interface DraConfiguration {
  readonly classes: ReadonlyMap<string, DeviceClass>
  /** Claims and claim templates, by name. */
  readonly claims: ReadonlyMap<string, Claim>
  readonly policies: readonly SriovResourcePolicy[]
  readonly attributes: readonly DeviceAttributes[]
}

const kindSchema = z.object({ kind: z.string() })

/** Throws `invalidDocument` naming the object and field, also for kinds that decide nothing here. */
export function parseDraManifests(manifests: readonly unknown[]): DraConfiguration {
  const classes = new Map<string, DeviceClass>()
  const claims = new Map<string, Claim>()
  const policies: SriovResourcePolicy[] = []
  const attributes: DeviceAttributes[] = []
  for (const manifest of manifests) {
    const { kind } = parseDocument(kindSchema, manifest, 'manifest')
    switch (kind) {
      case 'DeviceClass': {
        const { metadata, spec } = parseDocument(classSchema, manifest, kind)
        classes.set(metadata.name, {
          name: metadata.name,
          selectors: expressions(spec.selectors, metadata.name),
        })
        break
      }
      case 'ResourceClaimTemplate': {
        const { metadata, spec } = parseDocument(templateSchema, manifest, kind)
        claims.set(metadata.name, parseClaim(spec.spec, `${kind} ${metadata.name}`))
        break
      }
      case 'ResourceClaim': {
        const { metadata, spec } = parseDocument(claimObjectSchema, manifest, kind)
        claims.set(metadata.name, parseClaim(spec, `${kind} ${metadata.name}`))
        break
      }
      case 'SriovResourcePolicy': {
        const { metadata, spec } = parseDocument(
          z.object({ metadata: name, spec: z.unknown() }),
          manifest,
          kind,
        )
        policies.push(parseSriovResourcePolicy(metadata.name, spec))
        break
      }
      case 'DeviceAttributes': {
        const { metadata, spec } = parseDocument(attributesSchema, manifest, kind)
        const values = Object.entries(spec.attributes).map(([key, value]) => [key, Object.values(value)[0]])
        attributes.push({ ...metadata, attributes: Object.fromEntries(values) })
        break
      }
      default:
        refusePolicy(`kind: ${kind} is none that decides about devices`, {
          errorClass: 'unknown-kind',
          field: 'kind',
        })
    }
  }
  return { classes, claims, policies, attributes }
}
