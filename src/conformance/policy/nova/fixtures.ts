/** Devices and specifications as nova's cases write them: what they leave out is that of nova's own test devices. */
import { z } from 'zod'
import { parseDocument } from '../../../core/index.ts'
import type { Device, DeviceRole, DeviceSpec, NumaNode, PolicyHost } from '../../../policy/index.ts'
import { parseDeviceSpec } from '../../../policy/index.ts'
import type { WorkedCase } from '../worked-case.ts'

const TYPES: Readonly<Record<string, DeviceRole>> = {
  PF: 'PF',
  'type-PF': 'PF',
  VF: 'VF',
  'type-VF': 'VF',
  vdpa: 'vdpa',
  PCI: 'endpoint',
  'type-PCI': 'endpoint',
}

const VENDOR = '8086'
const PRODUCTS: Readonly<Record<DeviceRole, string>> = {
  endpoint: '1533',
  PF: '1528',
  VF: '1515',
  vdpa: '101e',
  bridge: '0000',
}

const deviceSchema = z.object({
  address: z.string().optional(),
  type: z.enum(Object.keys(TYPES) as [string, ...string[]]).optional(),
  vendor_id: z.string().optional(),
  product_id: z.string().optional(),
  vf_product_id: z.string().optional(),
  parent_addr: z.string().optional(),
  numa_node: z.int().nullable().optional(),
  devname: z.string().optional(),
  ifname: z.string().optional(),
  vpd: z.object({ card_serial_number: z.string().optional() }).optional(),
  status: z.string().optional(),
  /** This many alike. */
  count: z.int().optional(),
  /** VFs of a PF, at the functions behind it. */
  vfs: z.int().optional(),
})

export type GivenDevice = z.output<typeof deviceSchema>

export const givenDevices = ({ devices }: WorkedCase): GivenDevice[] =>
  devices.flatMap((raw, index) => {
    const given = parseDocument(deviceSchema, raw, `devices/${index}`)
    return Array.from({ length: given.count ?? 1 }, () => given)
  })

/** A device and, of a PF, the VFs that the case only counts. */
function devicesOf(given: GivenDevice, index: number, pf: string | undefined): Device[] {
  const role = TYPES[given.type ?? ''] ?? (given.parent_addr === undefined ? 'endpoint' : 'VF')
  const address =
    given.address ?? `0000:f${Math.floor(index / 256)}:${(index % 32).toString(16).padStart(2, '0')}.0`
  const parent = given.parent_addr ?? (role === 'VF' || role === 'vdpa' ? pf : undefined)
  const device: Device = {
    address,
    role,
    vendorId: given.vendor_id ?? VENDOR,
    productId: given.product_id ?? PRODUCTS[role],
    numaNode: nodeOf(given),
    ...(parent === undefined ? {} : { parent }),
    ...(role === 'PF' ? { sriov: { totalVfs: 0, numVfs: 0, ...vfProduct(given) } } : {}),
    ...nameOf(given),
    ...(given.vpd?.card_serial_number === undefined
      ? {}
      : { cardSerialNumber: given.vpd.card_serial_number }),
  }
  const counted = Array.from(
    { length: given.vfs ?? 0 },
    (_, n): Device => ({
      address: address.replace(/\.\d$/, `.${n + 1}`),
      role: 'VF',
      vendorId: VENDOR,
      productId: PRODUCTS.VF,
      numaNode: nodeOf(given),
      parent: address,
    }),
  )
  return [device, ...counted]
}

const nameOf = ({ devname, ifname = devname }: GivenDevice): Pick<Device, 'network'> =>
  ifname === undefined ? {} : { network: { name: ifname } }

/** Sysfs says -1 for unknown. */
const nodeOf = ({ numa_node: node }: GivenDevice): number | null =>
  node === undefined || node === null || node < 0 ? null : node

const vfProduct = ({ vf_product_id: id }: GivenDevice): { vfProductId?: string } =>
  id === undefined ? {} : { vfProductId: id }

const cellSchema = z.object({ id: z.int().optional(), socket: z.int().nullable().optional() })
const machineSchema = z.object({
  numa_nodes: z.int().optional(),
  sockets: z.int().default(1),
  nodes_per_socket: z.int().default(1),
  cpus_per_node: z.int().default(4),
})

const machineOf = ({ policy }: WorkedCase): z.output<typeof machineSchema> | undefined =>
  policy['host'] === undefined ? undefined : parseDocument(machineSchema, policy['host'], 'host')

function numaNodesOf(workedCase: WorkedCase): NumaNode[] {
  const cells = parseDocument(z.array(cellSchema), workedCase.request['host_cells'] ?? [], 'host_cells')
  const machine = machineOf(workedCase)
  if (machine === undefined)
    return cells.map(({ id, socket }, index) => ({ id: id ?? index, socket: socket ?? null }))
  const { numa_nodes: nodes, sockets, nodes_per_socket: perSocket } = machine
  return Array.from({ length: nodes ?? sockets * perSocket }, (_, id) => ({
    id,
    socket: nodes === undefined ? Math.floor(id / perSocket) : id,
  }))
}

/** Host nodes that pinned processors may come from; undefined if the flavor pins none. */
export function pinnableNodes(
  workedCase: WorkedCase,
  flavor: Readonly<Record<string, string>>,
): number[] | undefined {
  if (flavor['hw:cpu_policy'] !== 'dedicated' && flavor['hw:numa_nodes'] === undefined) return undefined
  const all = numaNodesOf(workedCase).map(({ id }) => id)
  const set = workedCase.policy['compute.cpu_dedicated_set']
  const perNode = machineOf(workedCase)?.cpus_per_node
  if (set === undefined || perNode === undefined) return all
  const processors = String(set)
    .split(',')
    .flatMap(range => {
      const [first = 0, last = first] = range.split('-').map(Number)
      return Array.from({ length: last - first + 1 }, (_, n) => first + n)
    })
  return all.filter(node => processors.some(processor => Math.floor(processor / perNode) === node))
}

export function hostOf(workedCase: WorkedCase): PolicyHost {
  const given = givenDevices(workedCase)
  const pf = given.find(({ type }) => TYPES[type ?? ''] === 'PF')?.address
  return {
    name: 'host',
    devices: given.flatMap((each, index) => devicesOf(each, index, pf)),
    numaNodes: numaNodesOf(workedCase),
    isolatedInterrupts: true,
    users: new Map(),
  }
}

/** The case's `pci.device_spec`; a case without any is about devices that are all selected. */
export function specsOf({ policy }: WorkedCase, host: PolicyHost): DeviceSpec[] | undefined {
  const list = policy['pci.device_spec']
  if (list === undefined) return undefined
  const reportInPlacement = policy['pci.report_in_placement'] === true
  return parseDocument(z.array(z.record(z.string(), z.unknown())), list, 'pci.device_spec').map(spec =>
    parseDeviceSpec(spec, { host, reportInPlacement }),
  )
}

/** Aliases of cases about booting leave out the ids, too. */
export function completeAliases(
  aliases: readonly Readonly<Record<string, unknown>>[],
  host: PolicyHost,
): object[] {
  const hasVfs = host.devices.some(({ role }) => role === 'VF')
  return aliases.map(alias => {
    const role = TYPES[String(alias['device_type'] ?? '')] ?? (hasVfs ? 'VF' : 'endpoint')
    return { vendor_id: VENDOR, product_id: PRODUCTS[role], ...alias }
  })
}
