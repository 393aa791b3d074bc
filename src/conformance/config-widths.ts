/**
 * How many bytes an access carried. The recording does not tell; software accesses a register in its own width or in a
 * wider one, never in a narrower one. A read is compared in every width that fits; a write is made in the register's
 * own width, or in the next wider one that can hold the value.
 */
import {
  CAPABILITY,
  type CapabilityEntry,
  EXTENDED_CAPABILITY,
  HEADER,
  MSI,
  msiLayout,
} from '../pcie/formats/index.ts'

/** What is known of a function when one of its registers is accessed. */
export interface RegisterMap {
  readonly capabilities: readonly CapabilityEntry[]
  readonly read: (offset: number) => number
  /** Widths of registers that no specification of PCI names. */
  readonly own: Readonly<Record<string, number>>
}

const table = (...rows: readonly (readonly [width: number, ...offsets: number[]])[]) =>
  new Map(rows.flatMap(([width, ...offsets]) => offsets.map(offset => [offset, width] as const)))

const COMMON = table(
  [2, 0x00, 0x02, 0x04, 0x06, 0x0a],
  [1, 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x34, 0x3c, 0x3d],
)
const TYPE_0 = table([4, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x30], [2, 0x2c, 0x2e], [1, 0x3e, 0x3f])
const TYPE_1 = table(
  [4, 0x10, 0x14, 0x28, 0x2c, 0x38],
  [2, 0x1e, 0x22, 0x26, 0x30, 0x32, 0x3e],
  [1, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x20, 0x24],
)
const EXPRESS = table(
  [2, 0x02, 0x08, 0x0a, 0x10, 0x12, 0x18, 0x1a, 0x1c, 0x1e, 0x28, 0x2a, 0x30, 0x32, 0x38, 0x3a],
  [4, 0x04, 0x0c, 0x14, 0x20, 0x24, 0x2c, 0x34],
)
const CAPABILITIES: ReadonlyMap<number, ReadonlyMap<number, number>> = new Map([
  [CAPABILITY.PM, table([2, 0x02, 0x04], [1, 0x06, 0x07])],
  [CAPABILITY.EXPRESS, EXPRESS],
  [CAPABILITY.MSI_X, table([2, 0x02], [4, 0x04, 0x08])],
  [CAPABILITY.HOT_PLUG, table([1, 0x02, 0x03], [4, 0x04])],
  [CAPABILITY.BRIDGE_SUBSYSTEM, table([2, 0x04, 0x06])],
  [CAPABILITY.AF, table([1, 0x02, 0x03, 0x04, 0x05])],
])
const EXTENDED: ReadonlyMap<number, ReadonlyMap<number, number>> = new Map([
  [EXTENDED_CAPABILITY.ACS, table([2, 0x04, 0x06])],
  [EXTENDED_CAPABILITY.ARI, table([2, 0x04, 0x06])],
  [EXTENDED_CAPABILITY.ATS, table([2, 0x04, 0x06])],
  [EXTENDED_CAPABILITY.PRI, table([2, 0x04, 0x06], [4, 0x08, 0x0c])],
  [EXTENDED_CAPABILITY.PASID, table([2, 0x04, 0x06])],
  [EXTENDED_CAPABILITY.SRIOV, table([2, 0x08, 0x0a, 0x0c, 0x0e, 0x10, 0x12, 0x14, 0x16, 0x1a])],
])

const isBridge = ({ read }: Pick<RegisterMap, 'read'>): boolean =>
  (read(HEADER.offset) & HEADER.f.LAYOUT.mask) >>> HEADER.f.LAYOUT.shift === 1

/** Width of the register that begins at an offset; 1 where none is known to. */
export function registerWidth({ capabilities, read, own }: RegisterMap, offset: number): number {
  const named = own[`0x${offset.toString(16)}`]
  if (named !== undefined) return named
  if (offset < 0x40) {
    return COMMON.get(offset) ?? (isBridge({ read }) ? TYPE_1 : TYPE_0).get(offset) ?? 1
  }
  const found = capabilities
    .filter(entry => entry.extended === offset >= 0x100 && entry.offset <= offset)
    .reduce<CapabilityEntry | undefined>(
      (best, entry) => (best === undefined || entry.offset > best.offset ? entry : best),
      undefined,
    )
  if (found === undefined) return 1
  const at = offset - found.offset
  if (found.extended) return EXTENDED.get(found.id)?.get(at) ?? (offset % 4 === 0 ? 4 : 1)
  if (found.id === CAPABILITY.MSI) return messageWidth(read(found.offset), at)
  return CAPABILITIES.get(found.id)?.get(at) ?? 1
}

function messageWidth(control: number, at: number): number {
  const { data, mask, pending } = msiLayout(control)
  if (at === 2 || at === data) return 2
  return at === MSI.ADDRESS.offset || at === mask || at === pending || (at === 8 && data !== 8) ? 4 : 1
}

const fits = (value: number, offset: number, width: number): boolean =>
  offset % width === 0 && value < 2 ** (8 * width)

/** The widths that a read may have had, widest first. */
export function readWidths(register: number, offset: number, value: number): number[] {
  const widths = [4, 2, 1].filter(width => fits(value, offset, width))
  const natural = widths.filter(width => width >= register)
  return natural.length > 0 ? natural : widths
}

/** Windows of a bridge: Linux writes base and limit at once, SeaBIOS one after the other, which comes to the same. */
const WINDOWS: ReadonlyMap<number, number> = new Map([
  [0x1c, 2],
  [0x20, 4],
  [0x24, 4],
])
/** Except where SeaBIOS looks whether there is a window: it writes a byte of ones. */
const PROBE = 0xff

/** The width of a write: that of the register, or the next one that can hold the value. */
export function writeWidth(map: RegisterMap, offset: number, value: number): number {
  const natural = readWidths(registerWidth(map, offset), offset, value).at(-1) ?? 4
  if (!isBridge(map)) return natural
  return value === PROBE && WINDOWS.has(offset) ? 1 : (WINDOWS.get(offset) ?? natural)
}
