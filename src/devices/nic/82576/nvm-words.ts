/** Words of the 82576's EEPROM that drivers look at, besides the MAC address and the checksum. */
export const NVM_WORDS: Readonly<Record<number, number>> = {
  /** Compatibility. */
  3: 0x0c10,
  /** Image version 1.2.1, as igb prints it. */
  5: 0x1200 | 0x21,
  /** Part number, two words. */
  8: 0xe64e,
  9: 0x0023,
  /** Initialization control 1: device and subsystem ids are loaded. */
  10: 0x404b,
  11: 0xa03c,
  12: 0x8086,
  13: 0x10c9,
  14: 0x8086,
  /** Initialization control 2. */
  15: 0x2084,
  /** Initialization control 3 of port 1 and of port 0. */
  20: 0x0400,
  36: 0x0400,
  /** Structure pointers that there are none of. */
  55: 0xffff,
}
