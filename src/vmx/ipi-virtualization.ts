/**
 * "IPI Virtualization": a guest's fixed, edge-triggered interprocessor interrupt to one physical destination is posted
 * to the descriptor that the PID-pointer table names, without a VM exit.
 */
import type { Core } from './core.ts'
import { postVector } from './posted-interrupts.ts'
import { pageField } from './virtual-apic-page.ts'
import { slot } from './vmcs-layout.ts'

const LAST_INDEX = slot('lastPidPointerIndex')
const TABLE = slot('pidPointerTableAddress')

/** ICR bits 31:20, 19:18 (shorthand), 17:16, 15, 13, 12, 11 (logical) and 10:8 (mode): none may be set. */
const PLAIN = 0xffff_bf00
const VALID = 1

/** False: the command is left to software, by an APIC-write VM exit. */
export function virtualizeIpi(core: Core, command: number, destination: number): boolean {
  const vector = command & 0xff
  if ((command & PLAIN) !== 0 || vector < 16) return false
  if (destination > core.vmcs[LAST_INDEX]!) return false
  const at = (core.vmcs[TABLE]! & 0xff8) + destination * 8
  const words = core.memory.page(pageField(core, TABLE) + Math.floor(at / 4096))?.words
  if (words === undefined) return false
  const low = words[(at & 0xfff) >>> 2]!
  const high = words[((at & 0xfff) >>> 2) + 1]!
  // Bits 5:1 and those beyond the physical-address width are reserved.
  if ((low & VALID) === 0 || (low & 0x3e) !== 0 || core.beyondWidth(high)) return false
  return postVector(core, low, high, vector)
}
