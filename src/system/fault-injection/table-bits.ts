/** Which bit of memory a fault in a table is: entries are found where the unit would walk, and nothing is told to it. */
import {
  hex,
  NorthbridgeError,
  PAGE_SIZE,
  parseAddress64,
  parseFunctionAddress,
  Random,
} from '../../core/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { Platform } from '../../platform/index.ts'
import { type RemappingUnit, type TableEntryView, tableEntries } from '../../vtd/index.ts'
import { entryIndexOf } from '../isolation/interrupt-reach.ts'
import { wayOf } from '../isolation/ways.ts'
import type { Fault } from './fault-schema.ts'

type Of<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>
export type BitFault = Of<'memoryBit' | 'tableBit' | 'interruptEntryBit' | 'randomTableBit'>

interface Bit {
  /** Physical address of the entry. */
  readonly address: number
  readonly bit: number
  readonly change: 'flip' | 'set' | 'clear'
  readonly what: string
}

/** Changes a bit. Returns what it was in a sentence. Throws `notFound` if there is no such entry. */
export function changeBit(
  hardware: Platform,
  fault: BitFault,
  fn: (address: string) => PcieFunction,
): string {
  const { address, bit, change, what } = locate(hardware, fault, fn)
  const at = address + Math.floor(bit / 32) * 4
  const page = hardware.memory.pageForWrite(Math.floor(at / PAGE_SIZE))
  if (page === undefined) throw new NorthbridgeError('notFound', `there is no memory at ${hex(at)}`)
  const word = (at % PAGE_SIZE) / 4
  const before = page.words[word]!
  const mask = 1 << (bit % 32)
  const after = change === 'set' ? before | mask : change === 'clear' ? before & ~mask : before ^ mask
  page.words[word] = after >>> 0
  const values = `${hex(before >>> 0, 8)} became ${hex(after >>> 0, 8)}`
  return `bit ${bit} of ${what} at ${hex(address)}: the dword at ${hex(at)} was ${values}`
}

function locate(hardware: Platform, fault: BitFault, find: (address: string) => PcieFunction): Bit {
  if (fault.kind === 'memoryBit') {
    const { page, offset } = parseAddress64(fault.physicalAddress)
    const address = page * PAGE_SIZE + offset - (offset % 4)
    return { address, bit: fault.bit, change: fault.change, what: 'memory' }
  }
  const fn = find(fault.function)
  const unit = unitOf(hardware, fn, fault.function)
  if (fault.kind === 'interruptEntryBit') {
    const index = entryIndexOf(fn, fault.vector)
    if (index === undefined) {
      throw new NorthbridgeError('notFound', `vector ${fault.vector} of ${fault.function} names no entry`)
    }
    const address = unit.interruptTable.table * PAGE_SIZE + index * 16
    return { address, bit: fault.bit, change: fault.change, what: `interrupt remapping entry ${index}` }
  }
  // Behind a bridge tables are found under the bridge's id.
  const sourceId = wayOf(fn, 0, 0, false).requesterId
  const entries = (pasid: number | undefined, fromPage: number) =>
    tableEntries(hardware.memory, { ...unit.rootTable, sourceId, pasid, fromPage })
  if (fault.kind === 'randomTableBit') {
    const present: TableEntryView[] = []
    for (const entry of entries(undefined, 0)) {
      if (entry.present && present.push(entry) === MOST_ENTRIES) break
    }
    if (present.length === 0) throw noEntry(fault.function)
    const random = new Random(fault.seed)
    const entry = present[random.integer(0, present.length - 1)]!
    const bit = random.integer(0, bitsOf(entry) - 1)
    return { address: Number(entry.address), bit, change: 'flip', what: nameOf(entry) }
  }
  const { page } = parseAddress64(fault.address)
  for (const entry of entries(fault.pasid, page)) {
    if (entry.table !== fault.table) continue
    if (entry.level !== undefined) {
      const covers = parseAddress64(entry.input!).page <= page
      const isLeaf = entry.level === 1 || entry.fields['PS'] === 1
      if (!covers || (fault.level === undefined ? !isLeaf : entry.level !== fault.level)) continue
    }
    if (fault.bit >= bitsOf(entry)) {
      const message = `must be below ${bitsOf(entry)}, the bits of ${nameOf(entry)}`
      throw new NorthbridgeError('invalidArgument', `bit ${message}`, {
        issues: [{ path: '/fault/bit', message }],
      })
    }
    return { address: Number(entry.address), bit: fault.bit, change: fault.change, what: nameOf(entry) }
  }
  throw noEntry(fault.function)
}

/** As many as a random choice looks at. */
const MOST_ENTRIES = 100_000

const noEntry = (address: string): NorthbridgeError =>
  new NorthbridgeError('notFound', `the tables of ${address} have no such entry`)

/** Two hexadecimal digits are a byte. */
const bitsOf = ({ raw }: TableEntryView): number => (raw.length - 2) * 4

const nameOf = ({ table, level }: TableEntryView): string =>
  level === undefined ? `the ${table} entry` : `the ${table} entry of level ${level}`

function unitOf(hardware: Platform, fn: PcieFunction, text: string): RemappingUnit {
  const unit = hardware.unitOf(fn.segment, parseFunctionAddress(text).rid)
  if (unit === undefined) throw new NorthbridgeError('notFound', `no remapping unit translates ${text}`)
  return unit
}
