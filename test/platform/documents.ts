/** Small topology documents for tests, and functions whose config space is written out byte by byte. */
import type { TopologyDocument, TopologyNodeDocument } from '../../src/platform/index.ts'

type Imported = NonNullable<TopologyNodeDocument['imported']>

/** Config space as hexadecimal text, from values of 1, 2 or 4 bytes at offsets. */
export function image(values: Readonly<Record<number, readonly [width: 1 | 2 | 4, value: number]>>): string {
  const bytes = Buffer.alloc(4096)
  for (const [offset, [width, value]] of Object.entries(values))
    bytes.writeUIntLE(value, Number(offset), width)
  return bytes.toString('hex')
}

/** 8086:1234, capability list, PCI Express capability of a port type at 40h. */
const express = (portType: number) =>
  ({
    0: [4, 0x1234_8086],
    6: [2, 0x0010],
    52: [1, 0x40],
    64: [4, ((2 | (portType << 4)) << 16) | 0x0010],
  }) as const

const imported = (kind: Imported['kind'], hex: string, more: Partial<Imported> = {}): Imported => ({
  name: `test ${kind}`,
  kind,
  image: hex,
  configSizeBytes: 4096,
  ...more,
})

export const endpoint = (at: string, more: Partial<TopologyNodeDocument> = {}): TopologyNodeDocument => ({
  at,
  imported: imported('endpoint', image(express(0)), {
    bars: [{ index: 0, kind: 'memory32', sizeBytes: 0x1000 }],
  }),
  ...more,
})

/** An endpoint with an SR-IOV capability of 8 VFs at 100h, and an ARI capability at 160h. */
export const physicalFunction = (
  at: string,
  more: Partial<TopologyNodeDocument> = {},
): TopologyNodeDocument => ({
  at,
  imported: imported(
    'endpoint',
    image({
      ...express(0),
      256: [4, 0x1601_0010],
      268: [4, 0x0008_0008],
      276: [4, 0x0002_0080],
      284: [4, 0x553],
      288: [4, 1],
      352: [4, 0x0001_000e],
    }),
    {
      sriov: {
        ari: { offset: 0x80, stride: 2 },
        nonAri: { offset: 0x180, stride: 2 },
        bars: [{ index: 0, kind: 'memory64', sizeBytes: 0x4000 }],
        image: image({ ...express(0), 0: [4, 0xffff_ffff] }),
      },
    },
  ),
  ...more,
})

const bridgeTypes = { rootPort: 4, upstreamPort: 5, downstreamPort: 6, bridge: 7 } as const

export const bridge = (
  kind: keyof typeof bridgeTypes,
  at: string,
  devices: TopologyNodeDocument[] = [],
  more: Partial<TopologyNodeDocument> = {},
): TopologyNodeDocument => ({
  at,
  imported: imported(kind, image({ ...express(bridgeTypes[kind]), 14: [1, 1] })),
  devices,
  ...more,
})

export const topology = (
  devices: TopologyNodeDocument[],
  more: Partial<TopologyDocument> = {},
): TopologyDocument => ({
  name: 'test',
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
  hostBridges: [{ devices }],
  ...more,
})
