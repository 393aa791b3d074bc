/**
 * "Interrupts" of the 82576: causes become bits of ICR and EICR, bits become messages of the vectors that IVAR names, and
 * each vector is moderated by its EITR. Vectors 22 - 3n to 24 - 3n of the 25 are those of virtual function n.
 */
import type { Saved } from '../../../core/index.ts'
import { MemoryRequest, type PcieFunction } from '../../../pcie/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import {
  EIAC,
  EIAM,
  EICR,
  EIMS,
  EITR,
  GPIE,
  I82576_VECTORS,
  I82576_VF_VECTORS,
  IAC,
  IAM,
  ICR,
  ICR_BIT,
  IMS,
  IVAR,
  IVAR_MISC,
  VTIVAR_MISC,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import { Moderation } from '../common/moderation.ts'
import type { NicObserver } from '../common/nic-model.ts'
import type { RegisterSpace } from '../common/register-space.ts'

const at = ({ offset, stride }: { offset: number; stride: number }, index = 0): number =>
  (offset + index * stride) >>> 2

const ICR_AT = at(ICR)
const IMS_AT = at(IMS)
const EICR_AT = at(EICR)
const EIMS_AT = at(EIMS)
const VALID = IVAR.bits.VALID

/** First vector of a virtual function. */
export const firstVectorOf = (virtualFunction: number): number => 22 - virtualFunction * I82576_VF_VECTORS

export class Interrupts82576 {
  observer: NicObserver | undefined = undefined
  readonly #space: RegisterSpace
  readonly #pf: PcieFunction
  readonly #environment: DeviceEnvironment
  readonly #moderation = new Moderation(I82576_VECTORS)
  readonly #request = new MemoryRequest()
  /** Whether the one message of MSI has been sent for what is pending. */
  #asserted = false

  constructor(space: RegisterSpace, pf: PcieFunction, environment: DeviceEnvironment) {
    this.#space = space
    this.#pf = pf
    this.#environment = environment
  }

  get #words(): Uint32Array {
    return this.#space.words
  }

  get #multiple(): boolean {
    return (this.#words[at(GPIE)]! & GPIE.bits.MULTIPLE_MSIX) !== 0
  }

  // Causes

  received(queue: number): void {
    if (!this.#multiple) this.#words[ICR_AT]! |= ICR_BIT.RXDW
    this.#queueCause(queue, 0)
  }

  transmitted(queue: number): void {
    if (!this.#multiple) this.#words[ICR_AT]! |= ICR_BIT.TXDW
    this.#queueCause(queue, 1)
  }

  /** @param byte 0 for receive, 1 for transmit. */
  #queueCause(queue: number, byte: number): void {
    const entry = this.#words[at(IVAR, queue & 7)]! >>> ((byte + (queue >= 8 ? 2 : 0)) * 8)
    if (entry & VALID) this.extended(1 << (entry & IVAR.bits.INT_ALLOC))
    else if (!this.#multiple) this.#legacy()
  }

  /** Causes of ICR: link, mailbox, errors. */
  other(causes: number): void {
    const words = this.#words
    words[ICR_AT]! |= causes
    if (!this.#multiple) this.#legacy()
    else if (causes & words[IMS_AT]!) this.#miscellaneous()
  }

  #miscellaneous(): void {
    const entry = this.#words[at(IVAR_MISC)]! >>> 8
    if (entry & VALID) this.extended(1 << (entry & IVAR.bits.INT_ALLOC))
  }

  /** The mailbox has something for a virtual function. */
  mailbox(virtualFunction: number): void {
    const entry = this.#words[at(VTIVAR_MISC, virtualFunction)]!
    if (entry & VALID) this.extended(1 << (firstVectorOf(virtualFunction) + Math.min(entry & 3, 2)))
  }

  /** Sets bits of EICR; those that were not pending before interrupt. */
  extended(causes: number): void {
    const words = this.#words
    const before = words[EICR_AT]! & words[EIMS_AT]!
    words[EICR_AT]! |= causes
    if (!this.#multiple) this.#legacy()
    else this.#raise(words[EICR_AT]! & words[EIMS_AT]! & ~before)
  }

  #raise(vectors: number): void {
    for (let bits = vectors; bits !== 0; bits &= bits - 1) this.#vector(31 - Math.clz32(bits & -bits))
  }

  /** One message for everything, at vector 0: MSI. */
  #legacy(): void {
    const words = this.#words
    const pending = ((words[ICR_AT]! & words[IMS_AT]!) | (words[EICR_AT]! & words[EIMS_AT]!)) !== 0
    if (pending && !this.#asserted) {
      this.#asserted = true
      this.#vector(0)
    } else if (!pending) this.#asserted = false
  }

  // Messages

  intervalOf(vector: number): number {
    return fieldOf(this.#words[at(EITR, vector)]!, EITR.bits.INTERVAL) * 1000
  }

  #vector(vector: number): void {
    const { clock } = this.#environment
    const wait = this.#moderation.request(vector, clock.now, this.intervalOf(vector))
    if (wait === 0) this.#send(vector)
    else if (wait > 0) {
      this.observer?.note({ step: 'moderated', vector, untilNs: clock.now + wait })
      this.#environment.schedule(wait, vector)
    }
  }

  /** A vector's interval is over. */
  timeIsUp(vector: number): void {
    if (!this.#moderation.timeIsUp(vector, this.#environment.clock.now, this.intervalOf(vector))) return
    const words = this.#words
    if (!this.#multiple || words[EICR_AT]! & words[EIMS_AT]! & (1 << vector)) this.#send(vector)
  }

  /** Number of the virtual function that owns a vector now, -1 for the physical one. */
  ownerOf(vector: number): number {
    const virtualFunction = 8 - Math.floor((vector + 2) / I82576_VF_VECTORS)
    return virtualFunction >= 0 && virtualFunction < this.#pf.virtualFunctions.length ? virtualFunction : -1
  }

  #send(vector: number): void {
    const words = this.#words
    const bit = 1 << vector
    const owner = this.ownerOf(vector)
    // "EIAC", "EIAM": the message itself acknowledges, and masks.
    if (this.#multiple) {
      words[EICR_AT]! &= ~(words[at(EIAC)]! & bit)
      if (words[at(GPIE)]! & GPIE.bits.EIAME) words[EIMS_AT]! &= ~(words[at(EIAM)]! & bit)
    }
    this.#space.count(at(IAC))
    const outcome =
      owner < 0
        ? this.#pf.signal(vector, this.#request)
        : this.#pf.virtualFunctions[owner]!.signal(vector - firstVectorOf(owner), this.#request)
    this.observer?.note({ step: 'interrupt', vector, virtualFunction: owner, outcome })
  }

  // Registers

  /** "ICR": reading acknowledges, unless GPIE.NSICR asks for conditions. */
  readIcr(): number {
    const words = this.#words
    const asserted = (words[ICR_AT]! & words[IMS_AT]!) !== 0
    const value = (words[ICR_AT]! | (asserted ? ICR_BIT.INTA : 0)) >>> 0
    if (!(words[at(GPIE)]! & GPIE.bits.NSICR) || asserted || words[IMS_AT] === 0) words[ICR_AT] = 0
    if (asserted) words[IMS_AT]! &= ~words[at(IAM)]!
    this.#legacyChanged()
    return value
  }

  /** "EICR": reading acknowledges, but not where each vector does it for itself. */
  readEicr(): number {
    const words = this.#words
    const value = words[EICR_AT]!
    if (!this.#multiple) {
      words[EICR_AT] = 0
      words[EIMS_AT]! &= ~words[at(EIAM)]!
      this.#legacyChanged()
    }
    return value
  }

  /** IMS was written: bits are added, and what is pending interrupts. */
  setMask(bits: number): void {
    const words = this.#words
    const before = words[ICR_AT]! & words[IMS_AT]!
    words[IMS_AT]! |= bits
    if (!this.#multiple) this.#legacy()
    else if (words[ICR_AT]! & words[IMS_AT]! & ~before) this.#miscellaneous()
  }

  clearMask(bits: number): void {
    this.#words[IMS_AT]! &= ~bits
    this.#legacyChanged()
  }

  setExtendedMask(bits: number): void {
    const words = this.#words
    const before = words[EICR_AT]! & words[EIMS_AT]!
    words[EIMS_AT]! |= bits
    if (this.#multiple) this.#raise(words[EICR_AT]! & words[EIMS_AT]! & ~before)
    else this.#legacy()
  }

  clearExtendedMask(bits: number): void {
    this.#words[EIMS_AT]! &= ~bits
    this.#legacyChanged()
  }

  clearExtendedCauses(bits: number): void {
    this.#words[EICR_AT]! &= ~bits
    this.#legacyChanged()
  }

  /** ICR was written to, or read. */
  acknowledged(): void {
    this.#legacyChanged()
  }

  #legacyChanged(): void {
    const words = this.#words
    if (((words[ICR_AT]! & words[IMS_AT]!) | (words[EICR_AT]! & words[EIMS_AT]!)) === 0)
      this.#asserted = false
  }

  /** The vectors of a virtual function are as after a reset. */
  resetVirtual(virtualFunction: number): void {
    const vectors = 7 << firstVectorOf(virtualFunction)
    for (const word of [EICR_AT, EIMS_AT, at(EIAC), at(EIAM)]) this.#words[word]! &= ~vectors
    for (let i = 0; i < I82576_VF_VECTORS; i++) this.#words[at(EITR, firstVectorOf(virtualFunction) + i)] = 0
  }

  reset(): void {
    this.#moderation.reset()
    this.#asserted = false
  }

  save(): Saved {
    return { moderation: this.#moderation.save(), asserted: this.#asserted }
  }

  load(saved: Saved): void {
    const state = saved as { moderation: Saved; asserted: boolean }
    this.#moderation.load(state.moderation)
    this.#asserted = state.asserted
  }
}
