/**
 * "Interrupts" of the 82599: causes of queues become the MSI-X vectors that IVAR names, other causes bits of EICR with one
 * vector for them all. Each virtual function has three vectors of its own with registers of its own.
 */
import type { Saved } from '../../../core/index.ts'
import { MemoryRequest, type PcieFunction } from '../../../pcie/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import {
  EIAC,
  EIAM,
  EIAM_EX,
  EICR,
  EIMS,
  EIMS_EX,
  EITR,
  EITR_UPPER,
  GPIE,
  I82599_POOLS,
  I82599_VECTORS,
  IVAR,
  IVAR_MISC,
  PVTEIAC,
  PVTEIAM,
  PVTEICR,
  PVTEIMS,
  PVTIVAR,
  PVTIVAR_MISC,
} from '../../formats/nic/i82599-registers.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import { Moderation } from '../common/moderation.ts'
import type { NicObserver } from '../common/nic-model.ts'
import type { RegisterSpace } from '../common/register-space.ts'
import { queuesPerFunction } from './pools.ts'
import { eitrOf, VF_EITRS } from './vf-window.ts'

export const VF_VECTORS = 3
/** Vectors that the lower half of EICR, EIMS and EIAC speak of. */
const LOWER = 0xffff
const OTHERS = 0xffff_0000
/** Nanoseconds of a step of `EITR.INTERVAL`. */
const STEP = 2000
const EICR_AT = EICR.offset >>> 2
const EIMS_AT = EIMS.offset >>> 2
const MASK_AT = EIMS_EX.offset >>> 2

export class Interrupts82599 {
  observer: NicObserver | undefined = undefined
  readonly #words: Uint32Array
  readonly #pf: PcieFunction
  readonly #environment: DeviceEnvironment
  /** The physical function's vectors, then those of the virtual ones. */
  readonly #moderation = new Moderation(I82599_VECTORS + I82599_POOLS * VF_VECTORS)
  readonly #request = new MemoryRequest()
  /** Vectors with a cause, as bits of two words. */
  readonly #pending = new Int32Array(2)
  #asserted = false

  constructor({ words }: RegisterSpace, pf: PcieFunction, environment: DeviceEnvironment) {
    this.#words = words
    this.#pf = pf
    this.#environment = environment
  }

  get #messages(): boolean {
    return (this.#words[GPIE.offset >>> 2]! & GPIE.bits.MSIX_MODE) !== 0
  }

  // Causes

  received(queue: number): void {
    this.#queueCause(queue, (queue & 1) * 16)
  }

  transmitted(queue: number): void {
    this.#queueCause(queue, (queue & 1) * 16 + 8)
  }

  #queueCause(queue: number, shift: number): void {
    const words = this.#words
    const owner = this.ownerOfQueue(queue)
    const entries = owner < 0 ? IVAR : PVTIVAR
    const entry = words[(entries.offset >>> 2) + (queue >> 1)]! >>> shift
    if (!(entry & IVAR.bits.VALID)) return
    if (owner < 0) this.#vectorCause(entry & IVAR.bits.ALLOC)
    else this.virtualCauses(owner, 1 << Math.min(entry & PVTIVAR.bits.ALLOC, VF_VECTORS - 1))
  }

  /** Number of the virtual function that a queue belongs to, -1 for the physical one. */
  ownerOfQueue(queue: number): number {
    const { length } = this.#pf.virtualFunctions
    if (length === 0) return -1
    const owner = Math.floor(queue / queuesPerFunction(this.#words))
    return owner < length ? owner : -1
  }

  #vectorCause(vector: number): void {
    const at = vector >>> 5
    this.vectorCauses(at, 1 << (vector & 31))
  }

  /** Sets causes of 32 vectors; those that were not pending before interrupt. */
  vectorCauses(half: number, vectors: number): void {
    const before = this.#pending[half]! & this.#mask(half)
    this.#pending[half]! |= vectors
    if (this.#messages) this.#raise(half, this.#pending[half]! & this.#mask(half) & ~before)
    else this.#legacy()
  }

  #mask(half: number): number {
    return this.#words[MASK_AT + half]!
  }

  #raise(half: number, vectors: number): void {
    for (let bits = vectors; bits !== 0; bits &= bits - 1) {
      this.#vector(half * 32 + 31 - Math.clz32(bits & -bits))
    }
  }

  /** Causes of the upper half of EICR: link, mailbox, errors. */
  other(causes: number): void {
    const words = this.#words
    const before = words[EICR_AT]! & words[EIMS_AT]!
    words[EICR_AT]! |= causes & OTHERS
    if (!this.#messages) this.#legacy()
    else if (words[EICR_AT]! & words[EIMS_AT]! & ~before) this.#miscellaneous()
  }

  #miscellaneous(): void {
    const entry = this.#words[IVAR_MISC.offset >>> 2]! >>> 8
    if (entry & IVAR.bits.VALID) this.#vector(entry & IVAR.bits.ALLOC)
  }

  /** Without MSI-X: one message for everything. */
  #legacy(): void {
    const words = this.#words
    const pending = (words[EICR_AT]! & words[EIMS_AT]!) | (this.#pending[0]! & LOWER & this.#mask(0))
    if (pending !== 0 && !this.#asserted) {
      this.#asserted = true
      this.#vector(0)
    } else if (pending === 0) this.#asserted = false
  }

  /** The mailbox has something for a virtual function. */
  mailbox(virtualFunction: number): void {
    const entry = this.#words[(PVTIVAR_MISC.offset >>> 2) + virtualFunction]!
    if (entry & PVTIVAR.bits.VALID) {
      this.virtualCauses(virtualFunction, 1 << Math.min(entry & PVTIVAR.bits.ALLOC, VF_VECTORS - 1))
    }
  }

  /** Sets bits of a virtual function's VTEICR. */
  virtualCauses(virtualFunction: number, causes: number): void {
    const words = this.#words
    const at = (PVTEICR.offset >>> 2) + virtualFunction
    const mask = words[(PVTEIMS.offset >>> 2) + virtualFunction]!
    const before = words[at]! & mask
    words[at]! |= causes
    this.#raiseVirtual(virtualFunction, words[at]! & mask & ~before)
  }

  #raiseVirtual(virtualFunction: number, vectors: number): void {
    for (let vector = 0; vector < VF_VECTORS; vector++) {
      if (vectors & (1 << vector)) this.#vector(I82599_VECTORS + virtualFunction * VF_VECTORS + vector)
    }
  }

  // Messages. Numbers from 64 on are vectors of virtual functions.

  intervalOf(number: number): number {
    const words = this.#words
    let register = (EITR.offset >>> 2) + number
    if (number >= I82599_VECTORS) {
      const vector = (number - I82599_VECTORS) % VF_VECTORS
      if (vector >= VF_EITRS) return 0
      const virtualFunction = Math.floor((number - I82599_VECTORS) / VF_VECTORS)
      register = (EITR_UPPER.offset >>> 2) + eitrOf(virtualFunction, vector)
    } else if (number >= EITR.count) register = (EITR_UPPER.offset >>> 2) + number - EITR.count
    return fieldOf(words[register]!, EITR.bits.INTERVAL) * STEP
  }

  #vector(number: number): void {
    const { clock } = this.#environment
    const wait = this.#moderation.request(number, clock.now, this.intervalOf(number))
    if (wait === 0) this.#send(number)
    else if (wait > 0) {
      this.observer?.note({ step: 'moderated', vector: number, untilNs: clock.now + wait })
      this.#environment.schedule(wait, number)
    }
  }

  /** A vector's interval is over. */
  timeIsUp(number: number): void {
    if (this.#moderation.timeIsUp(number, this.#environment.clock.now, this.intervalOf(number)))
      this.#send(number)
  }

  #send(number: number): void {
    if (number < I82599_VECTORS) this.#sendPhysical(number)
    else {
      const index = number - I82599_VECTORS
      this.#sendVirtual(Math.floor(index / VF_VECTORS), index % VF_VECTORS)
    }
  }

  #sendPhysical(vector: number): void {
    const words = this.#words
    const half = vector >>> 5
    const bit = 1 << (vector & 31)
    if (this.#messages) {
      // "EIAC": the message acknowledges; vectors without a bit there always do.
      if (vector >= 16 || words[EIAC.offset >>> 2]! & bit) this.#pending[half]! &= ~bit
      if (words[GPIE.offset >>> 2]! & GPIE.bits.EIAME) {
        words[MASK_AT + half]! &= ~(words[(EIAM_EX.offset >>> 2) + half]! & bit)
      }
    }
    const outcome = this.#pf.signal(vector, this.#request)
    this.observer?.note({ step: 'interrupt', vector, virtualFunction: -1, outcome })
  }

  #sendVirtual(virtualFunction: number, vector: number): void {
    const words = this.#words
    const bit = 1 << vector
    const fn = this.#pf.virtualFunctions[virtualFunction]
    if (fn === undefined) return
    words[(PVTEICR.offset >>> 2) + virtualFunction]! &= ~(
      words[(PVTEIAC.offset >>> 2) + virtualFunction]! & bit
    )
    if (words[GPIE.offset >>> 2]! & GPIE.bits.EIAME) {
      words[(PVTEIMS.offset >>> 2) + virtualFunction]! &= ~(
        words[(PVTEIAM.offset >>> 2) + virtualFunction]! & bit
      )
    }
    const outcome = fn.signal(vector, this.#request)
    this.observer?.note({ step: 'interrupt', vector, virtualFunction, outcome })
  }

  // Registers

  /** "EICR": reading acknowledges, but for causes that "Other Clear Disable" keeps while there is MSI-X. */
  readCauses(): number {
    const words = this.#words
    const value = ((words[EICR_AT]! & OTHERS) | (this.#pending[0]! & LOWER)) >>> 0
    if (!(words[GPIE.offset >>> 2]! & GPIE.bits.OCD)) words[EICR_AT] = 0
    if (!this.#messages) {
      words[EICR_AT] = 0
      this.#pending[0]! &= ~LOWER
      const mask = words[EIAM.offset >>> 2]!
      words[EIMS_AT]! &= ~mask
      words[MASK_AT]! &= ~(mask & LOWER)
      this.#asserted = false
    }
    return value
  }

  /** EICR as it stands. */
  get causes(): number {
    return ((this.#words[EICR_AT]! & OTHERS) | (this.#pending[0]! & LOWER)) >>> 0
  }

  pendingOf(vector: number): boolean {
    return ((this.#pending[vector >>> 5]! >>> (vector & 31)) & 1) !== 0
  }

  acknowledge(causes: number): void {
    this.#words[EICR_AT]! &= ~causes
    this.#pending[0]! &= ~(causes & LOWER)
    if (!this.#messages) this.#legacy()
  }

  setCauses(causes: number): void {
    if (causes & LOWER) this.vectorCauses(0, causes & LOWER)
    if (causes & OTHERS) this.other(causes)
  }

  readMask(): number {
    return ((this.#words[EIMS_AT]! & OTHERS) | (this.#mask(0) & LOWER)) >>> 0
  }

  setMask(bits: number): void {
    const words = this.#words
    const before = words[EICR_AT]! & words[EIMS_AT]!
    words[EIMS_AT]! |= bits & OTHERS
    if (bits & LOWER) this.setVectorMask(0, bits & LOWER)
    if (!this.#messages) this.#legacy()
    else if (words[EICR_AT]! & words[EIMS_AT]! & ~before) this.#miscellaneous()
  }

  clearMask(bits: number): void {
    this.#words[EIMS_AT]! &= ~(bits & OTHERS)
    this.#words[MASK_AT]! &= ~(bits & LOWER)
    if (!this.#messages) this.#legacy()
  }

  /** EIMS_EX: vectors that are unmasked while they have a cause interrupt. */
  setVectorMask(half: number, vectors: number): void {
    const before = this.#pending[half]! & this.#mask(half)
    this.#words[MASK_AT + half]! |= vectors
    if (this.#messages) this.#raise(half, this.#pending[half]! & this.#mask(half) & ~before)
    else this.#legacy()
  }

  clearVectorMask(half: number, vectors: number): void {
    this.#words[MASK_AT + half]! &= ~vectors
  }

  setVirtualMask(virtualFunction: number, bits: number): void {
    const words = this.#words
    const at = (PVTEIMS.offset >>> 2) + virtualFunction
    const causes = words[(PVTEICR.offset >>> 2) + virtualFunction]!
    const before = causes & words[at]!
    words[at]! |= bits & 7
    this.#raiseVirtual(virtualFunction, causes & words[at]! & ~before)
  }

  clearVirtualMask(virtualFunction: number, bits: number): void {
    this.#words[(PVTEIMS.offset >>> 2) + virtualFunction]! &= ~bits
  }

  resetVirtual(virtualFunction: number): void {
    for (const register of [PVTEICR, PVTEIMS, PVTEIAC, PVTEIAM, PVTIVAR_MISC]) {
      this.#words[(register.offset >>> 2) + virtualFunction] = 0
    }
    for (let vector = 0; vector < VF_EITRS; vector++) {
      this.#words[(EITR_UPPER.offset >>> 2) + eitrOf(virtualFunction, vector)] = 0
    }
  }

  reset(): void {
    this.#moderation.reset()
    this.#pending.fill(0)
    this.#asserted = false
  }

  save(): Saved {
    return { moderation: this.#moderation.save(), pending: [...this.#pending], asserted: this.#asserted }
  }

  load(saved: Saved): void {
    const state = saved as { moderation: Saved; pending: readonly number[]; asserted: boolean }
    this.#moderation.load(state.moderation)
    this.#pending.set(state.pending)
    this.#asserted = state.asserted
  }
}
