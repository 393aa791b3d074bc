/** "Rate-Scheduler": the factor by which a queue is slower than its link, the same registers in both chips. */
import { inField, type NicRegister } from '../../../devices/formats/nic/register.ts'
import type { NicRegisters } from './registers.ts'

const FRACTION = 2 ** 14

export interface RateScheduler {
  /** Selects the queue. */
  readonly RTTDQSEL: NicRegister
  /** "Transmit rate-scheduler memory window". */
  readonly RTTBCNRM: NicRegister
  readonly RTTBCNRC: NicRegister<'RS_ENA' | 'RF_INT' | 'RF_DEC'>
}

/** Limits each of some transmit queues to `rate` of a link's `speed`, both in Mb/s; 0: no limit. */
export function limitQueues(
  registers: NicRegisters,
  { RTTDQSEL, RTTBCNRM, RTTBCNRC }: RateScheduler,
  queues: readonly number[],
  memoryWindow: number,
  rate: number,
  speed: number,
): void {
  const { RS_ENA, RF_INT, RF_DEC } = RTTBCNRC.bits
  const whole = Math.floor(speed / rate)
  const fraction = Math.floor(((speed - whole * rate) * FRACTION) / rate)
  const factor = rate === 0 ? 0 : RS_ENA | inField(RF_INT, whole) | inField(RF_DEC, fraction)
  registers.write(RTTBCNRM, memoryWindow)
  for (const queue of queues) {
    registers.write(RTTDQSEL, queue)
    registers.write(RTTBCNRC, factor)
  }
}
