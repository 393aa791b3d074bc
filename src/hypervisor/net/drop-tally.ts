/** Why frames end on their way between virtual machines and adapters, and how often each happened. */

export const DROP_CAUSES = [
  'tooShort',
  'tooLong',
  'damaged',
  'sourceIsGroupAddress',
  'taggedOnAccessPort',
  'untaggedWithoutNative',
  'vlanNotAllowed',
  'forgedSource',
  'ingressLimit',
  'egressLimit',
  'reflected',
  'backupUplink',
  'notCollecting',
  'reservedAddress',
  'samePort',
  'noReceiver',
  'noCarrier',
  'receiverDisabled',
  'filtered',
  'noReceiveBuffer',
  'receiveFault',
  'sendFault',
  'queueFull',
  'machinePaused',
] as const
export type DropCause = (typeof DROP_CAUSES)[number]

const NUMBER = new Map<DropCause, number>(DROP_CAUSES.map((cause, i) => [cause, i]))

export class DropTally {
  readonly #counts = new Float64Array(DROP_CAUSES.length)

  count(cause: DropCause): void {
    this.#counts[NUMBER.get(cause)!]!++
  }

  /** Causes that occurred. */
  get byCause(): Readonly<Partial<Record<DropCause, number>>> {
    const counts = this.#counts
    return Object.fromEntries(
      DROP_CAUSES.flatMap((cause, i) => (counts[i]! > 0 ? [[cause, counts[i]!]] : [])),
    )
  }

  save(): Float64Array {
    return this.#counts.slice()
  }

  load(saved: Float64Array): void {
    this.#counts.set(saved)
  }
}
