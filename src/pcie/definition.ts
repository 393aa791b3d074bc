/** What a function is, before it is plugged in: made from a data sheet in `devices/` or from a captured config space. */

/** What a function's place in the hierarchy is. VFs are made by their PF, never defined on their own. */
export type FunctionKind =
  | 'hostBridge'
  | 'rootPort'
  | 'upstreamPort'
  | 'downstreamPort'
  /** PCIe-to-PCI bridge, or conventional PCI-to-PCI bridge. */
  | 'bridge'
  | 'endpoint'

/** A base address register as the device decodes it. */
export interface BarDefinition {
  /** 0 to 5; a 64-bit BAR also takes the next one. */
  readonly index: number
  readonly kind: 'memory32' | 'memory64' | 'io'
  readonly prefetchable: boolean
  /** Bytes, a power of two: 16 or more for memory, 4 to 256 for I/O. */
  readonly size: number
}

/**
 * What a maker decided otherwise than the specification's layout has it, for the bits of one dword of configuration
 * space: applied after everything that header and capabilities declare.
 */
export interface RegisterOverride {
  /** Of the dword, a multiple of 4. */
  readonly offset: number
  /** Bits that software may write; 0 after reset unless `reset` says otherwise. */
  readonly readWrite?: number
  /** Bits that software clears by writing 1. */
  readonly clearable?: number
  /** Bits that are read-only as the image has them. */
  readonly readOnly?: number
  /** Value after reset of the bits in `mask`. */
  readonly reset?: { readonly mask: number; readonly value: number }
}

/** What the SR-IOV capability cannot say: sizes, and how offset and stride follow the ARI bit. */
export interface SriovDefinition {
  /** FirstVFOffset and VFStride with ARI Capable Hierarchy set. */
  readonly ari: { readonly offset: number; readonly stride: number }
  /** And without it. */
  readonly nonAri: { readonly offset: number; readonly stride: number }
  /** VF BARs; `size` is that of one VF's aperture. */
  readonly bars: readonly BarDefinition[]
  /** Config space of a VF as it is after reset; zeros at its end may be missing. */
  readonly image: Uint8Array
  /** Of the configuration space of each virtual function. */
  readonly overrides?: readonly RegisterOverride[]
  /**
   * Nanoseconds after VF Enable was set until the virtual functions answer; default 100 ms, the most that the
   * specification allows ("SR-IOV Control", VF Enable).
   */
  readonly enableTimeNs?: number
}

export interface FunctionDefinition {
  /** Name of the data sheet, or of the capture entry, e.g. `intel-82576`. */
  readonly model: string
  readonly kind: FunctionKind
  /**
   * Config space from offset 0; zeros at its end may be missing. Identity, capabilities and every read-only bit come
   * from here. Bits that reset clears (Command, BARs, bus numbers, MSI and MSI-X enables, ACS control, SR-IOV control …)
   * are cleared when the function is built, so an image captured from a running machine is accepted as it is.
   */
  readonly image: Uint8Array
  /** Bytes of configuration space, 256 (conventional) or 4096 (PCIe); default: the length of the image. */
  readonly configSize?: number
  readonly overrides?: readonly RegisterOverride[]
  readonly bars: readonly BarDefinition[]
  /** Bytes of the expansion ROM, 0 or a power of two. */
  readonly romSize: number
  /** Whether the function keeps its registers from D3hot to D0 though No_Soft_Reset is clear, as emulated ones do. */
  readonly keepsStateInD3?: boolean
  /**
   * Nanoseconds after a function level, hot or power-state reset during which configuration requests, to it or to one of
   * its virtual functions that was reset, end with Request Retry Status; default 0.
   */
  readonly resetTimeNs?: number
  /** Working registers of a standard hot-plug controller, as the SHPC capability shows them. */
  readonly hotPlugRegisters?: readonly number[]
  /** What the VPD capability reads; default: erased storage. */
  readonly vitalProductData?: Uint8Array
  /** Present if the image has an SR-IOV capability. */
  readonly sriov?: SriovDefinition
  /** Translations that its device-TLB holds; default 32. Nothing without an ATS capability. */
  readonly deviceTlbEntries?: number
  /**
   * Whether functions of the same multi-function device reach each other's BARs inside the device, past the port
   * above, unless ACS redirects them. Default true: what cannot be ruled out.
   */
  readonly internalPeerToPeer?: boolean
  /** Name of the device model that gives its registers their behaviour; without, they are plain storage. */
  readonly registerModel?: string
  /** Which function of its device it is, where the model asks. */
  readonly functionNumber?: number
}

/** Bytes of configuration space. */
export const configSizeOf = ({ image, configSize = image.length }: FunctionDefinition): number => configSize

/** Bytes of a BAR as the device decodes it, 0 for one that it has not. */
export function definedSize({ bars }: FunctionDefinition, bar: number): number {
  for (const { index, size } of bars) if (index === bar) return size
  return 0
}
