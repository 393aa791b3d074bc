/**
 * The physical function's end of the mailbox ("PF to VF Mailbox"): who may speak, and how an answer is given. Words are
 * the driver's (`messages.ts`).
 */
import {
  MAILBOX_WORDS,
  MESSAGE_FIELD,
  PF_CONTROL,
  PF_MAILBOX,
  VF_MESSAGE,
} from '../../../devices/formats/nic/mailbox-messages.ts'
import type { Trace } from '../../../engine/index.ts'
import type { MailboxActions } from './messages.ts'
import type { PooledPort } from './port.ts'

const { ID, CTS, NACK, ACK } = MESSAGE_FIELD

/** What a virtual function's reset, which is also a message, does to what was set up for it. */
export interface MailboxOwner extends MailboxActions {
  /** Takes its filters away and what it asked for. */
  forget(vf: number): void
  /** Its queues may work. */
  admit(vf: number): void
}

export class PhysicalMailbox {
  readonly #port: PooledPort
  readonly #owner: MailboxOwner
  readonly #trace: Trace
  readonly #address: string
  readonly #message = new Uint32Array(MAILBOX_WORDS)

  constructor(port: PooledPort, owner: MailboxOwner, trace: Trace, address: string) {
    this.#port = port
    this.#owner = owner
    this.#trace = trace
    this.#address = address
  }

  /** Serves every virtual function that was reset or has something to say. */
  serve(): void {
    const { length } = this.#owner.functions
    for (let first = 0; first < length; first += 32) {
      const resets = this.#port.takeResets(first / 32)
      const requests = this.#port.takeRequests(first / 32)
      for (let vf = first; vf < Math.min(first + 32, length); vf++) {
        if ((resets >>> (vf & 31)) & 1) this.#owner.forget(vf)
        if ((requests >>> (vf & 31)) & 1) this.#receive(vf)
      }
    }
  }

  #receive(vf: number): void {
    const { registers, mailboxMemory, mailboxControl } = this.#port
    if (!this.#lock(vf)) return
    const message = this.#message
    for (let i = 0; i < MAILBOX_WORDS; i++) message[i] = registers.read(mailboxMemory, vf * MAILBOX_WORDS + i)
    registers.write(mailboxControl, PF_MAILBOX.ACK, vf)
    const first = message[0]!
    // An answer of the virtual function is no question.
    if (first & (ACK | NACK)) return
    if ((first & ID) === VF_MESSAGE.reset) this.#reset(vf)
    else this.#answer(vf, first)
  }

  #answer(vf: number, first: number): void {
    const message = this.#message
    const { clearToSend } = this.#owner.functions[vf]!
    // Until it has reset itself, a virtual function gets nothing.
    const granted = clearToSend && this.#port.messages.serve(this.#owner, vf, message)
    this.#tell(vf, first & ID, granted)
    message[0] = first | (granted ? ACK : NACK) | (clearToSend ? CTS : 0)
    this.#send(vf, clearToSend ? MAILBOX_WORDS : 1)
  }

  /** The answer has no CTS: drivers of virtual functions compare the whole dword. */
  #reset(vf: number): void {
    const message = this.#message
    const fn = this.#owner.functions[vf]!
    const { mac } = fn.settings
    this.#owner.forget(vf)
    if (mac !== undefined) this.#owner.setMac(vf, mac)
    this.#owner.admit(vf)
    fn.clearToSend = true
    this.#tell(vf, VF_MESSAGE.reset, mac !== undefined)
    message.fill(0)
    // Without an address of the administrator's choice the virtual function makes one up.
    if (mac !== undefined) new Uint8Array(message.buffer).set(mac, 4)
    message[0] = VF_MESSAGE.reset | (mac === undefined ? NACK : ACK)
    this.#send(vf, this.#port.messages.resetWords)
  }

  /** Tells every virtual function that something changed: it looks, or without CTS resets itself. */
  ping(): void {
    for (const [vf, { clearToSend }] of this.#owner.functions.entries()) {
      this.#message[0] = PF_CONTROL | (clearToSend ? CTS : 0)
      this.#send(vf, 1)
    }
  }

  #lock(vf: number): boolean {
    const { registers, mailboxControl } = this.#port
    registers.write(mailboxControl, PF_MAILBOX.PFU, vf)
    return (registers.read(mailboxControl, vf) & PF_MAILBOX.PFU) !== 0
  }

  #send(vf: number, words: number): void {
    const { registers, mailboxMemory, mailboxControl } = this.#port
    if (!this.#lock(vf)) return
    for (let i = 0; i < words; i++) registers.write(mailboxMemory, this.#message[i]!, vf * MAILBOX_WORDS + i)
    registers.write(mailboxControl, PF_MAILBOX.STS, vf)
  }

  #tell(vf: number, id: number, granted: boolean): void {
    const message = this.#port.messages.nameOf(id)
    this.#trace.emit(
      'network',
      `${this.#address}: VF ${vf} asks for ${message}: ${granted ? 'granted' : 'refused'}`,
      { step: 'mailbox', function: this.#address, vf, message, granted },
    )
  }
}
