/** Machines of any shape: what firmware gives out never overlaps, is aligned, and lies in every window above. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PcieFunction } from '../../src/pcie/index.ts'
import type { TopologyNodeDocument } from '../../src/platform/index.ts'
import { image } from '../platform/documents.ts'
import { checkAddresses, windows } from './address-checks.ts'
import { type Booted, boot } from './boot.ts'

type Node = TopologyNodeDocument
type Bar = NonNullable<NonNullable<Node['imported']>['bars']>[number]

const SR_IOV_AT_100H = { 256: [4, 0x0001_0010], 284: [4, 0x553], 288: [4, 1] } as const
const EXPRESS = { 0: [4, 0x1234_8086], 6: [2, 0x10], 52: [1, 0x40], 64: [4, 0x0002_0010] } as const

const MIB = 2 ** 20

/** A Resizable BAR capability with the BAR's own size and some more, as a mask of 1 MiB and up. */
const resizableAt = (
  at: number,
  { index, sizeBytes }: Bar,
  sizes: number,
): Record<number, readonly [4, number]> => {
  const code = Math.log2(sizeBytes / MIB)
  return {
    [at]: [4, 0x0001_0015],
    [at + 4]: [4, ((sizes | (1 << code)) << 4) >>> 0],
    [at + 8]: [4, index | (1 << 5) | (code << 8)],
  }
}

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
    sizes: fc.nat({ max: 0xffff }),
    virtual: fc.option(
      fc.record({
        total: fc.integer({ min: 1, max: 300 }),
        sizeBytes: fc.integer({ min: 12, max: 18 }).map(shift => 2 ** shift),
        prefetchable: fc.boolean(),
      }),
    ),
  })
  .map(({ bars, rom, sizes, virtual }): Node => {
    const placed = numbered(bars)
    const resizable = placed.find(({ kind, sizeBytes }) => kind !== 'io' && sizeBytes >= MIB)
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
        bars: placed,
        image: image({
          ...EXPRESS,
          ...(virtual && { ...SR_IOV_AT_100H, ...vfs }),
          ...(resizable && resizableAt(virtual ? 0x200 : 0x100, resizable, sizes)),
          ...(virtual && resizable && { 256: [4, 0x2001_0010] }),
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

/** An upstream port above two empty slots: one that is told how much to keep, one that is not. */
const emptySlot = (more: { memory: number; prefetchable: number; told: boolean }): Node => {
  const port = bridge('downstreamPort', '00.0', [], {
    ...(more.told && {
      reservedWindows: { memoryBytes: more.memory * MIB, prefetchableBytes: more.prefetchable * MIB },
    }),
  })
  const text = port.imported!.image
  const byte = (offset: number, value: string): string => text.slice(0, offset * 2) + value
  // Slot Implemented in PCI Express Capabilities, Hot-Plug Capable in Slot Capabilities.
  const image = `${byte(0x43, '01')}${text.slice(0x44 * 2, 0x54 * 2)}60${text.slice(0x55 * 2)}`
  const hotplug: Node = { ...port, imported: { ...port.imported!, image } }
  return bridge('upstreamPort', '00.0', [hotplug, bridge('downstreamPort', '01.0', [])])
}

const slot = (device: number): string => `${device.toString(16).padStart(2, '0')}.0`

const { tree } = fc.letrec<{ tree: Node }>(tie => ({
  tree: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    endpoint,
    fc.record({ memory: fc.nat(40), prefetchable: fc.nat(40), told: fc.boolean() }).map(emptySlot),
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

/** What the empty slots of {@link emptySlot} have: as told, or 2 MiB of each kind. */
function checkReserves(booted: Booted): void {
  if (booted.report.notes.includes('no room is left for windows of empty slots')) return
  const presets = booted.platform.port.board.presets.map(({ reservedWindows }) => reservedWindows)
  const told = presets.flatMap(one => (one === undefined ? [] : [`${one.memory}/${one.prefetchable}`]))
  const ports = booted.platform.fabric.functions().filter(fn => isEmptySlot(fn))
  const open = ports.map(fn =>
    [false, true].map(prefetchable => {
      const found = windows(booted, fn).memory.find(one => (one.prefetchable ?? false) === prefetchable)
      return found === undefined ? 0 : found.end - found.base
    }),
  )
  const untold = open.filter(sizes => !told.includes(sizes.join('/')))
  for (const sizes of untold) expect(sizes).toEqual([2 * MIB, 2 * MIB])
}

const isEmptySlot = (fn: PcieFunction): boolean =>
  fn.secondary?.functions.length === 0 && (fn.definition.image[0x54] ?? 0) === 0x60

describe('firmware on machines of any shape', () => {
  it('gives out addresses and bus numbers that never collide and that every bridge above lets through', () => {
    fc.assert(
      fc.property(machine, fc.constantFrom('asIs', 'largestThatFits'), (roots, resizableBars) => {
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
          firmware: { resizableBars },
        })
        checkAddresses(booted)
        checkBusNumbers(booted)
        checkReserves(booted)
      }),
      { numRuns: 60 },
    )
  })
})
