/** Words of the 82599's EEPROM that drivers look at, besides the MAC address and the checksum. */

/** Where the lists lie that words of the first page point to. */
const FIRMWARE = 0x50
const FIRMWARE_PATCH = 0x58
const MODULES = 0x70
const MODULE_SETUP = 0x80
/** Kinds of module by number, of port 0 and 1: copper cable, 10GBASE-SR and -LR. */
const MODULE_KINDS = [3, 4, 5, 6] as const
const END = 0xffff

export const NVM_WORDS: Readonly<Record<number, number>> = {
  /** The firmware's module; its pointer to the patch, which has a version that drivers want above 5. */
  15: FIRMWARE,
  [FIRMWARE + 4]: FIRMWARE_PATCH,
  [FIRMWARE_PATCH + 7]: 0x0009,
  /** Part number, two words. */
  21: 0xfa20,
  22: 0x0d00,
  /** Image version. */
  41: 0x8000,
  /** How each kind of module is set up: behind a first word, kind and pointer, kind and pointer, and an end. */
  43: MODULES,
  ...Object.fromEntries(
    MODULE_KINDS.flatMap((kind, i) => [
      [MODULES + 1 + 2 * i, kind],
      [MODULES + 2 + 2 * i, MODULE_SETUP],
    ]),
  ),
  [MODULES + 1 + 2 * MODULE_KINDS.length]: END,
  /** Behind a first word, what is written to CORECTL; the values are ours. */
  [MODULE_SETUP + 1]: 0x0001,
  [MODULE_SETUP + 2]: END,
  /** Device capabilities: SFP+ modules of any maker. */
  44: 0x0001,
  /** EEPROM track id, two words. */
  45: 0x61c1,
  46: 0x8000,
}
