/** What a stream's guest runs on: a processor, real or virtual, as the guest meets it. */
import type { Operation } from '../../vmx/formats/operations.ts'

/** How an operation ended, as the guest sees it. A record that is reused. */
export interface StreamResult {
  /**
   * `done`: executed. `event`: `vector` has been delivered, its handler runs now; only INT n is executed then. `halted`: HLT
   * waits for an interrupt. `failed`: the guest is dead, of a triple fault or because its hypervisor gave up.
   */
  readonly outcome: 'done' | 'event' | 'halted' | 'failed'
  readonly low: number
  readonly high: number
  /** Of CPUID; of SGDT and SIDT, `ecx` is the limit. */
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
  readonly vector: number
  readonly error: number
}

export interface StreamPort {
  /** Executes the operation that lies at linear address `at` of the program. */
  execute(operation: Operation, at: number): StreamResult
}
