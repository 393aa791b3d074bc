/** Nodes of the topology document, one per function, each with the config space that was found. */
import { bytesToHex, devfnOf, hex } from '../core/index.ts'
import { defaultVfImage, modelFitting, type VirtualMsiX } from '../devices/index.ts'
import { CAPABILITY, MSI_X, MSI_X_ENTRY } from '../pcie/formats/index.ts'
import type { FunctionKind } from '../pcie/index.ts'
import type { TopologyNodeDocument } from '../platform/index.ts'
import { type IoMemory, type SizedBar, sized, unassignedBars } from './base-address-sizes.ts'
import type { CapturedBar, CapturedFunction, CapturedSriov, Window } from './captured-function.ts'
import type { FunctionTree } from './function-tree.ts'
import type { ListedRegion } from './lspci/details.ts'
import { portOverrides, resetOverrides, virtualOverrides } from './reset-values.ts'
import { type VirtualFunctions, virtualImage } from './virtual-functions.ts'

type BarDocument = NonNullable<NonNullable<TopologyNodeDocument['imported']>['bars']>[number]

const WIDEST_ADDRESS = 2 ** 52
const LONGEST_NAME = 128

export class FunctionNodes {
  readonly #functions: readonly CapturedFunction[]
  readonly #virtual: VirtualFunctions
  readonly #ioMemory: IoMemory
  readonly #notes: string[]
  /** Addresses at which something begins, ascending: a BAR ends before the next one. */
  readonly #starts: { readonly memory: readonly number[]; readonly io: readonly number[] }

  constructor(
    functions: readonly CapturedFunction[],
    virtual: VirtualFunctions,
    ioMemory: IoMemory,
    notes: string[],
  ) {
    this.#functions = functions
    this.#virtual = virtual
    this.#ioMemory = ioMemory
    this.#notes = notes
    const bars = functions.flatMap(one => [...one.bars, ...(one.sriov?.bars ?? [])])
    const starts = (io: boolean) => bars.filter(({ kind }) => (kind === 'io') === io).map(bar => bar.address)
    const ascending = (addresses: number[]) => [...new Set(addresses)].sort((a, b) => a - b)
    this.#starts = { memory: ascending(starts(false)), io: ascending(starts(true)) }
  }

  /** @param above kind of the bridge above; undefined on a root bus. */
  node(one: CapturedFunction, tree: FunctionTree, above?: FunctionKind): TopologyNodeDocument {
    const { listed, image, sriov, buses } = one
    const kind = kindBelow(one.kind, above)
    if (kind !== one.kind && kind === 'bridge')
      this.#notes.push(
        `${one.address} calls itself a ${one.kind}, which cannot be there: a plain bridge is assumed`,
      )
    const devfn = devfnOf(listed.rid)
    const bars = this.#bars(one)
    const rom = one.details.romSize ?? 0
    const below = tree.below(one).map(child => this.node(child, tree, kind))
    const addresses = bars.filter(bar => bar.address > 0 && bar.address < WIDEST_ADDRESS && isAligned(bar))
    const windows = Object.entries(one.windows) as [keyof CapturedFunction['windows'], Window][]
    const ioClosed = one.windows.io === undefined && windows.length > 0 && hasPorts(tree.below(one), tree)
    const romAddress = rom > 0 ? one.romAddress : 0
    const virtual = this.#virtual.get(one.address) ?? []
    const model = modelFitting(one.vendorId, one.deviceId, bars)
    const overrides = [...resetOverrides(one), ...portOverrides(one, below.length > 0)]
    return {
      at: `${(devfn >>> 3).toString(16).padStart(2, '0')}.${devfn & 7}`,
      imported: {
        name: (listed.title || `${hex(one.vendorId, 4)} ${hex(one.deviceId, 4)}`).slice(0, LONGEST_NAME),
        kind,
        image: imageText(image),
        configSizeBytes: image.length === 256 ? 256 : 4096,
        ...(overrides.length > 0 && { overrides }),
        ...(bars.length > 0 && { bars: bars.map(barDocument) }),
        ...(model !== undefined && { registerModel: model }),
        ...(rom > 0 && { romSizeBytes: rom }),
        ...(sriov !== undefined && { sriov: this.#sriov(one, sriov) }),
      },
      ...(virtual.length > 0 && { numVfs: virtual.length }),
      ...(buses !== undefined && { bus: buses }),
      ...(one.headerType === 1 &&
        windows.length > 0 && {
          windows: {
            ...(ioClosed && { io: null }),
            ...Object.fromEntries(
              windows.map(([space, { base, limit }]) => [space, { base: hex(base), limit: hex(limit) }]),
            ),
          },
        }),
      ...((addresses.length > 0 || romAddress > 0) && {
        barAddresses: {
          ...Object.fromEntries(addresses.map(bar => [String(bar.index), hex(bar.address)])),
          ...(romAddress > 0 && romAddress % rom === 0 && { rom: hex(romAddress) }),
        },
      }),
      ...(below.length > 0 && { devices: below }),
    }
  }

  #bars(one: CapturedFunction): SizedBar[] {
    const { regions } = one.details
    const found = one.bars
    const mapped = this.#ioMemory.get(one.address)
    return this.#sized(one, [...found, ...unassignedBars(regions, found)], neededBy(one), bar => [
      sizeIn(regions, bar),
      bar.kind === 'io' ? undefined : mapped?.get(bar.address),
      this.#sizeInTwin(one, bar),
    ])
  }

  /** @param known sizes that are told somewhere, best first. */
  #sized(
    one: CapturedFunction,
    bars: readonly CapturedBar[],
    needed: (index: number) => number,
    known: (bar: CapturedBar) => readonly (number | undefined)[],
  ): SizedBar[] {
    const result = bars.map(bar => {
      const starts = this.#starts[bar.kind === 'io' ? 'io' : 'memory']
      const next = bar.address === 0 ? undefined : starts.find(start => start > bar.address)
      return sized(bar, { known: known(bar), next, needed: needed(bar.index) })
    })
    for (const { index, size, inferred } of result) {
      if (inferred) this.#notes.push(`${one.address}: the size of BAR ${index} is inferred: ${size} bytes`)
    }
    return result.sort((a, b) => a.index - b.index)
  }

  /** The size that lspci shows for the same BAR of another function of this model. */
  #sizeInTwin({ vendorId, deviceId }: CapturedFunction, bar: CapturedBar): number | undefined {
    for (const other of this.#functions) {
      if (other.vendorId !== vendorId || other.deviceId !== deviceId) continue
      const size = sizeIn(other.details.regions, bar)
      if (size !== undefined) return size
    }
    return undefined
  }

  #sriov(
    one: CapturedFunction,
    sriov: CapturedSriov,
  ): NonNullable<TopologyNodeDocument['imported']>['sriov'] {
    const found = virtualImage(one, this.#virtual, this.#functions)
    const [first] = this.#virtual.get(one.address) ?? []
    const regions = first?.details.regions ?? []
    const mapped = this.#ioMemory.get(one.address)
    const apertures = this.#sized(
      one,
      [...sriov.bars, ...unassignedBars(regions, sriov.bars)],
      first === undefined ? () => 0 : neededBy(first),
      bar => {
        // In /proc/iomem the apertures of all VFs are one range of the PF.
        const all = mapped?.get(bar.address)
        return [sizeIn(regions, bar), all === undefined ? undefined : all / sriov.totalVfs]
      },
    )
    if (found === undefined) {
      this.#notes.push(
        `${one.address}: no virtual function was on: their config space is the least that VFs have`,
      )
    }
    const overrides = first === undefined ? [] : virtualOverrides(first)
    const routing = { offset: sriov.firstVfOffset, stride: sriov.vfStride }
    return {
      ari: routing,
      nonAri: routing,
      ...(apertures.length > 0 && { bars: apertures.map(barDocument) }),
      ...(overrides.length > 0 && { overrides }),
      image: imageText(found ?? defaultVfImage(one.image, virtualMsiX(one, apertures))),
    }
  }
}

/** What a function can be below a bridge of some kind: a port in a place where none can be is a plain bridge. */
function kindBelow(kind: FunctionKind, above: FunctionKind | undefined): FunctionKind {
  const link = above === 'rootPort' || above === 'downstreamPort'
  switch (kind) {
    case 'hostBridge':
      return above === undefined ? kind : 'endpoint'
    case 'rootPort':
      return above === undefined ? kind : 'bridge'
    case 'upstreamPort':
      return link ? kind : 'bridge'
    case 'downstreamPort':
      return above === 'upstreamPort' ? kind : 'bridge'
    default:
      return kind
  }
}

/** Whether anything behind a bridge decodes I/O ports. */
const hasPorts = (functions: readonly CapturedFunction[], tree: FunctionTree): boolean =>
  functions.some(one => one.bars.some(({ kind }) => kind === 'io') || hasPorts(tree.below(one), tree))

const sizeIn = (regions: readonly ListedRegion[], { index, kind }: CapturedBar): number | undefined =>
  regions.find(region => region.index === index && region.kind === kind)?.size

/** Table and pending bits in the last VF BAR, half of it each, with as many vectors as the PF has or fit. */
function virtualMsiX(physical: CapturedFunction, apertures: readonly SizedBar[]): VirtualMsiX {
  const last = apertures.at(-1)
  const half = (last?.size ?? 4096) / 2
  const at = physical.capability(CAPABILITY.MSI_X)
  const vectors = at === undefined ? 1 : physical.field(MSI_X.CONTROL, 'TABLE_SIZE', at) + 1
  return {
    vectors: Math.max(1, Math.min(vectors, Math.floor(half / MSI_X_ENTRY.SIZE))),
    bar: last?.index ?? 0,
    tableOffset: 0,
    pendingOffset: half,
  }
}

const isAligned = ({ address, size }: SizedBar): boolean => address % size === 0

const barDocument = ({ index, kind, prefetchable, size }: SizedBar): BarDocument => ({
  index,
  kind,
  ...(prefetchable && { prefetchable }),
  sizeBytes: size,
})

/** Config space without its trailing zeros. */
function imageText(image: Uint8Array): string {
  const end = image.findLastIndex(byte => byte !== 0) + 1
  return bytesToHex(image.subarray(0, end))
}

/** Bytes that the MSI-X table and PBA take behind a BAR. */
function neededBy(one: CapturedFunction): (index: number) => number {
  const at = one.capability(CAPABILITY.MSI_X)
  if (at === undefined) return () => 0
  const entries = one.field(MSI_X.CONTROL, 'TABLE_SIZE', at) + 1
  const table = one.field(MSI_X.TABLE, 'OFFSET', at) * 8 + entries * 16
  const pending = one.field(MSI_X.PBA, 'OFFSET', at) * 8 + Math.ceil(entries / 64) * 8
  return index =>
    Math.max(
      one.field(MSI_X.TABLE, 'BIR', at) === index ? table : 0,
      one.field(MSI_X.PBA, 'BIR', at) === index ? pending : 0,
    )
}
