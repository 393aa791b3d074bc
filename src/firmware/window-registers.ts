/** The window registers of bridges: what goes down through them. */
import {
  IO_UPPER,
  IO_WINDOW,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
} from '../pcie/formats/index.ts'
import type { ConfigSpace } from './config-space.ts'

/** The windows of a bridge. */
export type Space = 'io' | 'memory' | 'prefetchable'
export const SPACES: readonly Space[] = ['io', 'memory', 'prefetchable']

/** "I/O Base and I/O Limit", "Memory Base and Memory Limit": granularity of bridge windows in bytes. */
export const GRANULARITY = { io: 0x1000, memory: 0x10_0000, prefetchable: 0x10_0000 } as const

/** A window with its base above its limit decodes nothing. */
export function closeWindow(config: ConfigSpace, space: Space): void {
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

export function openWindow(config: ConfigSpace, space: Space, base: number, limit: number): void {
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
