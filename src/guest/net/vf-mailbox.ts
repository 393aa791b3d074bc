/** A virtual function's end of the mailbox: ask, wait for the answer ("VF to PF Mailbox"). */
import { MESSAGE_FIELD, VF_MAILBOX } from '../../devices/formats/nic/mailbox-messages.ts'
import type { Software } from '../../engine/index.ts'
import type { GuestAccess } from '../guest-access.ts'

/** As Linux's drivers: so often is the register looked at before the physical function is given up. */
const LOOKS = 2000

export interface MailboxPlace {
  /** Of the register and of the buffer: guest-physical addresses, or offsets from the function's registers. */
  readonly register: number
  readonly buffer: number
}

export class VfMailbox {
  readonly #access: GuestAccess
  readonly #place: MailboxPlace
  /** Status bits that were read, and with that cleared, while others were looked for. */
  #seen = 0

  constructor(access: GuestAccess, place: MailboxPlace) {
    this.#access = access
    this.#place = place
  }

  /** Waits for status bits of the register; false if they do not come. */
  *waitFor(bits: number): Software<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      this.#seen |= yield* this.#access.read32(this.#place.register)
      if (this.#seen & bits) {
        this.#seen &= ~bits
        return true
      }
      yield
    }
    return false
  }

  /** Sends a message and returns the answer's first `words` dwords; undefined if there is none. */
  *ask(message: readonly number[], words = 1): Software<Uint32Array | undefined> {
    if (!(yield* this.#lock())) return undefined
    // What was said before is not the answer.
    this.#seen &= ~(VF_MAILBOX.PFSTS | VF_MAILBOX.PFACK)
    for (const [i, word] of message.entries()) yield* this.#access.write32(this.#place.buffer + 4 * i, word)
    yield* this.#access.write32(this.#place.register, VF_MAILBOX.REQ)
    if (!(yield* this.waitFor(VF_MAILBOX.PFACK)) || !(yield* this.waitFor(VF_MAILBOX.PFSTS))) return undefined
    if (!(yield* this.#lock())) return undefined
    const answer = new Uint32Array(words)
    for (let i = 0; i < words; i++) answer[i] = yield* this.#access.read32(this.#place.buffer + 4 * i)
    yield* this.#access.write32(this.#place.register, VF_MAILBOX.ACK)
    return answer
  }

  /** Whether a message was granted. */
  *request(message: readonly number[]): Software<boolean> {
    const answer = yield* this.ask(message)
    return answer !== undefined && (answer[0]! & MESSAGE_FIELD.ACK) !== 0
  }

  save(): number {
    return this.#seen
  }

  load(seen: number): void {
    this.#seen = seen
  }

  /** "Buffer taken by VF". */
  *#lock(): Software<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      yield* this.#access.write32(this.#place.register, VF_MAILBOX.VFU)
      const value = yield* this.#access.read32(this.#place.register)
      this.#seen |= value
      if (value & VF_MAILBOX.VFU) return true
      yield
    }
    return false
  }
}
