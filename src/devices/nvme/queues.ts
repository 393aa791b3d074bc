/** Submission and completion queues of one controller: NVM Express 1.4, §4.1 "Submission Queue & Completion Queue Definition". */
import type { PageNumber, Saved } from '../../core/index.ts'

export class SubmissionQueue {
  readonly id: number
  /** Entries. */
  readonly size: number
  /** 4-KiB page of its first entry: queues are contiguous (CAP.CQR). */
  readonly page: PageNumber
  readonly completionQueue: number
  head = 0
  tail = 0

  constructor(id: number, size: number, page: PageNumber, completionQueue: number) {
    this.id = id
    this.size = size
    this.page = page
    this.completionQueue = completionQueue
  }

  /** Entries that the host has submitted and the controller has not fetched. */
  get waiting(): number {
    const distance = this.tail - this.head
    return distance < 0 ? distance + this.size : distance
  }

  advance(): void {
    this.head = this.head + 1 === this.size ? 0 : this.head + 1
  }

  save(): Saved {
    const { id, size, page, completionQueue, head, tail } = this
    return { id, size, page, completionQueue, head, tail }
  }
}

export class CompletionQueue {
  readonly id: number
  readonly size: number
  readonly page: PageNumber
  readonly vector: number
  readonly interrupts: boolean
  head = 0
  tail = 0
  /** Phase Tag of the next entry: 1 in the first pass. */
  phase = 1

  constructor(id: number, size: number, page: PageNumber, vector: number, interrupts: boolean) {
    this.id = id
    this.size = size
    this.page = page
    this.vector = vector
    this.interrupts = interrupts
  }

  /** Entries that the host has not consumed. */
  get outstanding(): number {
    const distance = this.tail - this.head
    return distance < 0 ? distance + this.size : distance
  }

  /** "Full Queue": one entry always stays free. */
  get full(): boolean {
    return this.outstanding === this.size - 1
  }

  advance(): void {
    this.tail++
    if (this.tail < this.size) return
    this.tail = 0
    this.phase ^= 1
  }

  save(): Saved {
    const { id, size, page, vector, interrupts, head, tail, phase } = this
    return { id, size, page, vector, interrupts, head, tail, phase }
  }
}

/** By identifier; number 0 are the admin queues. */
export class QueueSet {
  readonly submission: (SubmissionQueue | undefined)[] = []
  readonly completion: (CompletionQueue | undefined)[] = []

  clear(): void {
    this.submission.length = 0
    this.completion.length = 0
  }

  /** Whether any I/O queue exists. */
  get anyInputOutput(): boolean {
    const exists = (queue: { readonly id: number } | undefined): boolean =>
      queue !== undefined && queue.id > 0
    return this.submission.some(exists) || this.completion.some(exists)
  }

  /** Whether a completion queue is used by a submission queue. */
  isUsed(completionQueue: number): boolean {
    return this.submission.some(queue => queue?.completionQueue === completionQueue)
  }

  save(): Saved {
    return {
      submission: this.submission.flatMap(queue => (queue === undefined ? [] : [queue.save()])),
      completion: this.completion.flatMap(queue => (queue === undefined ? [] : [queue.save()])),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as { submission: SubmissionQueue[]; completion: CompletionQueue[] }
    this.clear()
    for (const { id, size, page, completionQueue, head, tail } of state.submission) {
      const queue = new SubmissionQueue(id, size, page, completionQueue)
      this.submission[id] = Object.assign(queue, { head, tail })
    }
    for (const { id, size, page, vector, interrupts, head, tail, phase } of state.completion) {
      const queue = new CompletionQueue(id, size, page, vector, interrupts)
      this.completion[id] = Object.assign(queue, { head, tail, phase })
    }
  }
}
