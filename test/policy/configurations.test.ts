import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type PlacementRequest, type PolicySystem, readPolicy } from '../../src/policy/index.ts'
import { hostWith } from './hosts.ts'

const host = hostWith('h', [
  { bus: 5, vfs: 4, numaNode: 0 },
  { bus: 0x85, vfs: 4, numaNode: 1 },
])
const file = (name: string, text: string) => ({ name, text })
const example = (name: string) => file(name, readFileSync(`examples/policies/${name}`, 'utf8'))
const wants = (resource: string, count: number, rest: Partial<PlacementRequest> = {}): PlacementRequest => ({
  vm: 'a',
  needs: [{ resource, count }],
  ...rest,
})

function decide(system: PolicySystem, files: Parameters<typeof readPolicy>[1], request: PlacementRequest) {
  const placement = readPolicy(system, files).place(host, request)
  return placement.granted ? placement.grants.flatMap(({ devices }) => devices) : placement.refusal.errorClass
}

const NODE_POLICIES = `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: { name: first }
spec: { resourceName: fast, numVfs: 4, nicSelector: { pfNames: ['ens5#2-3'] } }
---
# nothing here
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: { name: second }
spec: { resourceName: slow, numVfs: 4, nicSelector: { rootDevices: ['0000:85:00.0'] } }
`

const CLAIMS = `
kind: DeviceClass
metadata: { name: vfs }
spec: { selectors: [{ cel: { expression: 'device.driver == "sriovnetwork.k8snetworkplumbingwg.io"' } }] }
---
kind: SriovResourcePolicy
metadata: { name: all }
spec: { configs: [{}] }
---
kind: ResourceClaimTemplate
metadata: { name: one-vf }
spec: { spec: { devices: { requests: [{ name: vf, exactly: { deviceClassName: vfs } }] } } }
`

const NETWORK = `<network>
  <name>passthrough</name>
  <forward mode='hostdev' managed='yes'>
    <address type='pci' domain='0x0000' bus='0x85' slot='0x10' function='0x2'/>
    <pf dev='ens5'/>
  </forward>
</network>`

const KUBEVIRT = `
apiVersion: kubevirt.io/v1
kind: KubeVirt
metadata: { name: kubevirt }
spec:
  configuration:
    developerConfiguration: { featureGates: [HostDevices] }
    permittedHostDevices:
      pciHostDevices: [{ pciVendorSelector: '8086:10ED', resourceName: intel.com/vf }]
`

describe('configuration files as people have them', () => {
  it('sriovdp config.json: a pool, first come first served', () =>
    expect(
      decide('sriov-network-device-plugin', [example('sriovdp.json')], wants('intel.com/x520_vf', 2)),
    ).toEqual(['0000:05:10.0', '0000:05:10.2']))

  it('KubeletConfiguration beside it: devices of the node of the processors, or none', () => {
    const files = [example('kubelet.yaml'), example('sriovdp.json')]
    const ask = (count: number) =>
      decide('kubernetes-topology-manager', files, wants('intel.com/x520_vf', count, { numaNodes: [1] }))
    expect(ask(2)).toEqual(['0000:85:10.0', '0000:85:10.2'])
    expect(ask(5)).toBe('TopologyAffinityError')
    expect(ask(9)).toBe('Insufficient')
  })

  it('best-effort takes remote devices after local ones', () => {
    const kubelet = file('kubelet.yaml', 'kind: KubeletConfiguration\ntopologyManagerPolicy: best-effort\n')
    expect(
      decide(
        'kubernetes-topology-manager',
        [kubelet, example('sriovdp.json')],
        wants('intel.com/x520_vf', 5, { numaNodes: [1] }),
      ),
    ).toHaveLength(5)
  })

  it('SriovNetworkNodePolicy, several in one file', () => {
    const files = [file('policies.yaml', NODE_POLICIES)]
    expect(decide('sriov-network-operator', files, wants('fast', 2))).toEqual([
      '0000:05:10.4',
      '0000:05:10.6',
    ])
    expect(decide('sriov-network-operator', files, wants('slow', 1))).toEqual(['0000:85:10.0'])
  })

  it('DRA manifests', () =>
    expect(decide('kubernetes-dra', [file('claims.yaml', CLAIMS)], wants('one-vf', 2))).toHaveLength(2))

  it('libvirt network XML: what is listed, then VFs of the interface', () =>
    expect(decide('libvirt', [file('net.xml', NETWORK)], wants('passthrough', 2))).toEqual([
      '0000:85:10.2',
      '0000:05:10.0',
    ]))

  it('libvirt options: unmanaged devices must have been detached by hand', () =>
    expect(decide('libvirt', [file('options.yaml', 'managed: false')], wants('0000:05:10.0', 1))).toBe(
      'must-be-manually-detached',
    ))

  it('the KubeVirt object', () =>
    expect(decide('kubevirt', [file('kubevirt.yaml', KUBEVIRT)], wants('intel.com/vf', 1))).toBe(
      'Insufficient',
    ))

  it('Proxmox pci.cfg, which notices other hardware than was mapped', () => {
    const mapping = (group: number) =>
      file('pci.cfg', `nic\n\tmap id=8086:10ed,iommugroup=${group},node=h,path=0000:05:10.0\n`)
    expect(decide('proxmox-qemu-server', [mapping(501)], wants('mapping=nic', 1))).toEqual(['0000:05:10.0'])
    expect(decide('proxmox-qemu-server', [mapping(7)], wants('mapping=nic', 1))).toBe(
      'mapping-invalid-hardware-changed',
    )
  })

  it('oVirt and XenServer, in JSON of our own', () => {
    const ovirt = '{"physicalFunctions": [{"physicalFunction": "0000:85:00.0", "networks": ["storage"]}]}'
    expect(decide('ovirt', [file('vfs.json', ovirt)], wants('storage', 1))).toEqual(['0000:85:10.0'])
    const xapi = '{"networks": {"storage": ["0000:85:00.0"]}}'
    expect(decide('xapi', [file('xapi.json', xapi)], wants('storage', 1))).toEqual(['0000:85:10.0'])
  })
})

describe('errors name the file, the place and the rule', () => {
  it.each([
    [
      'nova',
      [file('nova.conf', '[pci]\nwhat is this\n')],
      /nova\.conf.* line 2: neither a section nor an option/,
    ],
    ['nova', [file('nova.conf', '[pci]\ndevice_spec = {\n')], /nova\.conf: device_spec: /],
    [
      'sriov-network-device-plugin',
      [file('c.json', '{"resourceList": [{}]}')],
      /c\.json.*resourceList\/0\/resourceName/,
    ],
    [
      'sriov-network-operator',
      [file('p.yaml', `${NODE_POLICIES}---\nkind: Pod`)],
      /p\.yaml line 14: .*\/kind/,
    ],
    ['sriov-network-operator', [file('p.yaml', 'a: [1')], /p\.yaml line \d+: /],
    ['kubernetes-dra', [file('d.yaml', 'kind: Pod')], /d\.yaml: kind: Pod/],
    ['libvirt', [file('n.xml', '<network><name>x</name></network>')], /n\.xml: forward mode: /],
    ['libvirt', [file('n.xml', '<network>\n<name>x</network>')], /n\.xml line \d/],
    ['kubevirt', [file('k.yaml', 'kind: KubeVirt')], /k\.yaml: KubeVirt: \/spec/],
    ['proxmox-qemu-server', [file('pci.cfg', 'nic\n\tmap path=x,zork=1\n')], /pci\.cfg line 2: "zork"/],
    [
      'northbridge',
      [file('own.yaml', 'resources: [{name: x, select: "a ="}]')],
      /own\.yaml: resources\/0\/select/,
    ],
    ['kubernetes-topology-manager', [example('kubelet.yaml'), example('kubelet.yaml')], /config\.json/],
    ['xapi', [], /xapi takes 1 files .*not 0/],
    ['linux-netdevsim', [], /linux-netdevsim assigns nothing/],
  ] as const)('%s %#', (system, files, message) => expect(() => readPolicy(system, files)).toThrow(message))
})
