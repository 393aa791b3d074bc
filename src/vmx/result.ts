/** The record in which a processor answers. Its numbers lie in typed arrays, so that filling it allocates nothing. */
import type { OperationResult, Outcome } from './formats/operations.ts'

export class ResultRecord implements OperationResult {
  readonly #words = new Uint32Array(6)
  readonly #numbers = new Int32Array(2)
  outcome: Outcome = 'done'

  clear(): void {
    this.outcome = 'done'
    const words = this.#words
    for (let i = 0; i < 6; i++) words[i] = 0
    this.#numbers[0] = -1
    this.#numbers[1] = 0
  }

  /** Words may come as signed numbers: unsigned ones above 2^31 would be boxed on the way. */
  setValue(low: number, high: number): void {
    this.#words[0] = low
    this.#words[1] = high
  }

  setRegisters(eax: number, ebx: number, ecx: number, edx: number): void {
    this.#words[2] = eax
    this.#words[3] = ebx
    this.#words[4] = ecx
    this.#words[5] = edx
  }

  get low(): number {
    return this.#words[0]!
  }
  get high(): number {
    return this.#words[1]!
  }
  get eax(): number {
    return this.#words[2]!
  }
  get ebx(): number {
    return this.#words[3]!
  }
  get ecx(): number {
    return this.#words[4]!
  }
  get edx(): number {
    return this.#words[5]!
  }
  get vector(): number {
    return this.#numbers[0]!
  }
  set vector(value: number) {
    this.#numbers[0] = value
  }
  get error(): number {
    return this.#numbers[1]!
  }
  set error(value: number) {
    this.#numbers[1] = value
  }
}
