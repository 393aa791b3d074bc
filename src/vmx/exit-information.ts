/** "VM-Exit Information Fields", gathered before a VM exit writes them. */

/** What an exit records beside its reason. Set what differs from 0; the exit clears it again. */
export class ExitInformation {
  readonly qualification = new Uint32Array(2)
  /** Guest-physical address, and guest-linear address. */
  readonly address = new Uint32Array(2)
  readonly linear = new Uint32Array(2)
  hasAddress = false
  hasLinear = false
  interruption = 0
  errorCode = 0
  /** IDT-vectoring information and error code: the event whose delivery was cut short. */
  vectoring = 0
  vectoringErrorCode = 0
  instructionLength = 0
  instructionInformation = 0
  /** RFLAGS.RF as saved: 1 where the guest is to try the operation again. */
  resume = false
  /** Pending debug exceptions stay: the exit came between two operations, or was trap-like. */
  keepsPendingDebug = false

  clear(): void {
    this.qualification[0] = 0
    this.qualification[1] = 0
    this.hasAddress = false
    this.hasLinear = false
    this.interruption = 0
    this.errorCode = 0
    this.vectoring = 0
    this.vectoringErrorCode = 0
    this.instructionLength = 0
    this.instructionInformation = 0
    this.resume = false
    this.keepsPendingDebug = false
  }
}
