/** What a hypervisor remembers of its guest's state between VM exits: whether it may be interrupted. */
import { RFLAGS } from '../vmx/formats/msrs.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import { BLOCKING } from './event-injection.ts'
import type { Vmcs } from './vmcs.ts'

export class GuestFlags {
  rflags: number = RFLAGS.fixed1
  interruptibility = 0

  read(vmcs: Vmcs): void {
    this.rflags = vmcs.read(VMCS.guestRflags)
    this.interruptibility = vmcs.read(VMCS.guestInterruptibilityState)
  }

  get interruptsEnabled(): boolean {
    return (this.rflags & RFLAGS.IF) !== 0
  }

  /** Interrupts are enabled and nothing blocks them. */
  get mayInterrupt(): boolean {
    return this.interruptsEnabled && (this.interruptibility & BLOCKING) === 0
  }

  /** Moves RIP past an emulated instruction, which ends what it was blocked by. */
  skip(vmcs: Vmcs): void {
    const length = vmcs.read(VMCS.exitInstructionLength)
    const [low, high] = vmcs.read64(VMCS.guestRip)
    const next = low + length
    vmcs.write(VMCS.guestRip, next, high + (next > 0xffff_ffff ? 1 : 0))
    if ((this.interruptibility & BLOCKING) === 0) return
    this.interruptibility &= ~BLOCKING
    vmcs.write(VMCS.guestInterruptibilityState, this.interruptibility)
  }
}
