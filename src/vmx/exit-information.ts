/** "VM-Exit Information Fields", gathered before a VM exit writes them. */

/** What an exit records beside its reason. Set what differs from 0; the exit clears it again. */
export class ExitInformation {
  readonly qualification = new Uint32Array(2)
  /** Guest-physical address, which is the guest-linear one too. */
  readonly address = new Uint32Array(2)
  hasAddress = false
  interruption = 0
  errorCode = 0
  instructionLength = 0
  /** RFLAGS.RF as saved: 1 where the guest is to try the operation again. */
  resume = false

  clear(): void {
    this.qualification.fill(0)
    this.hasAddress = false
    this.interruption = 0
    this.errorCode = 0
    this.instructionLength = 0
    this.resume = false
  }
}
