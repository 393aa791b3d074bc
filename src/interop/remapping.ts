/** The remapping units of a capture: from its DMAR which functions they serve, from sysfs what they can do. */
import { busOf, devfnOf, hex } from '../core/index.ts'
import {
  ATSR_FLAGS,
  type DeviceScope,
  DMAR_FLAGS,
  type Dmar,
  DRHD_FLAGS,
  decodeDmar,
  SATC_FLAGS,
  SCOPE_TYPE,
} from '../platform/formats/acpi/index.ts'
import type { TopologyDocument } from '../platform/index.ts'
import { CAP, ECAP } from '../vtd/formats/index.ts'
import { capabilitiesFromWords, SERVER_CAPABILITIES, type UnitCapabilities } from '../vtd/index.ts'
import type { CapturedMachine } from './captured-facts.ts'
import type { CapturedFunction } from './captured-function.ts'
import { nodeOf } from './machine-description.ts'

export interface CapturedRemapping {
  readonly iommu: TopologyDocument['iommu']
  /** Bits, if a DMAR says. */
  readonly hostAddressWidth?: number
  readonly reservedMemory: NonNullable<TopologyDocument['reservedMemory']>
  /** The unit that an include-all structure names for a segment. */
  includeAll(segment: number): string | undefined
  /** The unit that a function of a root bus is wired to; null if none. */
  unitOf(one: CapturedFunction): string | null
}

const AMD = 0x1022
const IOMMU_CLASS = 0x0806
const HOST_BRIDGE_CLASS = 0x0600
/** Where register pages of this platform can lie. */
const UNIT_PAGES = { first: 0xfed1_0000, end: 0xfee0_0000 } as const
/** Every field of CAP and ECAP. */
const CAPABILITIES = [...Object.keys(CAP.f), ...Object.keys(ECAP.f)] as (
  | keyof typeof CAP.f
  | keyof typeof ECAP.f
)[]

export function readRemapping(
  {
    tables,
    texts,
    showsRemapping = tables.size > 0,
  }: Pick<CapturedMachine, 'tables' | 'texts' | 'showsRemapping'>,
  functions: readonly CapturedFunction[],
  /** Paths of all functions, like `0000/00:1c.0/00.0`. */
  paths: ReadonlySet<string>,
  ram: readonly { readonly base: number; readonly end: number }[],
  notes: string[],
): CapturedRemapping {
  const none = { reservedMemory: [], includeAll: () => undefined, unitOf: () => null }
  const bytes = tables.get('DMAR')
  if (bytes === undefined) {
    const amd =
      tables.has('IVRS') || functions.some(one => one.vendorId === AMD && one.classCode === IOMMU_CLASS)
    const grouped = functions.filter(({ details }) => details.group !== undefined)
    if (!amd && grouped.length > 0) return assumedUnits(grouped, functions, GROUPS_WITHOUT_TABLE, notes)
    if (!amd && !showsRemapping) return assumedUnits(functions, functions, NOTHING_TOLD, notes)
    return { ...none, iommu: { kind: amd ? 'amd' : 'none' } }
  }
  const dmar = decodeDmar(bytes)
  const units = dmar.structures.filter(structure => structure.kind === 'DRHD')
  if (units.length === 0) {
    notes.push('the DMAR table has no DRHD structure')
    return { ...none, iommu: { kind: 'none' } }
  }
  const idOf = (index: number): string => `dmar${index}`
  const includeAll = (segment: number): string | undefined => {
    const index = units.findIndex(unit => unit.segment === segment && unit.flags & DRHD_FLAGS.INCLUDE_PCI_ALL)
    return index < 0 ? undefined : idOf(index)
  }
  const reported = readUnits(texts.get('iommu-units'))
  for (const [i, { scopes }] of units.entries()) {
    if (scopes.some(scope => isFunction(scope) && scope.path.length > 1)) {
      notes.push(`${idOf(i)} names functions below bridges; units are wired to functions of root buses here`)
    }
  }
  return {
    iommu: {
      kind: 'intel-vtd',
      interruptRemapping: (dmar.flags & DMAR_FLAGS.INTR_REMAP) !== 0,
      units: units.map(({ segment, flags, registerBase }, i) => {
        const base =
          registerBase >= UNIT_PAGES.first && registerBase < UNIT_PAGES.end ? registerBase : undefined
        if (base === undefined)
          notes.push(`${idOf(i)} cannot have its registers at ${hex(registerBase)} here`)
        const affinity = dmar.structures.find(one => one.kind === 'RHSA' && one.registerBase === registerBase)
        const capabilities = reported.get(registerBase) ?? {}
        return {
          id: idOf(i),
          ...(segment > 0 && { segment }),
          ...(flags & DRHD_FLAGS.INCLUDE_PCI_ALL && { includeAll: true }),
          ...(base !== undefined && { registerBase: hex(base) }),
          ...(affinity?.kind === 'RHSA' && { numaNode: nodeOf(affinity.proximityDomain) }),
          ...(Object.keys(capabilities).length > 0 && { capabilities }),
        }
      }),
      ...readDeviceTlbs(dmar, paths),
    },
    hostAddressWidth: dmar.hostAddressWidth,
    reservedMemory: readReservedMemory(dmar, paths, ram, notes),
    includeAll,
    unitOf: one => {
      const index = units.findIndex(
        ({ segment, scopes }) => segment === one.listed.segment && scopes.some(scope => names(scope, one)),
      )
      return index < 0 ? (includeAll(one.listed.segment) ?? null) : idOf(index)
    },
  }
}

const GROUPS_WITHOUT_TABLE = 'there are IOMMU groups but no DMAR table'
const NOTHING_TOLD = 'nothing tells whether there is an IOMMU'

/** Without a table that says who is translated by which unit: one for each segment. */
function assumedUnits(
  translated: readonly CapturedFunction[],
  functions: readonly CapturedFunction[],
  why: string,
  notes: string[],
): CapturedRemapping {
  if (functions.some(({ vendorId, classCode }) => vendorId === AMD && classCode === HOST_BRIDGE_CLASS)) {
    notes.push(`${why}: AMD's is assumed, as the host bridge is AMD's`)
    return { reservedMemory: [], includeAll: () => undefined, unitOf: () => null, iommu: { kind: 'amd' } }
  }
  notes.push(`${why}: one remapping unit for each segment is assumed`)
  const served = new Set(translated)
  const segments = [...new Set(translated.map(({ listed }) => listed.segment))].filter(
    segment => segment <= 0xffff,
  )
  const idOf = (segment: number): string => `dmar${segments.indexOf(segment)}`
  // A unit that serves everything is no choice where something is served by none.
  const all = (segment: number): boolean =>
    segments.includes(segment) && functions.every(one => one.listed.segment !== segment || served.has(one))
  return {
    iommu: {
      kind: 'intel-vtd',
      units: segments.map(segment => ({
        id: idOf(segment),
        ...(segment > 0 && { segment }),
        ...(all(segment) && { includeAll: true }),
      })),
    },
    reservedMemory: [],
    includeAll: segment => (all(segment) ? idOf(segment) : undefined),
    unitOf: one => (served.has(one) ? idOf(one.listed.segment) : null),
  }
}

const isFunction = ({ type }: DeviceScope): boolean =>
  type === SCOPE_TYPE.endpoint || type === SCOPE_TYPE.bridge

function names(scope: DeviceScope, { listed: { rid } }: CapturedFunction): boolean {
  const [step] = scope.path
  return (
    isFunction(scope) &&
    scope.path.length === 1 &&
    scope.startBus === busOf(rid) &&
    step !== undefined &&
    ((step.device << 3) | step.fn) === devfnOf(rid)
  )
}

/** `cap` and `ecap` of the units in sysfs by register base: what differs from a server chipset's. */
function readUnits(text = ''): Map<number, Partial<UnitCapabilities>> {
  const units = new Map<number, Partial<UnitCapabilities>>()
  for (const section of text.split(/^\[/m)) {
    const value = (key: string): string | undefined =>
      new RegExp(`^${key}=([0-9a-f]{1,16})$`, 'm').exec(section)?.[1]
    const [address, cap, ecap] = [value('address'), value('cap'), value('ecap')]
    if (address === undefined || cap === undefined || ecap === undefined) continue
    const found = capabilitiesFromWords({ cap: wordsOf(cap), ecap: wordsOf(ecap), version: 0x10 })
    units.set(
      Number.parseInt(address, 16),
      Object.fromEntries(
        CAPABILITIES.filter(name => found[name] !== SERVER_CAPABILITIES[name]).map(name => [
          name,
          found[name],
        ]),
      ),
    )
  }
  return units
}

function wordsOf(digits: string): [low: number, high: number] {
  const padded = digits.padStart(16, '0')
  return [Number.parseInt(padded.slice(8), 16), Number.parseInt(padded.slice(0, 8), 16)]
}

function readReservedMemory(
  { structures }: Dmar,
  paths: ReadonlySet<string>,
  ram: readonly { readonly base: number; readonly end: number }[],
  notes: string[],
): CapturedRemapping['reservedMemory'] {
  return structures.flatMap(structure => {
    if (structure.kind !== 'RMRR') return []
    const { segment, base, limit, scopes } = structure
    const where = `reserved memory ${hex(base)} to ${hex(limit)}`
    const functions = scopes
      .map(({ startBus, path }) => pathText(startBus, path))
      .filter(path => paths.has(pathKey(segment, path)))
    if (functions.length < scopes.length) notes.push(`${where} names functions that are not in the dump`)
    if (functions.length === 0) return []
    if (!ram.some(range => base >= range.base && limit < range.end)) {
      notes.push(`${where} is left out: this platform has no RAM there`)
      return []
    }
    return [{ ...(segment > 0 && { segment }), base: hex(base), limit: hex(limit), functions }]
  })
}

type DeviceTlbDocument = Pick<
  Extract<TopologyDocument['iommu'], { kind: 'intel-vtd' }>,
  'atsPorts' | 'integratedCaches'
>

/** ATSR and SATC structures, as far as they name functions of root buses that were dumped. */
function readDeviceTlbs({ structures }: Dmar, paths: ReadonlySet<string>): DeviceTlbDocument {
  const namedIn = (segment: number, scopes: readonly DeviceScope[]): string[] =>
    scopes
      .filter(scope => isFunction(scope) && scope.path.length === 1)
      .map(({ startBus, path }) => pathText(startBus, path))
      .filter(path => paths.has(pathKey(segment, path)))
  const atsPorts = structures.flatMap((structure): NonNullable<DeviceTlbDocument['atsPorts']> => {
    if (structure.kind !== 'ATSR') return []
    const { segment, flags, scopes } = structure
    const place = segment > 0 ? { segment } : {}
    if (flags & ATSR_FLAGS.ALL_PORTS) return [{ ...place, allPorts: true }]
    const functions = namedIn(segment, scopes)
    return functions.length > 0 ? [{ ...place, functions }] : []
  })
  const integratedCaches = structures.flatMap(
    (structure): NonNullable<DeviceTlbDocument['integratedCaches']> => {
      if (structure.kind !== 'SATC') return []
      const { segment, flags, scopes } = structure
      const functions = namedIn(segment, scopes)
      const required = (flags & SATC_FLAGS.ATC_REQUIRED) !== 0
      return functions.length > 0
        ? [{ ...(segment > 0 && { segment }), ...(required && { required }), functions }]
        : []
    },
  )
  return {
    ...(atsPorts.length > 0 && { atsPorts }),
    ...(integratedCaches.length > 0 && { integratedCaches }),
  }
}

const twoDigits = (value: number): string => value.toString(16).padStart(2, '0')

/** Root bus and the steps down to a function, like `00:1c.0/00.0`. */
export const pathText = (
  bus: number,
  steps: readonly { readonly device: number; readonly fn: number }[],
): string => `${twoDigits(bus)}:${steps.map(({ device, fn }) => `${twoDigits(device)}.${fn}`).join('/')}`

export const pathKey = (segment: number, path: string): string => `${segment}/${path}`
