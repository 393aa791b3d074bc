/** ixgbe's answers to what ixgbevf asks for, as Linux gives them with versions 1.0 to 1.4 of the mailbox's language. */
import { API_VERSION, VF_MESSAGE, XCAST_MODE } from '../../../devices/formats/nic/mailbox-messages.ts'
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

const NAMES: Readonly<Record<number, string>> = {
  [VF_MESSAGE.reset]: 'reset',
  [VF_MESSAGE.setMac]: 'setMac',
  [VF_MESSAGE.setMulticast]: 'setMulticast',
  [VF_MESSAGE.setVlan]: 'setVlan',
  [VF_MESSAGE.setLongPackets]: 'setLongPackets',
  [VF_MESSAGE.setMacVlan]: 'setMacVlan',
  [VF_MESSAGE.negotiate]: 'negotiate',
  [VF_MESSAGE.getQueues]: 'getQueues',
  [VF_MESSAGE.getReta]: 'getReta',
  [VF_MESSAGE.getRssKey]: 'getRssKey',
  [VF_MESSAGE.updateXcast]: 'updateXcast',
  [VF_MESSAGE.getLinkState]: 'getLinkState',
}
const VERSIONS: readonly number[] = ['1.0', '1.1', '1.2', '1.3', '1.4'].map(
  version => API_VERSION[version as keyof typeof API_VERSION],
)
/** Of each pool while there are 64. */
export const QUEUES_PER_POOL = 2
/** Frames without tag: the 82599 cannot let pools differ, and the host's are of the standard size. */
const SHORTEST_LIMIT = 68
const LONGEST_LIMIT = 1518

export const ixgbeMessages: MailboxMessages = {
  /** Dword 3 is the multicast filter type: bits 47:36 of the address. */
  resetWords: 4,

  nameOf: message => NAMES[message] ?? `message ${message}`,

  serve(actions, vf, message) {
    const fn = actions.functions[vf]!
    switch (idOf(message)) {
      case VF_MESSAGE.setMac: {
        const mac = macOf(message)
        return mayTake(fn, mac) && actions.setMac(vf, mac)
      }
      case VF_MESSAGE.setMulticast:
        actions.setMulticast(vf, hashesOf(message))
        return true
      case VF_MESSAGE.setVlan:
        return serveVlan(actions, vf, message)
      case VF_MESSAGE.setLongPackets:
        return setLongPackets(actions, vf, message[1]!)
      case VF_MESSAGE.setMacVlan:
        return setMacVlan(actions, vf, message)
      case VF_MESSAGE.negotiate:
        if (!VERSIONS.includes(message[1]!)) return false
        fn.api = message[1]!
        return true
      case VF_MESSAGE.getQueues:
        if (fn.api < API_VERSION['1.1']) return false
        // Transmit and receive queues, whether tags are taken off behind its back, the default queue.
        message.set([QUEUES_PER_POOL, QUEUES_PER_POOL, fn.settings.vlan === 0 ? 0 : 1, 0], 1)
        return true
      case VF_MESSAGE.updateXcast:
        return updateXcast(actions, vf, message)
      case VF_MESSAGE.getLinkState:
        if (fn.api < API_VERSION['1.2']) return false
        message[1] = 1
        return true
      default:
        // The redirection table and the hash key are the host's own, and nobody has allowed to ask for them.
        return false
    }
  },
}

/** A virtual function that wants longer frames than the host hears nothing any more. */
function setLongPackets(actions: MailboxActions, vf: number, length: number): boolean {
  if (length < SHORTEST_LIMIT) return false
  const fits = length <= LONGEST_LIMIT
  actions.setReceiver(vf, fits)
  return fits
}

/** Index 0 forgets further addresses, 1 begins a new list with this one, higher ones add to it. */
function setMacVlan(actions: MailboxActions, vf: number, message: Uint32Array): boolean {
  const index = informationOf(message)
  const fn = actions.functions[vf]!
  const { mac, trusted } = fn.settings
  const wanted = macOf(message)
  if (index > 0 && ((mac !== undefined && !trusted) || !mayTake(fn, wanted))) return false
  if (index <= 1) actions.clearMacs(vf)
  if (index === 0) return true
  // It may send from any of them, which the hardware's check of its source does not expect.
  fn.furtherMacs = true
  actions.apply(vf)
  return actions.addMac(vf, wanted)
}

function updateXcast(actions: MailboxActions, vf: number, message: Uint32Array): boolean {
  const fn = actions.functions[vf]!
  const wanted = message[1]!
  const known = fn.api >= API_VERSION['1.3'] ? XCAST_MODE.promiscuous : XCAST_MODE.allMulticast
  if (fn.api < API_VERSION['1.2'] || wanted > known) return false
  const mode = fn.settings.trusted ? wanted : Math.min(wanted, XCAST_MODE.multicast)
  // The 82599 has no pool that hears every single address.
  if (mode === XCAST_MODE.promiscuous) return false
  fn.allMulticast = mode === XCAST_MODE.allMulticast
  actions.apply(vf)
  message[1] = mode
  return true
}
