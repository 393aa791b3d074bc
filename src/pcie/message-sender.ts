/**
 * Sends message-signalled interrupts. A message is an ordinary memory write of one dword; those that were held back by
 * a mask leave as soon as the mask is lifted, one function after another.
 */

import type { FunctionNode } from './parts.ts'
import { MemoryRequest } from './request.ts'

/** Writes a message's header and payload. `payload` has 4 bytes. */
export function composeMessage(
  request: MemoryRequest,
  payload: Uint8Array,
  addressLow: number,
  addressHigh: number,
  data: number,
): void {
  payload[0] = data
  payload[1] = data >>> 8
  payload[2] = data >>> 16
  payload[3] = data >>> 24
  request.write = true
  request.page = addressHigh * 0x10_0000 + (addressLow >>> 12)
  request.offset = addressLow & 0xffc
  request.length = 4
  request.addressType = 0
  request.pasid = -1
  request.data = payload
  request.dataStart = 0
}

/** Something to send: what a function was holding back (`vector` -1), or a vector of a port's own. */
interface Task {
  readonly fn: FunctionNode
  readonly vector: number
}

/**
 * Functions below one host bridge whose held messages may leave, and ports with something to tell. A message can itself
 * unmask another one (a peer's table is memory like any other) or run into an error, so the queue is emptied by one loop
 * and never by recursion.
 */
export class MessageSender {
  readonly #queue: Task[] = []
  readonly #request = new MemoryRequest()
  readonly #payload = new Uint8Array(4)
  #sending = false

  /** To be called when a mask was lifted or messages were enabled. */
  release(fn: FunctionNode): void {
    this.#send({ fn, vector: -1 })
  }

  /** Signals a vector of a port's own, after what is being sent now. */
  signal(fn: FunctionNode, vector: number): void {
    this.#send({ fn, vector })
  }

  #send(task: Task): void {
    this.#queue.push(task)
    if (this.#sending) return
    this.#sending = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { fn, vector } = next
      if (vector >= 0) fn.signal(vector, this.#request)
      else while (fn.composePending(this.#request, this.#payload)) fn.issue(this.#request)
    }
    this.#sending = false
  }
}
