/** A network adapter in the hands of its driver, as the rest of the host sees it. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { Frame } from '../../net/formats/index.ts'

/** Who switches for virtual functions: the adapter, or the host's software. */
export type EswitchMode = 'legacy' | 'switchdev'

export interface AdapterOptions {
  /** Descriptors of each ring, a multiple of 8. Default 64. */
  readonly ringEntries?: number
  /** `InterruptThrottleRate` as an interval; default 0: every cause interrupts at once. */
  readonly interruptIntervalMicroseconds?: number
}

export interface AdapterCounters {
  readonly sent: number
  readonly received: number
  /** Frames that found the transmit ring full, or no link. */
  readonly refused: number
  readonly interrupts: number
}

/** How an administrator has set up a virtual function (`ip link set … vf`). */
export interface VirtualFunctionSettings {
  /** Six bytes; undefined: the virtual function chooses for itself. */
  readonly mac?: Uint8Array
  /** Port VLAN: inserted and stripped behind the virtual function's back. 0: none. */
  readonly vlan: number
  readonly spoofCheck: boolean
  readonly trusted: boolean
  /** Mb/s; 0: no limit. */
  readonly maximumRate: number
}

/** What the virtual function's driver has made of itself. */
export interface VirtualFunctionState extends VirtualFunctionSettings {
  /** Whether it has said that it is there, since it was reset last. */
  readonly clearToSend: boolean
  /** The address that it uses now. */
  readonly inUse: Uint8Array
  /** VLANs that it asked for. */
  readonly vlans: readonly number[]
  readonly multicastHashes: number
  readonly promiscuous: 'none' | 'multicast' | 'unicast'
  /** Frames of it that lied about their source and were dropped; null where the hardware does not tell whose they were. */
  readonly spoofed: number | null
}

/** Frames for one virtual machine, sorted out by the hardware: a pool of queues with addresses of its own. */
export interface AdapterPool {
  /** -1 when the adapter has closed it. */
  readonly pool: number
  /** Of its frames, which come and go without tag; 0: none. */
  readonly vlan: number
  send(frame: Frame): boolean
  /** Called, in the interrupt handler, with each frame that was sorted into the pool. */
  receiver: ((frame: Frame) => void) | undefined
  /** Messages that the pool has caused. */
  readonly interrupts: number
}

export interface NetworkAdapter {
  /** Of the function. */
  readonly address: string
  readonly driver: string
  readonly mac: Uint8Array
  readonly carrier: boolean
  readonly speedMbps: number
  readonly counters: AdapterCounters
  /** Called, in the interrupt handler, with each frame that arrives for the host. */
  receiver: ((frame: Frame) => void) | undefined
  /** Called, in the interrupt handler, when frames of the host have left: there is room again. */
  transmitted: (() => void) | undefined
  /** Called when the link came or went. */
  linkChanged: (() => void) | undefined
  /** Called when the driver was taken off the function: nothing comes and nothing goes any more. */
  removed: (() => void) | undefined
  /** Hears everything that arrives, whoever it is addressed to. */
  setPromiscuous(on: boolean): void
  /** Another address instead of the one that the card came with, until the driver is taken off it: `ip link set … address`. */
  setAddress(mac: Uint8Array): void
  /** VLANs whose frames the host hears, ascending. */
  readonly vlans: readonly number[]
  /** Whether frames of a VLAN are heard: from the wire, and from virtual functions. False if no filter is left. */
  hearVlan(vlan: number, on: boolean): boolean
  send(frame: Frame): boolean
  /** Throws `outOfResources`. */
  openPool(mac: Uint8Array, vlan?: number): Software<AdapterPool>
  closePool(pool: AdapterPool): Software
  /** The pool of a number, if it is open. */
  pool(number: number): AdapterPool | undefined
  readonly virtualFunctions: readonly VirtualFunctionState[]
  /** Throws `notFound`, `invalidArgument`. */
  configureVirtualFunction(index: number, settings: Partial<VirtualFunctionSettings>): void
  readonly eswitch: EswitchMode
  /** Throws `unsupported`, `functionInUse`; then nothing has changed. */
  setEswitch(mode: EswitchMode): void
  /** Virtual functions that the host switches for: all in switchdev mode, else none. */
  readonly represented: number
  /** Called when there are more or less of them. */
  representedChanged: (() => void) | undefined
  /** Called, in the interrupt handler, with each frame that one of them has sent. */
  functionReceiver: ((vf: number, frame: Frame) => void) | undefined
  /** Has one of them receive a frame. */
  sendTo(vf: number, frame: Frame): boolean
  /** Stops the adapter: no frame and no interrupt comes from it any more. */
  close(): Software
  save(): Saved
}
