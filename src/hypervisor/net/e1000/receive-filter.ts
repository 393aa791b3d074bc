/** "Receive Packet Filtering" of the 82540: which frames reach the host. */

import { isBroadcast, isGroupAddress } from '../../../net/formats/index.ts'
import { E1000, E1000_RAH, E1000_RCTL, RECEIVE_ADDRESSES } from '../../formats/e1000.ts'

/** By RCTL.MO: how far bytes 4 and 5 of the address are shifted to give 12 bits of hash. */
const MULTICAST_SHIFT = [4, 3, 2, 0] as const

/** @param words the register window. */
export function accepts(words: Uint32Array, low: number, high: number): boolean {
  const control = words[E1000.RCTL >>> 2]!
  if (!isGroupAddress(low)) return (control & E1000_RCTL.UPE) !== 0 || isReceiveAddress(words, low, high)
  if (isBroadcast(low, high)) return (control & (E1000_RCTL.BAM | E1000_RCTL.MPE)) !== 0
  if (control & E1000_RCTL.MPE) return true
  const hash = (high >>> MULTICAST_SHIFT[(control >>> E1000_RCTL.MO_SHIFT) & 3]!) & 0xfff
  return ((words[(E1000.MTA >>> 2) + (hash >>> 5)]! >>> (hash & 31)) & 1) !== 0
}

function isReceiveAddress(words: Uint32Array, low: number, high: number): boolean {
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    const upper = words[(E1000.RAH >>> 2) + 2 * i]!
    if (
      upper & E1000_RAH.AV &&
      words[(E1000.RAL >>> 2) + 2 * i] === low &&
      (upper & E1000_RAH.ADDRESS) === high
    ) {
      return true
    }
  }
  return false
}

/** "VLAN Filter Table Array". */
export const vlanAccepted = (words: Uint32Array, vlan: number): boolean =>
  (words[E1000.RCTL >>> 2]! & E1000_RCTL.VFE) === 0 ||
  ((words[(E1000.VFTA >>> 2) + (vlan >>> 5)]! >>> (vlan & 31)) & 1) !== 0
