/** A queue pair of the guest's NVMe driver: entries in guest memory, doorbells in the function's registers. */
import type { Saved } from '../../core/index.ts'
import {
  CDW0,
  CQ_ENTRY,
  CQE,
  completionDoorbell,
  PHASE,
  SQ_ENTRY,
  statusOf,
  submissionDoorbell,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import type { GuestAccess } from '../guest-access.ts'

/** Looks at the completion queue before a command is given up: the controller answers a doorbell at once. */
const MOST_POLLS = 64
/** What a command ends with that never completes. */
export const NEVER_COMPLETED = -1

export class NvmeQueue {
  readonly id: number
  readonly entries: number
  readonly submission: number
  readonly completion: number
  readonly command = new Uint32Array(SQ_ENTRY.size / 4)
  readonly #access: GuestAccess
  readonly #registers: number
  readonly #stride: number
  #tail = 0
  #head = 0
  #phase: number = PHASE
  #nextCommand = 0

  /** @param memory of both queues, submission first, each on pages of its own. */
  constructor(
    access: GuestAccess,
    registers: number,
    id: number,
    entries: number,
    stride: number,
    submission: number,
    completion: number,
  ) {
    this.#access = access
    this.#registers = registers
    this.id = id
    this.entries = entries
    this.#stride = stride
    this.submission = submission
    this.completion = completion
  }

  /** Has {@link command} executed. Returns its status, or {@link NEVER_COMPLETED}. */
  *execute(): Software<number> {
    const access = this.#access
    this.command[0] = ((this.command[0]! & 0xffff) | (this.#nextCommand << CDW0.CID_SHIFT)) >>> 0
    this.#nextCommand = (this.#nextCommand + 1) & 0xffff
    const at = this.submission + this.#tail * SQ_ENTRY.size
    for (let i = 0; i < this.command.length; i += 2) {
      yield* access.write64(at + i * 4, this.command[i]!, this.command[i + 1]!)
    }
    this.#tail = this.#tail + 1 === this.entries ? 0 : this.#tail + 1
    yield* access.write32(this.#registers + submissionDoorbell(this.id, this.#stride), this.#tail)
    const entry = this.completion + this.#head * CQ_ENTRY.size + CQE.status * 4
    for (let polls = 0; polls < MOST_POLLS; polls++) {
      const dword = yield* access.read32(entry)
      if ((dword & PHASE) !== this.#phase) continue
      this.#head++
      if (this.#head === this.entries) {
        this.#head = 0
        this.#phase ^= PHASE
      }
      yield* access.write32(this.#registers + completionDoorbell(this.id, this.#stride), this.#head)
      return statusOf(dword)
    }
    return NEVER_COMPLETED
  }

  save(): Saved {
    return {
      id: this.id,
      submission: this.submission,
      completion: this.completion,
      tail: this.#tail,
      head: this.#head,
      phase: this.#phase,
      nextCommand: this.#nextCommand,
    }
  }
}
