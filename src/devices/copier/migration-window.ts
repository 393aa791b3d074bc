/** The copier's migration window: it is stopped here, its state is read and written, and the pages it writes are logged. */
import { opened, type PageNumber, type Saved } from '../../core/index.ts'
import { LOG_ENTRIES, MIGRATION, MIGRATION_IDENTITY, MIGRATION_VERSION } from '../formats/copier.ts'

export class MigrationWindow {
  readonly #state: Uint32Array
  readonly #ran: (running: boolean) => void
  /** What was written, until it is committed. */
  readonly #incoming: Uint32Array
  /** Distinct pages, in the order in which they were written. */
  readonly #log = new Set<PageNumber>()
  #running = true
  #index = 0
  #committed = false
  #logging = false
  #overflow = false

  /**
   * @param state the device's own words
   * @param ran is told when it is stopped, and when it works again
   */
  constructor(state: Uint32Array, ran: (running: boolean) => void) {
    this.#state = state
    this.#incoming = new Uint32Array(state.length)
    this.#ran = ran
  }

  get running(): boolean {
    return this.#running
  }

  /** The device has written to a page. */
  wrote(page: PageNumber): void {
    if (!this.#logging) return
    if (this.#log.size < LOG_ENTRIES || this.#log.has(page)) this.#log.add(page)
    else this.#overflow = true
  }

  read(offset: number): number {
    switch (offset) {
      case MIGRATION.identity:
        return MIGRATION_IDENTITY
      case MIGRATION.version:
        return MIGRATION_VERSION
      case MIGRATION.run:
        return this.#running ? 1 : 0
      case MIGRATION.size:
        return this.#state.length
      case MIGRATION.index:
        return this.#index
      case MIGRATION.data:
        return this.#state[this.#next()] ?? 0
      case MIGRATION.commit:
        return this.#committed ? 1 : 0
      case MIGRATION.log:
        return this.#logging ? 1 : 0
      case MIGRATION.logCount:
        return this.#log.size
      case MIGRATION.logLow:
        return this.#oldest >>> 0
      case MIGRATION.logHigh:
        return this.#pop()
      case MIGRATION.logOverflow:
        return this.#overflow ? 1 : 0
      default:
        return 0
    }
  }

  #next(): number {
    const index = this.#index
    this.#index = (index + 1) % this.#state.length
    return index
  }

  get #oldest(): PageNumber {
    const [page = 0] = this.#log
    return page
  }

  #pop(): number {
    const page = this.#oldest
    this.#log.delete(page)
    return Math.floor(page / 2 ** 32)
  }

  /** Registers are written by whole dwords. */
  write(offset: number, value: number, lanes: number): void {
    if (lanes >>> 0 !== 0xffff_ffff) return
    switch (offset) {
      case MIGRATION.run:
        this.#run((value & 1) !== 0)
        return
      case MIGRATION.index:
        this.#index = (value >>> 0) % this.#state.length
        return
      case MIGRATION.data:
        this.#incoming[this.#next()] = value
        return
      case MIGRATION.commit:
        this.#committed = (value & 1) !== 0 && !this.#running
        if (this.#committed) this.#state.set(this.#incoming)
        return
      case MIGRATION.log:
        this.#logging = (value & 1) !== 0
        this.#log.clear()
        this.#overflow = false
        return
      case MIGRATION.logOverflow:
        if ((value & 1) !== 0) this.#overflow = false
    }
  }

  #run(running: boolean): void {
    if (running === this.#running) return
    this.#running = running
    this.#committed = false
    this.#ran(running)
  }

  reset(): void {
    this.#running = true
    this.#index = 0
    this.#committed = false
    this.#logging = false
    this.#overflow = false
    this.#log.clear()
    this.#incoming.fill(0)
  }

  save(): Saved {
    return {
      version: 1,
      incoming: this.#incoming.slice(),
      log: Float64Array.from(this.#log),
      running: this.#running,
      index: this.#index,
      committed: this.#committed,
      logging: this.#logging,
      overflow: this.#overflow,
    }
  }

  load(saved: Saved): void {
    const state = opened<{
      incoming: Uint32Array
      log: Float64Array
      running: boolean
      index: number
      committed: boolean
      logging: boolean
      overflow: boolean
    }>(saved, 'the migration window of a copier', 1)
    this.#incoming.set(state.incoming)
    this.#log.clear()
    for (const page of state.log) this.#log.add(page)
    this.#running = state.running
    this.#index = state.index
    this.#committed = state.committed
    this.#logging = state.logging
    this.#overflow = state.overflow
  }
}
