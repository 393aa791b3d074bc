/** Packets for tests, with checksums worked out by a second, slow implementation. */
import { mac } from './nic-rig.ts'

/** Ones' complement sum of 16-bit words, complemented. */
export function onesComplement(bytes: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return 0xffff - sum
}

const word = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff]

export interface PacketOptions {
  readonly to?: readonly number[]
  readonly from?: readonly number[]
  readonly tcp?: boolean
  readonly payload?: readonly number[]
  /** Leaves out what the hardware is to insert: the transport checksum is that of the pseudo header, as drivers do. */
  readonly offload?: boolean
  /** Pseudo header without length, as drivers prepare segmentation. */
  readonly segmented?: boolean
  readonly source?: readonly number[]
  readonly destination?: readonly number[]
  readonly sourcePort?: number
  readonly destinationPort?: number
}

/** Ethernet, IPv4, TCP or UDP. */
export function packet({
  to = mac(1),
  from = mac(2),
  tcp = true,
  payload = Array.from({ length: 30 }, (_, i) => i),
  offload = false,
  segmented = false,
  source = [10, 0, 0, 2],
  destination = [10, 0, 0, 1],
  sourcePort = 1000,
  destinationPort = 80,
}: PacketOptions = {}): Uint8Array {
  const protocol = tcp ? 6 : 17
  const length = (tcp ? 20 : 8) + payload.length
  const ports = [...word(sourcePort), ...word(destinationPort)]
  const transport = tcp
    ? [...ports, 0, 0, 1, 0, 0, 0, 0, 0, 0x50, 0x19, 0x10, 0, 0, 0, 0, 0, ...payload]
    : [...ports, ...word(length), 0, 0, ...payload]
  const at = tcp ? 16 : 6
  const pseudo = [...source, ...destination, 0, protocol, ...word(segmented ? 0 : length)]
  const checksum =
    offload || segmented ? 0xffff - onesComplement(pseudo) : onesComplement([...pseudo, ...transport])
  transport.splice(at, 2, ...word(checksum))
  const header = [
    0x45,
    0,
    ...word(20 + length),
    0x12,
    0x34,
    0x40,
    0,
    64,
    protocol,
    0,
    0,
    ...source,
    ...destination,
  ]
  if (!offload && !segmented) header.splice(10, 2, ...word(onesComplement(header)))
  return Uint8Array.from([...to, ...from, 0x08, 0x00, ...header, ...transport])
}

/** Whether both checksums of a packet made by {@link packet} are right. */
export function checksumsRight(bytes: Uint8Array): boolean {
  const header = [...bytes.subarray(14, 34)]
  const total = bytes[16]! * 256 + bytes[17]!
  const transport = [...bytes.subarray(34, 14 + total)]
  const pseudo = [...bytes.subarray(26, 34), 0, bytes[23]!, ...word(transport.length)]
  return onesComplement(header) === 0 && onesComplement([...pseudo, ...transport]) === 0
}
