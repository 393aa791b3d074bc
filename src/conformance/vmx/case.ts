/** One row of the processors' conformance table. */

export interface ProcessorCase {
  /** Unique, by subject: `apic.x2apic.selfIpi`. */
  readonly id: string
  /** File and test of the public suite from which the case is derived. */
  readonly source: string
  /** What must hold, in one sentence. */
  readonly states: string
  /** Builds a processor, runs the case; `undefined` if it holds, else what was different. */
  readonly run: () => string | undefined
}
