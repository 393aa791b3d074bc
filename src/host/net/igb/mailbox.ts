/** The physical function's end of the mailbox, and igb's answers to what virtual functions ask for. */
import { MBVFICR, P2VMAILBOX, VFLRE, VMBMEM } from '../../../devices/formats/nic/i82576-registers.ts'
import {
  MAC_FILTER,
  MAILBOX_WORDS,
  MESSAGE_FIELD,
  MULTICAST,
  PF_CONTROL,
  PF_MAILBOX,
  PROMISCUOUS,
  VF_MESSAGE,
} from '../../../devices/formats/nic/mailbox-messages.ts'
import { fieldOf } from '../../../devices/formats/nic/register.ts'
import type { Trace } from '../../../engine/index.ts'
import { STANDARD_FRAME } from './pool-settings.ts'
import type { IgbRegisters } from './registers.ts'
import { type IgbVirtualFunction, isStationAddress } from './virtual-function.ts'

const { ID, INFO, INFO_SHIFT, CTS, NACK, ACK } = MESSAGE_FIELD

/** What the driver does with the hardware for a virtual function. */
export interface MailboxActions {
  /** Defaults after a reset of the virtual function; its queues may work again. */
  enable(vf: number): void
  /** Takes its filters away. */
  disable(vf: number): void
  setMac(vf: number, mac: Uint8Array): void
  /** False if there is no entry left. */
  addMac(vf: number, mac: Uint8Array): boolean
  clearMacs(vf: number): void
  applyMulticast(vf: number): void
  applyPromiscuous(vf: number): void
  setVlan(vf: number, vlan: number, add: boolean): boolean
}

export class IgbMailbox {
  readonly #registers: IgbRegisters
  readonly #actions: MailboxActions
  readonly #trace: Trace
  readonly #address: string
  readonly #message = new Uint32Array(MAILBOX_WORDS)
  #functions: readonly IgbVirtualFunction[] = []

  constructor(registers: IgbRegisters, actions: MailboxActions, trace: Trace, address: string) {
    this.#registers = registers
    this.#actions = actions
    this.#trace = trace
    this.#address = address
  }

  set functions(functions: readonly IgbVirtualFunction[]) {
    this.#functions = functions
  }

  /** Serves every virtual function that was reset or has something to say. */
  serve(): void {
    const registers = this.#registers
    const reset = registers.read(VFLRE)
    const causes = registers.read(MBVFICR)
    const requests = fieldOf(causes, MBVFICR.bits.VFREQ)
    // Acknowledgements need no answer but to be noted.
    registers.write(MBVFICR, causes)
    for (let vf = 0; vf < this.#functions.length; vf++) {
      if ((reset >>> vf) & 1) this.#wasReset(vf)
      if ((requests >>> vf) & 1) this.#receive(vf)
    }
  }

  #wasReset(vf: number): void {
    this.#registers.write(VFLRE, 1 << vf)
    this.#functions[vf]!.reset()
    this.#actions.disable(vf)
  }

  #receive(vf: number): void {
    const registers = this.#registers
    if (!this.#lock(vf)) return
    for (let i = 0; i < MAILBOX_WORDS; i++) this.#message[i] = registers.read(VMBMEM, vf * MAILBOX_WORDS + i)
    registers.write(P2VMAILBOX, PF_MAILBOX.ACK, vf)
    const first = this.#message[0]!
    // An answer of the virtual function is no question.
    if (first & (ACK | NACK)) return
    this.#answer(vf, first)
  }

  #lock(vf: number): boolean {
    this.#registers.write(P2VMAILBOX, PF_MAILBOX.PFU, vf)
    return (this.#registers.read(P2VMAILBOX, vf) & PF_MAILBOX.PFU) !== 0
  }

  #answer(vf: number, first: number): void {
    const fn = this.#functions[vf]!
    const message = first & ID
    if (message === VF_MESSAGE.reset) {
      this.#reset(vf)
      return
    }
    // Until it has reset itself, a virtual function gets nothing.
    const granted = fn.clearToSend && this.#serve(vf, message, (first & INFO) >>> INFO_SHIFT)
    this.#tell(vf, message, granted)
    this.#send(vf, [(first | (granted ? ACK : NACK) | (fn.clearToSend ? CTS : 0)) >>> 0])
  }

  #reset(vf: number): void {
    const fn = this.#functions[vf]!
    fn.reset()
    this.#actions.disable(vf)
    const { mac } = fn.settings
    if (mac !== undefined) this.#actions.setMac(vf, mac)
    this.#actions.enable(vf)
    fn.clearToSend = true
    this.#tell(vf, VF_MESSAGE.reset, mac !== undefined)
    const bytes = new Uint8Array(8)
    // Without an address of the administrator's choice the virtual function makes one up.
    if (mac !== undefined) bytes.set(mac)
    const words = new DataView(bytes.buffer)
    const head = (VF_MESSAGE.reset | CTS | (mac === undefined ? NACK : ACK)) >>> 0
    this.#send(vf, [head, words.getUint32(0, true), words.getUint32(4, true)])
  }

  /** Whether a request is granted. */
  #serve(vf: number, message: number, info: number): boolean {
    switch (message) {
      case VF_MESSAGE.setMac:
        return this.#setMac(vf, info)
      case VF_MESSAGE.setMulticast:
        return this.#setMulticast(vf, info)
      case VF_MESSAGE.setVlan:
        return this.#setVlan(vf, info)
      case VF_MESSAGE.setLongPackets:
        // Pools take frames of the standard size; a driver that wants no more has what it wants.
        return this.#message[1]! <= STANDARD_FRAME
      case VF_MESSAGE.setPromiscuous:
        return this.#setPromiscuous(vf, info)
      default:
        return false
    }
  }

  #setMac(vf: number, info: number): boolean {
    const fn = this.#functions[vf]!
    const mac = new Uint8Array(this.#message.buffer.slice(4, 10))
    if (info === MAC_FILTER.clear) {
      this.#actions.clearMacs(vf)
      return true
    }
    // What the administrator has set stays, unless the virtual function is trusted.
    if (fn.settings.mac !== undefined && !fn.settings.trusted && !sameBytes(mac, fn.settings.mac))
      return false
    if (!isStationAddress(mac)) return false
    if (info === MAC_FILTER.add) return this.#actions.addMac(vf, mac)
    this.#actions.setMac(vf, mac)
    return true
  }

  #setMulticast(vf: number, info: number): boolean {
    const fn = this.#functions[vf]!
    const count = Math.min(info & ~MULTICAST.overflow, MULTICAST.most)
    const hashes = new Uint16Array(this.#message.buffer, 4, count)
    fn.hashes = [...hashes].map(hash => hash & 0xfff)
    fn.allMulticast = (info & MULTICAST.overflow) !== 0
    this.#actions.applyMulticast(vf)
    return true
  }

  #setVlan(vf: number, info: number): boolean {
    if (this.#functions[vf]!.settings.vlan !== 0) return false
    const vlan = this.#message[1]! & 0xfff
    return vlan !== 0 && this.#actions.setVlan(vf, vlan, (info & 1) !== 0)
  }

  /** Groups are anybody's to hear; everybody's unicast is for the trusted. */
  #setPromiscuous(vf: number, info: number): boolean {
    const fn = this.#functions[vf]!
    const unicast = (info & PROMISCUOUS.unicast) !== 0
    if (unicast && !fn.settings.trusted) return false
    fn.allMulticast = (info & PROMISCUOUS.multicast) !== 0
    fn.unicastPromiscuous = unicast
    this.#actions.applyPromiscuous(vf)
    return true
  }

  /** Tells every virtual function that something changed: it looks, or without CTS resets itself. */
  ping(): void {
    for (const [vf, { clearToSend }] of this.#functions.entries()) {
      this.#send(vf, [PF_CONTROL | (clearToSend ? CTS : 0)])
    }
  }

  #send(vf: number, words: readonly number[]): void {
    const registers = this.#registers
    if (!this.#lock(vf)) return
    for (const [i, word] of words.entries()) registers.write(VMBMEM, word, vf * MAILBOX_WORDS + i)
    registers.write(P2VMAILBOX, PF_MAILBOX.STS, vf)
  }

  #tell(vf: number, message: number, granted: boolean): void {
    const name = Object.entries(VF_MESSAGE).find(([, id]) => id === message)?.[0] ?? `message ${message}`
    this.#trace.emit(
      'network',
      `${this.#address}: VF ${vf} asks for ${name}: ${granted ? 'granted' : 'refused'}`,
      {
        step: 'mailbox',
        function: this.#address,
        vf,
        message: name,
        granted,
      },
    )
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i])
