/** Reading and editing config space images before anything is built from them: what a topology document overrides. */
import {
  ACS_BIT,
  CONVENTIONAL_CONFIG_SIZE,
  EXPRESS_CONFIG_SIZE,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  listCapabilities,
  SUBSYSTEM,
} from '../pcie/formats/index.ts'

const u16 = (image: Uint8Array, offset: number): number => image[offset]! | (image[offset + 1]! << 8)

function put16(image: Uint8Array, offset: number, value: number): void {
  image[offset] = value & 0xff
  image[offset + 1] = (value >>> 8) & 0xff
}

/** Zeros at the end of an image may be missing. */
const spaceSize = (image: Uint8Array): number =>
  image.length > CONVENTIONAL_CONFIG_SIZE ? EXPRESS_CONFIG_SIZE : CONVENTIONAL_CONFIG_SIZE

const capabilitiesOf = (image: Uint8Array) =>
  listCapabilities(offset => (u16(image, offset) | (u16(image, offset + 2) << 16)) >>> 0, spaceSize(image))

/** Offset of a capability in the first 256 bytes; undefined if there is none. */
export const capabilityAt = (image: Uint8Array, id: number): number | undefined =>
  findCapability(capabilitiesOf(image), id)

/** Offset of an extended capability; undefined if there is none. */
export const extendedCapabilityAt = (image: Uint8Array, id: number): number | undefined =>
  findExtendedCapability(capabilitiesOf(image), id)

/** TotalVFs of the SR-IOV capability; 0 without one. */
export function totalVfsOf(image: Uint8Array): number {
  const at = extendedCapabilityAt(image, EXTENDED_CAPABILITY.SRIOV)
  return at === undefined ? 0 : u16(image, at + 0x0e)
}

/** "ACS Extended Capability" without an egress control vector. */
const ACS_SIZE = 8
/** The capabilities that devices have are shorter than this, SR-IOV and AER included. */
const LONGEST_USUAL = 0x50

export type AcsBit = Exclude<keyof typeof ACS_BIT, 'EC'>

/**
 * Gives a function exactly these ACS bits; none removes the capability. False, with the image as it was, if a
 * capability must be added and there is no room.
 */
export function setAcs(image: Uint8Array, bits: readonly AcsBit[]): boolean {
  const found = extendedCapabilityAt(image, EXTENDED_CAPABILITY.ACS)
  if (bits.length === 0) {
    if (found !== undefined) removeExtended(image, found)
    return true
  }
  const at = found ?? appendExtended(image, EXTENDED_CAPABILITY.ACS, ACS_SIZE)
  if (at === undefined) return false
  const mask = bits.reduce((sum, bit) => sum | ACS_BIT[bit], 0)
  put16(image, at + 4, mask)
  put16(image, at + 6, 0)
  return true
}

const extendedOffsets = (image: Uint8Array): number[] =>
  capabilitiesOf(image).flatMap(({ extended, offset }) => (extended ? [offset] : []))

/** The upper half of an extended header: next offset in bits 15:4, version in 3:0. */
const link = (image: Uint8Array, at: number, next: number): void =>
  put16(image, at + 2, (u16(image, at + 2) & 0x000f) | next)

function removeExtended(image: Uint8Array, at: number): void {
  const next = u16(image, at + 2) & 0xfff0
  const offsets = extendedOffsets(image)
  const before = offsets[offsets.indexOf(at) - 1]
  image.fill(0, at, at + ACS_SIZE)
  if (before !== undefined) link(image, before, next)
  // The head of the list cannot be unlinked: a "Null Capability" (identifier 0, version 1) stands in for it.
  else if (next !== 0) put16(image, at + 2, next | 1)
}

/** Adds a capability at the end of config space; its offset, or undefined if something is there already. */
function appendExtended(image: Uint8Array, id: number, size: number): number | undefined {
  if (image.length < EXPRESS_CONFIG_SIZE) return undefined
  const offsets = extendedOffsets(image)
  const last = offsets.at(-1)
  const at = last === undefined ? 0x100 : image.length - size
  if (last !== undefined && at < Math.max(...offsets) + LONGEST_USUAL) return undefined
  if (image.subarray(at, at + size).some(byte => byte !== 0)) return undefined
  put16(image, at, id)
  put16(image, at + 2, 1)
  if (last !== undefined) link(image, last, at << 4)
  return at
}

/** "Header Type": bit 7 says that the device has more functions than this one. */
export function setMultifunction(image: Uint8Array): void {
  image[0x0e]! |= 0x80
}

/** "Subsystem Vendor ID" and "Subsystem ID" of a type 0 header. */
export function setSubsystem(image: Uint8Array, vendor: number, id: number): void {
  put16(image, SUBSYSTEM.offset, vendor)
  put16(image, SUBSYSTEM.offset + 2, id)
}

export const headerTypeOf = (image: Uint8Array): number => image[0x0e]! & 0x7f
export const vendorIdOf = (image: Uint8Array): number => u16(image, 0x00)
