/** Asynchronous events: NVM Express 1.4, §5.2 "Asynchronous Event Request command". */
import type { Saved } from '../../core/index.ts'
import { EVENT_TYPE, LOG_PAGE } from '../formats/nvme/index.ts'
import { EVENT_REQUESTS } from './settings.ts'

/** Events kept while no request is outstanding; more of the same kind are one. */
const MOST_QUEUED = 8
/** Types of events by the log page that clears them. */
const TYPE_OF_LOG: Readonly<Record<number, number>> = {
  [LOG_PAGE.error]: EVENT_TYPE.error,
  [LOG_PAGE.health]: EVENT_TYPE.health,
  [LOG_PAGE.changedNamespaces]: EVENT_TYPE.notice,
}

export class AsynchronousEvents {
  /** Command identifiers of outstanding requests, oldest first. */
  readonly #requests: number[] = []
  /** DW0 of events that wait. */
  readonly #queued: number[] = []
  /** Types that were reported and whose log page was not read since. */
  #masked = 0

  get outstanding(): number {
    return this.#requests.length
  }

  /** False: the limit is exceeded. */
  request(command: number): boolean {
    if (this.#requests.length === EVENT_REQUESTS) return false
    this.#requests.push(command)
    return true
  }

  /** Takes a request back. Returns whether it was outstanding. */
  abort(command: number): boolean {
    const at = this.#requests.indexOf(command)
    if (at >= 0) this.#requests.splice(at, 1)
    return at >= 0
  }

  raise(type: number, information: number, log: number): void {
    const event = type | (information << 8) | (log << 16)
    if (this.#queued.length < MOST_QUEUED && !this.#queued.includes(event)) this.#queued.push(event)
  }

  /** A log page was read without Retain Asynchronous Event. */
  logRead(page: number): void {
    const type = TYPE_OF_LOG[page]
    if (type !== undefined) this.#masked &= ~(1 << type)
  }

  /** Whether an event can be reported now; then {@link command} and {@link event} say which, until {@link reported}. */
  get ready(): boolean {
    return this.#requests.length > 0 && this.#next >= 0
  }

  get #next(): number {
    const queued = this.#queued
    for (let i = 0; i < queued.length; i++) if ((this.#masked & (1 << (queued[i]! & 7))) === 0) return i
    return -1
  }

  get command(): number {
    return this.#requests[0]!
  }

  get event(): number {
    return this.#queued[this.#next]!
  }

  reported(): void {
    const [event] = this.#queued.splice(this.#next, 1)
    this.#requests.shift()
    this.#masked |= 1 << (event! & 7)
  }

  reset(): void {
    this.#requests.length = 0
    this.#queued.length = 0
    this.#masked = 0
  }

  save(): Saved {
    return { requests: [...this.#requests], queued: [...this.#queued], masked: this.#masked }
  }

  load(saved: Saved): void {
    const { requests, queued, masked } = saved as unknown as {
      requests: number[]
      queued: number[]
      masked: number
    }
    this.reset()
    this.#requests.push(...requests)
    this.#queued.push(...queued)
    this.#masked = masked
  }
}
