/**
 * The EEPROM of a controller as 16-bit words: MAC address, identification, and the checksum that drivers verify. Words
 * that nobody needs read as erased storage.
 */

/** Words that are modelled, and those of the first page, which are 0 where nothing is said. */
const SIZE = 0x100
const PAGE = 0x40
/** Words 0 to 3Fh sum up to this. */
const CHECKSUM = 0xbaba
const CHECKSUM_WORD = 0x3f
const ERASED = 0xffff

export class NonVolatileMemory {
  readonly #words = new Uint16Array(SIZE).fill(ERASED, PAGE)

  /** @param words by address; the checksum is added. */
  constructor(mac: Uint8Array, words: Readonly<Record<number, number>>) {
    for (let i = 0; i < 3; i++) this.#words[i] = mac[2 * i]! | (mac[2 * i + 1]! << 8)
    for (const [address, value] of Object.entries(words)) this.#words[Number(address)] = value
    let sum = 0
    for (let i = 0; i < CHECKSUM_WORD; i++) sum += this.#words[i]!
    this.#words[CHECKSUM_WORD] = CHECKSUM - sum
  }

  read(address: number): number {
    return this.#words[address] ?? ERASED
  }
}

/**
 * A MAC address that no other controller of the machine has: the maker's prefix, then what follows from the place, then
 * the number of the function.
 */
export function macOfPlace(place: string, functionNumber: number): Uint8Array {
  const device = place.replace(/\.[0-7]$/, '')
  let hash = 0x811c_9dc5
  for (let i = 0; i < device.length; i++) hash = Math.imul(hash ^ device.charCodeAt(i), 0x0100_0193)
  const low = (hash >>> 8) & 0xff_fff0
  return Uint8Array.of(0x00, 0x1b, 0x21, low >>> 16, low >>> 8, (low & 0xf0) | functionNumber)
}
