/**
 * "Virtualizing Memory-Mapped APIC Accesses": what becomes of a guest's access to the APIC-access page. Reads are
 * answered from the virtual-APIC page; writes go there, and "APIC-Write Emulation" follows.
 */

import { LOCAL_APIC } from '../interrupts/formats/local-apic.ts'
import type { Core } from './core.ts'
import { ACCESS } from './extended-page-tables.ts'
import { PRIMARY, SECONDARY, TERTIARY } from './formats/controls.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { virtualizeIpi } from './ipi-virtualization.ts'
import { VAPIC, virtualApicWords } from './virtual-apic-page.ts'
import { virtualizeEoi, virtualizeSelfIpi, virtualizeTpr } from './virtual-interrupts.ts'
import { slot } from './vmcs-layout.ts'

const PRIMARY_FIELD = slot('primaryProcessorBasedControls')

/** "APIC-access exit", qualification bits 15:12: how a linear access came to the page. */
const ACCESS_TYPE = { read: 0, write: 1 << 12, fetch: 2 << 12 } as const

const { TPR, EOI, ICR_LOW, ICR_HIGH, LVT_TIMER, LVT_ERROR, TIMER_INITIAL, TIMER_DIVIDE } = LOCAL_APIC
const { ID, VERSION, LDR, DFR, SVR, ISR, ESR } = LOCAL_APIC

/** Registers by index (offset / 16) that "APIC-register virtualization" lets a guest read, and write. */
const READABLE = registers(
  [ID, VERSION, TPR, EOI, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, TIMER_INITIAL, TIMER_DIVIDE],
  [ISR, ISR + 0x170],
  [LVT_TIMER, LVT_ERROR],
)
const WRITABLE = registers(
  [ID, TPR, EOI, LDR, DFR, SVR, ESR, ICR_LOW, ICR_HIGH, TIMER_INITIAL, TIMER_DIVIDE],
  [LVT_TIMER, LVT_ERROR],
)

function registers(
  offsets: readonly number[],
  ...ranges: readonly (readonly [number, number])[]
): Uint8Array {
  const present = new Uint8Array(256)
  for (const offset of offsets) present[offset >>> 4] = 1
  for (const [first, last] of ranges) for (let at = first; at <= last; at += 16) present[at >>> 4] = 1
  return present
}

/**
 * An access whose translation ends on the APIC-access page; `value` has two words, in or out. True if it was
 * virtualized. False: it causes an APIC-access VM exit, whose qualification is filled in.
 */
export function accessApicPage(
  core: Core,
  offset: number,
  width: number,
  access: number,
  value: Uint32Array,
): boolean {
  // Never beyond the low 4 bytes of a register's 16.
  const inRegister = (offset & 0xf) + width <= 4
  const shadow = (core.vmcs[PRIMARY_FIELD]! & PRIMARY.useTprShadow) !== 0
  if (shadow && inRegister) {
    if (access === ACCESS.read && isReadable(core, offset)) {
      const word = virtualApicWords(core)[(offset & 0xff0) >>> 2]!
      value[0] = (word >>> ((offset & 3) * 8)) & (0xffff_ffff >>> (32 - width * 8))
      value[1] = 0
      return true
    }
    if (access === ACCESS.write && isWritable(core, offset)) {
      write(core, offset, width, value[0]!)
      return true
    }
  }
  const type =
    access === ACCESS.read
      ? ACCESS_TYPE.read
      : access === ACCESS.write
        ? ACCESS_TYPE.write
        : ACCESS_TYPE.fetch
  core.exit.qualification[0] = type | offset
  return false
}

function isReadable(core: Core, offset: number): boolean {
  if ((core.secondaryControls & SECONDARY.apicRegisterVirtualization) !== 0)
    return READABLE[offset >>> 4] !== 0
  return (offset & 0xff0) === TPR
}

function isWritable(core: Core, offset: number): boolean {
  const controls = core.secondaryControls
  if ((controls & SECONDARY.apicRegisterVirtualization) !== 0) return WRITABLE[offset >>> 4] !== 0
  const register = offset & 0xff0
  if (register === TPR) return true
  if (register === ICR_LOW && (core.tertiaryControls & TERTIARY.ipiVirtualization) !== 0) return true
  return (controls & SECONDARY.virtualInterruptDelivery) !== 0 && (register === EOI || register === ICR_LOW)
}

/** The write itself, and "APIC-Write Emulation", by the register that was written. */
function write(core: Core, offset: number, width: number, value: number): void {
  const page = virtualApicWords(core)
  const register = offset & 0xff0
  const shift = (offset & 3) * 8
  const lanes = (0xffff_ffff >>> (32 - width * 8)) << shift
  const index = register >>> 2
  page[index] = (page[index]! & ~lanes) | ((value << shift) & lanes)
  const delivers = (core.secondaryControls & SECONDARY.virtualInterruptDelivery) !== 0
  switch (register) {
    case TPR:
      page[VAPIC.TPR]! &= 0xff
      virtualizeTpr(core, page)
      return
    case EOI:
      if (!delivers) break
      page[VAPIC.EOI] = 0
      virtualizeEoi(core, page)
      return
    case ICR_HIGH:
      page[VAPIC.ICR_HIGH]! &= 0xff00_0000
      return
    case ICR_LOW:
      if (writeCommand(core, page, delivers)) return
  }
  core.virtualApic.setTrap(EXIT_REASON.apicWrite, register)
}

/** ICR bits that a self-IPI must not set: 31:20, 17:16, 15, 13, 12 and 10:8. Bits 19:18 must be 01. */
const SELF_IPI_MASK = 0xffff_b700
const SELF_IPI = 1 << 18

function writeCommand(core: Core, page: Uint32Array, delivers: boolean): boolean {
  const command = page[VAPIC.ICR_LOW]!
  const vector = command & 0xff
  if (delivers && (command & SELF_IPI_MASK) >>> 0 === SELF_IPI && vector >= 16) {
    virtualizeSelfIpi(core, page, vector)
    return true
  }
  if ((core.tertiaryControls & TERTIARY.ipiVirtualization) === 0) return false
  return virtualizeIpi(core, command, page[VAPIC.ICR_HIGH]! >>> 24)
}
