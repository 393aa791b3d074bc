/**
 * What the parts of the fabric know of each other. Functions sit on buses, buses lie behind functions, and routing walks
 * over both: these interfaces keep their files from importing each other in a circle.
 */
import type { MmioTarget } from '../memory/index.ts'
import type { AttributeTables } from './attribute-table.ts'
import type { ConfigMemory } from './config-memory.ts'
import type { FunctionDefinition, FunctionKind, SriovDefinition } from './definition.ts'
import type { PageRequest } from './page-request.ts'
import type { MemoryRequest, Status } from './request.ts'

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

/**
 * Which requests between functions a root complex passes on; the specification leaves it open ("Root Complex",
 * peer-to-peer). `none`: it completes memory only. `withinHostBridge`, `everywhere`: after translation, to functions
 * below the same host bridge, or any.
 */
export type PeerToPeer = 'none' | 'withinHostBridge' | 'everywhere'

export interface Clock {
  readonly now: number
  /** Queues an event of a kind that somebody serves. */
  schedule?(delay: number, kind: string, target: string, argument?: number): void
}

export interface HostNode {
  readonly segment: number
  /** Bus number strapped to the root bus. */
  readonly bus: number
  readonly ingress: UpstreamSink
  readonly peerToPeer: PeerToPeer
  /** Root ports without ACS P2P Request Redirect pass requests to each other before any translation. */
  readonly directPeerToPeer: boolean
  /** The functions of the root bus. */
  readonly rootBus: BusNode
  /** Attributes of the configuration spaces below. */
  readonly attributes: AttributeTables
  readonly configMemory: ConfigMemory
  /** Virtual time in nanoseconds; undefined where time stands still, and what takes time is done at once. */
  readonly clock: Clock | undefined
  /** Counts what may change a routing id or the right to send requests, for those who keep either. */
  changes: number
  readonly messages: {
    /** To be called when a mask was lifted or messages were enabled. */
    release(fn: FunctionNode): void
    /** Signals a vector of a port's own, after what is being sent now. */
    signal(fn: FunctionNode, vector: number): void
  }
  /** To be called when a root-bus function decodes other addresses than before. */
  rootDecodingChanged(): void
  /** To be called when configuration requests may take another way: bus numbers, links, what is plugged in. */
  numbersChanged(): void
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
  at(devfn: number): FunctionNode | undefined
  /** To be called whenever what a function on this bus decodes may have changed. */
  decodingChanged(): void
  /** Index of the claim on an address, -1 if nobody claims it. Valid until decoding changes. */
  claim(page: number, offset: number): number
  claimOwner(claim: number): FunctionNode
  /** A BAR index, or one of `CLAIM`. */
  claimPart(claim: number): number
  /** How far into a claim an address lies. */
  claimOffset(claim: number, page: number, offset: number): number
  /** Claims on memory and on I/O addresses. */
  readonly memory: AddressDecoder
  readonly io: AddressDecoder
  /** The bridge that takes what nobody on the bus claims: one with subtractive decode. */
  readonly subtractive: FunctionNode | undefined
}

/** Who claims which addresses on a bus, as a sorted map. */
export interface AddressDecoder {
  claim(address: number): number
  claimOfRequest(request: MemoryRequest): number
  claimOwner(claim: number): FunctionNode
  claimPart(claim: number): number
  claimBase(claim: number): number
}

/** What a root port or downstream port is besides a function: the near end of a link. */
export interface PortNode {
  /** Whether the data link layer is up: what is below answers and sends. */
  readonly linkUp: boolean
  /** Completion status for requests that the port must refuse because its link is down (`STATUS`). */
  readonly refusal: Status
  /** "DPC": contains an error of its own or one that a message reports. False if it does not apply: it goes on. */
  contain(reason: number, sourceId: number, fatal: boolean): boolean
}

export interface SriovNode {
  readonly definition: SriovDefinition
  readonly enabled: boolean
  /** Whether ARI Capable Hierarchy is set. */
  readonly ariCapableHierarchy: boolean
  /** Bytes of one virtual function's share of VF BAR `index`: its size, and at least a system page. */
  aperture(index: number): number
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
  /** Where its capabilities are: offsets, 0 for one that it lacks. */
  readonly layout: { find(id: number): number; findExtended(id: number): number }
  /** Of a root port or downstream port. */
  readonly port: PortNode | undefined
  /** In D0, and not removed. */
  readonly isPoweredUp: boolean
  /** False for a virtual function in the time that it may take to come up: configuration requests get no answer. */
  readonly isReady: boolean
  readonly busMasterEnabled: boolean
  readonly isExpress: boolean
  /** ACS Control, the bits of `ACS_BIT`; 0 without the capability. */
  readonly acsControl: number
  /** "Port Number" of Link Capabilities. */
  readonly portNumber: number
  readonly secondaryBus: number
  readonly subordinateBus: number
  /** Held in reset by Secondary Bus Reset, or its link is down: nothing passes either way. */
  readonly secondaryDown: boolean
  /** What happens to requests from below, as `GATE` bits. */
  readonly gate: number
  /** Bit of the ACS Egress Control Vector for a port or function number. */
  egressBlocked(number: number): boolean
  /** The address ranges on its bus that the function answers to now. */
  claims(receive: ClaimReceiver): void
  /** The I/O addresses on its bus that it answers to now. */
  ioClaims(receive: ClaimReceiver): void
  /** Bytes of BAR `index`: a resizable one has the size that software has chosen. 0 for one that there is not. */
  barSize(index: number): number
  /** What answers inside a BAR, or inside the ROM (`CLAIM.rom`). */
  region(part: number): MmioTarget
  /** Sends a memory request upstream. */
  issue(request: MemoryRequest): void
  /** Composes the next message that was pending and may leave now; false if there is none. */
  composePending(request: MemoryRequest, payload: Uint8Array): boolean
  /** Sends the message of an interrupt vector, if it is enabled. */
  signal(vector: number, request: MemoryRequest): unknown
  /** Takes a function away: a virtual one that was disabled, or one that was pulled out. */
  remove(): void
}
