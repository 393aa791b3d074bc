/**
 * Functions whose makers state isolation, or lack of it, that their config space does not show: Linux's quirk tables
 * as data. A row matches by vendor and, if given, device ids and PCI Express types.
 */

import { ACS_BIT, PORT_TYPE } from '../../pcie/formats/index.ts'

const { SV, TB, RR, CR, UF, DT } = ACS_BIT

/** Bits that Linux requires before it calls a path isolated. */
export const REQUIRED_ACS = SV | RR | CR | UF

interface AcsQuirk {
  readonly vendor: number
  /** Single ids and `[first, last]` ranges; absent: every device of the vendor. */
  readonly devices?: readonly (number | readonly [number, number])[]
  /** "Device/Port Type" of the PCI Express Capabilities register; absent: any. */
  readonly expressTypes?: readonly number[]
  /** ACS bits that hold without a capability. */
  readonly provides: number
}

/** No peer-to-peer between functions of the device, by its maker's word. */
const NO_INTERNAL_PEER_TO_PEER = SV | TB | RR | CR | UF | DT
const ENDPOINT_TYPES = [PORT_TYPE.endpoint, PORT_TYPE.legacyEndpoint] as const
const ROOT_COMPLEX_INTEGRATED_ENDPOINT = [PORT_TYPE.integratedEndpoint] as const
const PORT_TYPES = [PORT_TYPE.rootPort, PORT_TYPE.downstreamPort] as const

export const ACS_QUIRKS: readonly AcsQuirk[] = [
  // Intel network controllers: 82571, 82575, 82576, 82580, I350, 82598, 82599, I219.
  {
    vendor: 0x8086,
    expressTypes: ENDPOINT_TYPES,
    devices: [
      ...[0x105e, 0x105f, 0x1060, 0x10d9],
      ...[0x10a7, 0x10a9, 0x10d6],
      ...[0x10c9, [0x10e6, 0x10e8] as const, 0x150a, 0x150d, 0x1518, 0x1526],
      ...[0x1509, [0x150e, 0x1511] as const, 0x1516, 0x1527],
      [0x1521, 0x1524],
      ...[0x10c6, 0x10db, 0x10dd, 0x10e1, [0x10f1, 0x10f1] as const, [0x10f7, 0x10fc] as const],
      ...[0x1507, 0x1514, 0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558],
      ...[0x15b7, 0x15b8],
    ],
    provides: NO_INTERNAL_PEER_TO_PEER,
  },
  { vendor: 0x8086, expressTypes: ROOT_COMPLEX_INTEGRATED_ENDPOINT, provides: REQUIRED_ACS },
  // Solarflare.
  { vendor: 0x1924, devices: [0x0903, 0x0923, 0x0a03], provides: NO_INTERNAL_PEER_TO_PEER },
  // Broadcom BCM57414 and BCM575xx.
  {
    vendor: 0x14e4,
    devices: [0x16d7, [0x1750, 0x1752], [0x1760, 0x1763]],
    provides: NO_INTERNAL_PEER_TO_PEER,
  },
  // Root ports of Arm servers and others that isolate without saying so.
  { vendor: 0x14e4, devices: [0xd714], provides: REQUIRED_ACS },
  { vendor: 0x1def, devices: [[0xe005, 0xe00c]], provides: REQUIRED_ACS },
  { vendor: 0x10e8, devices: [0xe004], provides: REQUIRED_ACS },
  { vendor: 0x1c36, devices: [0x0031], expressTypes: PORT_TYPES, provides: REQUIRED_ACS },
]

/** Bits a quirk vouches for; 0 if none matches. */
export function quirkAcs(vendor: number, device: number, expressType: number): number {
  for (const quirk of ACS_QUIRKS) {
    if (quirk.vendor !== vendor) continue
    if (quirk.expressTypes !== undefined && !quirk.expressTypes.includes(expressType)) continue
    if (quirk.devices === undefined || quirk.devices.some(row => matches(row, device))) return quirk.provides
  }
  return 0
}

const matches = (row: number | readonly [number, number], device: number): boolean =>
  typeof row === 'number' ? row === device : device >= row[0] && device <= row[1]

/**
 * Functions whose DMA carries the requester id of another function of the same device: vendor, device, and the
 * function number that appears.
 */
export const DMA_ALIAS_QUIRKS: readonly (readonly [vendor: number, device: number, fn: number])[] = [
  // Ricoh card readers.
  [0x1180, 0xe832, 0],
  [0x1180, 0xe476, 0],
  // Glenfly audio.
  [0x6766, 0x3d40, 0],
  [0x6766, 0x3d41, 0],
  // Marvell SATA controllers.
  [0x1b4b, 0x9120, 1],
  [0x1b4b, 0x9123, 1],
  [0x1b4b, 0x9128, 1],
  [0x1b4b, 0x9130, 1],
  [0x1b4b, 0x9170, 1],
  [0x1b4b, 0x9172, 1],
  [0x1b4b, 0x917a, 1],
  [0x1b4b, 0x9182, 1],
  [0x1b4b, 0x9183, 1],
  [0x1b4b, 0x91a0, 1],
  [0x1b4b, 0x9215, 1],
  [0x1b4b, 0x9220, 1],
  [0x1b4b, 0x9230, 1],
  [0x1b4b, 0x9235, 1],
  [0x1b4b, 0x9642, 1],
  // JMicron.
  [0x197b, 0x2386, 1],
]
