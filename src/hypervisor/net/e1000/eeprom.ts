/** "EEPROM Address Map" of the 82540: what a driver reads before it trusts the card. */
const WORDS = 64
const CHECKSUM_WORD = 63
/** "The checksum word ... such that after adding all words, including the checksum word itself, the sum is BABAh". */
const SUM = 0xbaba
const DEVICE_ID_WORD = 13
const VENDOR_ID_WORD = 14

/** The words of the EEPROM of a card with this address. */
export function eepromOf(mac: Uint8Array, vendorId: number, deviceId: number): Uint16Array {
  const words = new Uint16Array(WORDS)
  for (let i = 0; i < 3; i++) words[i] = mac[2 * i]! | (mac[2 * i + 1]! << 8)
  words[DEVICE_ID_WORD] = deviceId
  words[VENDOR_ID_WORD] = vendorId
  const sum = words.subarray(0, CHECKSUM_WORD).reduce((total, word) => total + word, 0)
  words[CHECKSUM_WORD] = SUM - sum
  return words
}
