/** igb's answers to what igbvf asks for. */
import {
  MAC_FILTER,
  MULTICAST,
  PROMISCUOUS,
  VF_MESSAGE,
} from '../../../devices/formats/nic/mailbox-messages.ts'
import {
  hashesOf,
  idOf,
  informationOf,
  type MailboxActions,
  type MailboxMessages,
  macOf,
  mayTake,
  serveVlan,
} from '../pooled/messages.ts'
import { STANDARD_FRAME } from '../pooled/port.ts'

const NAMES: Readonly<Record<number, string>> = {
  [VF_MESSAGE.reset]: 'reset',
  [VF_MESSAGE.setMac]: 'setMac',
  [VF_MESSAGE.setMulticast]: 'setMulticast',
  [VF_MESSAGE.setVlan]: 'setVlan',
  [VF_MESSAGE.setLongPackets]: 'setLongPackets',
  [VF_MESSAGE.setPromiscuous]: 'setPromiscuous',
}

export const igbMessages: MailboxMessages = {
  resetWords: 3,

  nameOf: message => NAMES[message] ?? `message ${message}`,

  serve(actions, vf, message) {
    switch (idOf(message)) {
      case VF_MESSAGE.setMac:
        return setMac(actions, vf, message)
      case VF_MESSAGE.setMulticast:
        actions.functions[vf]!.allMulticast = (informationOf(message) & MULTICAST.overflow) !== 0
        actions.setMulticast(vf, hashesOf(message))
        return true
      case VF_MESSAGE.setVlan:
        return serveVlan(actions, vf, message)
      case VF_MESSAGE.setLongPackets:
        // Pools take frames of the standard size; a driver that wants no more has what it wants.
        return message[1]! <= STANDARD_FRAME
      case VF_MESSAGE.setPromiscuous:
        return setPromiscuous(actions, vf, informationOf(message))
      default:
        return false
    }
  },
}

function setMac(actions: MailboxActions, vf: number, message: Uint32Array): boolean {
  const information = informationOf(message)
  if (information === MAC_FILTER.clear) {
    actions.clearMacs(vf)
    return true
  }
  const mac = macOf(message)
  if (!mayTake(actions.functions[vf]!, mac)) return false
  return information === MAC_FILTER.add ? actions.addMac(vf, mac) : actions.setMac(vf, mac)
}

/** Groups are anybody's to hear; everybody's unicast is for the trusted. */
function setPromiscuous(actions: MailboxActions, vf: number, information: number): boolean {
  const fn = actions.functions[vf]!
  const unicast = (information & PROMISCUOUS.unicast) !== 0
  if (unicast && !fn.settings.trusted) return false
  fn.allMulticast = (information & PROMISCUOUS.multicast) !== 0
  fn.unicastPromiscuous = unicast
  actions.apply(vf)
  return true
}
