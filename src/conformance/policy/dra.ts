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

const quantities = z.record(z.string(), z.string())

const poolDeviceSchema = z.object({
  name: z.string(),
  driver: z.string().default('driver-a'),
  pool: z.string().default('pool-1'),
  generation: z.int().default(1),
  /** Name of the slice that lists it. */
  slice: z.string().optional(),
  slices: z.int().optional(),
  resourceSliceCount: z.int().optional(),
  allocated: z.boolean().default(false),
  attributes: z.record(z.string(), attributeSchema).default({}),
  capacity: quantities.default({}),
})

/** A slice with its devices, or a device on its own: the slice's properties are those of its devices. */
function listedDevices(devices: WorkedCase['devices']): z.output<typeof poolDeviceSchema>[] {
  return devices.flatMap((raw, index) => {
    const { devices: inside, device, ...common } = raw
    const list = Array.isArray(inside) ? inside : [{}]
    return list.map((each, place) => {
      const own = typeof each === 'string' ? { name: each } : each
      const named = device === undefined ? own : { name: device, ...own }
      const sliceName = Array.isArray(inside)
        ? { slice: String(common['name'] ?? common['slice'] ?? index) }
        : {}
      return parseDocument(
        poolDeviceSchema,
        { ...common, ...sliceName, ...named },
        `devices/${index}/${place}`,
      )
    })
  })
}

const selectorSchema = z.union([
  z.string().transform(expression => ({ cel: { expression } })),
  z.looseObject({}),
])
const requestSchema = z
  .looseObject({
    name: z.string().default('req-0'),
    count: z.union([z.int(), z.string()]).optional(),
    mode: z.string().optional(),
    deviceClassName: z.string().optional(),
    class: z.string().optional(),
    selectors: z.array(selectorSchema).optional(),
  })
  .transform(({ count, mode, class: className, ...rest }) => ({
    ...(className === undefined ? {} : { deviceClassName: className }),
    ...(mode === undefined ? {} : { allocationMode: mode }),
    // Cases write "all" where others have a number.
    ...(typeof count === 'string' ? { allocationMode: 'All' } : count === undefined ? {} : { count }),
    ...rest,
  }))
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
  const listed = listedDevices(devices)
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
  const pools = Map.groupBy(listed, ({ driver, pool, generation }) => `${driver}/${pool}/${generation}`)
  return [...pools.values()].map(members => {
    const [{ driver, pool, generation }] = members as [(typeof members)[number]]
    const slicesSeen = slicesOf(members)
    return {
      driver,
      name: pool,
      generation,
      sliceCount: Math.max(...members.map(({ resourceSliceCount }) => resourceSliceCount ?? slicesSeen)),
      slicesSeen,
      devices: members.map(({ name, attributes, capacity }) => ({
        name,
        driver,
        pool,
        attributes,
        capacity,
      })),
    }
  })
}

/** Slices that are there: as told, by their names, or, as one slice lists a device once, as often as one is listed. */
function slicesOf(members: readonly z.output<typeof poolDeviceSchema>[]): number {
  const told = members.find(({ slices }) => slices !== undefined)?.slices
  const names = new Set(members.map(({ slice }) => slice))
  if (told !== undefined || !names.has(undefined)) return told ?? names.size
  const counts = Map.groupBy(members, ({ name }) => name)
  return Math.max(...[...counts.values()].map(({ length }) => length))
}
