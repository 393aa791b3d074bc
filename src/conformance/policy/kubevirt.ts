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
  sriov_totalvfs: z.int().optional(),
  files: z.array(z.string()).default([]),
})

const deviceOf = (raw: unknown, index: number): Device => {
  const given = parseDocument(deviceSchema, raw, `devices/${index}`)
  const [vendorId = '', productId = ''] = given.id.split(':')
  const pf = given.sriov_totalvfs !== undefined || given.files.includes('sriov_totalvfs')
  return {
    address: given.address,
    role: pf ? 'PF' : 'endpoint',
    vendorId,
    productId,
    driver: given.driver,
    iommuGroup: Number(given.iommu_group),
    numaNode: given.numa_node === undefined || given.numa_node < 0 ? null : given.numa_node,
    ...(pf ? { sriov: { totalVfs: given.sriov_totalvfs ?? 0, numVfs: 0 } } : {}),
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

function discover({ devices, policy }: WorkedCase): Outcome {
  const { permittedHostDevices } = parseKubevirtConfiguration(policy)
  const functions = devices.map(deviceOf)
  const [offered] = (permittedHostDevices?.pciHostDevices ?? []).flatMap(
    ({ resourceName }) => offerOf(resourceName, permittedHostDevices!, functions).devices,
  )
  if (offered === undefined) return { decision: 'no-match' }
  return { decision: 'match', deviceID: offered.id, topology: offered.nodes }
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

function admit({ policy, request }: WorkedCase): Outcome {
  const configuration = parseKubevirtConfiguration(policy)
  const machine = parseVirtualMachineDevices(request['vmi'] ?? {})
  const check = configuration.permittedHostDevices === undefined ? refuseAtAdmission : refuseAtController
  const refusal = check(configuration, machine)
  if (refusal === undefined) return { decision: 'allow' }
  const { errorClass, stage, field } = refusal
  return { decision: 'deny', errorClass, stage, field }
}
