/** A queue pair of the guest's NVMe driver: entries in guest memory, doorbells in the function's registers. */
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
const LOOKS = 64
/** What a command ends with that never completes. */
export const NEVER_COMPLETED = -1

export interface Completion {
  /** Command identifier. */
  readonly id: number
  readonly status: number
}

export type SavedQueue = {
  readonly id: number
  readonly entries: number
  readonly stride: number
  readonly submission: number
  readonly completion: number
  readonly tail: number
  readonly head: number
  readonly phase: number
}

export class NvmeQueue {
  readonly id: number
  readonly entries: number
  readonly submission: number
  readonly completion: number
  /** Where commands are composed. */
  readonly command = new Uint32Array(SQ_ENTRY.size / 4)
  readonly #access: GuestAccess
  readonly #registers: number
  readonly #stride: number
  #tail = 0
  #head = 0
  #phase: number = PHASE

  /** @param submission and completion queue in guest memory, each on pages of its own. */
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

  /** Enters {@link command} under an identifier. There is room for `entries` - 1 commands that have not completed. */
  *submit(id: number): Software {
    const { command } = this
    command[0] = ((command[0]! & 0xffff) | (id << CDW0.CID_SHIFT)) >>> 0
    const at = this.submission + this.#tail * SQ_ENTRY.size
    for (let i = 0; i < command.length; i += 2) {
      yield* this.#access.write64(at + i * 4, command[i]!, command[i + 1]!)
    }
    this.#tail = this.#tail + 1 === this.entries ? 0 : this.#tail + 1
  }

  /** "Submission Queue Tail Doorbell": the controller may fetch what was entered. */
  *ring(): Software {
    yield* this.#access.write32(this.#registers + submissionDoorbell(this.id, this.#stride), this.#tail)
  }

  /** Takes the next completion, if its phase tag says that there is one. */
  *take(): Software<Completion | undefined> {
    const entry = this.completion + this.#head * CQ_ENTRY.size + CQE.status * 4
    let dword = this.#access.peek32(entry)
    if (dword < 0) dword = yield* this.#access.read32(entry)
    if ((dword & PHASE) !== this.#phase) return undefined
    this.#head++
    if (this.#head === this.entries) {
      this.#head = 0
      this.#phase ^= PHASE
    }
    return { id: dword & 0xffff, status: statusOf(dword) }
  }

  /** "Completion Queue Head Doorbell": the entries that were taken are free. */
  *release(): Software {
    yield* this.#access.write32(this.#registers + completionDoorbell(this.id, this.#stride), this.#head)
  }

  /** Has {@link command} executed while nothing else is. Returns its status, or {@link NEVER_COMPLETED}. */
  *execute(): Software<number> {
    yield* this.submit(0)
    yield* this.ring()
    for (let look = 0; look < LOOKS; look++) {
      const completion = yield* this.take()
      if (completion === undefined) continue
      yield* this.release()
      return completion.status
    }
    return NEVER_COMPLETED
  }

  save(): SavedQueue {
    return {
      id: this.id,
      entries: this.entries,
      stride: this.#stride,
      submission: this.submission,
      completion: this.completion,
      tail: this.#tail,
      head: this.#head,
      phase: this.#phase,
    }
  }

  static restore(access: GuestAccess, registers: number, saved: SavedQueue): NvmeQueue {
    const { id, entries, stride, submission, completion } = saved
    const queue = new NvmeQueue(access, registers, id, entries, stride, submission, completion)
    queue.#tail = saved.tail
    queue.#head = saved.head
    queue.#phase = saved.phase
    return queue
  }
}
