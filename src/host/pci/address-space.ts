/** Free address space below a bridge or on a root bus, for VF BARs that firmware left without an address. */
import {
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
} from '../../pcie/formats/index.ts'
import type { HostBridgeResources } from '../../platform/formats/boot-parameters.ts'
import type { HostBar } from '../types.ts'
import type { HostPciFunction } from './pci-function.ts'

interface Range {
  readonly base: number
  /** First byte beyond. */
  readonly end: number
}

const UPPER = 2 ** 32

/**
 * The lowest aligned address for `size` bytes that a BAR of this kind may have here; undefined if there is none.
 * @param neighbours the functions on its bus and the bridge above, or those of all root buses.
 */
export function findSpace(
  fn: HostPciFunction,
  bar: HostBar,
  size: number,
  root: HostBridgeResources,
  neighbours: readonly HostPciFunction[],
): number | undefined {
  const windows = fn.above === undefined ? rootWindows(root) : bridgeWindows(fn.above)
  const taken = neighbours
    .filter(other => other.segment === fn.segment && (other.above === fn.above || other === fn.above))
    .flatMap(other => takenBy(other, other === fn.above))
    .sort((a, b) => a.base - b.base)
  // Behind a bridge only the prefetchable window reaches above 4 GiB, and only prefetchable BARs may lie in it.
  const wide = bar.kind === 'memory64'
  const candidates = [
    ...(bar.prefetchable ? [windows.prefetchable] : []),
    windows.memory,
    ...(fn.above === undefined && wide ? [windows.prefetchable] : []),
  ]
  for (const window of candidates) {
    const limit = wide ? window.end : Math.min(window.end, UPPER)
    let at = Math.ceil(window.base / bar.size) * bar.size
    for (const { base, end } of taken) {
      if (base < at + size && end > at) at = Math.ceil(end / bar.size) * bar.size
    }
    if (window.end > window.base && at + size <= limit) return at
  }
  return undefined
}

const NONE: Range = { base: 0, end: 0 }

function bridgeWindows({ config }: HostPciFunction): { memory: Range; prefetchable: Range } {
  const memory = config.read(MEMORY_WINDOW.offset)
  const prefetchable = config.read(PREFETCHABLE_WINDOW.offset)
  const range = (word: number, baseUpper: number, limitUpper: number): Range => {
    const base = baseUpper * UPPER + (((word & 0xfff0) << 16) >>> 0)
    const end = limitUpper * UPPER + ((word & 0xfff0_0000) >>> 0) + 0x10_0000
    return end > base ? { base, end } : NONE
  }
  return {
    memory: range(memory, 0, 0),
    prefetchable: range(
      prefetchable,
      config.read(PREFETCHABLE_BASE_UPPER.offset),
      config.read(PREFETCHABLE_LIMIT_UPPER.offset),
    ),
  }
}

const rootWindows = ({ windows }: HostBridgeResources): { memory: Range; prefetchable: Range } => ({
  memory: { base: windows.memory32.base, end: windows.memory32.base + windows.memory32.size },
  prefetchable: { base: windows.memory64.base, end: windows.memory64.base + windows.memory64.size },
})

/** Memory that a function has on its bus: BARs, expansion ROM, VF BARs for all its VFs, and as a bridge its windows. */
function takenBy(fn: HostPciFunction, isParent: boolean): Range[] {
  const bars = fn.bars
    .filter(({ kind, address }) => kind !== 'io' && address !== 0)
    .map(({ address, size }) => ({ base: address, end: address + size }))
  if (fn.rom !== undefined && fn.rom.address !== 0) {
    bars.push({ base: fn.rom.address, end: fn.rom.address + fn.rom.size })
  }
  // The bridge's own BARs lie on its primary side, its windows are what is being filled.
  if (isParent) return bars
  const { virtualization } = fn
  const virtual = (virtualization?.bars ?? [])
    .filter(({ address }) => address !== 0)
    .map(({ address, size }) => ({ base: address, end: address + size * virtualization!.totalVfs }))
  const windows = fn.bridge ? Object.values(bridgeWindows(fn)).filter(({ end }) => end > 0) : []
  return [...bars, ...virtual, ...windows]
}
