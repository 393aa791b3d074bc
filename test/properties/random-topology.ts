/** Random machines: sockets, remapping units, switches with and without access control, bridges, cards of every shape. */
import fc from 'fast-check'
import type { TopologyDocument } from '../../src/platform/index.ts'

const CARDS = ['intel-82576', 'intel-82574l', 'nvme-sriov', 'ats-accelerator', 'intel-x710'] as const

/** What a unit needs so that the kernel uses scalable mode with it, and process address spaces. */
const SCALABLE = { DT: 1, SMTS: 1, SSTS: 1, SMPWCS: 1, SSADS: 1, PASID: 1, PSS: 19, PRS: 1 } as const

interface Node {
  readonly at: string
  readonly model: string
  readonly devices?: readonly Node[]
}

const card = fc.constantFrom(...CARDS).map((model): Node[] => [{ at: '00.0', model }])
/** One device with several functions. */
const twins = fc
  .constantFrom('intel-82576', 'intel-82574l')
  .map((model): Node[] => ['00.0', '00.1'].map(at => ({ at, model })))
const conventional = fc.constant<Node[]>([
  {
    at: '00.0',
    model: 'pcie-pci-bridge',
    devices: ['01.0', '02.0'].map(at => ({ at, model: 'intel-82540em' })),
  },
])
const leaf = fc.oneof({ weight: 4, arbitrary: card }, { weight: 1, arbitrary: twins })

const fabricSwitch = (below: fc.Arbitrary<Node[]>) =>
  fc
    .array(fc.record({ acs: fc.boolean(), devices: below }), { minLength: 2, maxLength: 3 })
    .map((ports): Node[] => [
      {
        at: '00.0',
        model: 'switch-upstream-port',
        devices: ports.map(({ acs, devices }, i) => ({
          at: `0${i}.0`,
          model: acs ? 'switch-downstream-port-acs' : 'switch-downstream-port',
          devices,
        })),
      },
    ])

const branch = fc.record({
  hotPlug: fc.boolean(),
  devices: fc.oneof(
    { weight: 4, arbitrary: leaf },
    { weight: 2, arbitrary: fabricSwitch(leaf) },
    { weight: 1, arbitrary: fabricSwitch(fabricSwitch(card)) },
    { weight: 1, arbitrary: conventional },
  ),
})

const rootBus = fc.record({
  branches: fc.array(branch, { minLength: 1, maxLength: 3 }),
  /** Functions of the root complex, which share a device. */
  integrated: fc.boolean(),
})

const devicesOf = ({
  branches,
  integrated,
}: {
  branches: readonly Branch[]
  integrated: boolean
}): Node[] => [
  { at: '00.0', model: 'host-bridge' },
  ...branches.map(({ hotPlug, devices }, i) => ({
    at: `0${i + 1}.0`,
    model: hotPlug ? 'hot-plug-root-port' : 'root-port',
    devices,
  })),
  ...(integrated
    ? [
        { at: '1f.0', model: 'intel-ich9-lpc' },
        { at: '1f.2', model: 'intel-ich9-sata' },
      ]
    : []),
]
type Branch = { readonly hotPlug: boolean; readonly devices: readonly Node[] }

export const topology = fc
  .record({
    sockets: fc.array(rootBus, { minLength: 1, maxLength: 2 }),
    /** By unit: some have scalable mode, some have not. */
    scalable: fc.tuple(fc.boolean(), fc.boolean()),
    latency: fc.constantFrom(0, 0, 200),
    commandLine: fc.constantFrom(
      'intel_iommu=on',
      'intel_iommu=on,sm_on',
      'intel_iommu=on,sm_on',
      'intel_iommu=on iommu.strict=1',
      'intel_iommu=on pci=noaer',
    ),
    kernel: fc.constantFrom('6.1' as const, '7.2' as const),
  })
  .map(({ sockets, scalable, latency, commandLine, kernel }): TopologyDocument => {
    const unit = (n: number) => ({
      id: `dmar${n}`,
      includeAll: n === 0,
      numaNode: n,
      capabilities: { PI: 1, ...(scalable[n] ? SCALABLE : {}) },
      ...(latency > 0 && { completionLatencyNs: latency }),
    })
    return {
      name: 'random',
      processors: sockets.map((_, numaNode) => ({ numaNode, logicalProcessors: 2 })),
      memory: sockets.map((_, numaNode) => ({ numaNode, sizeMiB: 128 })),
      iommu: {
        kind: 'intel-vtd',
        units: sockets.length === 1 ? [unit(0)] : [unit(1), unit(0)],
        atsPorts: [{ allPorts: true }],
      },
      hostBridges: sockets.map((socket, n) => ({
        bus: n * 128,
        numaNode: n,
        ...(n > 0 && { remappingUnit: `dmar${n}` }),
        devices: devicesOf(socket) as never,
      })),
      host: { commandLine, kernel },
    }
  })
