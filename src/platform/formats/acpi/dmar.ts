/** "DMA Remapping Reporting Structure" (DMAR), VT-d specification, "BIOS Considerations". */
import {
  type AnyLayout,
  concatenate,
  decodeStructure,
  encodeStructure,
  layout,
  malformed,
  type ReservedByte,
  structuresOf,
  type UnknownStructure,
  type Values,
  type ValuesOf,
  withHeader,
} from './layout.ts'
import { decodeHeader, encodeTable, type TableHeader } from './table.ts'

/** Bits of the table's Flags. */
export const DMAR_FLAGS = { INTR_REMAP: 1, X2APIC_OPT_OUT: 2, DMA_CTRL_PLATFORM_OPT_IN: 4 } as const
/** Bit of a DRHD's Flags: serves every function of the segment that no other unit's scopes name. */
export const DRHD_FLAGS = { INCLUDE_PCI_ALL: 1 } as const
export const ATSR_FLAGS = { ALL_PORTS: 1 } as const
export const SATC_FLAGS = { ATC_REQUIRED: 1 } as const
/** "Device Scope Entry" types. */
export const SCOPE_TYPE = { endpoint: 1, bridge: 2, ioapic: 3, hpet: 4, namespace: 5 } as const

export interface DeviceScope {
  /** One of {@link SCOPE_TYPE}. */
  readonly type: number
  readonly enumerationId: number
  readonly startBus: number
  /** Each step after the first goes through the secondary bus of the bridge before it. */
  readonly path: readonly { readonly device: number; readonly fn: number }[]
  readonly reserved?: readonly ReservedByte[]
}

const TABLE = layout(12, { width: [0, 1], flags: [1, 1] })
const SCOPE = layout(6, { enumerationId: [4, 1], startBus: [5, 1] })
const HEADER_WIDTH = 2

/** Fixed parts, and what follows them. `type` is the structure's number. */
const STRUCTURES = {
  DRHD: {
    type: 0,
    tail: 'scopes',
    /** `size`: the register set takes 2^size pages. */
    fixed: layout(16, { flags: [4, 1], size: [5, 1], segment: [6, 2], registerBase: [8, 8] }),
  },
  /** `limit` is the last byte. */
  RMRR: { type: 1, tail: 'scopes', fixed: layout(24, { segment: [6, 2], base: [8, 8], limit: [16, 8] }) },
  ATSR: { type: 2, tail: 'scopes', fixed: layout(8, { flags: [4, 1], segment: [6, 2] }) },
  RHSA: { type: 3, tail: 'none', fixed: layout(20, { registerBase: [8, 8], proximityDomain: [16, 4] }) },
  ANDD: { type: 4, tail: 'bytes', fixed: layout(8, { deviceNumber: [7, 1] }) },
  SATC: { type: 5, tail: 'scopes', fixed: layout(8, { flags: [4, 1], segment: [6, 2] }) },
  SIDP: { type: 6, tail: 'scopes', fixed: layout(8, { segment: [6, 2] }) },
} as const
type Structures = typeof STRUCTURES
type Kind = keyof Structures
type Tail<T> = T extends 'scopes'
  ? { readonly scopes: readonly DeviceScope[] }
  : T extends 'bytes'
    ? /** The ACPI object's name, NUL-terminated. */ { readonly name: Uint8Array }
    : unknown

type Structure<K extends Kind> = { readonly kind: K } & ValuesOf<Structures[K]['fixed']> &
  Tail<Structures[K]['tail']>
export type Drhd = Structure<'DRHD'>
export type Rmrr = Structure<'RMRR'>
export type Atsr = Structure<'ATSR'>
export type Rhsa = Structure<'RHSA'>
export type Andd = Structure<'ANDD'>
export type Satc = Structure<'SATC'>
export type Sidp = Structure<'SIDP'>
export type DmarStructure = Drhd | Rmrr | Atsr | Rhsa | Andd | Satc | Sidp | UnknownStructure

export interface Dmar {
  readonly header: TableHeader
  /** Bits, as `Host Address Width` + 1 says. */
  readonly hostAddressWidth: number
  /** See {@link DMAR_FLAGS}. */
  readonly flags: number
  readonly structures: readonly DmarStructure[]
  readonly reserved?: readonly ReservedByte[]
}

const KIND_OF_TYPE = new Map<number, Kind>(
  (Object.entries(STRUCTURES) as [Kind, Structures[Kind]][]).map(([kind, { type }]) => [type, kind]),
)

export function decodeDmar(bytes: Uint8Array): Dmar {
  const header = decodeHeader(bytes, 'DMAR')
  const { width, flags, reserved } = decodeStructure('DMAR', TABLE, bytes, 36, bytes.length)
  const structures: DmarStructure[] = []
  for (const { type, at, end } of structuresOf('DMAR', bytes, 36 + TABLE.size, HEADER_WIDTH)) {
    const kind = KIND_OF_TYPE.get(type)
    if (kind === undefined) {
      structures.push({ kind: 'unknown', bytes: bytes.slice(at, end) })
      continue
    }
    const { tail } = STRUCTURES[kind]
    const fixed: AnyLayout = STRUCTURES[kind].fixed
    const values = decodeStructure('DMAR', fixed, bytes, at, end, 2 * HEADER_WIDTH)
    const start = at + fixed.size
    if (tail === 'none' && start !== end) malformed('DMAR', start, `${kind} ends after ${fixed.size} bytes`)
    const rest =
      tail === 'scopes'
        ? { scopes: decodeScopes(bytes, start, end) }
        : tail === 'bytes'
          ? { name: bytes.slice(start, end) }
          : {}
    structures.push({ kind, ...values, ...rest } as DmarStructure)
  }
  return { header, hostAddressWidth: width + 1, flags, structures, ...(reserved && { reserved }) }
}

function decodeScopes(bytes: Uint8Array, start: number, end: number): DeviceScope[] {
  const scopes: DeviceScope[] = []
  for (const { type, at, end: scopeEnd } of structuresOf('DMAR', bytes.subarray(0, end), start, 1)) {
    const values = decodeStructure('DMAR', SCOPE, bytes, at, scopeEnd, 2)
    const pathBytes = scopeEnd - at - SCOPE.size
    if (pathBytes === 0 || pathBytes % 2 !== 0)
      malformed('DMAR', at + 1, 'a device scope ends with one or more pairs of device and function')
    const path = Array.from({ length: pathBytes / 2 }, (_, i) => ({
      device: bytes[at + SCOPE.size + 2 * i]!,
      fn: bytes[at + SCOPE.size + 2 * i + 1]!,
    }))
    scopes.push({ type, ...values, path })
  }
  return scopes
}

const encodeScope = (scope: DeviceScope): Uint8Array =>
  withHeader(
    concatenate(
      encodeStructure(SCOPE, scope),
      Uint8Array.from(scope.path.flatMap(({ device, fn }) => [device, fn])),
    ),
    scope.type,
    1,
  )

function encodeDmarStructure(structure: DmarStructure): Uint8Array {
  if (structure.kind === 'unknown') return structure.bytes
  const { type } = STRUCTURES[structure.kind]
  const fixed: AnyLayout = STRUCTURES[structure.kind].fixed
  const tail =
    'scopes' in structure
      ? structure.scopes.map(encodeScope)
      : 'name' in structure
        ? [structure.name as Uint8Array]
        : []
  // The compiler cannot follow that `fixed` belongs to the structure's own kind.
  const bytes = encodeStructure(fixed, structure as unknown as Values<AnyLayout['fields']>)
  return withHeader(concatenate(bytes, ...tail), type, HEADER_WIDTH)
}

export function encodeDmar({ header, hostAddressWidth, flags, structures, reserved }: Dmar): Uint8Array {
  const fixed = encodeStructure(TABLE, { width: hostAddressWidth - 1, flags, ...(reserved && { reserved }) })
  return encodeTable(header, fixed, ...structures.map(encodeDmarStructure))
}
