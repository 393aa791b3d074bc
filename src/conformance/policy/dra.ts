/** Worked cases of dynamic resource allocation: the SR-IOV driver's publishing, and the structured allocator. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  type AttributeValue,
  allocate,
  type Device,
  type DeviceAttributes,
  type DeviceClass,
  discoverSriovDevices,
  matchesFilters,
  type PublishedDevice,
  parseClaim,
  parseExpression,
  parseSriovResourcePolicy,
  publishedDevices,
  type ResourcePool,
  SRIOV_DRIVER,
  selectsNode,
} from '../../policy/index.ts'
import type { Judge, Outcome, WorkedCase } from './worked-case.ts'

const attributeSchema = z.union([z.string(), z.number(), z.boolean()])

const shortName = (qualified: string): string => qualified.slice(qualified.lastIndexOf('/') + 1)

/** Cases write the driver's attributes by their short names, next to the device's name. */
function publishedOf({ name = 'device', ...facts }: Readonly<Record<string, unknown>>): PublishedDevice {
  const attributes: Record<string, AttributeValue> = {}
  for (const [key, value] of Object.entries(facts)) {
    const qualified = key === 'pcieRoot' ? 'resource.kubernetes.io/pcieRoot' : `${SRIOV_DRIVER}/${key}`
    attributes[qualified] = parseDocument(attributeSchema, value, key)
  }
  return { name: String(name), driver: SRIOV_DRIVER, pool: 'node', attributes }
}

const policyOf = (spec: unknown, index: number) =>
  parseSriovResourcePolicy(
    z.object({ name: z.string() }).safeParse(spec).data?.name ?? `policy-${index}`,
    z.object({ spec: z.unknown() }).safeParse(spec).data?.spec ?? spec,
  )

export const judgeDra: Judge = workedCase => {
  switch (workedCase.request['op']) {
    case 'match-device':
      return matchDevice(workedCase)
    case 'publish':
      return publish(workedCase)
    case 'match-node':
      return matchNode(workedCase)
    case 'discover':
      return discover(workedCase)
    default:
      return allocateClaim(workedCase)
  }
}

function matchDevice({ devices, policy }: WorkedCase): Outcome {
  const { configs } = policyOf(policy['SriovResourcePolicy'], 0)
  const device = publishedOf(devices[0]!)
  const matches = configs.some(({ resourceFilters }) => matchesFilters(device, resourceFilters))
  return { decision: matches ? 'match' : 'no-match' }
}

const extraSchema = z.object({
  name: z.string().optional(),
  labels: z.record(z.string(), z.string()).default({}),
  attributes: z.record(z.string(), attributeSchema).default({}),
})

function publish({ devices, policy }: WorkedCase): Outcome {
  const policies = parseDocument(z.array(z.unknown()), policy['policies'] ?? [], 'policies').map(policyOf)
  const extra = parseDocument(z.array(extraSchema), policy['deviceAttributes'] ?? [], 'deviceAttributes').map(
    ({ name, ...rest }, index): DeviceAttributes => ({ name: name ?? `attributes-${index}`, ...rest }),
  )
  const found = devices.map(publishedOf)
  const published = publishedDevices(found, policies, extra)
  const added = published.map(device => {
    const before = found.find(({ name }) => name === device.name)!.attributes
    const fresh = Object.entries(device.attributes).filter(([key]) => !Object.hasOwn(before, key))
    return [device.name, Object.fromEntries(fresh.map(([key, value]) => [shortName(key), value]))] as const
  })
  return {
    decision: 'published',
    devices: published.map(({ name }) => name).sort(),
    attributes: Object.fromEntries(added),
  }
}

/** A term is short for `key In values`, or a node selector term as it is. */
const termSchema = z.union([
  z.object({ matchExpressions: z.array(z.unknown()) }),
  z.record(z.string(), z.array(z.string())),
])

function matchNode({ devices, policy }: WorkedCase): Outcome {
  const terms =
    parseDocument(z.array(termSchema).nullable(), policy['nodeSelectorTerms'] ?? null, 'nodeSelectorTerms') ??
    []
  const spec = {
    configs: [],
    nodeSelector: {
      nodeSelectorTerms: terms.map(term =>
        Array.isArray(term['matchExpressions'])
          ? term
          : {
              matchExpressions: Object.entries(term).map(([key, values]) => ({
                key,
                operator: 'In',
                values,
              })),
            },
      ),
    },
  }
  const labels = parseDocument(
    z.record(z.string(), z.string()),
    devices[0]?.['nodeLabels'] ?? {},
    'nodeLabels',
  )
  const { nodeSelector } = parseSriovResourcePolicy('policy', spec)
  return { decision: selectsNode(labels, nodeSelector!.nodeSelectorTerms) ? 'match' : 'no-match' }
}

const functionSchema = z.object({
  address: z.string(),
  class: z.string().default('02'),
  type: z.enum(['PF', 'VF', 'endpoint']).default('PF'),
  netdev: z.string().nullable().default(null),
  pf: z.string().optional(),
  vf_index: z.int().optional(),
})

function discover({ devices }: WorkedCase): Outcome {
  const functions = devices.map((raw, index): Device => {
    const given = parseDocument(functionSchema, raw, `devices/${index}`)
    return {
      address: given.address,
      role: given.type,
      classCode: given.class.padEnd(6, '0'),
      ...(given.pf === undefined ? {} : { parent: given.pf }),
      ...(given.vf_index === undefined ? {} : { vfIndex: given.vf_index }),
      network: given.netdev === null ? {} : { name: given.netdev },
    }
  })
  const host = { name: 'node', devices: functions, numaNodes: [], isolatedInterrupts: true, users: new Map() }
  return { decision: 'discovered', devices: discoverSriovDevices(host).map(({ address }) => address) }
}

const poolDeviceSchema = z.object({
  name: z.string(),
  driver: z.string().default('driver-a'),
  pool: z.string().default('pool-1'),
  generation: z.int().default(1),
  slices: z.int().optional(),
  resourceSliceCount: z.int().optional(),
  allocated: z.boolean().default(false),
  attributes: z.record(z.string(), attributeSchema).default({}),
})

const requestSchema = z.looseObject({ name: z.string().default('req-0'), count: z.int().optional() })
const claimSchema = z.object({
  requests: z.array(requestSchema),
  constraints: z.array(z.record(z.string(), z.unknown())).default([]),
})
const classSchema = z.union([
  z.string(),
  z.object({ name: z.string(), selectors: z.array(z.string()).default([]) }),
  z.array(z.object({ name: z.string(), selectors: z.array(z.string()).default([]) })),
])

function allocateClaim({ devices, policy, request }: WorkedCase): Outcome {
  const classes = classesOf(
    parseDocument(classSchema.nullable(), policy['DeviceClass'] ?? null, 'DeviceClass'),
  )
  const [defaultClass] = classes.keys()
  const asked = parseDocument(claimSchema, request, 'request')
  const claim = parseClaim(
    {
      devices: {
        requests: asked.requests.map(each => ({ deviceClassName: defaultClass ?? 'class-a', ...each })),
        constraints: asked.constraints,
      },
    },
    'request',
  )
  const listed = devices.map((raw, index) => parseDocument(poolDeviceSchema, raw, `devices/${index}`))
  const inUse = listed
    .filter(({ allocated }) => allocated)
    .map(({ driver, pool, name }) => `${driver}/${pool}/${name}`)
  const allocation = allocate(claim, { pools: poolsOf(listed), classes, inUse: new Set(inUse) })
  if ('refusal' in allocation)
    return { decision: decisionOf(allocation.refusal.errorClass), ...allocation.refusal }
  return { decision: 'allow', selected: allocation.allocated.map(({ device }) => device.name) }
}

/** Upstream the allocator either finds nothing or fails with an error. */
const decisionOf = (errorClass: string): string => (errorClass === 'not-allocatable' ? 'deny' : 'error')

function classesOf(given: z.output<typeof classSchema> | null): Map<string, DeviceClass> {
  const list =
    given === null
      ? []
      : Array.isArray(given)
        ? given
        : [typeof given === 'string' ? { name: given, selectors: [] } : given]
  return new Map(
    list.map(({ name, selectors }) => [
      name,
      {
        name,
        selectors: selectors.map((text, index) => parseExpression(text, `DeviceClass ${name}/${index}`)),
      },
    ]),
  )
}

function poolsOf(listed: readonly z.output<typeof poolDeviceSchema>[]): ResourcePool[] {
  const pools = new Map<string, ResourcePool & { devices: PublishedDevice[] }>()
  for (const {
    name,
    driver,
    pool,
    generation,
    slices = 1,
    resourceSliceCount = slices,
    attributes,
  } of listed) {
    const key = `${driver}/${pool}/${generation}`
    let found = pools.get(key)
    if (found === undefined) {
      found = {
        driver,
        name: pool,
        generation,
        sliceCount: resourceSliceCount,
        slicesSeen: slices,
        devices: [],
      }
      pools.set(key, found)
    }
    found.devices.push({ name, driver, pool, attributes })
  }
  return [...pools.values()]
}
