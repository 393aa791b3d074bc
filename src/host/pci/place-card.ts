/** Gives the functions of a card that was plugged in addresses inside the window of its slot, as far as there is room. */
import {
  barOffset,
  COMMAND_STATUS,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
} from '../../pcie/formats/index.ts'
import type { HostBridgeResources } from '../../platform/formats/boot-parameters.ts'
import type { HostBar } from '../types.ts'
import { findSpace } from './address-space.ts'
import { placeBar } from './bars.ts'
import type { HostPciFunction } from './pci-function.ts'

/** Memory that a slot gets whose window firmware left closed: Linux's `hpmemsize`. */
const SLOT_WINDOW: HostBar = {
  index: 0,
  kind: 'memory32',
  prefetchable: false,
  address: 0,
  size: 0x20_0000,
}

const windowIsOpen = (port: HostPciFunction): boolean => {
  const memory = port.config.read(MEMORY_WINDOW.offset)
  return memory >>> 20 >= (memory & 0xfff0) >>> 4
}

/** Opens the memory window of a slot where firmware left none. False if there is no room on the bus above. */
export function openSlotWindow(
  port: HostPciFunction,
  root: HostBridgeResources,
  everything: readonly HostPciFunction[],
): boolean {
  if (windowIsOpen(port)) return true
  const base = findSpace(port, SLOT_WINDOW, SLOT_WINDOW.size, root, everything)
  if (base === undefined) return false
  const last = base + SLOT_WINDOW.size - 1
  port.config.write(MEMORY_WINDOW.offset, (((last >>> 20) << 20) | ((base >>> 20) << 4)) >>> 0)
  port.config.write(PREFETCHABLE_WINDOW.offset, 0x0000_fff0)
  port.config.write(PREFETCHABLE_BASE_UPPER.offset, 0xffff_ffff)
  port.config.write(PREFETCHABLE_LIMIT_UPPER.offset, 0)
  return true
}

/** Places the memory BARs of a function, the largest first. Returns those for which no room was left. */
export function placeMemory(
  fn: HostPciFunction,
  root: HostBridgeResources,
  everything: readonly HostPciFunction[],
): readonly HostBar[] {
  const { MSE } = COMMAND_STATUS.f
  const left: HostBar[] = []
  const placed: HostBar[] = []
  const wanted = fn.bars.filter(({ kind, address }) => kind !== 'io' && address === 0)
  fn.config.write(COMMAND_STATUS.offset, 0, MSE.mask)
  for (const bar of wanted.sort((a, b) => b.size - a.size)) {
    // What was just placed is not in `fn.bars` yet.
    const known = everything.map(other => (other === fn ? withBars(fn, placed) : other))
    const address = findSpace(fn, bar, bar.size, root, known)
    if (address === undefined) left.push(bar)
    else {
      placeBar(fn.config, barOffset(0), bar, address)
      placed.push({ ...bar, address })
    }
  }
  return left
}

function withBars(fn: HostPciFunction, placed: readonly HostBar[]): HostPciFunction {
  const bars = fn.bars.map(bar => placed.find(({ index }) => index === bar.index) ?? bar)
  return Object.create(fn, { bars: { value: bars } }) as HostPciFunction
}
