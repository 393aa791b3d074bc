/**
 * A fleet is planned: ten hosts with 400 VFs each, 1,000 machines that want one to seven VFs near their processors, of
 * four tenants, and twenty more for which nothing is left. The hosts are described, as an inventory would describe them;
 * every refusal is explained: the rule on each host, and the device that came closest.
 */
import {
  type Device,
  type FleetRequest,
  type PolicyHost,
  planFleet,
  readPolicy,
} from '../src/policy/index.ts'

const HOSTS = 10
const PORTS = 8
const VFS_PER_PORT = 50
const MACHINES = 1_000
/** They come when 3 VFs are left. */
const LATECOMERS = 20
const LIMIT_SECONDS = 5

const hex = (value: number): string => value.toString(16).padStart(2, '0')

function portOf(port: number): Device[] {
  const numaNode = port < PORTS / 2 ? 0 : 1
  const bus = (numaNode === 0 ? 0x10 : 0x80) + port
  const pf = `0000:${hex(bus)}:00.0`
  const common = {
    vendorId: '8086',
    classCode: '020000',
    numaNode,
    pcieRoot: `pci0000:${numaNode === 0 ? '00' : '7f'}`,
  }
  const vf = (index: number): Device => ({
    ...common,
    address: `0000:${hex(bus)}:${hex(2 + (index >>> 3))}.${index & 7}`,
    role: 'VF',
    productId: '154c',
    driver: 'iavf',
    parent: pf,
    vfIndex: index,
    iommuGroup: port * 100 + 1 + index,
    network: { physicalFunctionName: `ens${port}`, linkType: 'ether' },
  })
  return [
    {
      ...common,
      address: pf,
      role: 'PF',
      productId: '1592',
      driver: 'ice',
      iommuGroup: port * 100,
      sriov: { totalVfs: 64, numVfs: VFS_PER_PORT, vfProductId: '154c' },
      network: { name: `ens${port}`, physicalFunctionName: `ens${port}`, linkType: 'ether' },
    },
    ...Array.from({ length: VFS_PER_PORT }, (_, index) => vf(index)),
  ]
}

const hosts = Array.from(
  { length: HOSTS },
  (_, index): PolicyHost => ({
    name: `host${index}`,
    devices: Array.from({ length: PORTS }, (_each, port) => portOf(port)).flat(),
    numaNodes: [0, 1].map(id => ({ id, socket: id })),
    isolatedInterrupts: true,
    users: new Map(),
  }),
)

const requestsFor = (resource: string): FleetRequest[] =>
  Array.from({ length: MACHINES + LATECOMERS }, (_, index) => ({
    vm: `vm${index}`,
    tenant: `tenant${index % 4}`,
    numaNodes: [index % 2],
    needs: [{ resource, count: index < MACHINES ? 1 + (index % 7) : 4 }],
  }))

const SYSTEMS = {
  northbridge: [
    'vf',
    'resources: [{ name: vf, select: \'device.role == "VF" && device.vendorId == "8086"\', numa: required, placement: spread, neverShare: [iommuGroup] }]',
  ],
  nova: [
    'vf',
    '[pci]\ndevice_spec = {"vendor_id": "8086", "product_id": "154c"}\nalias = {"name": "vf", "vendor_id": "8086", "product_id": "154c", "device_type": "type-VF", "numa_policy": "required"}\n',
  ],
  'sriov-network-device-plugin': [
    'intel.com/vf',
    '{"resourceList": [{"resourceName": "vf", "selectors": {"vendors": ["8086"], "devices": ["154c"]}}]}',
  ],
} as const

const vfs = hosts.flatMap(({ devices }) => devices).filter(({ role }) => role === 'VF').length
console.log(`${HOSTS} hosts, ${vfs} VFs, ${MACHINES} machines and ${LATECOMERS} too many`)
for (const [system, [resource, text]] of Object.entries(SYSTEMS)) {
  const policy = readPolicy(system as keyof typeof SYSTEMS, [{ name: 'policy', text }])
  const start = process.hrtime.bigint()
  const { placed, refused } = planFleet(hosts, policy, requestsFor(resource))
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  const reasons = refused.flatMap(({ hosts: each }) => each.filter(({ nearestMiss }) => nearestMiss))
  const given = placed.reduce((sum, { steps }) => sum + steps.length, 0)
  console.log(
    `${system.padEnd(28)} ${seconds.toFixed(2).padStart(6)} s  ${placed.length} placed (${given} VFs), ${refused.length} refused for ${reasons.length} reasons`,
  )
  if (seconds > LIMIT_SECONDS) process.exitCode = 1
}
