/** Words of the 82599's EEPROM that drivers look at, besides the MAC address and the checksum. */
export const NVM_WORDS: Readonly<Record<number, number>> = {
  /** Part number, two words. */
  21: 0xfa20,
  22: 0x0d00,
  /** Image version. */
  41: 0x8000,
  /** Device capabilities: SFP+ modules of any maker. */
  44: 0x0001,
  /** EEPROM track id, two words. */
  45: 0x61c1,
  46: 0x8000,
}
