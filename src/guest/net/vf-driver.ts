/** What the drivers of virtual functions have in common: they ask the driver of the physical one for whatever is shared. */
import { MESSAGE_FIELD, VF_MAILBOX, VF_MESSAGE } from '../../devices/formats/nic/mailbox-messages.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverOptions } from '../driver.ts'
import { AdvancedDriver, type QueuePair, type SavedAdvancedDriver } from './advanced-driver.ts'
import { type MailboxPlace, VfMailbox } from './vf-mailbox.ts'

/** Offset of the control register of both chips' virtual functions. */
const CONTROL = 0
const RESET = 1 << 26
const ADD = 1 << MESSAGE_FIELD.INFO_SHIFT

export type SavedVfDriver = SavedAdvancedDriver & {
  readonly mailbox: number
  /** Ascending. */
  readonly vlans: readonly number[]
}

export abstract class VfDriver extends AdvancedDriver {
  protected readonly mailbox: VfMailbox
  /** Those that it asked for: their tags are put back into frames. */
  protected readonly vlans = new Set<number>()

  /** @param mailbox offsets of its registers */
  constructor(context: DriverContext, options: DriverOptions, pair: QueuePair, mailbox: MailboxPlace) {
    super(context, options, pair)
    const register = this.base + mailbox.register
    this.mailbox = new VfMailbox(this.access, { register, buffer: this.base + mailbox.buffer })
  }

  /**
   * Resets the function and takes the address that the physical function's driver tells; without one, asks for `wanted`.
   * Throws `unsupported` if nobody answers, or no address is to be had.
   */
  protected *resetFunction(wanted: Uint8Array | undefined): Software {
    yield* this.set(CONTROL, RESET)
    const answer = (yield* this.mailbox.waitFor(VF_MAILBOX.RSTD))
      ? yield* this.mailbox.ask([VF_MESSAGE.reset], 3)
      : undefined
    if (answer === undefined) throw this.unsupported('the driver of the physical function does not answer')
    if (answer[0]! & MESSAGE_FIELD.ACK) {
      this.mac.set(new Uint8Array(answer.buffer, 4, 6))
      return
    }
    if (wanted === undefined) throw this.unsupported('the virtual function was given no MAC address')
    this.mac.set(wanted)
    const words = new Uint32Array(2)
    new Uint8Array(words.buffer).set(wanted)
    if (!(yield* this.request([VF_MESSAGE.setMac, words[0]!, words[1]!]))) {
      throw this.unsupported('the MAC address is refused')
    }
  }

  /** Asks to hear a VLAN: frames of it come with their tag. */
  *addVlan(vlan: number): Software<boolean> {
    const granted = yield* this.request([VF_MESSAGE.setVlan | ADD, vlan])
    if (granted) this.vlans.add(vlan)
    return granted
  }

  *request(message: readonly number[]): Software<boolean> {
    return yield* this.mailbox.request(message)
  }

  override save(): SavedVfDriver {
    return {
      ...super.save(),
      mailbox: this.mailbox.save(),
      vlans: [...this.vlans].sort((a, b) => a - b),
    }
  }

  override load(saved: SavedVfDriver): void {
    super.load(saved)
    this.mailbox.load(saved.mailbox)
    for (const vlan of saved.vlans) this.vlans.add(vlan)
  }
}
