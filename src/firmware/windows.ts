/**
 * Addresses for everything that decodes some: bottom-up the windows of bridges are sized and, if presets fix what is
 * in them, fixed; top-down from the host bridge's windows everything gets its address. VF BARs are left to the host
 * kernel, which sets them together with VF Enable, but every window has room for the apertures of all VFs.
 *
 * A preset that cannot be kept (outside the host bridge's windows, or meeting another) is given up, with all that
 * depends on it, and reported. Windows that are kept open for cards to come are given up next, all of them.
 */
import { hex, NorthbridgeError } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import type { Board, BoardHostBridge } from '../platform/board.ts'
import { type BaseAddress, programBaseAddress } from './base-addresses.ts'
import type { ConfigSpace } from './config-space.ts'
import type { FoundBridge, FoundFunction } from './enumeration.ts'
import { type Block, hull, misplaced, place, type Range } from './placement.ts'
import { chooseSizes } from './resizable-bars.ts'
import { closeWindow, GRANULARITY, openWindow, SPACES, type Space } from './window-registers.ts'

const ANYWHERE: Range = { base: 0, limit: Number.MAX_SAFE_INTEGER }

/** Something that needs a block of addresses: a BAR, the VF apertures of a PF, or a bridge's window. */
interface Demand extends Block {
  readonly owner: ConfigSpace
  readonly io: boolean
  readonly prefetchable: boolean
  /** Must lie below 4 GiB. */
  readonly below4G: boolean
  /** Gives it its address; undefined: there is none, it stays off. */
  assign(address: number | undefined): void
  /** The same demand with all presets given up. */
  afresh(): Demand
}

/** Ports below this belong to devices of the board that no BAR places; presets may still lie there. */
const FIRST_FREE_PORT = 0x1000

/**
 * What a slot that cards can be plugged into gets where nothing asks for a window. SeaBIOS opens 2 MiB of each kind of
 * memory below hot-plug ports (`PCI_BRIDGE_MEM_MIN`) and no I/O below those of PCI Express; Linux's `hpmemsize` and
 * `hpmmioprefsize` begin with the same 2 MiB.
 */
const SLOT_WINDOW: Readonly<Record<Space, number>> = { io: 0, memory: 0x20_0000, prefetchable: 0x20_0000 }

interface Choices {
  /** Presets are kept. */
  readonly honour: boolean
  /** Windows are kept open for cards to come. */
  readonly reserve: boolean
}

/**
 * Lays out everything below all host bridges. Host bridges either share their windows or have each its own.
 * Returns remarks for the report; throws `outOfResources`.
 */
export function* assignAddresses(
  roots: readonly (readonly FoundFunction[])[],
  { hostBridges, resizableBars }: Pick<Board, 'hostBridges' | 'resizableBars'>,
): Software<string[]> {
  const shared = new Map<string, { windows: BoardHostBridge['windows']; functions: FoundFunction[] }>()
  for (const [i, { windows }] of hostBridges.entries()) {
    const key = JSON.stringify(windows)
    const group = shared.get(key) ?? { windows, functions: [] }
    group.functions.push(...roots[i]!)
    shared.set(key, group)
  }
  const notes: string[] = []
  for (const { functions, windows } of shared.values()) {
    let reserve = true
    let layout = yield* layOut(functions, windows, reserve)
    if (layout.unplaced !== undefined) {
      reserve = false
      layout = yield* layOut(functions, windows, reserve)
      if (layout.unplaced === undefined) notes.push('no room is left for windows of empty slots')
    }
    if (resizableBars === 'largestThatFits') {
      yield* chooseSizes(functions, function* () {
        return (yield* layOut(functions, windows, reserve)).unplaced === undefined
      })
      layout = yield* layOut(functions, windows, reserve)
    }
    if (layout.unplaced !== undefined) throw layout.unplaced
    for (const { demand, address } of layout.placed) {
      demand.assign(address)
      yield* pause()
    }
    notes.push(...layout.notes)
  }
  return notes
}

interface Layout {
  readonly placed: readonly { readonly demand: Demand; readonly address: number | undefined }[]
  readonly notes: readonly string[]
  /** The first for which there is no memory; ports may run out, memory must not. */
  readonly unplaced: NorthbridgeError | undefined
}

/** Where everything would go. Nothing but closing windows has been done to the functions yet. */
function* layOut(
  functions: readonly FoundFunction[],
  windows: BoardHostBridge['windows'],
  reserve: boolean,
): Software<Layout> {
  const notes: string[] = []
  const demands: Demand[] = []
  for (const one of functions) {
    demands.push(...demandsOf(one, { honour: true, reserve }))
    yield* pause()
  }
  const io = rangeOf(windows.io)
  const low = rangeOf(windows.memory32)
  const high = rangeOf(windows.memory64)
  const settled = (io: boolean, ranges: readonly Range[]): Demand[] => {
    const candidates = demands.filter(demand => demand.io === io)
    const given = new Set(misplaced(candidates, ranges))
    for (const { owner, fixed } of given) {
      notes.push(`${owner.address}: the preset address ${hex(fixed!)} cannot be kept`)
    }
    return candidates.map(demand => (given.has(demand) ? demand.afresh() : demand))
  }

  const ports = settled(true, [io])
  const memory = settled(false, [low, high])
  const inHigh = ({ fixed, prefetchable, below4G }: Demand): boolean =>
    fixed === undefined
      ? prefetchable && !below4G && windows.memory64.size > 0
      : fixed >= high.base && fixed <= high.limit
  const placed: { demand: Demand; address: number | undefined }[] = []
  let unplaced: NorthbridgeError | undefined
  for (const [range, chosen] of [
    [{ ...io, base: Math.max(io.base, FIRST_FREE_PORT) }, ports],
    [low, memory.filter(demand => !inHigh(demand))],
    [high, memory.filter(inHigh)],
  ] as const) {
    for (const [i, address] of place(chosen, range).entries()) {
      const demand = chosen[i]!
      const { owner, size } = demand
      placed.push({ demand, address })
      if (address !== undefined) continue
      if (demand.io) notes.push(`${owner.address}: no I/O ports are left`)
      else
        unplaced ??= new NorthbridgeError(
          'outOfResources',
          `${owner.address}: no ${size} bytes are left between ${hex(range.base)} and ${hex(range.limit)}`,
          { function: owner.address, size },
        )
    }
    yield* pause()
  }
  return { placed, notes, unplaced }
}

const rangeOf = ({ base, size }: { base: number; size: number }): Range => ({ base, limit: base + size - 1 })

/** All that a function asks of the bus it is on. */
function demandsOf(one: FoundFunction, choices: Choices): Demand[] {
  const { honour } = choices
  const { config, bars, rom, virtual, preset } = one
  const demands = bars.map(bar => {
    const fixed = honour ? preset?.bars?.find(({ index }) => index === bar.index)?.address : undefined
    return barDemand(config, bar, bar.size, fixed, address => {
      programBaseAddress(config, bar, address ?? 0)
    })
  })
  if (rom.size > 0) {
    const bar = { kind: 'memory32', prefetchable: false, size: rom.size } as const
    demands.push(
      barDemand(config, bar, rom.size, honour ? preset?.rom : undefined, address =>
        config.write(rom.offset, address ?? 0),
      ),
    )
  }
  for (const bar of virtual.bars) {
    // "VF BARs": the apertures of all VFs follow each other, so the block is only aligned to one of them.
    demands.push(barDemand(config, bar, bar.size * virtual.total, undefined, () => {}))
  }
  if (one.bridge !== undefined) demands.push(...windowsOf(one, one.bridge, choices))
  return demands
}

function barDemand(
  owner: ConfigSpace,
  bar: Pick<BaseAddress, 'kind' | 'prefetchable' | 'size'>,
  size: number,
  fixed: number | undefined,
  assign: (address: number | undefined) => void,
): Demand {
  const demand: Demand = {
    owner,
    io: bar.kind === 'io',
    prefetchable: bar.prefetchable,
    below4G: bar.kind !== 'memory64',
    size,
    alignment: bar.size,
    fixed,
    assign,
    afresh: () => ({ ...demand, fixed: undefined }),
  }
  return demand
}

/** Through which window of the bridge a demand behind it is reached; undefined: through none. */
function spaceOf({ io, prefetchable, below4G }: Demand, bridge: FoundBridge): Space | undefined {
  if (io) return bridge.io ? 'io' : undefined
  if (!prefetchable || bridge.prefetchable === 'none') return 'memory'
  return bridge.prefetchable === '64 bits' && below4G ? 'memory' : 'prefetchable'
}

/** The windows that a bridge needs. Those it does not need are closed, which is how enumeration left them. */
function windowsOf(one: FoundFunction, bridge: FoundBridge, choices: Choices): Demand[] {
  const behind = bridge.functions.flatMap(below => demandsOf(below, choices))
  for (const demand of behind) if (spaceOf(demand, bridge) === undefined) demand.assign(undefined)
  return SPACES.flatMap(space => {
    const demands = behind.filter(demand => spaceOf(demand, bridge) === space)
    const window = windowDemand(one, bridge, space, demands, choices)
    return window === undefined ? [] : [window]
  })
}

function windowDemand(
  one: FoundFunction,
  bridge: FoundBridge,
  space: Space,
  wanted: readonly Demand[],
  choices: Choices,
): Demand | undefined {
  closeWindow(one.config, space)
  const preset = choices.honour ? one.preset?.windows?.[space] : undefined
  if (preset === null) {
    // What was told its address keeps it, out of reach as it is.
    for (const demand of wanted) demand.assign(demand.fixed)
    return undefined
  }
  const least = choices.reserve ? reservedFor(one, bridge, space, wanted) : 0
  if (wanted.length === 0 && preset === undefined && least === 0) return undefined
  const granularity = GRANULARITY[space]
  const unkept = new Set(misplaced(wanted, [preset ?? ANYWHERE]))
  const demands = wanted.map(demand => (unkept.has(demand) ? demand.afresh() : demand))
  const fixed = demands.filter(demand => demand.fixed !== undefined)
  const afresh = (): Demand =>
    wanted.length === 0
      ? { ...demand, fixed: undefined }
      : windowDemand(
          one,
          bridge,
          space,
          wanted.map(demand => demand.afresh()),
          { ...choices, honour: false },
        )!

  const start =
    preset ??
    (fixed.length > 0
      ? hull(
          fixed,
          fixed.map(demand => demand.fixed),
          granularity,
        )
      : undefined)
  const addresses = place(demands, {
    base: start?.base ?? 0,
    limit: preset?.limit ?? ANYWHERE.limit,
  })
  if (addresses.includes(undefined)) return afresh()
  const range =
    preset ??
    (start === undefined
      ? widened(demands, addresses, granularity, least)
      : hull(demands, addresses, granularity))
  const demand: Demand = {
    owner: one.config,
    io: space === 'io',
    prefetchable: space === 'prefetchable',
    below4G: space !== 'prefetchable' || bridge.prefetchable !== '64 bits',
    size: range.limit + 1 - range.base,
    alignment:
      start === undefined
        ? Math.max(granularity, powerOfTwoUpTo(least), ...demands.map(demand => demand.alignment))
        : granularity,
    fixed: start === undefined ? undefined : range.base,
    assign: base => {
      for (const [i, demand] of demands.entries()) {
        demand.assign(base === undefined ? undefined : addresses[i]! - range.base + base)
      }
      if (base !== undefined) openWindow(one.config, space, base, base + (range.limit - range.base))
    },
    afresh,
  }
  return demand
}

/** The smallest window for these blocks that has `least` bytes. */
function widened(
  blocks: readonly Block[],
  addresses: readonly (number | undefined)[],
  granularity: number,
  least: number,
): Range {
  if (blocks.length === 0) return { base: 0, limit: least - 1 }
  const { base, limit } = hull(blocks, addresses, granularity)
  return { base, limit: Math.max(limit, base + least - 1) }
}

/** Cards' largest BARs are aligned to their size, so a window for cards to come is aligned likewise. */
const powerOfTwoUpTo = (size: number): number => (size === 0 ? 1 : 2 ** Math.floor(Math.log2(size)))

/** Bytes that a window must have at least: as the board says, or else what an empty slot gets. */
function reservedFor(
  { preset }: FoundFunction,
  bridge: FoundBridge,
  space: Space,
  wanted: readonly Demand[],
): number {
  if ((space === 'io' && !bridge.io) || (space === 'prefetchable' && bridge.prefetchable === 'none')) return 0
  const told = preset?.reservedWindows?.[space]
  if (told !== undefined) return Math.ceil(told / GRANULARITY[space]) * GRANULARITY[space]
  const isOpen = wanted.length > 0 || preset?.windows !== undefined
  return bridge.hotplug && !isOpen ? SLOT_WINDOW[space] : 0
}
