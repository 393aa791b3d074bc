/**
 * Who answers where in physical address space: laid out once per topology, the same for hardware (windows of the
 * system address map) and firmware (the board description).
 *
 *     0            RAM, up to 2 GiB
 *     0x8000_0000  configuration space of the lowest segment (256 MiB)
 *     0x9000_0000  registers of functions, 32-bit
 *     0xfec0_0000  I/O APIC
 *     0xfed0_0000  event timer, where there is one
 *     0xfed9_0000  remapping units
 *     0xfee0_0000  interrupt range; for a processor its local APIC
 *     4 GiB        the rest of RAM, then registers of functions, 64-bit
 *     top          configuration space of further segments
 *
 * All host bridges belong to one root complex and share the register windows: the one with a function or a bridge
 * window at an address takes it.
 */
import type { Issue } from '../core/index.ts'
import type { RamRange } from '../memory/index.ts'
import { registerSizeOf, resolveCapabilities } from '../vtd/index.ts'
import type { Topology } from './topology-schema.ts'
import { apertureOf, unitsOf } from './wiring.ts'

const MIB = 2 ** 20
const GIB = 2 ** 30

export const LOW_RAM_LIMIT = 0x8000_0000
export const ECAM_SIZE = 0x1000_0000
const REGISTERS32 = { base: 0x9000_0000, size: 0xfec0_0000 - 0x9000_0000 } as const
export const IO_APIC_BASE = 0xfec0_0000
export const HPET_BASE = 0xfed0_0000
const UNITS_FIRST_BASE = 0xfed9_0000
/** Register pages lie between these, wherever a document puts them. */
const UNITS_RANGE = { first: 0xfed1_0000, end: 0xfee0_0000 } as const
/** Register space is counted in these, in bytes. */
const REGISTER_PAGE = 0x1000
/** "I/O APIC": bus, device and function that its messages carry; no host bridge may use this bus. */
export const IO_APIC_REQUESTER_ID = 0xff00

/** All of them: the firmware knows that those below 1000h belong to devices that have always been there. */
const IO_PORTS = { base: 0, size: 0x1_0000 } as const
const SMALLEST_REGISTERS64 = 16 * GIB

/** Bytes. */
export interface Window {
  readonly base: number
  readonly size: number
}

export interface AddressLayout {
  readonly ram: readonly RamRange[]
  readonly memoryAffinity: readonly {
    readonly base: number
    readonly size: number
    readonly numaNode: number
  }[]
  /** By ascending segment. */
  readonly ecam: readonly { readonly segment: number; readonly base: number }[]
  /** What the host bridges decode. */
  readonly io: Window
  readonly memory32: Window
  /** Its size is 0 or less where the address width leaves no room. */
  readonly memory64: Window
  /** By remapping unit of the document. */
  readonly units: readonly Window[]
  /** Registers of an address-range unit. */
  readonly aperture?: Window
}

const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment

/** Segments with a host bridge, ascending. */
export const segmentsOf = ({ hostBridges }: Topology): number[] =>
  [...new Set(hostBridges.map(bridge => bridge.segment))].sort((a, b) => a - b)

export function layOutAddresses(topology: Topology): AddressLayout {
  const { ram, memoryAffinity } = layOutRam(topology)
  const base64 = alignUp(Math.max(4 * GIB, ...ram.map(({ base, size }) => base + size)), GIB)
  const [lowest, ...others] = segmentsOf(topology)
  const end64 = 2 ** topology.hostAddressWidth - others.length * ECAM_SIZE
  return {
    ram,
    memoryAffinity,
    ecam: [
      { segment: lowest!, base: LOW_RAM_LIMIT },
      ...others.map((segment, i) => ({ segment, base: end64 + i * ECAM_SIZE })),
    ],
    io: IO_PORTS,
    memory32: REGISTERS32,
    memory64: { base: base64, size: end64 - base64 },
    units: unitWindows(topology),
    ...apertureWindow(topology),
  }
}

function layOutRam({ memory }: Topology): Pick<AddressLayout, 'ram' | 'memoryAffinity'> {
  const memoryAffinity: { base: number; size: number; numaNode: number }[] = []
  let low = 0
  let high = 4 * GIB
  for (const { numaNode, sizeMiB } of memory) {
    const size = sizeMiB * MIB
    const below = Math.min(size, LOW_RAM_LIMIT - low)
    if (below > 0) memoryAffinity.push({ base: low, size: below, numaNode })
    if (size > below) memoryAffinity.push({ base: high, size: size - below, numaNode })
    low += below
    high += size - below
  }
  const ram = [{ base: 0, size: low }]
  if (high > 4 * GIB) ram.push({ base: 4 * GIB, size: high - 4 * GIB })
  return { ram, memoryAffinity }
}

/** Register windows of the units: where the document says, or else one behind the other. */
function unitWindows(topology: Topology): Window[] {
  const sizes = unitsOf(topology).map(unit => registerSizeOf(resolveCapabilities(unit.capabilities)))
  const fixed = unitsOf(topology).flatMap(({ registerBase }, i) =>
    registerBase === undefined ? [] : [{ base: Number(registerBase), size: sizes[i]! }],
  )
  let next = UNITS_FIRST_BASE
  return unitsOf(topology).map(({ registerBase }, i) => {
    const size = sizes[i]!
    if (registerBase !== undefined) return { base: Number(registerBase), size }
    for (;;) {
      const other = fixed.find(window => overlap(window, { base: next, size }))
      if (other === undefined) break
      next = other.base + other.size
    }
    const base = next
    next += size
    return { base, size }
  })
}

function apertureWindow(topology: Topology): Pick<AddressLayout, 'aperture'> {
  const aperture = apertureOf(topology)
  if (aperture === undefined) return {}
  return { aperture: { base: Number(aperture.registerBase ?? UNITS_FIRST_BASE), size: REGISTER_PAGE } }
}

const overlap = (a: Window, b: Window): boolean => a.base < b.base + b.size && b.base < a.base + a.size

/** What is wrong with where things come to lie. */
export function layoutIssues(topology: Topology, layout: AddressLayout): Issue[] {
  const issues: Issue[] = []
  const lacking = SMALLEST_REGISTERS64 - layout.memory64.size
  if (lacking > 0) {
    const bits = Math.ceil(Math.log2(2 ** topology.hostAddressWidth + lacking))
    issues.push({
      path: '/hostAddressWidth',
      message: `is too narrow: RAM and registers of this machine need ${bits} bits`,
    })
  }
  const units = unitsOf(topology)
  for (const [i, window] of layout.units.entries()) {
    const path = `/iommu/units/${i}/registerBase`
    issues.push(...registerIssues(path, window))
    const other = layout.units.findIndex((earlier, j) => j < i && overlap(earlier, window))
    if (other >= 0) issues.push({ path, message: `overlaps the registers of unit "${units[other]!.id}"` })
  }
  if (layout.aperture !== undefined) issues.push(...registerIssues('/iommu/registerBase', layout.aperture))
  return issues
}

function registerIssues(path: string, { base, size }: Window): Issue[] {
  const issues: Issue[] = []
  if (base % REGISTER_PAGE !== 0) issues.push({ path, message: 'must be a multiple of 4 KiB' })
  if (base < UNITS_RANGE.first || base + size > UNITS_RANGE.end) {
    issues.push({ path, message: `and the ${size} bytes from there must lie in 0xfed10000 to 0xfedfffff` })
  }
  return issues
}
