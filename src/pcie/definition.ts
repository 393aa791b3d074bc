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

/** What the SR-IOV capability cannot say: sizes, and how offset and stride follow the ARI bit. */
export interface SriovDefinition {
  /** FirstVFOffset and VFStride with ARI Capable Hierarchy set. */
  readonly ari: { readonly offset: number; readonly stride: number }
  /** And without it. */
  readonly nonAri: { readonly offset: number; readonly stride: number }
  /** VF BARs; `size` is that of one VF's aperture. */
  readonly bars: readonly BarDefinition[]
  /** Config space of a VF as it is after reset; as long as the PF's. */
  readonly image: Uint8Array
}

export interface FunctionDefinition {
  /** Name of the data sheet, or of the capture entry, e.g. `intel-82576`. */
  readonly model: string
  readonly kind: FunctionKind
  /**
   * Config space, 256 bytes (conventional) or 4096 (PCIe). Identity, capabilities and every read-only bit come from
   * here. Bits that reset clears (Command, BARs, bus numbers, MSI and MSI-X enables, ACS control, SR-IOV control …)
   * are cleared when the function is built, so an image captured from a running machine is accepted as it is.
   */
  readonly image: Uint8Array
  readonly bars: readonly BarDefinition[]
  /** Bytes of the expansion ROM, 0 or a power of two. */
  readonly romSize: number
  /** Present if the image has an SR-IOV capability. */
  readonly sriov?: SriovDefinition
  /** Translations that its device-TLB holds; default 32. Nothing without an ATS capability. */
  readonly deviceTlbEntries?: number
  /**
   * Whether functions of the same multi-function device reach each other's BARs inside the device, past the port
   * above, unless ACS redirects them. Default true: what cannot be ruled out.
   */
  readonly internalPeerToPeer?: boolean
}
