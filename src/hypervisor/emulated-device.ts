/** What a device that the hypervisor makes looks like to the bus it is plugged into, and what it has of its machine. */
import type { Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'

export interface EmulatedIdentity {
  readonly vendorId: number
  readonly deviceId: number
  readonly subsystemVendorId: number
  readonly subsystemId: number
  /** Base class, subclass and programming interface, 24 bits. */
  readonly classCode: number
  readonly revision: number
}

/** A memory BAR: every access to it exits and comes to the device. */
export interface EmulatedBar {
  /** 0 to 5. */
  readonly index: number
  /** Bytes, a power of two. */
  readonly size: number
  readonly is64: boolean
  readonly prefetchable: boolean
}

/** Where the MSI-X table and its pending bits lie. Their dwords are answered for the device. */
export interface EmulatedMsix {
  readonly count: number
  readonly bar: number
  readonly tableOffset: number
  readonly pbaOffset: number
}

/** A capability that only describes: `body` is what follows its id and next pointer. */
export interface EmulatedCapability {
  readonly id: number
  readonly body: Uint8Array
}

/** What a device has of its machine: memory as a bus master sees it, and messages. */
export interface DevicePort {
  /** Command.BME: while it is clear, no access below reaches memory and no message is sent. */
  readonly busMaster: boolean
  /** Copies guest memory into `target`; false, with nothing copied, if any of it is no memory. */
  read(address: number, target: Uint8Array, start: number, length: number): boolean
  write(address: number, source: Uint8Array, start: number, length: number): boolean
  /** Sends a message, or makes it pending while the guest has it masked. */
  signal(vector: number): void
}

export interface EmulatedDevice {
  /** What it is, for exit records: `e1000`, `virtio-net`. */
  readonly kind: string
  readonly identity: EmulatedIdentity
  readonly bars: readonly EmulatedBar[]
  /** Messages: by MSI-X, by MSI with one message, or none. */
  readonly messages: EmulatedMsix | 'msi' | 'none'
  readonly capabilities?: readonly EmulatedCapability[]
  /** Called once, when the device is plugged in. */
  connect(port: DevicePort): void
  /** Aligned dwords of a BAR; `lanes` marks the bits that a write carries. */
  readRegister(bar: number, offset: number): number
  writeRegister(bar: number, offset: number, value: number, lanes: number): Software
  /** It leaves its machine. */
  disconnect(): void
  save(): Saved
  /** Goes on, connected, from a state that {@link save} returned. It reads and writes no memory and sends nothing. */
  load(saved: Saved): void
}
