/** What no write to configuration space changes: bits that are read-only, and the links of the capability lists. */
import { expect } from 'vitest'
import { listCapabilities } from '../../src/pcie/formats/index.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'

/** Read-only registers that hardware itself changes, by capability: offset of the dword and the bits. */
const OF_HARDWARE: Readonly<Record<string, readonly (readonly [offset: number, mask: number])[]>> = {
  // Link Status, Slot Status, Root Status.
  '10': [
    [0x10, 0xffff_0000],
    [0x18, 0xffff_0000],
    [0x20, 0xffff_ffff],
  ],
  // Header Log, First Error Pointer, Error Source.
  x1: [
    [0x18, 0x1f],
    [0x1c, -1],
    [0x20, -1],
    [0x24, -1],
    [0x28, -1],
    [0x34, -1],
  ],
  // First VF Offset and VF Stride.
  x10: [[0x14, -1]],
  // Stopped of Page Request Status.
  x13: [[0x04, 0x0100_0000]],
  // DPC Status and Error Source.
  x1d: [[0x08, -1]],
}

export interface Expected {
  readonly fn: PcieFunction
  readonly readOnly: readonly number[]
  readonly masks: readonly number[]
  readonly list: ReturnType<typeof listCapabilities>
}

export function expectationOf(fn: PcieFunction): Expected {
  const masks = [...fn.words].map((_, at) => ~(fn.layout.writable(at) | fn.layout.clearable(at)))
  for (const { id, extended, offset } of fn.layout.capabilities) {
    for (const [register, mask] of OF_HARDWARE[`${extended ? 'x' : ''}${id.toString(16)}`] ?? []) {
      masks[(offset + register) >>> 2]! &= ~mask
    }
  }
  const readOnly = [...fn.words].map((word, at) => word & masks[at]!)
  return { fn, readOnly, masks, list: listOf(fn) }
}

const listOf = (fn: PcieFunction) => listCapabilities(offset => fn.readConfig(offset), fn.layout.size)

/** Read-only bits and capability lists are as they were. */
export function checkReadOnly({ fn, readOnly, masks, list }: Expected): void {
  const changed = readOnly.flatMap((word, at) => ((fn.words[at]! & masks[at]!) === word ? [] : [at * 4]))
  expect({ model: fn.definition.model, changed }).toEqual({ model: fn.definition.model, changed: [] })
  expect(listOf(fn)).toEqual(list)
}
