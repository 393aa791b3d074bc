/** What virtual functions ask for through the mailbox: what igb and ixgbe have in common, and where they differ. */
import { MESSAGE_FIELD, MULTICAST } from '../../../devices/formats/nic/mailbox-messages.ts'
import { isStationAddress, type VirtualFunction } from './virtual-function.ts'

/** What the driver does with the hardware for a virtual function. */
export interface MailboxActions {
  readonly functions: readonly VirtualFunction[]
  /** False if there is no entry left. */
  setMac(vf: number, mac: Uint8Array): boolean
  addMac(vf: number, mac: Uint8Array): boolean
  /** Takes every address but the first away. */
  clearMacs(vf: number): void
  /** False if there is no entry left. */
  setVlan(vf: number, vlan: number, add: boolean): boolean
  setMulticast(vf: number, hashes: readonly number[]): void
  setReceiver(vf: number, on: boolean): void
  /** Has the hardware do what is known of the virtual function. */
  apply(vf: number): void
}

export interface MailboxMessages {
  /** Dwords of the answer to a reset. */
  readonly resetWords: number
  nameOf(message: number): string
  /** Whether a request is granted; what else the answer says is written over `message`, behind its first dword. */
  serve(actions: MailboxActions, vf: number, message: Uint32Array): boolean
}

export const idOf = (message: Uint32Array): number => message[0]! & MESSAGE_FIELD.ID

export const informationOf = (message: Uint32Array): number =>
  (message[0]! & MESSAGE_FIELD.INFO) >>> MESSAGE_FIELD.INFO_SHIFT

export const macOf = (message: Uint32Array): Uint8Array => new Uint8Array(message.buffer.slice(4, 10))

/** What the administrator has set stays, unless the virtual function is trusted. */
export function mayTake({ settings: { mac, trusted } }: VirtualFunction, wanted: Uint8Array): boolean {
  if (mac !== undefined && !trusted && !mac.every((byte, i) => byte === wanted[i])) return false
  return isStationAddress(wanted)
}

/** The 12-bit hashes of a list of groups. */
export function hashesOf(message: Uint32Array): readonly number[] {
  const count = Math.min(informationOf(message) & ~MULTICAST.overflow, MULTICAST.most)
  return Array.from(new Uint16Array(message.buffer, 4, count), hash => hash & 0xfff)
}

/** Joins or leaves a VLAN, unless a port VLAN was set. VLAN 0, frames with a priority only, is never left. */
export function serveVlan(actions: MailboxActions, vf: number, message: Uint32Array): boolean {
  if (actions.functions[vf]!.settings.vlan !== 0) return false
  const vlan = message[1]! & 0xfff
  const add = (informationOf(message) & 1) !== 0
  return (vlan === 0 && !add) || actions.setVlan(vf, vlan, add)
}
