/**
 * "APIC Virtualization and Virtual Interrupts": virtualization of TPR, PPR, EOI and self-IPIs on the virtual-APIC page,
 * and evaluation and delivery of pending virtual interrupts. Evaluation happens at the four points that the
 * specification names and nowhere else. How accesses of a guest come here is told in apic-access-page.ts and
 * x2apic-virtualization.ts.
 */
import { hasVector, highestVector, setVector } from '../interrupts/index.ts'
import type { Core } from './core.ts'
import { vmExit } from './exits.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { VAPIC, virtualApicWords } from './virtual-apic-page.ts'
import { slot } from './vmcs-layout.ts'

const PRIMARY_FIELD = slot('primaryProcessorBasedControls')
const THRESHOLD = slot('tprThreshold')
/** RVI in bits 7:0, SVI in bits 15:8. */
const STATUS = slot('guestInterruptStatus')
const EOI_EXIT_BITMAPS = [
  slot('eoiExitBitmap0'),
  slot('eoiExitBitmap1'),
  slot('eoiExitBitmap2'),
  slot('eoiExitBitmap3'),
] as const

const PRIORITY_CLASS = 0xf0

const delivers = (core: Core): boolean => (core.secondaryControls & SECONDARY.virtualInterruptDelivery) !== 0

/** At the end of a VM entry. */
export function enterApicVirtualization(core: Core): void {
  core.virtualApic.reset()
  if ((core.vmcs[PRIMARY_FIELD]! & PRIMARY.useTprShadow) === 0) return
  const controls = core.secondaryControls
  if ((controls & SECONDARY.virtualInterruptDelivery) !== 0) {
    const page = virtualApicWords(core)
    virtualizePpr(core, page)
    evaluate(core, page)
  } else if ((controls & SECONDARY.virtualizeApicAccesses) !== 0) {
    // Without that control the same relation is a check on the controls.
    testThreshold(core, virtualApicWords(core))
  }
}

/** "TPR Virtualization", after VTPR changed. */
export function virtualizeTpr(core: Core, page: Uint32Array): void {
  if (delivers(core)) {
    virtualizePpr(core, page)
    evaluate(core, page)
  } else testThreshold(core, page)
}

function testThreshold(core: Core, page: Uint32Array): void {
  const threshold = core.vmcs[THRESHOLD]! & 0xf
  if ((page[VAPIC.TPR]! & PRIORITY_CLASS) >>> 4 < threshold) {
    core.virtualApic.setTrap(EXIT_REASON.tprBelowThreshold, 0)
  }
}

/** "PPR Virtualization". */
function virtualizePpr(core: Core, page: Uint32Array): void {
  const inService = (core.vmcs[STATUS]! >>> 8) & PRIORITY_CLASS
  const taskPriority = page[VAPIC.TPR]! & 0xff
  page[VAPIC.PPR] = (taskPriority & PRIORITY_CLASS) >= inService ? taskPriority : inService
}

/** "EOI Virtualization": ends the service of SVI; the EOI-exit bitmaps may ask for a VM exit. */
export function virtualizeEoi(core: Core, page: Uint32Array): void {
  const { vmcs } = core
  const vector = (vmcs[STATUS]! >>> 8) & 0xff
  setVector(page, VAPIC.ISR, vector, false, VAPIC.STRIDE)
  setServicing(core, Math.max(highestVector(page, VAPIC.ISR, VAPIC.STRIDE), 0))
  virtualizePpr(core, page)
  if (hasVector(vmcs, EOI_EXIT_BITMAPS[vector >>> 6]!, vector & 63)) {
    core.virtualApic.setTrap(EXIT_REASON.virtualizedEoi, vector)
    core.virtualApic.recognized = false
  } else evaluate(core, page)
}

/** "Self-IPI Virtualization". */
export function virtualizeSelfIpi(core: Core, page: Uint32Array, vector: number): void {
  setVector(page, VAPIC.IRR, vector, true, VAPIC.STRIDE)
  raiseRequested(core, vector)
  evaluate(core, page)
}

/** RVI becomes the higher of itself and a vector. */
export function raiseRequested(core: Core, vector: number): void {
  const status = core.vmcs[STATUS]!
  if (vector > (status & 0xff)) core.vmcs[STATUS] = (status & 0xff00) | vector
}

const setServicing = (core: Core, vector: number): void => {
  core.vmcs[STATUS] = (core.vmcs[STATUS]! & 0xff) | (vector << 8)
}

/** "Evaluation of Pending Virtual Interrupts": classes are compared, and an open interrupt window comes first. */
export function evaluate(core: Core, page: Uint32Array): void {
  const windowExiting = (core.vmcs[PRIMARY_FIELD]! & PRIMARY.interruptWindowExiting) !== 0
  const requested = core.vmcs[STATUS]! & PRIORITY_CLASS
  core.virtualApic.recognized = !windowExiting && requested > (page[VAPIC.PPR]! & PRIORITY_CLASS)
}

/** Whether a virtual interrupt is recognized. RFLAGS.IF and blocking are the caller's to look at. */
export const virtualInterruptPending = (core: Core): boolean => core.virtualApic.recognized

/** "Virtual-Interrupt Delivery": puts the recognized interrupt into service and returns its vector. */
export function takeVirtualInterrupt(core: Core): number {
  const page = virtualApicWords(core)
  const vector = core.vmcs[STATUS]! & 0xff
  setVector(page, VAPIC.ISR, vector, true, VAPIC.STRIDE)
  page[VAPIC.PPR] = vector & PRIORITY_CLASS
  setVector(page, VAPIC.IRR, vector, false, VAPIC.STRIDE)
  core.vmcs[STATUS] = (vector << 8) | Math.max(highestVector(page, VAPIC.IRR, VAPIC.STRIDE), 0)
  core.virtualApic.recognized = false
  return vector
}

/** The trap-like exit that the last operation, or the VM entry, caused: TPR below threshold, virtualized EOI, APIC write. */
export function exitForApicEvent(core: Core): boolean {
  const { virtualApic } = core
  const reason = virtualApic.trap
  if (reason === 0) return false
  core.exit.qualification[0] = virtualApic.trapQualification
  virtualApic.setTrap(0, 0)
  vmExit(core, reason)
  return true
}

/** VTPR bits 7:4: what MOV from CR8 returns with "use TPR shadow". */
export const virtualTaskPriority = (core: Core): number => (virtualApicWords(core)[VAPIC.TPR]! >>> 4) & 0xf

/** MOV to CR8 with "use TPR shadow": bits 3:0 become VTPR bits 7:4, every other bit of VTPR 0. */
export function virtualizeTprWrite(core: Core, value: number): void {
  const page = virtualApicWords(core)
  page[VAPIC.TPR] = (value & 0xf) << 4
  virtualizeTpr(core, page)
}
