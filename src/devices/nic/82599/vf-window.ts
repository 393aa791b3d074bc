/**
 * What a virtual function of the 82599 sees in its BAR 0: its queues, its vectors, its mailbox, each at the place of its
 * first ("Device Registers - VF"). How many queues it has follows from how the physical function divided them.
 */

import {
  EITR_UPPER,
  FRTIMER,
  LINKS,
  PFMBMEM,
  PSRTYPE,
  PVFCTRL,
  PVFGPRC,
  PVFGPTC,
  PVFMAILBOX,
  PVTEIAC,
  PVTEIAM,
  PVTEICR,
  PVTEICS,
  PVTEIMC,
  PVTEIMS,
  PVTIVAR,
  PVTIVAR_MISC,
  RX_LOWER,
  RX_UPPER,
  STATUS,
  TDBAL,
} from '../../formats/nic/i82599-registers.ts'
import { I82599_VF, I82599_VF_RX, I82599_VF_TX } from '../../formats/nic/i82599-vf.ts'
import type { NicRegister } from '../../formats/nic/register.ts'

/** Registers of which each virtual function has one. */
const SINGLE: ReadonlyMap<number, readonly [NicRegister, number]> = new Map<
  number,
  readonly [NicRegister, number]
>([
  [I82599_VF.VFCTRL, [PVFCTRL, 1]],
  [I82599_VF.VFSTATUS, [STATUS, 0]],
  [I82599_VF.VFLINKS, [LINKS, 0]],
  [I82599_VF.VFFRTIMER, [FRTIMER, 0]],
  [I82599_VF.VFMAILBOX, [PVFMAILBOX, 1]],
  [I82599_VF.VTEICR, [PVTEICR, 1]],
  [I82599_VF.VTEICS, [PVTEICS, 1]],
  [I82599_VF.VTEIMS, [PVTEIMS, 1]],
  [I82599_VF.VTEIMC, [PVTEIMC, 1]],
  [I82599_VF.VTEIAC, [PVTEIAC, 1]],
  [I82599_VF.VTEIAM, [PVTEIAM, 1]],
  [I82599_VF.VTIVAR_MISC, [PVTIVAR_MISC, 1]],
  [I82599_VF.VFPSRTYPE, [PSRTYPE, 1]],
  [I82599_VF.VFGPRC, [PVFGPRC, 1]],
  [I82599_VF.VFGPTC, [PVFGPTC, 1]],
])
const RECEIVE = new Set<number>(Object.values(I82599_VF_RX).map(offset => offset & 0x3f))
const TRANSMIT = new Set<number>(Object.values(I82599_VF_TX).map(offset => offset & 0x3f))
/** EITRs that virtual functions have, counted down from the last: two each. */
export const VF_EITRS = 2

/** Number of the EITR of a virtual function's vector, among those from 24 on. */
export const eitrOf = (virtualFunction: number, vector: number): number =>
  EITR_UPPER.count - (virtualFunction + 1) * VF_EITRS + vector

/** First register of a receive queue. */
export const receiveBase = (queue: number): number =>
  queue < 64 ? RX_LOWER.RDBAL.offset + queue * 0x40 : RX_UPPER.RDBAL.offset + (queue - 64) * 0x40

/** The byte offset that a virtual function's access reaches in the register file, -1 for none. */
export function physicalOffset(virtualFunction: number, queues: number, offset: number): number {
  const single = SINGLE.get(offset)
  if (single !== undefined) return single[0].offset + virtualFunction * single[1] * single[0].stride
  if (offset >= I82599_VF.VFMBMEM && offset < I82599_VF.VFMBMEM + 64) {
    return PFMBMEM.offset + virtualFunction * 64 + offset - I82599_VF.VFMBMEM
  }
  const vector = (offset - I82599_VF.VTEITR) >> 2
  if (vector >= 0 && vector < VF_EITRS) return EITR_UPPER.offset + eitrOf(virtualFunction, vector) * 4
  const entry = (offset - I82599_VF.VTIVAR) >> 2
  if (entry >= 0 && entry < queues / 2) return PVTIVAR.offset + ((virtualFunction * queues) / 2 + entry) * 4
  const queue = (offset >>> 6) & 0x1f
  const first = virtualFunction * queues + queue
  if (queue >= queues) return -1
  if (offset >>> 12 === 1 && RECEIVE.has(offset & 0x3f)) return receiveBase(first) + (offset & 0x3f)
  if (offset >>> 12 === 2 && TRANSMIT.has(offset & 0x3f)) return TDBAL.offset + first * 0x40 + (offset & 0x3f)
  return -1
}
