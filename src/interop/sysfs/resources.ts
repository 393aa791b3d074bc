/** `resource` of a function: start, end and flags of every range it decodes, as Linux prints them. */

import type { HostBar, HostFunction } from '../../host/index.ts'
import { IO_WINDOW, PREFETCHABLE_WINDOW, ROM, ROM_OFFSET } from '../../pcie/formats/index.ts'
import type { CapturedFunction } from '../captured-function.ts'
import type { MachineView } from '../machine-view.ts'

/** `include/linux/ioport.h`: the bits by which kernel and lspci tell kinds of resources apart. */
export const RESOURCE = {
  IO: 0x100,
  MEMORY: 0x200,
  PREFETCH: 0x2000,
  READ_ONLY: 0x4000,
  SIZE_ALIGN: 0x4_0000,
  MEMORY_64: 0x10_0000,
  UNSET: 0x2000_0000,
} as const

/** Positions in the file: BARs, ROM, VF BARs, windows of a bridge. */
export const RESOURCE_LINES = { rom: 6, virtual: 7, windows: 13, endpoint: 13, bridge: 17 } as const

interface Resource {
  readonly start: number
  readonly end: number
  readonly flags: number
}

const NOTHING: Resource = { start: 0, end: 0, flags: 0 }

export function resourceLines(machine: MachineView, fn: HostFunction): string[] {
  const decoded = machine.decoded(fn)
  const isBridge = decoded.headerType === 1
  const lines = new Array<Resource>(isBridge ? RESOURCE_LINES.bridge : RESOURCE_LINES.endpoint).fill(NOTHING)
  for (const bar of fn.bars) {
    // Linux gives up ports that no window above leads to.
    if (bar.kind !== 'io' || bar.address === 0 || isReachable(machine, fn, bar))
      lines[bar.index] = barResource(bar, bar.size)
  }
  const rom = romResource(machine, fn, isBridge)
  if (rom !== undefined) lines[RESOURCE_LINES.rom] = rom
  for (const bar of fn.sriov?.bars ?? [])
    lines[RESOURCE_LINES.virtual + bar.index] = barResource(bar, bar.size * fn.sriov!.totalVfs)
  if (isBridge) {
    for (const [i, window] of windowResources(decoded).entries()) lines[RESOURCE_LINES.windows + i] = window
  }
  return lines.map(({ start, end, flags }) => [start, end, flags].map(sixteen).join(' '))
}

function isReachable(
  machine: MachineView,
  fn: HostFunction,
  { address, size }: Pick<HostBar, 'address' | 'size'>,
): boolean {
  if (fn.parent === undefined) return true
  const above = machine.host.find(fn.parent)
  const { io } = machine.decoded(above).windows
  return (
    io !== undefined &&
    address >= io.base &&
    address + size - 1 <= io.limit &&
    isReachable(machine, above, { address, size })
  )
}

const sixteen = (value: number): string => `0x${value.toString(16).padStart(16, '0')}`

/** The low bits of the register itself are part of the flags. */
function barResource({ kind, prefetchable, address }: HostBar, size: number): Resource {
  const flags =
    kind === 'io'
      ? RESOURCE.IO | 1
      : RESOURCE.MEMORY |
        (kind === 'memory64' ? RESOURCE.MEMORY_64 | 4 : 0) |
        (prefetchable ? RESOURCE.PREFETCH | 8 : 0)
  const unset = address === 0 ? RESOURCE.UNSET : 0
  return { start: address, end: address + size - 1, flags: flags | RESOURCE.SIZE_ALIGN | unset }
}

/** The size of an expansion ROM is what its image was made with: reading it back needs a write, so the board is asked. */
function romResource(machine: MachineView, fn: HostFunction, isBridge: boolean): Resource | undefined {
  const size = machine.romSize(fn)
  if (size === 0) return undefined
  const address = (machine.dword(fn, isBridge ? ROM_OFFSET.type1 : ROM_OFFSET.type0) & ROM.ADDRESS) >>> 0
  const flags = RESOURCE.MEMORY | RESOURCE.PREFETCH | RESOURCE.READ_ONLY | RESOURCE.SIZE_ALIGN
  return { start: address, end: address + size - 1, flags }
}

function windowResources(decoded: CapturedFunction): Resource[] {
  const { io, memory, prefetchable } = decoded.windows
  const wideIo = decoded.field(IO_WINDOW, 'BASE_WIDTH')
  const wide = decoded.field(PREFETCHABLE_WINDOW, 'BASE_WIDTH')
  const of = (window: { base: number; limit: number } | undefined, flags: number): Resource =>
    window === undefined ? NOTHING : { start: window.base, end: window.limit, flags }
  return [
    of(io, RESOURCE.IO | wideIo),
    of(memory, RESOURCE.MEMORY),
    of(prefetchable, RESOURCE.MEMORY | RESOURCE.PREFETCH | wide | (wide ? RESOURCE.MEMORY_64 : 0)),
  ]
}
