/** How the two capability lists of a function are read: from hardware's own image or over configuration accesses. */
import { CAPABILITIES_POINTER, COMMAND_STATUS, EXPRESS_CONFIG_SIZE } from './header.ts'

export interface CapabilityEntry {
  readonly id: number
  readonly extended: boolean
  /** Offset of its first byte in configuration space. */
  readonly offset: number
  /** Bits 19:16 of an extended header; 0 for a PCI-compatible capability. */
  readonly version: number
}

/** Entries are at least 4 (PCI-compatible) or 8 bytes (extended) long: a longer list repeats itself. */
const LONGEST_LIST = (256 - 64) / 4
const LONGEST_EXTENDED_LIST = (EXPRESS_CONFIG_SIZE - 256) / 8

/**
 * Both lists in the order of their links. Loops and links that leave the space end a list.
 * @param read a dword of configuration space, by byte offset.
 * @param size bytes of configuration space, 256 or 4096.
 */
export function listCapabilities(read: (offset: number) => number, size: number): CapabilityEntry[] {
  const entries: CapabilityEntry[] = []
  const seen = new Set<number>()
  if (read(COMMAND_STATUS.offset) & COMMAND_STATUS.f.CAP.mask) {
    let offset = read(CAPABILITIES_POINTER) & 0xfc
    while (offset >= 0x40 && !seen.has(offset) && seen.size < LONGEST_LIST) {
      seen.add(offset)
      const header = read(offset)
      if ((header & 0xff) === 0xff) break
      entries.push({ id: header & 0xff, extended: false, offset, version: 0 })
      offset = (header >>> 8) & 0xfc
    }
  }
  if (size < EXPRESS_CONFIG_SIZE) return entries
  seen.clear()
  let offset = 0x100
  while (offset >= 0x100 && !seen.has(offset) && seen.size < LONGEST_EXTENDED_LIST) {
    seen.add(offset)
    const header = read(offset) >>> 0
    if (header === 0 || header === 0xffff_ffff) break
    entries.push({ id: header & 0xffff, extended: true, offset, version: (header >>> 16) & 0xf })
    offset = (header >>> 20) & 0xffc
  }
  return entries
}

export const findCapability = (entries: readonly CapabilityEntry[], id: number): number | undefined =>
  entries.find(entry => !entry.extended && entry.id === id)?.offset

export const findExtendedCapability = (entries: readonly CapabilityEntry[], id: number): number | undefined =>
  entries.find(entry => entry.extended && entry.id === id)?.offset
