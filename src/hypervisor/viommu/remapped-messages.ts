/** What a function behind its guest's remapping unit has of its machine: all as without, but that its messages pass the unit. */
import type { NorthbridgeError, PageNumber } from '../../core/index.ts'
import type { PostedTarget } from '../../host/index.ts'
import type { FunctionHost } from '../virtual-function.ts'

/** The unit that messages pass. */
export interface MessageRemapper {
  /** Whether messages are remapped: then where they arrive may change without a word to the function. */
  readonly remapsInterrupts: boolean
  /** False if the message reaches nobody. */
  deliver(sourceId: number, address: number, data: number): boolean
}

export class RemappedMessages implements FunctionHost {
  readonly #machine: FunctionHost
  readonly #unit: MessageRemapper
  readonly #sourceId: number

  constructor(machine: FunctionHost, unit: MessageRemapper, sourceId: number) {
    this.#machine = machine
    this.#unit = unit
    this.#sourceId = sourceId
  }

  deliver(address: number, data: number): boolean {
    return this.#unit.deliver(this.#sourceId, address, data)
  }

  /** The guest may change where a remapped message goes without a word to the function: it is not posted. */
  postingTarget(address: number, data: number): PostedTarget | undefined {
    return this.#unit.remapsInterrupts ? undefined : this.#machine.postingTarget(address, data)
  }

  processorFor(address: number): number {
    return this.#machine.processorFor(address)
  }

  vcpuFor(address: number): number | null {
    return this.#unit.remapsInterrupts ? null : this.#machine.vcpuFor(address)
  }

  claim(base: number, size: number): boolean {
    return this.#machine.claim(base, size)
  }

  release(base: number): void {
    this.#machine.release(base)
  }

  map(guestPage: PageNumber, hostPage: PageNumber, pages: number): void {
    this.#machine.map(guestPage, hostPage, pages)
  }

  unmap(guestPage: PageNumber, pages: number): void {
    this.#machine.unmap(guestPage, pages)
  }

  report(problem: string, error: NorthbridgeError): void {
    this.#machine.report(problem, error)
  }
}
