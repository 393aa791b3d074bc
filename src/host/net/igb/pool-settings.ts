/** What a pool of the 82576 accepts and how its frames are treated: VMOLR, VMVIR, DTXSWC, the rate limiter. */
import {
  DTXSWC,
  RTTBCNRC,
  RTTBCNRM,
  RTTDQSEL,
  VMOLR,
  VMVIR,
} from '../../../devices/formats/nic/i82576-registers.ts'
import { inField } from '../../../devices/formats/nic/register.ts'
import type { IgbRegisters } from './registers.ts'

/** 1,518 bytes with check sequence, and a tag. */
export const STANDARD_FRAME = 1522
/** "Transmit rate-scheduler memory": what Linux's igb writes before it limits a rate. */
const RATE_MEMORY = 0x14
const RATE_FRACTION = 2 ** 14

export interface PoolOptions {
  readonly untagged: boolean
  /** Groups whose hash is in the multicast table; all groups; unicast whose hash is in the unicast table. */
  readonly multicastHash: boolean
  readonly allMulticast: boolean
  readonly unicastHash: boolean
  readonly longestFrame: number
}

/** Broadcast is always accepted; tags and check sequences are always taken off, and put where descriptors say them. */
export function setPool(registers: IgbRegisters, pool: number, options: PoolOptions): void {
  const { LPE, RLPML, AUPE, ROMPE, ROPE, BAM, MPE, STRVLAN, STRCRC } = VMOLR.bits
  const flags =
    (options.untagged ? AUPE : 0) |
    (options.multicastHash ? ROMPE : 0) |
    (options.allMulticast ? MPE : 0) |
    (options.unicastHash ? ROPE : 0)
  registers.write(VMOLR, LPE | BAM | STRVLAN | STRCRC | flags | inField(RLPML, options.longestFrame), pool)
}

/** "Port VLAN": every frame of the pool leaves with this tag; 0: as it is. */
export const setPortVlan = (registers: IgbRegisters, pool: number, vlan: number): void =>
  registers.write(VMVIR, vlan === 0 ? 0 : VMVIR.bits.DEFAULT | inField(VMVIR.bits.PORT_VLAN, vlan), pool)

export function setSpoofCheck(registers: IgbRegisters, pool: number, on: boolean): void {
  const { MACAS, VLANAS } = DTXSWC.bits
  const mask = inField(MACAS, 1 << pool) | inField(VLANAS, 1 << pool)
  if (on) registers.set(DTXSWC, mask)
  else registers.clear(DTXSWC, mask)
}

/** "Rate-Scheduler": limits both transmit queues of a pool to so many Mb/s each; 0: no limit. */
export function setRate(
  registers: IgbRegisters,
  queues: readonly number[],
  rate: number,
  speed: number,
): void {
  for (const queue of queues) {
    registers.write(RTTDQSEL, queue)
    registers.write(RTTBCNRM, RATE_MEMORY)
    if (rate === 0) {
      registers.write(RTTBCNRC, 0)
      continue
    }
    // The factor by which the link is faster: whole part and fraction.
    const whole = Math.floor(speed / rate)
    const fraction = Math.floor(((speed - whole * rate) * RATE_FRACTION) / rate)
    const { RS_ENA, RF_INT, RF_DEC } = RTTBCNRC.bits
    registers.write(RTTBCNRC, RS_ENA | inField(RF_INT, whole) | inField(RF_DEC, fraction))
  }
}
