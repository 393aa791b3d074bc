/**
 * Functions whose makers state isolation, lack of it, or foreign requester ids that config space does not show:
 * Linux's tables as data (`quirks.json`, every row with its source), and how a row is applied.
 */
import { assert } from '../../core/index.ts'
import { ACS_BIT, PORT_TYPE } from '../../pcie/formats/index.ts'
import type { GroupingFunction } from './grouping-function.ts'
import data from './quirks.json' with { type: 'json' }

const { SV, RR, CR, UF } = ACS_BIT

/** Bits that Linux requires before it calls a path isolated. */
export const REQUIRED_ACS = SV | RR | CR | UF

type Range = readonly [first: number, last: number]

/** What must hold, besides ids and type, before a row answers; undefined: it answers for other bits than it lists. */
type Condition = (fn: GroupingFunction, provides: number) => number | undefined

interface AccessControlQuirk {
  readonly title: string
  /** Absent: every device of the vendor. */
  readonly devices: readonly Range[] | undefined
  readonly types: readonly number[] | undefined
  readonly provides: number
  readonly condition: Condition | undefined
}

const CONDITIONS: Readonly<Record<string, Condition>> = {
  rootBusDeviceBesideAmdIommu: (fn, provides) =>
    fn.multifunction && fn.above === undefined && fn.besideAmdIommu === true ? provides : undefined,
  // The last word either way: without the workaround such a port provides nothing.
  peerDecodesDisabled: (fn, provides) => (fn.peerDecodesDisabled === true ? provides : 0),
  // "A bit that is not offered counts as hard-wired on", with the control register where it really is.
  accessControlRegistersAreDwords: ({ acs }) =>
    acs === undefined ? undefined : (acs.nextDword ?? 0) | (REQUIRED_ACS & ~acs.capability),
}

/** `"0x1521-0x1524"` or one id. */
function rangeOf(text: string): Range {
  const [first, last = first] = text.split('-').map(Number)
  assert(
    first !== undefined && last !== undefined && first <= last,
    `quirks.json: "${text}" is a range of ids`,
  )
  return [first, last]
}

const typeOf = (name: string): number => {
  assert(name in PORT_TYPE, `quirks.json: "${name}" is a device or port type`)
  return PORT_TYPE[name as keyof typeof PORT_TYPE]
}

const bitOf = (name: string): number => {
  assert(name in ACS_BIT, `quirks.json: "${name}" is an ACS bit`)
  return ACS_BIT[name as keyof typeof ACS_BIT]
}

const among = (ranges: readonly Range[] | undefined, id: number): boolean =>
  ranges === undefined || ranges.some(([first, last]) => first <= id && id <= last)

/** Rows by vendor, in Linux's order. */
function byVendor<Row, Quirk>(
  rows: readonly Row[],
  make: (row: Row) => [string, Quirk],
): Map<number, Quirk[]> {
  const vendors = new Map<number, Quirk[]>()
  for (const row of rows) {
    const [vendor, quirk] = make(row)
    const list = vendors.get(Number(vendor)) ?? []
    vendors.set(Number(vendor), [...list, quirk])
  }
  return vendors
}

interface AccessControlRow {
  readonly title: string
  readonly vendor: string
  readonly devices?: readonly string[]
  readonly types?: readonly string[]
  readonly condition?: string
  readonly provides: readonly string[]
}

const ACCESS_CONTROL = byVendor(data.accessControl as readonly AccessControlRow[], row => {
  const { title, vendor, devices, types, condition, provides } = row
  assert(condition === undefined || condition in CONDITIONS, `quirks.json: "${condition}" is a condition`)
  const quirk: AccessControlQuirk = {
    title,
    devices: devices?.map(rangeOf),
    types: types?.map(typeOf),
    provides: provides.reduce((bits, name) => bits | bitOf(name), 0),
    condition: condition === undefined ? undefined : CONDITIONS[condition],
  }
  return [vendor, quirk]
})

/**
 * ACS bits that hold for a function by its maker's word, which then is the last one, whatever its registers say;
 * undefined if there is no such word.
 */
export function quirkAccessControl(fn: GroupingFunction): number | undefined {
  for (const { devices, types, provides, condition } of ACCESS_CONTROL.get(fn.vendorId) ?? []) {
    if (!among(devices, fn.deviceId) || (types !== undefined && !types.includes(fn.expressType))) continue
    const answer = condition === undefined ? provides : condition(fn, provides)
    if (answer !== undefined) return answer
  }
  return undefined
}

/** Whether a root port can be told to keep peers apart without having an ACS capability (Intel PCH). */
export const hasPeerDecodeWorkaround = (fn: GroupingFunction): boolean => isUnder('peerDecodesDisabled', fn)

/** Whether a function's ACS registers are doublewords: control at offset 8 of the capability. */
export const hasWideAccessControl = (fn: GroupingFunction): boolean =>
  isUnder('accessControlRegistersAreDwords', fn)

const isUnder = (condition: string, fn: GroupingFunction): boolean =>
  (ACCESS_CONTROL.get(fn.vendorId) ?? []).some(
    quirk =>
      quirk.condition === CONDITIONS[condition] &&
      among(quirk.devices, fn.deviceId) &&
      quirk.types?.includes(fn.expressType) === true,
  )

interface AliasRow {
  readonly vendor: string
  readonly devices: readonly string[]
  readonly subsystems?: readonly string[]
  /** Function number of the same device. */
  readonly function?: number
  /** Fixed places on the same bus. */
  readonly slots?: readonly string[]
  /** The first so many functions of each device number of the bus. */
  readonly functionsOfAllDevices?: number
}

interface AliasQuirk {
  readonly devices: readonly Range[]
  readonly row: AliasRow
}

const ALIASES = byVendor(data.aliases as readonly AliasRow[], row => [
  row.vendor,
  { devices: row.devices.map(rangeOf), row } satisfies AliasQuirk,
])

interface Identity {
  readonly rid: number
  readonly vendorId: number
  readonly deviceId: number
  readonly subsystemVendorId: number
  readonly subsystemId: number
}

/** Routing ids, beyond its own, under which requests of a function are known to appear. */
export function quirkAliasesOf(fn: Identity): readonly number[] {
  const found = (ALIASES.get(fn.vendorId) ?? []).filter(({ devices }) => among(devices, fn.deviceId))
  const aliases = found.flatMap(({ row }) => devfnsOf(row, fn)).map(devfn => (fn.rid & 0xff00) | devfn)
  return [...new Set(aliases)].filter(rid => rid !== fn.rid)
}

function devfnsOf(row: AliasRow, { rid, subsystemVendorId, subsystemId }: Identity): readonly number[] {
  const isThis = (subsystem: string): boolean => {
    const [vendor, id] = subsystem.split(':').map(Number)
    return vendor === subsystemVendorId && id === subsystemId
  }
  if (row.subsystems !== undefined && !row.subsystems.some(isThis)) return []
  if (row.function !== undefined) return [(rid & 0xf8) | row.function]
  if (row.slots !== undefined) return row.slots.map(devfnOfSlot)
  const count = row.functionsOfAllDevices ?? 0
  return Array.from({ length: 256 }, (_, devfn) => devfn).filter(devfn => (devfn & 7) < count)
}

const devfnOfSlot = (slot: string): number => {
  const [device, fn] = slot.split('.').map(part => Number.parseInt(part, 16))
  return (device! << 3) | fn!
}

const BRIDGES = byVendor(data.bridgesInDisguise, ({ vendor, devices }) => [vendor, devices.map(rangeOf)])

/**
 * A bridge from PCI Express to PCI without the capability that would say so: below a port, and known to put the
 * number of its secondary bus into requests.
 */
export const isDisguisedExpressBridge = (fn: GroupingFunction): boolean =>
  fn.bridge &&
  fn.expressType < 0 &&
  fn.above !== undefined &&
  fn.above.expressType >= 0 &&
  fn.above.expressType !== PORT_TYPE.pcieToPciBridge &&
  (BRIDGES.get(fn.vendorId) ?? []).some(ranges => among(ranges, fn.deviceId))

/** Ids of a device that a row of access control quirks is about, by words of its title: `intel-pch`. */
export function identityUnderQuirk(
  words: string,
  expressType: number,
): { readonly vendorId: number; readonly deviceId: number } | undefined {
  const wanted = words.toLowerCase().split(/[^a-z0-9]+/)
  for (const [vendorId, quirks] of ACCESS_CONTROL) {
    for (const { title, devices, types } of quirks) {
      if (types !== undefined && !types.includes(expressType)) continue
      if (wanted.every(word => title.toLowerCase().includes(word)))
        return { vendorId, deviceId: devices?.[0]?.[0] ?? 0 }
    }
  }
  return undefined
}
