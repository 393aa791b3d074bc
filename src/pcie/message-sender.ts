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

/**
 * Functions below one host bridge whose held messages may leave. A message can itself unmask another one (a peer's
 * table is memory like any other), so the queue is emptied by one loop and never by recursion.
 */
export class MessageSender {
  readonly #queue: FunctionNode[] = []
  readonly #request = new MemoryRequest()
  readonly #payload = new Uint8Array(4)
  #sending = false

  release(fn: FunctionNode): void {
    this.#queue.push(fn)
    if (this.#sending) return
    this.#sending = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      while (next.composePending(this.#request, this.#payload)) next.issue(this.#request)
    }
    this.#sending = false
  }
}
