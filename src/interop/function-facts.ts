/** What a format tells of a function that it gives no configuration space of, or only a part. */
import type { RequesterId } from '../core/index.ts'
import type { PORT_TYPE } from '../pcie/formats/index.ts'
import type { KnownFunction, KnownLink } from './assumed-config.ts'
import type { ListedDetails } from './lspci/details.ts'

export interface FunctionFacts {
  readonly segment: number
  readonly rid: RequesterId
  readonly title?: string | undefined
  readonly vendorId: number
  readonly deviceId: number
  readonly subsystemVendorId?: number | undefined
  readonly subsystemId?: number | undefined
  readonly classCode: number
  readonly revision?: number | undefined
  /** Of a bridge: the buses behind it. */
  readonly buses?: { readonly secondary: number; readonly subordinate: number } | undefined
  /** Whether it is a function of PCI Express; undefined: the format does not tell. */
  readonly express?: boolean | undefined
  readonly link?: KnownLink | undefined
  /** Of a PF: VFs that it has, and the routing ids of those that are on, in their order. */
  readonly virtual?:
    | {
        readonly total: number
        readonly on: readonly RequesterId[]
        /** Where they are, if that is told. */
        readonly routing?: { readonly offset: number; readonly stride: number }
        readonly deviceId?: number
      }
    | undefined
  /** Of a VF: its PF. */
  readonly physical?: RequesterId | undefined
  readonly group?: number | undefined
  /** Device/Port Type, if that is told; null for a conventional function. */
  readonly portType?: keyof typeof PORT_TYPE | null | undefined
  /** Bits of "ACS Capability"; undefined: the format does not tell. */
  readonly acs?: number | undefined
  readonly ari?: number | undefined
  readonly flr?: boolean | undefined
  readonly ariForwarding?: boolean | undefined
  readonly msiX?: KnownFunction['msiX']
  readonly details?: Partial<ListedDetails> | undefined
  /** What was read of configuration space: the header, or all but the extended part. */
  readonly start?: Uint8Array | undefined
}

const PCI_BRIDGE = 0x0604
const HOST_BRIDGE = 0x0600

/** Whether a class is that of a bridge to another PCI bus. */
export const isPciBridge = (classCode: number): boolean => classCode >>> 8 === PCI_BRIDGE

export const isHostBridge = (classCode: number): boolean => classCode >>> 8 === HOST_BRIDGE

/** What a header that was read says; whether it has capabilities too, but not which. */
export function headerFacts(header: Uint8Array): Omit<FunctionFacts, 'segment' | 'rid'> {
  const u16 = (at: number): number => header[at]! | (header[at + 1]! << 8)
  const isBridge = (header[HEADER_TYPE]! & 0x7f) === 1
  const [secondary, subordinate] = [header[SECONDARY]!, header[SECONDARY + 1]!]
  return {
    vendorId: u16(0x00),
    deviceId: u16(0x02),
    ...(!isBridge && { subsystemVendorId: u16(0x2c), subsystemId: u16(0x2e) }),
    classCode: u16(0x09) | (header[0x0b]! << 16),
    revision: header[0x08]!,
    ...(isBridge && secondary > 0 && { buses: { secondary, subordinate } }),
    ...((header[STATUS]! & HAS_CAPABILITIES) === 0 && { express: false }),
    start: header,
  }
}

const STATUS = 0x06
const HAS_CAPABILITIES = 0x10
const HEADER_TYPE = 0x0e
const SECONDARY = 0x19
