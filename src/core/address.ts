/**
 * Numbers that people confuse, as types that cannot be. They cost nothing at run time: make one with its own
 * function at an edge (parser, decoder, allocator), never by a cast in the middle.
 */
import { NorthbridgeError } from './errors.ts'

declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** A host physical address, 0 to 2^52 - 1: exact as a double. */
export type PhysicalAddress = Branded<'PhysicalAddress'>
/** A guest-physical address, 0 to 2^52 - 1. */
export type GuestPhysicalAddress = Branded<'GuestPhysicalAddress'>
/** A 4-KiB page number: of host memory (frame), or of a 64-bit I/O virtual address (up to 2^52 - 1). */
export type PageNumber = number
/** Bus (15:8), device (7:3), function (2:0) of a requester; with ARI bits 7:0 are one function number. */
export type RequesterId = Branded<'RequesterId'>
/** A domain identifier as stored in context entries, 0 to 65535. */
export type DomainId = Branded<'DomainId'>
/** An interrupt vector, 0 to 255. */
export type Vector = Branded<'Vector'>
/** A local APIC identifier: 8 bits in xAPIC mode, 32 bits in x2APIC mode. */
export type ApicId = Branded<'ApicId'>

export const physicalAddress = (value: number): PhysicalAddress => value as PhysicalAddress
export const guestPhysicalAddress = (value: number): GuestPhysicalAddress => value as GuestPhysicalAddress
export const domainId = (value: number): DomainId => value as DomainId
export const vector = (value: number): Vector => value as Vector
export const apicId = (value: number): ApicId => value as ApicId

export const PAGE_SIZE = 4096
export const PAGE_SHIFT = 12

/** Page number of an address below 2^53. (`>>>` would cut it to 32 bits.) */
export const pageOf = (address: number): PageNumber => Math.floor(address / PAGE_SIZE)

export const requesterId = (bus: number, devfn: number): RequesterId => ((bus << 8) | devfn) as RequesterId
export const busOf = (id: RequesterId): number => id >>> 8
export const devfnOf = (id: RequesterId): number => id & 0xff
export const devfn = (device: number, fn: number): number => (device << 3) | fn

/** Where a function answers: PCI segment group (domain) and routing id. Prints as `dddd:bb:dd.f`. */
export interface FunctionAddress {
  readonly segment: number
  readonly rid: RequesterId
}

export function formatFunctionAddress(segment: number, rid: RequesterId): string {
  return `${hex(segment, 4)}:${formatRequesterId(rid)}`
}

/** `bb:dd.f` */
export function formatRequesterId(rid: RequesterId): string {
  return `${hex(rid >>> 8, 2)}:${hex((rid >>> 3) & 31, 2)}.${(rid & 7).toString(8)}`
}

const FUNCTION_ADDRESS = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i

/** Parses `dddd:bb:dd.f`, or `bb:dd.f` for segment 0. Throws `invalidArgument`. */
export function parseFunctionAddress(text: string): FunctionAddress {
  const match = FUNCTION_ADDRESS.exec(text)
  if (!match)
    throw new NorthbridgeError('invalidArgument', `"${text}" is not a function address like 0000:03:10.1`)
  const [, segment, bus, device, fn] = match
  return {
    segment: Number.parseInt(segment ?? '0', 16),
    rid: requesterId(Number.parseInt(bus!, 16), devfn(Number.parseInt(device!, 16), Number(fn))),
  }
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
