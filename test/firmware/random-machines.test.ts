/** Machines of any shape: what firmware gives out never overlaps, is aligned, and lies in every window above. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TopologyNodeDocument } from '../../src/platform/index.ts'
import { image } from '../platform/documents.ts'
import { checkAddresses } from './address-checks.ts'
import { type Booted, boot } from './boot.ts'

type Node = TopologyNodeDocument
type Bar = NonNullable<NonNullable<Node['imported']>['bars']>[number]

const SR_IOV_AT_100H = { 256: [4, 0x0001_0010], 284: [4, 0x553], 288: [4, 1] } as const
const EXPRESS = { 0: [4, 0x1234_8086], 6: [2, 0x10], 52: [1, 0x40], 64: [4, 0x0002_0010] } as const

const bar: fc.Arbitrary<Omit<Bar, 'index'>> = fc.oneof(
  fc.record({
    kind: fc.constant('memory32' as const),
    prefetchable: fc.boolean(),
    sizeBytes: fc.integer({ min: 7, max: 24 }).map(shift => 2 ** shift),
  }),
  fc.record({
    kind: fc.constant('memory64' as const),
    prefetchable: fc.boolean(),
    sizeBytes: fc.integer({ min: 7, max: 26 }).map(shift => 2 ** shift),
  }),
  fc.record({
    kind: fc.constant('memory64' as const),
    prefetchable: fc.constant(true),
    sizeBytes: fc.integer({ min: 27, max: 37 }).map(shift => 2 ** shift),
  }),
  fc.record({
    kind: fc.constant('io' as const),
    sizeBytes: fc.integer({ min: 2, max: 8 }).map(shift => 2 ** shift),
  }),
)

/** As many of the wanted BARs as the registers of a header hold. */
function numbered(wanted: readonly Omit<Bar, 'index'>[], registers = 6): Bar[] {
  const bars: Bar[] = []
  let index = 0
  for (const one of wanted) {
    const width = one.kind === 'memory64' ? 2 : 1
    if (index + width > registers) break
    bars.push({ ...one, index })
    index += width
  }
  return bars
}

const endpoint: fc.Arbitrary<Node> = fc
  .record({
    bars: fc.array(bar, { maxLength: 4 }),
    rom: fc.constantFrom(0, 2048, 65_536),
    virtual: fc.option(
      fc.record({
        total: fc.integer({ min: 1, max: 300 }),
        sizeBytes: fc.integer({ min: 12, max: 18 }).map(shift => 2 ** shift),
        prefetchable: fc.boolean(),
      }),
    ),
  })
  .map(({ bars, rom, virtual }): Node => {
    const vfs: Record<number, readonly [number, number]> = virtual
      ? { 268: [4, virtual.total * 0x1_0001], 276: [4, 0x0001_0100] }
      : {}
    return {
      at: '00.0',
      imported: {
        name: 'random',
        kind: 'endpoint',
        configSizeBytes: 4096,
        romSizeBytes: rom,
        bars: numbered(bars),
        image: image({
          ...EXPRESS,
          ...(virtual && { ...SR_IOV_AT_100H, ...vfs }),
        }),
        ...(virtual && {
          sriov: {
            ari: { offset: 1, stride: 1 },
            nonAri: { offset: 0x100, stride: 1 },
            bars: [
              {
                index: 0,
                kind: 'memory64',
                sizeBytes: virtual.sizeBytes,
                prefetchable: virtual.prefetchable,
              },
            ],
            image: image({ ...EXPRESS, 0: [4, 0xffff_ffff] }),
          },
        }),
      },
    }
  })

const PORT_TYPES = { rootPort: 4, upstreamPort: 5, downstreamPort: 6, bridge: 7 } as const

/** A bridge with a 64-bit prefetchable window, without which large BARs would not fit below 4 GiB. */
const bridge = (
  kind: keyof typeof PORT_TYPES,
  at: string,
  devices: Node[],
  more: Partial<Node> = {},
): Node => ({
  at,
  imported: {
    name: `random ${kind}`,
    kind,
    configSizeBytes: 4096,
    image: image({
      ...EXPRESS,
      14: [1, 1],
      36: [4, 0x0001_0001],
      64: [4, ((2 | (PORT_TYPES[kind] << 4)) << 16) | 0x10],
    }),
  },
  devices,
  ...more,
})

const slot = (device: number): string => `${device.toString(16).padStart(2, '0')}.0`

const { tree } = fc.letrec<{ tree: Node }>(tie => ({
  tree: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    endpoint,
    fc.record({ ports: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }), reserved: fc.nat(2) }).map(
      ({ ports, reserved }): Node =>
        bridge(
          'upstreamPort',
          '00.0',
          ports.map((below, n) => bridge('downstreamPort', slot(n), [below], { reservedBuses: reserved })),
        ),
    ),
    fc.array(endpoint, { minLength: 1, maxLength: 3 }).map(
      (cards): Node =>
        bridge(
          'bridge',
          '00.0',
          cards.map((one, n) => ({ ...one, at: slot(n + 1) })),
        ),
    ),
  ),
}))

const machine = fc.array(fc.record({ below: tree, port: fc.boolean() }), { minLength: 1, maxLength: 4 })

/** Bus numbers of each bridge contain those of all below, and siblings share none. */
function checkBusNumbers({ platform, read }: Booted): void {
  const bridges = platform.fabric.functions().filter(fn => !['endpoint', 'hostBridge'].includes(fn.kind))
  const ranges = bridges.map(({ rid, segment }) => {
    const numbers = read(rid, 0x18, segment)
    return {
      primary: numbers & 0xff,
      first: (numbers >>> 8) & 0xff,
      last: (numbers >>> 16) & 0xff,
      own: rid >>> 8,
    }
  })
  for (const [i, one] of ranges.entries()) {
    expect(one.primary).toBe(one.own)
    expect(one.first).toBeGreaterThan(one.primary)
    expect(one.last).toBeGreaterThanOrEqual(one.first)
    for (const other of ranges.slice(i + 1)) {
      const apart = one.last < other.first || other.last < one.first
      const nested =
        (one.first <= other.primary && other.last <= one.last) ||
        (other.first <= one.primary && one.last <= other.last)
      expect(apart || nested).toBe(true)
    }
  }
}

describe('firmware on machines of any shape', () => {
  it('gives out addresses and bus numbers that never collide and that every bridge above lets through', () => {
    fc.assert(
      fc.property(machine, roots => {
        const devices = roots.map(({ below, port }, n) =>
          port || below.imported?.kind !== 'endpoint'
            ? bridge('rootPort', slot(n + 1), [below])
            : { ...below, at: slot(n + 1) },
        )
        const booted = boot({
          name: 'random',
          iommu: { kind: 'none' },
          hostAddressWidth: 46,
          hostBridges: [{ devices }],
        })
        checkAddresses(booted)
        checkBusNumbers(booted)
      }),
      { numRuns: 60 },
    )
  })
})
