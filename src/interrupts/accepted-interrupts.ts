/**
 * "Handling of Fixed Interrupts by the Local APIC": what was requested (IRR), what is in service (ISR), and which vector
 * may be given to the processor, by priority class. Works on the register words of its local APIC.
 */
import { LOCAL_APIC } from './formats/local-apic.ts'
import { at } from './local-apic-registers.ts'
import { hasVector, highestVector, setVector } from './vector-sets.ts'

const TPR = at(LOCAL_APIC.TPR)
const PPR = at(LOCAL_APIC.PPR)
const ISR = at(LOCAL_APIC.ISR)
const TMR = at(LOCAL_APIC.TMR)
const IRR = at(LOCAL_APIC.IRR)
const PRIORITY_CLASS = 0xf0

export class AcceptedInterrupts {
  readonly #words: Uint32Array
  #deliverable = -1

  constructor(words: Uint32Array) {
    this.#words = words
  }

  /** The vector that the processor would be given now, or -1. */
  get deliverable(): number {
    return this.#deliverable
  }

  /** A second arrival of a requested vector merges with the first; its trigger mode is the one that counts. */
  request(vector: number, levelTriggered: boolean): void {
    setVector(this.#words, TMR, vector, levelTriggered)
    setVector(this.#words, IRR, vector, true)
    this.evaluate()
  }

  /** Puts the deliverable vector, of which there must be one, into service. */
  acknowledge(): number {
    const vector = this.#deliverable
    setVector(this.#words, IRR, vector, false)
    setVector(this.#words, ISR, vector, true)
    this.evaluate()
    return vector
  }

  /** Ends service of the highest vector; returns it, or -1 if none was in service. */
  complete(): number {
    const vector = highestVector(this.#words, ISR)
    if (vector < 0) return -1
    setVector(this.#words, ISR, vector, false)
    this.evaluate()
    return vector
  }

  isLevelTriggered(vector: number): boolean {
    return hasVector(this.#words, TMR, vector)
  }

  /** "Task and Processor Priorities", after TPR, IRR or ISR changed: classes are compared, not whole priorities. */
  evaluate(): void {
    const words = this.#words
    const taskPriority = words[TPR]!
    const inService = Math.max(highestVector(words, ISR), 0) & PRIORITY_CLASS
    const priority = (taskPriority & PRIORITY_CLASS) >= inService ? taskPriority : inService
    words[PPR] = priority
    const requested = highestVector(words, IRR)
    const deliverable = requested >= 0 && (requested & PRIORITY_CLASS) > (priority & PRIORITY_CLASS)
    this.#deliverable = deliverable ? requested : -1
  }
}
