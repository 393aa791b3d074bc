/** "PDPTE Registers": the four entries that PAE paging keeps in the processor. */
import type { Core } from './core.ts'
import { CR0, CR4 } from './formats/msrs.ts'
import { REGISTER } from './registers.ts'

export const PDPTE_WORDS = 8
/** In a present PDPTE: bits 2:1 and 8:5. */
const RESERVED = 0x1e6
const PRESENT = 1

/** Whether the processor pages with PAE: CR0.PG and CR4.PAE outside IA-32e mode. */
export const usesPdptes = (core: Core): boolean =>
  (core.registers[REGISTER.cr0]! & CR0.PG) !== 0 &&
  (core.registers[REGISTER.cr4]! & CR4.PAE) !== 0 &&
  !core.ia32eMode

/** Whether the reserved bits of a PDPTE, if it is present, are 0. */
export const isPdpteValid = (core: Core, low: number, high: number): boolean =>
  (low & PRESENT) === 0 || ((low & RESERVED) === 0 && !core.beyondWidth(high))

/** Loads the PDPTEs from physical memory at CR3; false, with some loaded, if one is not valid. */
export function loadPdptes(core: Core): boolean {
  const { registers } = core
  const cr3 = registers[REGISTER.cr3]!
  const table = registers[REGISTER.cr3 + 1]! * 2 ** 32 + cr3 - (cr3 & 0x1f)
  for (let i = 0; i < PDPTE_WORDS; i += 2) {
    const low = core.map.readDword(table + i * 4)
    const high = core.map.readDword(table + i * 4 + 4)
    if (!isPdpteValid(core, low, high)) return false
    registers[REGISTER.pdpte0 + i] = low
    registers[REGISTER.pdpte0 + i + 1] = high
  }
  return true
}
