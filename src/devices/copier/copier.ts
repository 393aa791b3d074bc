/** The copier: see its registers. A copy of a page takes a microsecond; the last ends with message 0. */
import { opened, PAGE_SIZE, type PageNumber, pageOf, type Saved } from '../../core/index.ts'
import type { MmioTarget } from '../../memory/index.ts'
import type { FunctionModel, PcieFunction } from '../../pcie/index.ts'
import type { DeviceEnvironment } from '../device-model.ts'
import { COPIER, COPIER_STATUS, MIGRATION_WINDOW } from '../formats/copier.ts'
import { FunctionBusMaster } from '../nvme/bus.ts'
import { MigrationWindow } from './migration-window.ts'

const BAR = 0
const PAGE_TIME = 1000
const REGISTERS = 8
const SCRATCH = COPIER.scratch >>> 2
/** Words of the state: registers, scratch, what was copied of the copy under way. */
const PROGRESS = REGISTERS + COPIER.scratchDwords
const STATE = PROGRESS + 1
const STATUS = COPIER.status >>> 2
/** Highest address bits that make whole numbers of both halves. */
const HIGH_LIMIT = 2 ** 20

export class Copier implements FunctionModel, MmioTarget {
  readonly size: number
  readonly #environment: DeviceEnvironment
  readonly #bus: FunctionBusMaster
  readonly #page = new Uint8Array(PAGE_SIZE)
  readonly #state = new Uint32Array(STATE)
  readonly #window: MigrationWindow
  /** Tells events of a copy from those of one that was stopped before. */
  #turn = 0

  constructor(fn: PcieFunction, environment: DeviceEnvironment, size: number) {
    this.size = size
    this.#environment = environment
    this.#bus = new FunctionBusMaster(fn)
    this.#window = new MigrationWindow(this.#state, running => this.#ran(running))
    fn.installBehaviour(BAR, this)
  }

  readDword(offset: number): number {
    if (offset >= MIGRATION_WINDOW) return this.#window.read(offset - MIGRATION_WINDOW)
    const at = this.#place(offset)
    return at < 0 ? 0 : this.#state[at]!
  }

  writeDword(offset: number, value: number, lanes: number): void {
    if (offset >= MIGRATION_WINDOW) {
      this.#window.write(offset - MIGRATION_WINDOW, value, lanes)
      return
    }
    const at = this.#place(offset)
    if (at < 0 || offset === COPIER.status || offset === COPIER.copies) return
    if (offset === COPIER.control) {
      if ((value & lanes & 1) !== 0) this.#start()
      return
    }
    // The registers of a copy that is under way stay as they are.
    if (at < REGISTERS && this.#busy) return
    this.#state[at] = (this.#state[at]! & ~lanes) | (value & lanes)
  }

  /** Word of the state behind an offset; -1: none. */
  #place(offset: number): number {
    const word = offset >>> 2
    if (word < REGISTERS) return word
    if (word >= SCRATCH && word < SCRATCH + COPIER.scratchDwords) return REGISTERS + word - SCRATCH
    return -1
  }

  get #busy(): boolean {
    return (this.#state[STATUS]! & COPIER_STATUS.busy) !== 0
  }

  #start(): void {
    if (this.#busy || !this.#window.running) return
    this.#state[STATUS] = COPIER_STATUS.busy
    this.#state[PROGRESS] = 0
    this.#goOn()
  }

  #goOn(): void {
    this.#environment.schedule(PAGE_TIME, ++this.#turn)
  }

  /** It was stopped, or works again. */
  #ran(running: boolean): void {
    this.#turn++
    if (running && this.#busy) this.#goOn()
  }

  timeIsUp(turn: number): void {
    if (turn !== this.#turn || !this.#busy || !this.#window.running) return
    const done = this.#state[PROGRESS]!
    const length = Math.min(PAGE_SIZE, this.#state[COPIER.length >>> 2]! - done)
    if (length <= 0) this.#end(COPIER_STATUS.done)
    else if (!this.#copy(done, length)) this.#end(COPIER_STATUS.done | COPIER_STATUS.failed)
    else {
      this.#state[PROGRESS] = done + length
      if (done + length === this.#state[COPIER.length >>> 2]!) this.#end(COPIER_STATUS.done)
      else this.#goOn()
    }
  }

  #copy(done: number, length: number): boolean {
    const [fromPage, fromOffset] = this.#address(COPIER.sourceLow, done)
    const [toPage, toOffset] = this.#address(COPIER.destinationLow, done)
    if (!this.#bus.read(fromPage, fromOffset, this.#page, 0, length)) return false
    if (!this.#bus.write(toPage, toOffset, this.#page, 0, length)) return false
    this.#window.wrote(toPage)
    if (toOffset + length > PAGE_SIZE) this.#window.wrote(toPage + 1)
    return true
  }

  /** Page and offset of a 64-bit address, so many bytes on. */
  #address(register: number, done: number): readonly [PageNumber, number] {
    const at = register >>> 2
    const low = this.#state[at]! + done
    return [this.#state[at + 1]! * HIGH_LIMIT + pageOf(low), low % PAGE_SIZE]
  }

  #end(status: number): void {
    this.#state[STATUS] = status
    this.#state[COPIER.copies >>> 2]!++
    this.#bus.signal(0)
  }

  reset(): void {
    this.#state.fill(0)
    this.#turn++
    this.#window.reset()
  }

  save(): Saved {
    return { version: 1, state: this.#state.slice(), turn: this.#turn, window: this.#window.save() }
  }

  load(saved: Saved): void {
    const { state, turn, window } = opened<{ state: Uint32Array; turn: number; window: Saved }>(
      saved,
      'a copier',
      1,
    )
    this.#state.set(state)
    this.#turn = turn
    this.#window.load(window)
  }
}
