/**
 * What the parts of the fabric know of each other. Functions sit on buses, buses lie behind functions, and routing walks
 * over both: these interfaces keep their files from importing each other in a circle.
 */
import type { MmioTarget } from '../memory/index.ts'
import type { FunctionDefinition, FunctionKind, SriovDefinition } from './definition.ts'
import type { PageRequest } from './page-request.ts'
import type { MemoryRequest } from './request.ts'

/** Where requests leave the fabric: the root complex above a host bridge. */
export interface UpstreamSink {
  /** @param entry the function on the root bus through which the request came: a port, a bridge, or the requester. */
  request(request: MemoryRequest, entry: FunctionNode): void
  /** A page request; one without this method answers none. */
  pageRequest?(request: PageRequest, entry: FunctionNode): void
}

/** Receives the address ranges that a function decodes. `end` is the address behind the last byte. */
export type ClaimReceiver = (base: number, end: number, part: number) => void

/** What part of its owner a claimed range is: 0 to 5 a BAR, then the ROM, a bridge's window, or VF BAR n. */
export const CLAIM = { rom: 6, window: 7, virtualBar: 8 } as const

export interface HostNode {
  readonly segment: number
  /** Bus number strapped to the root bus. */
  readonly bus: number
  readonly ingress: UpstreamSink
  /** Counts what may change a routing id or the right to send requests, for those who keep either. */
  changes: number
  readonly messages: {
    /** To be called when a mask was lifted or messages were enabled. */
    release(fn: FunctionNode): void
  }
}

/**
 * `link`: below a root or downstream port, where one device sits; `switch`: the internal bus of a switch, where its
 * downstream ports sit; `conventional`: below a PCIe-to-PCI or PCI-to-PCI bridge.
 */
export type BusKind = 'root' | 'link' | 'switch' | 'conventional'

export interface BusNode {
  readonly kind: BusKind
  readonly host: HostNode
  /** The bridge above; undefined for a root bus. */
  readonly bridge: FunctionNode | undefined
  readonly functions: readonly FunctionNode[]
  /** To be called whenever what a function on this bus decodes may have changed. */
  decodingChanged(): void
  /** Index of the claim on an address, -1 if nobody claims it. Valid until decoding changes. */
  claim(address: number): number
  claimOwner(claim: number): FunctionNode
  /** A BAR index, or one of `CLAIM`. */
  claimPart(claim: number): number
  /** First address of a claimed range. */
  claimBase(claim: number): number
}

export interface SriovNode {
  readonly definition: SriovDefinition
  readonly enabled: boolean
  /** Whether ARI Capable Hierarchy is set. */
  readonly ariCapableHierarchy: boolean
  /** Bytes of one virtual function's share of a VF BAR. */
  aperture(size: number): number
  updateRouting(): void
}

export interface FunctionNode {
  readonly definition: FunctionDefinition
  readonly kind: FunctionKind
  readonly devfn: number
  readonly rid: number
  readonly bus: BusNode
  /** The bus behind a port or bridge. */
  readonly secondary: BusNode | undefined
  readonly physicalFunction: FunctionNode | undefined
  readonly virtualFunctions: readonly FunctionNode[]
  readonly sriov: SriovNode | undefined
  /** Configuration space as dwords. */
  readonly words: Uint32Array
  /** In D0, and not removed. */
  readonly isPoweredUp: boolean
  readonly busMasterEnabled: boolean
  readonly isExpress: boolean
  /** ACS Control, the bits of `ACS_BIT`; 0 without the capability. */
  readonly acsControl: number
  /** "Port Number" of Link Capabilities. */
  readonly portNumber: number
  readonly secondaryBus: number
  readonly subordinateBus: number
  readonly holdsSecondaryInReset: boolean
  /** What happens to requests from below, as `GATE` bits. */
  readonly gate: number
  /** Bit of the ACS Egress Control Vector for a port or function number. */
  egressBlocked(number: number): boolean
  /** The address ranges on its bus that the function answers to now. */
  claims(receive: ClaimReceiver): void
  /** What answers inside a BAR, or inside the ROM (`CLAIM.rom`). */
  region(part: number): MmioTarget
  /** Sends a memory request upstream. */
  issue(request: MemoryRequest): void
  /** Composes the next message that was pending and may leave now; false if there is none. */
  composePending(request: MemoryRequest, payload: Uint8Array): boolean
  /** Takes a virtual function away. */
  remove(): void
}
