/** ACPI tables as plain objects: pure decoding and encoding, byte for byte. Malformed bytes throw `malformedInput`. */
export {
  type Andd,
  ATSR_FLAGS,
  type Atsr,
  type DeviceScope,
  DMAR_FLAGS,
  type Dmar,
  type DmarStructure,
  DRHD_FLAGS,
  type Drhd,
  decodeDmar,
  encodeDmar,
  type Rhsa,
  type Rmrr,
  SATC_FLAGS,
  type Satc,
  SCOPE_TYPE,
  type Sidp,
} from './dmar.ts'
export { decodeHpet, encodeHpet, type Hpet } from './hpet.ts'
export type { ReservedByte, UnknownStructure } from './layout.ts'
export { decodeMadt, encodeMadt, LOCAL_APIC_FLAGS, MADT_FLAGS, type Madt, type MadtEntry } from './madt.ts'
export { decodeMcfg, encodeMcfg, type Mcfg, type McfgAllocation } from './mcfg.ts'
export {
  decodeRsdp,
  decodeRsdt,
  decodeXsdt,
  encodeRsdp,
  encodeRsdt,
  encodeXsdt,
  isRsdp,
  type RootTable,
  RSDP_SEARCH,
  RSDP_SIGNATURE,
  RSDP_SIZE,
  type Rsdp,
} from './root.ts'
export {
  AFFINITY_ENABLED,
  decodeSrat,
  encodeSrat,
  proximityDomainOf,
  type Srat,
  type SratEntry,
} from './srat.ts'
export {
  checksumOf,
  decodeHeader,
  encodeTable,
  TABLE_HEADER_SIZE,
  type TableHeader,
  tableLength,
  textAt,
} from './table.ts'
