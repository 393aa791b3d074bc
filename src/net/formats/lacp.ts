/** "Link Aggregation Control Protocol Data Unit", IEEE 802.1AX §6.4.2.3, a Slow Protocol (IEEE 802.3 Annex 57A). */
import { type Frame, HEADER_SIZE, read16, write16 } from './frame.ts'
import { macHigh, macLow, writeMac } from './mac-address.ts'

export const SLOW_PROTOCOLS = {
  /** 01:80:c2:00:00:02. No bridge forwards it. */
  addressLow: 0x00c2_8001,
  addressHigh: 0x0200,
  etherType: 0x8809,
  lacp: 1,
} as const

/** "Actor_State", "Partner_State". */
export const LACP_STATE = {
  activity: 1,
  shortTimeout: 2,
  aggregation: 4,
  synchronization: 8,
  collecting: 0x10,
  distributing: 0x20,
  defaulted: 0x40,
  expired: 0x80,
} as const

/** What one side says of a port: its own, or what it knows of the other. */
export type LacpInformation = {
  systemPriority: number
  /** The system's address, as `mac-address.ts` has it. */
  systemLow: number
  systemHigh: number
  key: number
  portPriority: number
  port: number
  state: number
}

export const nobody = (): LacpInformation => ({
  systemPriority: 0,
  systemLow: 0,
  systemHigh: 0,
  key: 0,
  portPriority: 0,
  port: 0,
  state: 0,
})

const VERSION = 1
const SUBTYPE_AT = HEADER_SIZE
const VERSION_AT = HEADER_SIZE + 1
const ACTOR_AT = HEADER_SIZE + 2
const INFORMATION = { type: { actor: 1, partner: 2 }, length: 20 } as const
const PARTNER_AT = ACTOR_AT + INFORMATION.length
const COLLECTOR = { at: PARTNER_AT + INFORMATION.length, type: 3, length: 16 } as const
/** Without frame check sequence. */
export const LACPDU_SIZE = HEADER_SIZE + 110
const SOURCE = 6
const TYPE = 12

export const isSlowProtocol = ({ bytes, length }: Frame): boolean =>
  length >= HEADER_SIZE &&
  macLow(bytes, 0) === SLOW_PROTOCOLS.addressLow &&
  macHigh(bytes, 0) === SLOW_PROTOCOLS.addressHigh &&
  read16(bytes, TYPE) === SLOW_PROTOCOLS.etherType

/** @param mac address of the port that sends it */
export function writeLacpdu(
  frame: Frame,
  mac: Uint8Array,
  actor: LacpInformation,
  partner: LacpInformation,
): void {
  const { bytes } = frame
  bytes.fill(0, 0, LACPDU_SIZE)
  writeMac(bytes, 0, SLOW_PROTOCOLS.addressLow, SLOW_PROTOCOLS.addressHigh)
  bytes.set(mac, SOURCE)
  write16(bytes, TYPE, SLOW_PROTOCOLS.etherType)
  bytes[SUBTYPE_AT] = SLOW_PROTOCOLS.lacp
  bytes[VERSION_AT] = VERSION
  writeInformation(bytes, ACTOR_AT, INFORMATION.type.actor, actor)
  writeInformation(bytes, PARTNER_AT, INFORMATION.type.partner, partner)
  bytes[COLLECTOR.at] = COLLECTOR.type
  bytes[COLLECTOR.at + 1] = COLLECTOR.length
  frame.length = LACPDU_SIZE
  frame.damaged = false
}

/** False, with nothing read, if the frame is no LACPDU. Of a later version the fields of this one are read. */
export function readLacpdu(frame: Frame, actor: LacpInformation, partner: LacpInformation): boolean {
  const { bytes, length } = frame
  if (!isSlowProtocol(frame) || length < LACPDU_SIZE || bytes[SUBTYPE_AT] !== SLOW_PROTOCOLS.lacp)
    return false
  const { type, length: size } = INFORMATION
  if (bytes[VERSION_AT]! < VERSION) return false
  if (bytes[ACTOR_AT] !== type.actor || bytes[ACTOR_AT + 1] !== size) return false
  if (bytes[PARTNER_AT] !== type.partner || bytes[PARTNER_AT + 1] !== size) return false
  readInformation(bytes, ACTOR_AT, actor)
  readInformation(bytes, PARTNER_AT, partner)
  return true
}

function writeInformation(bytes: Uint8Array, at: number, type: number, of: LacpInformation): void {
  bytes[at] = type
  bytes[at + 1] = INFORMATION.length
  write16(bytes, at + 2, of.systemPriority)
  writeMac(bytes, at + 4, of.systemLow, of.systemHigh)
  write16(bytes, at + 10, of.key)
  write16(bytes, at + 12, of.portPriority)
  write16(bytes, at + 14, of.port)
  bytes[at + 16] = of.state
}

function readInformation(bytes: Uint8Array, at: number, into: LacpInformation): void {
  into.systemPriority = read16(bytes, at + 2)
  into.systemLow = macLow(bytes, at + 4)
  into.systemHigh = macHigh(bytes, at + 4)
  into.key = read16(bytes, at + 10)
  into.portPriority = read16(bytes, at + 12)
  into.port = read16(bytes, at + 14)
  into.state = bytes[at + 16]!
}
