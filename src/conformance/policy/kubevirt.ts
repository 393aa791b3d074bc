/** Worked cases of KubeVirt. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  AddressPool,
  type Device,
  hostDevicesFor,
  isPhysicalFunction,
  offerOf,
  parseKubevirtConfiguration,
  parseVirtualMachineDevices,
  refuseAtAdmission,
  refuseAtController,
} from '../../policy/index.ts'
import type { Judge, Outcome, WorkedCase } from './worked-case.ts'

const deviceSchema = z.object({
  address: z.string().default(''),
  id: z.string().default(''),
  driver: z.string().nullable().default(null),
  iommu_group: z.union([z.int(), z.string()]).default('0'),
  numa_node: z.int().optional(),
  sriov_totalvfs: z.union([z.int(), z.string(), z.boolean()]).optional(),
  files: z.array(z.string()).default([]),
})

const deviceOf = (raw: unknown, index: number): Device => {
  const given = parseDocument(deviceSchema, raw, `devices/${index}`)
  const [vendorId = '', productId = ''] = given.id.split(':')
  const total = given.sriov_totalvfs
  const pf = (total !== undefined && total !== false) || given.files.includes('sriov_totalvfs')
  return {
    address: given.address,
    role: pf ? 'PF' : 'endpoint',
    vendorId,
    productId,
    driver: given.driver,
    iommuGroup: Number(given.iommu_group),
    numaNode: given.numa_node === undefined || given.numa_node < 0 ? null : given.numa_node,
    ...(pf ? { sriov: { totalVfs: Number(total ?? 0) || 0, numVfs: 0 } } : {}),
  }
}

export const judgeKubevirt: Judge = workedCase => {
  const { request, devices } = workedCase
  switch (request['op']) {
    case 'discover':
      return discover(workedCase)
    case 'is-pf':
      return { decision: 'classified', pf: devices.map(deviceOf).some(isPhysicalFunction) }
    case 'refresh': {
      const { permittedHostDevices } = parseKubevirtConfiguration(workedCase.policy)
      return { decision: permittedHostDevices?.pciHostDevices.length ? 'allow' : 'plugin-disabled' }
    }
    default:
      if ('pop' in request) return popAddresses(workedCase)
      if ('interfaces' in request) return createHostDevices(workedCase)
      return admit(workedCase)
  }
}

function discover({ devices, policy, expected }: WorkedCase): Outcome {
  const { permittedHostDevices } = parseKubevirtConfiguration(policy)
  const functions = devices.map(deviceOf)
  const [offered] = (permittedHostDevices?.pciHostDevices ?? []).flatMap(
    ({ resourceName }) => offerOf(resourceName, permittedHostDevices!, functions).devices,
  )
  if (offered === undefined) return { decision: 'no-match' }
  return {
    decision: 'match',
    deviceID: offered.id,
    topology: topologyOf(offered.nodes, expected['topology']),
  }
}

/** NUMA nodes as a list, or as the device plugin's message has them; none is no topology there. */
function topologyOf(nodes: readonly number[], like: unknown): unknown {
  if (like === null) return nodes.length === 0 ? null : nodes
  if (typeof like === 'number') return nodes.length === 1 ? nodes[0] : nodes
  if (typeof like !== 'object' || Array.isArray(like)) return nodes
  const [key = 'nodes'] = Object.keys(like)
  const list = (like as Readonly<Record<string, unknown>>)[key]
  const plain = !Array.isArray(list) || typeof list[0] === 'number'
  return { [key]: plain ? nodes : nodes.map(ID => ({ ID })) }
}

/** Values of environment variables are lists with commas; cases may write them as lists. */
const addressesSchema = z.union([
  z.array(z.string()),
  z.string().transform(text => (text === '' ? [] : text.split(','))),
])

function popAddresses({ policy, request }: WorkedCase): Outcome {
  const environment = parseDocument(z.record(z.string(), addressesSchema), policy['env'] ?? {}, 'env')
  const resources = parseDocument(z.array(z.string()), request['pop'], 'pop')
  const named = resources.flatMap(resource => {
    const key = Object.keys(environment).find(
      name => name === resource || name.endsWith(`_${resource.toUpperCase()}`),
    )
    return key === undefined ? [] : [[resource, environment[key]!] as const]
  })
  const pool = new AddressPool(new Map(named))
  const popped: string[] = []
  for (const resource of resources) {
    const address = pool.pop(resource)
    if (typeof address !== 'string') return { decision: 'deny', errorClass: address.errorClass }
    popped.push(address)
  }
  return { decision: 'allow', popped }
}

function createHostDevices({ devices, request }: WorkedCase): Outcome {
  const interfaces = parseDocument(z.array(z.string()), request['interfaces'], 'interfaces')
  const addresses = devices.map(deviceOf).map(({ address }) => address)
  const networks = [...new Set(interfaces)]
  // Cases give one list of addresses: each network has its share, in order.
  const share = networks.length === 1 ? addresses.length : 1
  const pool = new AddressPool(
    new Map(networks.map((network, index) => [network, addresses.slice(index * share, (index + 1) * share)])),
  )
  const created = hostDevicesFor(interfaces, pool)
  if ('refusal' in created) return { decision: 'deny', errorClass: created.refusal.errorClass }
  // The launcher's domain never asks libvirt to rebind: the device plugin's host did that.
  return { decision: 'allow', hostdevs: created.addresses.length, managed: 'no' }
}

/**
 * A case is about one of the two places where a machine is judged. The webhook's cases need its feature gate, or have
 * nothing that is permitted; what the controller judges has come past the webhook.
 */
function admit({ policy, request, expected }: WorkedCase): Outcome {
  const configuration = parseKubevirtConfiguration(policy)
  const machine = parseVirtualMachineDevices(request['vmi'] ?? {})
  const told = request['stage'] ?? expected['stage']
  const atWebhook =
    told === undefined
      ? configuration.permittedHostDevices === undefined || configuration.featureGates.includes('HostDevices')
      : /webhook|admission|api/i.test(String(told))
  const refusal = (atWebhook ? refuseAtAdmission : refuseAtController)(configuration, machine)
  // A stage in the case's words: only which of the two places it is was understood.
  const stage = told ?? (atWebhook ? 'webhook' : 'controller')
  if (refusal === undefined) return { decision: 'allow', stage }
  const { errorClass, field } = refusal
  return { decision: 'deny', errorClass, stage, field: fieldLike(field, expected['field']) }
}

/** Paths may begin at any part of the object. */
const fieldLike = (field: string, asked: unknown): unknown =>
  typeof asked === 'string' &&
  asked.split('.').at(-1)?.toLowerCase() === field.split('.').at(-1)?.toLowerCase()
    ? asked
    : field
