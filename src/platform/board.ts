/**
 * The board description: straps, soldered wiring and the maker's choices, as a board vendor compiles them into the
 * firmware image. Plain data, made from the topology document; no references to hardware objects.
 */
import type { RamRange } from '../memory/index.ts'

/** A path of device and function numbers from a root bus, as DMAR device scopes use it. */
export interface BoardPath {
  readonly segment: number
  readonly rootBus: number
  readonly steps: readonly { readonly device: number; readonly fn: number }[]
}

export interface BoardHostBridge {
  readonly segment: number
  /** Bus number strapped to the host bridge. */
  readonly bus: number
  /** Last bus number that firmware may give out below it. */
  readonly lastBus: number
  /** Proximity domain, -1 if the firmware declares none. */
  readonly numaNode: number
  /** Whether the firmware leaves hot-plug slots to the kernel (`_OSC`). */
  readonly nativeHotplug: boolean
  /** Address windows that the host bridge decodes toward its bus, in bytes: its own, or shared with others. */
  readonly windows: {
    readonly io: { readonly base: number; readonly size: number }
    readonly memory32: { readonly base: number; readonly size: number }
    readonly memory64: { readonly base: number; readonly size: number }
  }
}

export interface BoardScope {
  readonly kind: 'endpoint' | 'bridge' | 'ioapic' | 'hpet' | 'namespace'
  /** I/O APIC id, HPET number or number of a device of the ACPI namespace; 0 for functions. */
  readonly enumerationId: number
  readonly path: BoardPath
}

export interface BoardRemappingUnit {
  readonly id: string
  readonly segment: number
  /** Physical address of the register page. */
  readonly registerBase: number
  /** Serves every function of the segment that no other unit's scopes name. */
  readonly includeAll: boolean
  readonly scopes: readonly BoardScope[]
  readonly numaNode: number
}

export interface BoardReservedMemory {
  readonly segment: number
  /** First and last byte. */
  readonly base: number
  readonly limit: number
  readonly scopes: readonly BoardScope[]
}

export interface BoardAtsPorts {
  readonly segment: number
  readonly allPorts: boolean
  /** Empty with `allPorts`. */
  readonly scopes: readonly BoardScope[]
}

export interface BoardIntegratedCaches {
  readonly segment: number
  /** Whether the functions do not work with their device-TLB disabled. */
  readonly required: boolean
  readonly scopes: readonly BoardScope[]
}

export interface BoardWindow {
  readonly base: number
  readonly limit: number
}

/** What a firmware setup file fixes for a function: numbers that enumeration would otherwise choose. */
export interface BoardPreset {
  readonly path: BoardPath
  /** Bridges: bus numbers to program. */
  readonly secondaryBus?: number
  readonly subordinateBus?: number
  /** Bus numbers to keep free below this bridge beyond what is found (hot-plug, VFs). */
  readonly reservedBuses?: number
  /** Address to program into the expansion ROM's register. */
  readonly rom?: number
  /** Addresses to program into BARs, by index. */
  readonly bars?: readonly { readonly index: number; readonly address: number }[]
  /** Bridges: windows to program, first and last byte. */
  readonly windows?: {
    /** null: closed. */
    readonly io?: BoardWindow | null | undefined
    readonly memory?: BoardWindow | undefined
    readonly prefetchable?: BoardWindow | undefined
  }
  /** Bytes that the windows of this bridge must have at least, for cards to come. */
  readonly reservedWindows?: {
    readonly io?: number | undefined
    readonly memory?: number | undefined
    readonly prefetchable?: number | undefined
  }
}

export interface Board {
  readonly ram: readonly RamRange[]
  /** Extended configuration access per segment: base of bus 0. */
  readonly ecam: readonly { readonly segment: number; readonly base: number; readonly lastBus: number }[]
  readonly hostBridges: readonly BoardHostBridge[]
  readonly processors: readonly { readonly apicId: number; readonly numaNode: number }[]
  readonly ioApics: readonly {
    readonly id: number
    readonly base: number
    readonly interruptBase: number
    /** The source id its messages carry. */
    readonly requesterId: number
    readonly segment: number
  }[]
  readonly remapping: {
    /** Host address width in bits. */
    readonly hostAddressWidth: number
    readonly interruptRemapping: boolean
    readonly units: readonly BoardRemappingUnit[]
    readonly reservedMemory: readonly BoardReservedMemory[]
    /** Root ports below which address translation services may be used. */
    readonly atsPorts: readonly BoardAtsPorts[]
    /** Functions of the root complex with a device-TLB. */
    readonly integratedCaches: readonly BoardIntegratedCaches[]
    /** Devices that only the ACPI namespace knows, by the numbers that scopes give. */
    readonly namespaceDevices: readonly { readonly number: number; readonly path: string }[]
    /** Register page of an address-range unit. */
    readonly apertureBase?: number
  }
  /** A high precision event timer: its registers and what they say it is. */
  readonly hpet?: { readonly base: number; readonly blockId: number }
  /** RAM per proximity domain. */
  readonly memoryAffinity: readonly {
    readonly base: number
    readonly size: number
    readonly numaNode: number
  }[]
  readonly presets: readonly BoardPreset[]
  /** Which size firmware gives resizable BARs: the one after reset, or the largest for which there is room. */
  readonly resizableBars: 'asIs' | 'largestThatFits'
}
