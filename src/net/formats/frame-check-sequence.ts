/** "Frame Check Sequence field", IEEE 802.3 §3.2.9: CRC-32 over the frame, least significant bit first. */

const POLYNOMIAL = 0xedb8_8320

const TABLE = Int32Array.from({ length: 256 }, (_, value) => {
  let crc = value
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
  return crc
})

/** The value whose bytes follow the frame on the line, lowest first. */
export function frameCheckSequence(bytes: Uint8Array, length: number): number {
  let crc = -1
  for (let i = 0; i < length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}
