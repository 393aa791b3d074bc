/** The guest port: all that software in a virtual machine has of the machine. */
import type { Software } from '../engine/index.ts'
import type { Operation } from '../vmx/formats/operations.ts'

export interface GuestPort {
  /**
   * Executes an operation that needs nobody else, and returns its result: a record that the next call reuses. undefined:
   * something came in between, and {@link execute} has to follow with the same operation.
   */
  attempt(operation: Operation): Pick<GuestResult, 'low' | 'high'> | undefined
  /** Executes one operation on the virtual processor; interrupts that come with it are handled first. */
  execute(operation: Operation): Software<GuestResult>
}

/** How an operation ended. */
export interface GuestResult {
  /** `halted`: HLT, and no interrupt waits. `vmExit` and the failures: where the virtual processor has VMX. */
  readonly outcome: 'done' | 'halted' | 'exception' | 'vmExit' | 'vmFailValid' | 'vmFailInvalid'
  /** Result value of IN, RDMSR, read and VMCALL, as two words. */
  readonly low: number
  readonly high: number
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
  /** Exception vector, else -1. */
  readonly vector: number
  readonly error: number
}
