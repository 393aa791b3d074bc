/**
 * A configuration space for a function of which only facts are known: formats such as hwloc's and libvirt's carry
 * none. It has what the facts say and what the specifications require of such a function, and nothing else: no base
 * addresses, no function level reset.
 */
import { ImageWriter } from '../devices/index.ts'
import {
  ACS,
  ACS_BIT,
  ARI,
  BUS_NUMBERS,
  CAPABILITY,
  CLASS,
  CONVENTIONAL_CONFIG_SIZE,
  EXPRESS,
  EXPRESS_CONFIG_SIZE,
  EXTENDED_CAPABILITY,
  HEADER,
  ID,
  MSI,
  MSI_X,
  PORT_TYPE,
  SRIOV,
  SUBSYSTEM,
} from '../pcie/formats/index.ts'

export interface KnownFunction {
  readonly vendorId: number
  readonly deviceId: number
  readonly subsystemVendorId?: number | undefined
  readonly subsystemId?: number | undefined
  /** 24 bits. */
  readonly classCode: number
  readonly revision?: number | undefined
  readonly multifunction?: boolean | undefined
  readonly bridge?:
    | { readonly primary: number; readonly secondary: number; readonly subordinate: number }
    | undefined
  /** Absent for a conventional function. */
  readonly express?:
    | {
        readonly type: keyof typeof PORT_TYPE
        readonly link?: KnownLink | undefined
      }
    | undefined
  readonly sriov?:
    | {
        readonly totalVfs: number
        readonly numVfs: number
        readonly offset: number
        readonly stride: number
        readonly vfDeviceId: number
      }
    | undefined
  /** Bits of "ACS Capability". */
  readonly acs?: number | undefined
  /** "Next Function Number" of ARI. */
  readonly ari?: number | undefined
  /** Function level reset. */
  readonly flr?: boolean | undefined
  /** Of a port: it can forward by ARI function numbers. */
  readonly ariForwarding?: boolean | undefined
  readonly msiX?:
    | {
        readonly vectors: number
        readonly table: { readonly bar: number; readonly offset: number }
        readonly pending: { readonly bar: number; readonly offset: number }
      }
    | undefined
}

/** Encodings of "Link Capabilities" and "Link Status". */
export interface KnownLink {
  readonly maxSpeed: number
  readonly maxWidth: number
  readonly speed: number
  readonly width: number
  readonly port?: number | undefined
}

const AT = { express: 0x40, msi: 0x80, msiX: 0x90, extended: 0x100 } as const
/** "Supported Page Sizes": what every SR-IOV device must support. */
const PAGE_SIZES = 0x553
/** What keeps the peers of a function apart. */
export const ISOLATING = ACS_BIT.SV | ACS_BIT.RR | ACS_BIT.CR | ACS_BIT.UF

export function assumedConfig(known: KnownFunction): Uint8Array {
  const { express, bridge } = known
  const image = new ImageWriter(express === undefined ? CONVENTIONAL_CONFIG_SIZE : EXPRESS_CONFIG_SIZE)
  image.write(0, ID, { VENDOR: known.vendorId, DEVICE: known.deviceId })
  image.write(0, CLASS, { CODE: known.classCode, REVISION: known.revision ?? 0 })
  image.write(0, HEADER, { LAYOUT: bridge === undefined ? 0 : 1, MF: known.multifunction ? 1 : 0 })
  if (bridge === undefined) {
    image.write(0, SUBSYSTEM, { VENDOR: known.subsystemVendorId ?? 0, ID: known.subsystemId ?? 0 })
  } else {
    const { primary: PRIMARY, secondary: SECONDARY, subordinate: SUBORDINATE } = bridge
    image.write(0, BUS_NUMBERS, { PRIMARY, SECONDARY, SUBORDINATE })
  }
  if (express === undefined) return image.bytes()
  writeExpress(image, express, known)
  // "PCI Express devices that generate interrupts must support MSI or MSI-X": of the two, the smaller.
  if (bridge === undefined && known.msiX === undefined) {
    image.capability(AT.msi, CAPABILITY.MSI)
    image.write(AT.msi, MSI.CONTROL, { C64: 1 })
  }
  if (known.msiX !== undefined) writeMsiX(image, known.msiX)
  writeExtended(image, known)
  return image.bytes()
}

function writeExpress(
  image: ImageWriter,
  { type, link }: NonNullable<KnownFunction['express']>,
  { flr, ariForwarding }: KnownFunction,
): void {
  image.capability(AT.express, CAPABILITY.EXPRESS)
  image.write(AT.express, EXPRESS.CAPABILITIES, { VERSION: 2, TYPE: PORT_TYPE[type] })
  image.write(AT.express, EXPRESS.DEVICE_CAPABILITIES, { RBER: 1, FLR: flr === true ? 1 : 0 })
  image.write(AT.express, EXPRESS.DEVICE_CAPABILITIES_2, { ARI_FORWARDING: ariForwarding === true ? 1 : 0 })
  if (link === undefined) return
  const { maxSpeed, maxWidth, speed, width, port = 0 } = link
  image.write(AT.express, EXPRESS.LINK_CAPABILITIES, { SPEED: maxSpeed, WIDTH: maxWidth, PORT: port })
  image.write(AT.express, EXPRESS.LINK_CONTROL, { SPEED: speed, WIDTH: width })
}

function writeMsiX(
  image: ImageWriter,
  { vectors, table, pending }: NonNullable<KnownFunction['msiX']>,
): void {
  image.capability(AT.msiX, CAPABILITY.MSI_X)
  image.write(AT.msiX, MSI_X.CONTROL, { TABLE_SIZE: vectors - 1 })
  image.write(AT.msiX, MSI_X.TABLE, { BIR: table.bar, OFFSET: table.offset / 8 })
  image.write(AT.msiX, MSI_X.PBA, { BIR: pending.bar, OFFSET: pending.offset / 8 })
}

/** The list begins at 100h; each capability takes what comes next. */
function writeExtended(image: ImageWriter, { sriov, acs = 0, ari }: KnownFunction): void {
  let at: number = AT.extended
  const begin = (id: number, size: number): number => {
    const base = at
    image.extended(base, id, 1)
    at += size
    return base
  }
  if (sriov !== undefined) writeSriov(image, begin(EXTENDED_CAPABILITY.SRIOV, SRIOV.SIZE), sriov)
  if (acs !== 0) image.dword(begin(EXTENDED_CAPABILITY.ACS, ACS.SIZE) + ACS.CAPABILITY.offset, acs)
  if (ari !== undefined) image.write(begin(EXTENDED_CAPABILITY.ARI, ARI.SIZE), ARI.CONTROL, { NEXT: ari })
}

function writeSriov(image: ImageWriter, at: number, sriov: NonNullable<KnownFunction['sriov']>): void {
  const { totalVfs, numVfs, offset, stride, vfDeviceId } = sriov
  image.write(at, SRIOV.CONTROL, { VFE: numVfs > 0 ? 1 : 0, MSE: numVfs > 0 ? 1 : 0 })
  image.write(at, SRIOV.COUNTS, { INITIAL: totalVfs, TOTAL: totalVfs })
  image.write(at, SRIOV.NUM_VFS, { NUM_VFS: numVfs })
  image.write(at, SRIOV.ROUTING, { OFFSET: offset, STRIDE: stride })
  image.write(at, SRIOV.VF_DEVICE, { ID: vfDeviceId })
  image.write(at, SRIOV.SUPPORTED_PAGE_SIZES, { SIZES: PAGE_SIZES })
  image.write(at, SRIOV.SYSTEM_PAGE_SIZE, { SIZE: 1 })
}
