/** A row of the table "Fault Reason Encodings". */
export interface FaultReason {
  /** `FRCD.FR` */
  readonly code: number
  /** Label of the condition in the manual. */
  readonly id: string
  readonly name: string
  /** Not recorded if the Fault Processing Disable bit of the entry concerned is set. */
  readonly qualified: boolean
  /** What would let the request pass. */
  readonly repair: string
}

export const row = (
  code: number,
  id: string,
  qualified: boolean,
  name: string,
  repair: string,
): FaultReason => Object.freeze({ code, id, name, qualified, repair })
