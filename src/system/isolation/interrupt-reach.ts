/** Which interrupts a function can raise: by the remapping table as it stands, whatever message it sends. */

import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../../interrupts/formats/message.ts'
import { decodeCompatibility, InterruptMessage } from '../../interrupts/index.ts'
import type { PhysicalMemory } from '../../memory/index.ts'
import { CAPABILITY, MSI, MSI_X, MSI_X_ENTRY, msiLayout } from '../../pcie/formats/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { ReachedVector } from '../../policy/isolation/index.ts'
import { type TableJudge, targetOf } from '../../vtd/index.ts'
import { interruptEntry } from './table-reach.ts'

/** Present entries of a unit's table, ascending. */
export function presentEntries({ unit }: TableJudge, memory: PhysicalMemory): number[] {
  const { table, entries } = unit.interruptTable
  const found: number[] = []
  for (let page = 0; page * 256 < entries; page++) {
    const words = memory.page(table + page)?.words
    if (words === undefined) continue
    for (let at = 0; at < 256 && page * 256 + at < entries; at++) {
      if ((words[at * 4]! & 1) !== 0) found.push(page * 256 + at)
    }
  }
  return found
}

export function vectorsOf(judge: TableJudge, present: readonly number[], rid: number): ReachedVector[] {
  return present.flatMap(index => {
    const judged = judge.entryFor(rid, index)
    if (judged === undefined) return []
    const entry = interruptEntry(judge, index, judged.words)
    return [{ index, target: targetOf(judged), posted: judged.posted, entry }]
  })
}

interface ArmedMessage {
  readonly vector: number
  readonly addressLow: number
  readonly addressHigh: number
  readonly data: number
}

/** Messages that software programmed into a function, and enabled. */
function* armedMessages(fn: PcieFunction): Generator<ArmedMessage> {
  const msiX = fn.layout.find(CAPABILITY.MSI_X)
  const control = fn.words[msiX >>> 2]!
  if (msiX > 0 && (control & MSI_X.CONTROL.f.ENABLE.mask) !== 0) {
    const vectors = ((control & MSI_X.CONTROL.f.TABLE_SIZE.mask) >>> MSI_X.CONTROL.f.TABLE_SIZE.shift) + 1
    const where = fn.words[(msiX + MSI_X.TABLE.offset) >>> 2]!
    const table = fn.region(where & MSI_X.TABLE.f.BIR.mask)
    const first = (where & MSI_X.TABLE.f.OFFSET.mask) >>> 0
    for (let vector = 0; vector < vectors; vector++) {
      const at = first + vector * MSI_X_ENTRY.SIZE
      if ((table.readDword(at + MSI_X_ENTRY.CONTROL) & MSI_X_ENTRY.MASKED) !== 0) continue
      yield {
        vector,
        addressLow: table.readDword(at) >>> 0,
        addressHigh: table.readDword(at + MSI_X_ENTRY.ADDRESS_UPPER) >>> 0,
        data: table.readDword(at + MSI_X_ENTRY.DATA) >>> 0,
      }
    }
  }
  const msi = fn.layout.find(CAPABILITY.MSI)
  const word = fn.words[msi >>> 2]!
  if (msi === 0 || (word & MSI.CONTROL.f.ENABLE.mask) === 0) return
  const { ENABLE: _, MME, C64 } = MSI.CONTROL.f
  const wide = (word & C64.mask) !== 0
  const data = fn.words[(msi + msiLayout(word).data) >>> 2]! & 0xffff
  const count = 1 << ((word & MME.mask) >>> MME.shift)
  for (let vector = 0; vector < count; vector++) {
    yield {
      vector,
      addressLow: fn.words[(msi + MSI.ADDRESS.offset) >>> 2]! >>> 0,
      addressHigh: wide ? fn.words[(msi + MSI.ADDRESS_UPPER.offset) >>> 2]! >>> 0 : 0,
      data: (data & ~(count - 1)) | vector,
    }
  }
}

/** Targets of the messages that a function is told to send. */
export function armedTargets(fn: PcieFunction, judge: TableJudge | undefined, rid: number): string[] {
  const targets = new Set<string>()
  for (const { addressLow, addressHigh, data } of armedMessages(fn)) {
    const page = addressHigh * 0x10_0000 + (addressLow >>> 12)
    if (page < INTERRUPT_FIRST_PAGE || page > INTERRUPT_LAST_PAGE) continue
    if (judge?.remapsInterrupts !== true) {
      targets.add(compatibleTarget(addressLow, data))
      continue
    }
    if ((addressLow & REMAPPABLE) === 0) continue
    const judged = judge.entryFor(rid, indexIn(addressLow, data))
    if (judged !== undefined) targets.add(targetOf(judged))
  }
  return [...targets]
}

/** The interrupt remapping table entry that a vector names; undefined if it is not armed, or in compatibility format. */
export function entryIndexOf(fn: PcieFunction, vector: number): number | undefined {
  for (const message of armedMessages(fn)) {
    if (message.vector !== vector || (message.addressLow & REMAPPABLE) === 0) continue
    return indexIn(message.addressLow, message.data)
  }
  return undefined
}

/** "Remappable format": handle, and subhandle if there is one. */
const indexIn = (addressLow: number, data: number): number =>
  (((addressLow >>> 5) & 0x7fff) | ((addressLow & 4) << 13)) +
  (addressLow & SUBHANDLE_VALID ? data & 0xffff : 0)

const REMAPPABLE = 0x10
const SUBHANDLE_VALID = 0x8

function compatibleTarget(addressLow: number, data: number): string {
  const message = new InterruptMessage()
  decodeCompatibility(addressLow, data, message)
  return `processor ${message.destination.toString(16)} vector ${message.vector}`
}
