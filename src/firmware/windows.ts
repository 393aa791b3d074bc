/**
 * Addresses for everything that decodes some: bottom-up the windows of bridges are sized and, if presets fix what is
 * in them, fixed; top-down from the host bridge's windows everything gets its address. VF BARs are left to the host
 * kernel, which sets them together with VF Enable, but every window has room for the apertures of all VFs.
 *
 * A preset that cannot be kept (outside the host bridge's windows, or meeting another) is given up, with all that
 * depends on it, and reported.
 */
import { hex, NorthbridgeError } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import {
  IO_UPPER,
  IO_WINDOW,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
} from '../pcie/formats/index.ts'
import type { BoardHostBridge } from '../platform/board.ts'
import { type BaseAddress, programBaseAddress } from './base-addresses.ts'
import type { ConfigSpace } from './config-space.ts'
import type { FoundBridge, FoundFunction } from './enumeration.ts'
import { type Block, hull, misplaced, place, type Range } from './placement.ts'

/** The windows of a bridge. */
type Space = 'io' | 'memory' | 'prefetchable'
const SPACES: readonly Space[] = ['io', 'memory', 'prefetchable']

/** "I/O Base and I/O Limit", "Memory Base and Memory Limit": granularity of bridge windows in bytes. */
const GRANULARITY = { io: 0x1000, memory: 0x10_0000, prefetchable: 0x10_0000 } as const
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
 * Lays out everything below all host bridges. Host bridges either share their windows or have each its own.
 * Returns remarks for the report; throws `outOfResources`.
 */
export function* assignAddresses(
  roots: readonly (readonly FoundFunction[])[],
  hostBridges: readonly BoardHostBridge[],
): Software<string[]> {
  const shared = new Map<string, { windows: BoardHostBridge['windows']; functions: FoundFunction[] }>()
  for (const [i, { windows }] of hostBridges.entries()) {
    const key = JSON.stringify(windows)
    const group = shared.get(key) ?? { windows, functions: [] }
    group.functions.push(...roots[i]!)
    shared.set(key, group)
  }
  const notes: string[] = []
  for (const { functions, windows } of shared.values())
    notes.push(...(yield* assignWithin(functions, windows)))
  return notes
}

function* assignWithin(
  functions: readonly FoundFunction[],
  windows: BoardHostBridge['windows'],
): Software<string[]> {
  const notes: string[] = []
  const demands: Demand[] = []
  for (const one of functions) {
    demands.push(...demandsOf(one, true))
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
  for (const [i, address] of place(ports, { ...io, base: Math.max(io.base, FIRST_FREE_PORT) }).entries()) {
    if (address === undefined) notes.push(`${ports[i]!.owner.address}: no I/O ports are left`)
    ports[i]!.assign(address)
  }

  const memory = settled(false, [low, high])
  const inHigh = ({ fixed, prefetchable, below4G }: Demand): boolean =>
    fixed === undefined
      ? prefetchable && !below4G && windows.memory64.size > 0
      : fixed >= high.base && fixed <= high.limit
  for (const [range, chosen] of [
    [low, memory.filter(demand => !inHigh(demand))],
    [high, memory.filter(inHigh)],
  ] as const) {
    for (const [i, address] of place(chosen, range).entries()) {
      const { owner, size } = chosen[i]!
      if (address === undefined) {
        throw new NorthbridgeError(
          'outOfResources',
          `${owner.address}: no ${size} bytes are left between ${hex(range.base)} and ${hex(range.limit)}`,
          { function: owner.address, size },
        )
      }
      chosen[i]!.assign(address)
      yield* pause()
    }
  }
  return notes
}

const rangeOf = ({ base, size }: { base: number; size: number }): Range => ({ base, limit: base + size - 1 })

/** All that a function asks of the bus it is on. */
function demandsOf(one: FoundFunction, honour: boolean): Demand[] {
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
  if (one.bridge !== undefined) demands.push(...windowsOf(one, one.bridge, honour))
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
function windowsOf(one: FoundFunction, bridge: FoundBridge, honour: boolean): Demand[] {
  const behind = bridge.functions.flatMap(below => demandsOf(below, honour))
  for (const demand of behind) if (spaceOf(demand, bridge) === undefined) demand.assign(undefined)
  return SPACES.flatMap(space => {
    const demands = behind.filter(demand => spaceOf(demand, bridge) === space)
    const window = windowDemand(one, bridge, space, demands, honour)
    return window === undefined ? [] : [window]
  })
}

function windowDemand(
  one: FoundFunction,
  bridge: FoundBridge,
  space: Space,
  wanted: readonly Demand[],
  honour: boolean,
): Demand | undefined {
  closeWindow(one.config, space)
  const preset = honour ? one.preset?.windows?.[space] : undefined
  if (preset === null) {
    // What was told its address keeps it, out of reach as it is.
    for (const demand of wanted) demand.assign(demand.fixed)
    return undefined
  }
  if (wanted.length === 0 && preset === undefined) return undefined
  const granularity = GRANULARITY[space]
  const unkept = new Set(misplaced(wanted, [preset ?? ANYWHERE]))
  const demands = wanted.map(demand => (unkept.has(demand) ? demand.afresh() : demand))
  const fixed = demands.filter(demand => demand.fixed !== undefined)
  const afresh = (): Demand =>
    windowDemand(
      one,
      bridge,
      space,
      wanted.map(demand => demand.afresh()),
      false,
    ) as Demand

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
  const range = preset ?? hull(demands, addresses, granularity)
  return {
    owner: one.config,
    io: space === 'io',
    prefetchable: space === 'prefetchable',
    below4G: space !== 'prefetchable' || bridge.prefetchable !== '64 bits',
    size: range.limit + 1 - range.base,
    alignment:
      start === undefined ? Math.max(granularity, ...demands.map(demand => demand.alignment)) : granularity,
    fixed: start === undefined ? undefined : range.base,
    assign: base => {
      for (const [i, demand] of demands.entries()) {
        demand.assign(base === undefined ? undefined : addresses[i]! - range.base + base)
      }
      if (base !== undefined) openWindow(one.config, space, base, base + (range.limit - range.base))
    },
    afresh,
  }
}

/** A window with its base above its limit decodes nothing. */
function closeWindow(config: ConfigSpace, space: Space): void {
  if (space === 'io') {
    config.write(IO_WINDOW.offset, IO_WINDOW.f.BASE.mask, 0xffff)
    config.write(IO_UPPER.offset, 0)
  } else if (space === 'memory') {
    config.write(MEMORY_WINDOW.offset, MEMORY_WINDOW.f.BASE.mask)
  } else {
    config.write(PREFETCHABLE_WINDOW.offset, PREFETCHABLE_WINDOW.f.BASE.mask)
    config.write(PREFETCHABLE_BASE_UPPER.offset, 0)
    config.write(PREFETCHABLE_LIMIT_UPPER.offset, 0)
  }
}

function openWindow(config: ConfigSpace, space: Space, base: number, limit: number): void {
  if (space === 'io') {
    config.write(IO_UPPER.offset, (base >>> 16) | (limit & 0xffff_0000))
    config.write(IO_WINDOW.offset, ((base >>> 8) & 0xf0) | (limit & 0xf000), 0xffff)
    return
  }
  const upper = (address: number): number => Math.floor(address / 2 ** 32)
  const register = space === 'memory' ? MEMORY_WINDOW : PREFETCHABLE_WINDOW
  if (space === 'prefetchable') {
    config.write(PREFETCHABLE_BASE_UPPER.offset, upper(base))
    config.write(PREFETCHABLE_LIMIT_UPPER.offset, upper(limit))
  }
  // The bits dropped here by `|` and `>>>` are the upper half.
  config.write(register.offset, ((base >>> 16) & register.f.BASE.mask) | (limit & register.f.LIMIT.mask))
}
