/** "APIC Virtualization and Virtual Interrupts": what the rest of the processor uses of it. */
export { accessApicPage } from './apic-access-page.ts'
export { processPostedInterrupt } from './posted-interrupts.ts'
export {
  enterApicVirtualization,
  exitForApicEvent,
  takeVirtualInterrupt,
  virtualInterruptPending,
  virtualizeTprWrite,
  virtualTaskPriority,
} from './virtual-interrupts.ts'
export { readVirtualX2apic, writeVirtualX2apic, X2APIC_WRITE } from './x2apic-virtualization.ts'
