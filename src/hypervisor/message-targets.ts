/** Which virtual processors an interrupt message, or an interrupt command, is for. */
import { ICR_SHORTHAND } from '../interrupts/formats/local-apic.ts'
import { INTERRUPT_RANGE_BASE, INTERRUPT_RANGE_END } from '../interrupts/formats/message.ts'
import type { Vcpu } from './vcpu.ts'
import type { InterruptCommand } from './virtual-apic.ts'

/** Whether a message address names a virtual processor: "Message Address Register Format". */
export function reaches(address: number, vcpu: Vcpu): boolean {
  if (address < INTERRUPT_RANGE_BASE || address > INTERRUPT_RANGE_END) return false
  return vcpu.apic.matches((address >>> 12) & 0xff, (address & 4) !== 0)
}

/** "Interrupt Command Register": destination shorthand, else the destination field. */
export function addressed(command: InterruptCommand, from: number, vcpu: Vcpu): boolean {
  switch (command.shorthand) {
    case ICR_SHORTHAND.self:
      return vcpu.number === from
    case ICR_SHORTHAND.allIncludingSelf:
      return true
    case ICR_SHORTHAND.allExcludingSelf:
      return vcpu.number !== from
    default:
      return vcpu.apic.matches(command.destination, command.logical)
  }
}
