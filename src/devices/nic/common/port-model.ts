/**
 * What the models of both chips have in common: one port with its wire, its virtual functions and its state. Where the
 * chips differ (registers, vectors, where a cause is kept) each says so itself.
 */
import type { Saved } from '../../../core/index.ts'
import { type FilterTables, Frame } from '../../../net/index.ts'
import type { BarBehaviour, PcieFunction } from '../../../pcie/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import type { Mailbox, MailboxEvents } from './mailbox.ts'
import { NicDma } from './nic-dma.ts'
import { DropCounts, type NicInspection, type NicModel, type NicObserver } from './nic-model.ts'
import { QueueFilters } from './queue-filters.ts'
import type { ReceivePath } from './receive-path.ts'
import type { ReceiveRing } from './receive-ring.ts'
import type { RegisterSpace } from './register-space.ts'
import type { ReceiveSideScaling } from './rss.ts'
import type { TransmitPath } from './transmit-path.ts'
import type { TransmitRing } from './transmit-ring.ts'
import type { TransmitSchedule } from './transmit-schedule.ts'

/** What reading and writing registers does beyond storing bits. */
interface RegisterEffects {
  readonly rates: Uint32Array
  read(at: number): number
  write(at: number, value: number, lanes: number): void
  reset(): void
  save(): Saved
  load(saved: Saved): void
}

interface PortInterrupts {
  observer: NicObserver | undefined
  timeIsUp(vector: number): void
  mailbox(vf: number): void
  reset(): void
  save(): Saved
  load(saved: Saved): void
}

type SavedPort = {
  readonly words: Uint32Array
  readonly mailbox: Saved
  readonly interrupts: Saved
  readonly effects: Saved
  readonly receive: readonly Saved[]
  readonly transmit: readonly Saved[]
  readonly schedule: Saved
  readonly buffer: Saved
  readonly stored: number
  readonly drops: Float64Array
  readonly linkWasUp: boolean
}

export abstract class PortModel implements NicModel, MailboxEvents {
  readonly function: PcieFunction
  readonly environment: DeviceEnvironment
  readonly queueFilters = new QueueFilters()
  readonly drops = new DropCounts()
  readonly dma = new NicDma()
  abstract readonly space: RegisterSpace
  abstract readonly mailbox: Mailbox
  abstract readonly interrupts: PortInterrupts
  abstract readonly tables: FilterTables
  abstract readonly rss: ReceiveSideScaling
  abstract readonly receiveRings: readonly ReceiveRing[]
  abstract readonly transmitRings: readonly TransmitRing[]
  abstract readonly receivePath: ReceivePath
  abstract readonly transmitPath: TransmitPath
  abstract readonly schedule: TransmitSchedule
  protected abstract readonly effects: RegisterEffects
  #filtersChanged = true
  #linkWasUp: boolean
  #virtualFunctions = 0
  #observer: NicObserver | undefined

  constructor(fn: PcieFunction, environment: DeviceEnvironment) {
    this.function = fn
    this.environment = environment
    this.#linkWasUp = this.linkUp
  }

  /** Raises the cause that tells of the link. */
  protected abstract linkChanged(): void
  /** Fills the tables from the registers. */
  protected abstract loadFilters(): void
  /** The registers that a virtual function reaches. */
  protected abstract window(index: number): BarBehaviour
  /** Queues, vectors and mailbox of a virtual function are as after a reset. */
  protected abstract stop(index: number): void
  /** Marks that a virtual function was reset, and raises the cause that tells of it. */
  protected abstract virtualFunctionWasReset(index: number): void
  /** What the hardware reads from its EEPROM after each reset. */
  protected abstract loadFromNvm(): void
  abstract requested(vf: number): void
  abstract acknowledged(vf: number): void
  abstract withdrawn(vf: number): void
  abstract inspect(): NicInspection

  /** Inspection: hears of every decision about a frame. */
  get observer(): NicObserver | undefined {
    return this.#observer
  }

  set observer(observer: NicObserver | undefined) {
    this.#observer = observer
    this.receivePath.observer = observer
    this.transmitPath.observer = observer
    this.interrupts.observer = observer
  }

  // The wire

  get linkUp(): boolean {
    return this.environment.port?.carrier === true
  }

  receive(frame: Frame): void {
    this.receivePath.fromWire(frame)
  }

  carrierChanged(): void {
    const up = this.linkUp
    if (up === this.#linkWasUp) return
    this.#linkWasUp = up
    this.linkChanged()
  }

  /** Vectors have the numbers from 0 on, what concerns sending those below. */
  timeIsUp(argument: number): void {
    if (argument >= 0) this.interrupts.timeIsUp(argument)
    else this.transmitPath.timeIsUp(argument)
  }

  // Filters

  filtersWritten(): void {
    this.#filtersChanged = true
  }

  filters(): FilterTables {
    if (this.#filtersChanged) {
      this.loadFilters()
      this.#filtersChanged = false
    }
    return this.tables
  }

  /** Rate-scheduler configuration of a queue. */
  rateOf(queue: number): number {
    return this.effects.rates[queue]!
  }

  // Virtual functions

  virtualFunctionsChanged(): void {
    const { virtualFunctions } = this.function
    // "VF Enable" cleared: the queues go back to the physical function, and nothing that a guest has set up may run on.
    for (let index = virtualFunctions.length; index < this.#virtualFunctions; index++) this.stop(index)
    this.#virtualFunctions = virtualFunctions.length
    for (const [index, vf] of virtualFunctions.entries()) vf.installBehaviour(0, this.window(index))
    this.receivePath.drain()
  }

  /** "VF Software Reset" and function level reset: its queues stop, and the physical function is told. */
  virtualFunctionReset(index: number): void {
    this.stop(index)
    this.virtualFunctionWasReset(index)
    this.receivePath.drain()
  }

  notified(vf: number): void {
    this.interrupts.mailbox(vf)
  }

  // Reset and state

  /** A PCIe reset of any kind ends with everything as after power-on. */
  reset(): void {
    this.portReset()
    this.drops.counts.fill(0)
    this.receivePath.stored = 0
  }

  /** A reset of the port by its driver: queues, filters and interrupts. */
  portReset(): void {
    this.receivePath.reset()
    this.schedule.reset()
    this.space.map.reset(this.space.words)
    for (const ring of [...this.receiveRings, ...this.transmitRings]) {
      ring.restart()
      ring.frames = 0
      ring.bytes = 0
    }
    this.interrupts.reset()
    this.mailbox.resetBegun()
    this.effects.reset()
    this.rss.keyChanged()
    this.filtersWritten()
    this.loadFromNvm()
  }

  save(): Saved {
    return { version: 1, ...this.#savePort(), ...this.savePart() }
  }

  #savePort(): SavedPort {
    return {
      words: this.space.words.slice(),
      mailbox: this.mailbox.save(),
      interrupts: this.interrupts.save(),
      effects: this.effects.save(),
      receive: this.receiveRings.map(ring => ring.save()),
      transmit: this.transmitRings.map(ring => ring.save()),
      schedule: this.schedule.save(),
      buffer: this.receivePath.buffer.save(),
      stored: this.receivePath.stored,
      drops: this.drops.counts.slice(),
      linkWasUp: this.#linkWasUp,
    }
  }

  /** What a chip has besides. */
  protected abstract savePart(): { readonly [name: string]: Saved }
  protected abstract loadPart(saved: Saved): void

  load(saved: Saved): void {
    const state = saved as SavedPort
    this.space.words.set(state.words)
    this.loadPart(saved)
    this.mailbox.load(state.mailbox)
    this.interrupts.load(state.interrupts)
    this.effects.load(state.effects)
    for (const [i, ring] of this.receiveRings.entries()) ring.load(state.receive[i]!)
    for (const [i, ring] of this.transmitRings.entries()) ring.load(state.transmit[i]!)
    this.schedule.load(state.schedule)
    this.receivePath.buffer.load(state.buffer, new Frame())
    this.receivePath.stored = state.stored
    this.drops.counts.set(state.drops)
    this.#linkWasUp = state.linkWasUp
    this.rss.keyChanged()
    this.filtersWritten()
  }
}
