/**
 * What a unit has begun and will complete after a while of virtual time. The engine's event carries a ticket only, so
 * that what was cancelled meanwhile does nothing when its time comes.
 */
import type { Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'

/** Kinds of work. */
export const WORK = {
  /** A command of GCMD. */
  command: 0,
  /** The next descriptor of the invalidation queue. */
  descriptor: 1,
  /** A command of CCMD, of IOTLB. */
  contextCommand: 2,
  iotlbCommand: 3,
  /** A function will say that it has invalidated its device-TLB; it will not, in time; it will, but too late. */
  deviceCompletion: 4,
  deviceTimeout: 5,
  lateDeviceCompletion: 6,
  /** A wait descriptor will complete, later than it should. */
  waitCompletion: 7,
} as const
export type WorkKind = (typeof WORK)[keyof typeof WORK]

interface Item {
  readonly ticket: number
  readonly kind: number
  readonly argument: number
}

export class PendingWork {
  readonly #engine: Engine
  readonly #unit: string
  readonly #handlers = new Map<number, (argument: number) => void>()
  #items: Item[] = []
  #ticket = 0
  #registered = false

  /** @param unit its id names the events of the unit: no two units of one engine have the same. */
  constructor(engine: Engine, unit: string) {
    this.#engine = engine
    this.#unit = unit
  }

  /** Names the code that completes work of a kind. */
  handle(kind: WorkKind, handler: (argument: number) => void): void {
    this.#handlers.set(kind, handler)
  }

  /** Completes work `delay` nanoseconds from now. */
  start(delay: number, kind: WorkKind, argument = 0): void {
    this.#register()
    const ticket = this.#ticket++
    this.#items.push({ ticket, kind, argument })
    this.#engine.schedule(delay, this.#event, this.#unit, ticket)
  }

  has(kind: WorkKind): boolean {
    return this.#items.some(item => item.kind === kind)
  }

  cancel(kind: WorkKind): void {
    this.#items = this.#items.filter(item => item.kind !== kind)
  }

  cancelAll(): void {
    this.#items = []
  }

  get #event(): string {
    return `remapping unit ${this.#unit}`
  }

  /** Most units complete everything at once and never come here. */
  #register(): void {
    if (this.#registered) return
    this.#registered = true
    this.#engine.handle(this.#event, (_unit, ticket) => {
      const item = this.#items.find(candidate => candidate.ticket === ticket)
      if (item === undefined) return
      this.#items = this.#items.filter(candidate => candidate !== item)
      this.#handlers.get(item.kind)!(item.argument)
    })
  }

  save(): Saved {
    return { ticket: this.#ticket, items: this.#items.map(item => ({ ...item })) }
  }

  load(saved: Saved): void {
    const { ticket, items } = saved as unknown as { ticket: number; items: readonly Item[] }
    this.#ticket = ticket
    this.#items = items.map(item => ({ ...item }))
    if (ticket > 0) this.#register()
  }
}
