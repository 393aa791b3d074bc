/**
 * "Linux/x86 boot protocol", The zero page: what firmware and loader hand to the kernel in memory. Of its many fields
 * only these are filled: the memory map, where the ACPI root pointer lies, and `setup_data` nodes that describe the
 * host bridges and, on old machines, an address-range unit.
 *
 * On a PC that description is AML in the DSDT (`_SEG`, `_BBN`, `_PXM`, `_CRS` of each PNP0A08 device). The kernel
 * modelled here has no AML interpreter, so the same facts travel as a table.
 */
import { assert } from '../../core/index.ts'

/** Physical address of the zero page, where loaders have always put it: conventional memory. */
export const BOOT_PARAMETERS_ADDRESS = 0x9_0000
/** Everything that {@link encodeBootParameters} writes ends below the BIOS data at 0x9_FC00. */
export const BOOT_PARAMETERS_SIZE = 0xf000

const ACPI_RSDP_ADDR = 0x070
const E820_ENTRIES = 0x1e8
const SETUP_DATA = 0x250
const E820_TABLE = 0x2d0
const E820_ENTRY_SIZE = 20
const E820_MAX_ENTRIES = 128

/** Types of memory map entries ("Query System Address Map"). */
export const MEMORY_TYPE = { usable: 1, reserved: 2, acpi: 3, nvs: 4 } as const

export interface MemoryMapEntry {
  /** Bytes. */
  readonly base: number
  readonly size: number
  readonly type: number
}

/** An address range that a host bridge passes down; size 0 if there is none. Bytes, or I/O ports. */
export interface HostBridgeWindow {
  readonly base: number
  readonly size: number
}

/** `_SEG`, `_BBN` and the bus range, `_PXM` (-1 if there is none), `_OSC` and `_CRS` of a host bridge. */
export interface HostBridgeResources {
  readonly segment: number
  readonly bus: number
  readonly lastBus: number
  readonly numaNode: number
  /** Whether `_OSC` leaves hot-plug slots to the kernel; else the firmware serves them itself. */
  readonly nativeHotplug: boolean
  readonly windows: {
    readonly io: HostBridgeWindow
    readonly memory32: HostBridgeWindow
    readonly memory64: HostBridgeWindow
  }
}

export interface BootParameters {
  /** Physical address of the ACPI root system description pointer; 0 if software has to search for it. */
  readonly rsdp: number
  readonly memoryMap: readonly MemoryMapEntry[]
  readonly hostBridges: readonly HostBridgeResources[]
  /** Physical address of the registers of an address-range unit, which a PC has in a function of its northbridge. */
  readonly aperture?: number | undefined
}

/** `setup_data`: next (8 bytes), type (4), length (4), data. The type is not one of Linux's own. */
const SETUP_DATA_ADDRESS = 0x1000
const SETUP_DATA_HEADER = 16
const SETUP_HOST_BRIDGES = 0x4e42
const SETUP_APERTURE = 0x4e43
const APERTURE_SIZE = 8
/** segment u16, bus u8, lastBus u8, numaNode i16, flags u16, then three times base u64 and size u64. */
const HOST_BRIDGE_SIZE = 56
const NATIVE_HOTPLUG = 1

/** The bytes that are written to {@link BOOT_PARAMETERS_ADDRESS}. At most 128 memory map entries. */
export function encodeBootParameters({ rsdp, memoryMap, hostBridges, aperture }: BootParameters): Uint8Array {
  assert(memoryMap.length <= E820_MAX_ENTRIES, 'the memory map fits the zero page')
  const length = hostBridges.length * HOST_BRIDGE_SIZE
  const second = SETUP_DATA_ADDRESS + SETUP_DATA_HEADER + length
  const bytes = new Uint8Array(second + (aperture === undefined ? 0 : SETUP_DATA_HEADER + APERTURE_SIZE))
  assert(bytes.length <= BOOT_PARAMETERS_SIZE, 'the host bridges fit below the BIOS data')
  const view = new DataView(bytes.buffer)
  setAddress(view, ACPI_RSDP_ADDR, rsdp)
  view.setUint8(E820_ENTRIES, memoryMap.length)
  for (const [i, { base, size, type }] of memoryMap.entries()) {
    const at = E820_TABLE + i * E820_ENTRY_SIZE
    setAddress(view, at, base)
    setAddress(view, at + 8, size)
    view.setUint32(at + 16, type, true)
  }
  setAddress(view, SETUP_DATA, BOOT_PARAMETERS_ADDRESS + SETUP_DATA_ADDRESS)
  view.setUint32(SETUP_DATA_ADDRESS + 8, SETUP_HOST_BRIDGES, true)
  view.setUint32(SETUP_DATA_ADDRESS + 12, length, true)
  for (const [i, bridge] of hostBridges.entries()) {
    const at = SETUP_DATA_ADDRESS + SETUP_DATA_HEADER + i * HOST_BRIDGE_SIZE
    view.setUint16(at, bridge.segment, true)
    view.setUint8(at + 2, bridge.bus)
    view.setUint8(at + 3, bridge.lastBus)
    view.setInt16(at + 4, bridge.numaNode, true)
    view.setUint16(at + 6, bridge.nativeHotplug ? NATIVE_HOTPLUG : 0, true)
    const { io, memory32, memory64 } = bridge.windows
    for (const [n, window] of [io, memory32, memory64].entries()) {
      setAddress(view, at + 8 + n * 16, window.base)
      setAddress(view, at + 16 + n * 16, window.size)
    }
  }
  if (aperture !== undefined) {
    setAddress(view, SETUP_DATA_ADDRESS, BOOT_PARAMETERS_ADDRESS + second)
    view.setUint32(second + 8, SETUP_APERTURE, true)
    view.setUint32(second + 12, APERTURE_SIZE, true)
    setAddress(view, second + SETUP_DATA_HEADER, aperture)
  }
  return bytes
}

/** @param bytes the {@link BOOT_PARAMETERS_SIZE} bytes at {@link BOOT_PARAMETERS_ADDRESS}. */
export function decodeBootParameters(bytes: Uint8Array): BootParameters {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const memoryMap = Array.from({ length: Math.min(bytes[E820_ENTRIES]!, E820_MAX_ENTRIES) }, (_, i) => {
    const at = E820_TABLE + i * E820_ENTRY_SIZE
    return {
      base: getAddress(view, at),
      size: getAddress(view, at + 8),
      type: view.getUint32(at + 16, true),
    }
  })
  return {
    rsdp: getAddress(view, ACPI_RSDP_ADDR),
    memoryMap,
    hostBridges: decodeHostBridges(view),
    aperture: decodeAperture(view),
  }
}

/** What the node behind that of the host bridges says. */
function decodeAperture(view: DataView): number | undefined {
  if (getAddress(view, SETUP_DATA) !== BOOT_PARAMETERS_ADDRESS + SETUP_DATA_ADDRESS) return undefined
  const next = getAddress(view, SETUP_DATA_ADDRESS)
  if (next === 0) return undefined
  const node = next - BOOT_PARAMETERS_ADDRESS
  return view.getUint32(node + 8, true) === SETUP_APERTURE
    ? getAddress(view, node + SETUP_DATA_HEADER)
    : undefined
}

function decodeHostBridges(view: DataView): HostBridgeResources[] {
  const node = getAddress(view, SETUP_DATA) - BOOT_PARAMETERS_ADDRESS
  if (node !== SETUP_DATA_ADDRESS || view.getUint32(node + 8, true) !== SETUP_HOST_BRIDGES) return []
  return Array.from({ length: view.getUint32(node + 12, true) / HOST_BRIDGE_SIZE }, (_, i) => {
    const at = node + SETUP_DATA_HEADER + i * HOST_BRIDGE_SIZE
    const window = (n: number): HostBridgeWindow => ({
      base: getAddress(view, at + 8 + n * 16),
      size: getAddress(view, at + 16 + n * 16),
    })
    return {
      segment: view.getUint16(at, true),
      bus: view.getUint8(at + 2),
      lastBus: view.getUint8(at + 3),
      numaNode: view.getInt16(at + 4, true),
      nativeHotplug: (view.getUint16(at + 6, true) & NATIVE_HOTPLUG) !== 0,
      windows: { io: window(0), memory32: window(1), memory64: window(2) },
    }
  })
}

function setAddress(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

const getAddress = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
