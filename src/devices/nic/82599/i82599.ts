/**
 * The Intel 82599 as its drivers find it: one model per port, for the physical function and the virtual ones that it has
 * enabled. What a register does beyond storing bits is in `register-effects.ts`; frames go through `nic/common`.
 */
import type { Saved } from '../../../core/index.ts'
import { type FilterTables, Frame } from '../../../net/index.ts'
import type { BarBehaviour, PcieFunction } from '../../../pcie/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import {
  EICR,
  I82599_POOLS,
  I82599_QUEUES,
  I82599_REGISTERS,
  MPSAR_HI,
  MPSAR_LO,
  PFMBICR,
  PFMBIMR,
  PFVFLRE_HIGH,
  PFVFLRE_LOW,
  PVTIVAR,
  RAH,
  RAL,
  RETA,
  RSSRK,
  RTTBCNRC,
  RX_LOWER,
  TDBAL,
  TXDCTL,
  VFRE,
  VFTE,
} from '../../formats/nic/i82599-registers.ts'
import { Mailbox, type MailboxEvents } from '../common/mailbox.ts'
import { NicDma } from '../common/nic-dma.ts'
import { DropCounts, type NicInspection, type NicModel, type NicObserver } from '../common/nic-model.ts'
import { macOfPlace, NonVolatileMemory } from '../common/non-volatile-memory.ts'
import { QueueFilters } from '../common/queue-filters.ts'
import { ReceivePath } from '../common/receive-path.ts'
import { ReceiveRing } from '../common/receive-ring.ts'
import { RegisterMap, RegisterSpace } from '../common/register-space.ts'
import { ReceiveSideScaling } from '../common/rss.ts'
import { TransmitPath } from '../common/transmit-path.ts'
import { TransmitRing } from '../common/transmit-ring.ts'
import { rateFactor, TransmitSchedule } from '../common/transmit-schedule.ts'
import type { Parts82599 } from './chip-parts.ts'
import { loadFilters, makeFilters } from './filters.ts'
import { inspect } from './inspect.ts'
import { Interrupts82599 } from './interrupts.ts'
import { NVM_WORDS } from './nvm-words.ts'
import { queuesPerFunction } from './pools.ts'
import { loadQueueFilters } from './queue-filters.ts'
import { ReceiveChip82599 } from './receive-chip.ts'
import { RegisterEffects82599 } from './register-effects.ts'
import { Statistics82599 } from './statistics.ts'
import { TransmitChip82599 } from './transmit-chip.ts'
import { physicalOffset, receiveBase } from './vf-window.ts'

const RECEIVE_BUFFER = 512 * 1024
const VFS_PER_CAUSE_REGISTER = 16
let sharedMap: RegisterMap | undefined

export class Intel82599 implements NicModel, MailboxEvents, Parts82599 {
  readonly function: PcieFunction
  readonly environment: DeviceEnvironment
  readonly space: RegisterSpace
  readonly mac: Uint8Array
  readonly nvm: NonVolatileMemory
  readonly mailbox = new Mailbox(I82599_POOLS, this)
  readonly interrupts: Interrupts82599
  readonly tables: FilterTables
  readonly queueFilters = new QueueFilters()
  readonly rss: ReceiveSideScaling
  readonly receiveRings: readonly ReceiveRing[]
  readonly transmitRings: readonly TransmitRing[]
  readonly receivePath: ReceivePath
  readonly transmitPath: TransmitPath
  readonly schedule: TransmitSchedule
  readonly drops = new DropCounts()
  readonly dma = new NicDma()
  readonly dropEnable = new Uint8Array(I82599_QUEUES)
  readonly #effects: RegisterEffects82599
  #filtersChanged = true
  #linkWasUp = false
  #virtualFunctions = 0
  #observer: NicObserver | undefined

  constructor(fn: PcieFunction, environment: DeviceEnvironment) {
    this.function = fn
    this.environment = environment
    sharedMap ??= new RegisterMap(I82599_REGISTERS)
    const space = new RegisterSpace(sharedMap)
    const { words } = space
    this.space = space
    this.mac = macOfPlace(environment.name, fn.definition.functionNumber ?? 0)
    this.nvm = new NonVolatileMemory(this.mac, NVM_WORDS)
    const interrupts = new Interrupts82599(space, fn, environment)
    const statistics = new Statistics82599(space)
    this.interrupts = interrupts
    this.tables = makeFilters(words)
    this.rss = new ReceiveSideScaling(words, RSSRK.offset >>> 2, RETA.offset >>> 2)
    const queues = Array.from({ length: I82599_QUEUES }, (_, queue) => queue)
    this.receiveRings = queues.map(queue => new ReceiveRing(queue, words, receiveBase(queue) >>> 2))
    this.transmitRings = queues.map(
      queue => new TransmitRing(queue, words, (TDBAL.offset + queue * TDBAL.stride) >>> 2),
    )
    const { dma, drops, tables, rss, dropEnable } = this
    const chipParts = { words, pf: fn, statistics, interrupts, dropEnable, filters: () => this.filters() }
    this.receivePath = new ReceivePath({
      chip: new ReceiveChip82599(chipParts),
      tables,
      rings: this.receiveRings,
      rss,
      queueFilters: this.queueFilters,
      dma,
      drops,
      bufferSize: RECEIVE_BUFFER,
    })
    this.schedule = new TransmitSchedule(environment, I82599_QUEUES, queue =>
      rateFactor(RTTBCNRC, this.rateOf(queue)),
    )
    this.transmitPath = new TransmitPath({
      chip: new TransmitChip82599(chipParts),
      tables,
      rings: this.transmitRings,
      receive: this.receivePath,
      dma,
      drops,
      port: environment.port,
      schedule: this.schedule,
      refreshFilters: () => void this.filters(),
    })
    this.#effects = new RegisterEffects82599(this)
    this.#loadFromNvm()
    this.#linkWasUp = this.linkUp
    const { size } = sharedMap
    // The upper part of BAR 0 is a window to the flash, which is empty.
    fn.installBehaviour(0, {
      readDword: offset => (offset < size ? this.#effects.read(offset >>> 2) >>> 0 : 0xffff_ffff),
      writeDword: (offset, value, lanes) => {
        if (offset < size) this.#effects.write(offset >>> 2, value, lanes)
      },
    })
  }

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
    this.interrupts.other(EICR.bits.LSC)
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
      loadFilters(this.space.words, this.tables)
      loadQueueFilters(this.space.words, this.queueFilters)
      this.#filtersChanged = false
    }
    return this.tables
  }

  // Virtual functions

  virtualFunctionsChanged(): void {
    const { virtualFunctions } = this.function
    // "VF Enable" cleared: the queues go back to the physical function, and nothing that a guest has set up may run on.
    for (let index = virtualFunctions.length; index < this.#virtualFunctions; index++) this.#stop(index)
    this.#virtualFunctions = virtualFunctions.length
    for (const [index, vf] of virtualFunctions.entries()) vf.installBehaviour(0, this.#window(index))
    this.receivePath.drain()
  }

  get #queuesPerFunction(): number {
    return queuesPerFunction(this.space.words)
  }

  #window(index: number): BarBehaviour {
    return {
      readDword: offset => {
        const at = physicalOffset(index, this.#queuesPerFunction, offset)
        return at < 0 ? 0 : this.#effects.read(at >>> 2) >>> 0
      },
      writeDword: (offset, value, lanes) => {
        const at = physicalOffset(index, this.#queuesPerFunction, offset)
        if (at >= 0) this.#effects.write(at >>> 2, value, lanes)
      },
    }
  }

  /** "VF Software Reset" and function level reset: its queues stop, and the physical function is told. */
  virtualFunctionReset(index: number): void {
    this.#stop(index)
    this.space.words[(index < 32 ? PFVFLRE_LOW : PFVFLRE_HIGH).offset >>> 2]! |= 1 << (index & 31)
    this.interrupts.other(EICR.bits.MAILBOX)
    this.receivePath.drain()
  }

  /** Queues, vectors and mailbox of a virtual function are as after a reset. */
  #stop(index: number): void {
    const { words, map } = this.space
    const queues = this.#queuesPerFunction
    for (let queue = index * queues; queue < (index + 1) * queues; queue++) {
      const receive = receiveBase(queue) >>> 2
      const transmit = (TDBAL.offset + queue * TDBAL.stride) >>> 2
      const receiveWords = ((RX_LOWER.RSCCTL.offset - RX_LOWER.RDBAL.offset) >>> 2) + 1
      // Head write-back addresses stay as they are: the physical function clears them.
      const transmitWords = ((TXDCTL.offset - TDBAL.offset) >>> 2) + 1
      for (let at = receive; at < receive + receiveWords; at++) words[at] = map.resetOf(at)
      for (let at = transmit; at < transmit + transmitWords; at++) words[at] = map.resetOf(at)
      this.receiveRings[queue]!.restart()
      this.transmitRings[queue]!.restart()
      words[(PVTIVAR.offset >>> 2) + (queue >> 1)] = 0
    }
    const half = index >>> 5
    const bit = 1 << (index & 31)
    words[(VFRE.offset >>> 2) + half]! &= ~bit
    words[(VFTE.offset >>> 2) + half]! &= ~bit
    this.filtersWritten()
    this.interrupts.resetVirtual(index)
    this.mailbox.resetVirtual(index, this.#effects.resetDone)
  }

  // Mailbox

  requested(vf: number): void {
    this.#mailboxCause(vf, 0)
  }

  acknowledged(vf: number): void {
    this.#mailboxCause(vf, VFS_PER_CAUSE_REGISTER)
  }

  #mailboxCause(vf: number, shift: number): void {
    const { words } = this.space
    const register = Math.floor(vf / VFS_PER_CAUSE_REGISTER)
    const bit = 1 << (vf % VFS_PER_CAUSE_REGISTER)
    words[(PFMBICR.offset >>> 2) + register]! |= bit << shift
    if (words[(PFMBIMR.offset >>> 2) + register]! & bit) this.interrupts.other(EICR.bits.MAILBOX)
  }

  withdrawn(vf: number): void {
    const bit = 1 << (vf % VFS_PER_CAUSE_REGISTER)
    const at = (PFMBICR.offset >>> 2) + Math.floor(vf / VFS_PER_CAUSE_REGISTER)
    this.space.words[at]! &= ~(bit | (bit << VFS_PER_CAUSE_REGISTER))
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

  /** `CTRL.RST`, `CTRL.LRST`: queues, filters, interrupts. */
  portReset(): void {
    this.receivePath.reset()
    this.schedule.reset()
    this.space.map.reset(this.space.words)
    for (const ring of [...this.receiveRings, ...this.transmitRings]) {
      ring.restart()
      ring.frames = 0
      ring.bytes = 0
    }
    this.dropEnable.fill(0)
    this.interrupts.reset()
    this.mailbox.resetBegun()
    this.#effects.reset()
    this.rss.keyChanged()
    this.filtersWritten()
    this.#loadFromNvm()
  }

  /** What the hardware reads from its EEPROM after each reset: the first receive address, for all pools. */
  #loadFromNvm(): void {
    const { words } = this.space
    words[RAL.offset >>> 2] = this.nvm.read(0) | (this.nvm.read(1) << 16)
    words[RAH.offset >>> 2] = (RAH.bits.AV | this.nvm.read(2)) >>> 0
    words[MPSAR_LO.offset >>> 2] = 0xffff_ffff
    words[MPSAR_HI.offset >>> 2] = 0xffff_ffff
  }

  rateOf(queue: number): number {
    return this.#effects.rates[queue]!
  }

  inspect(): NicInspection {
    return inspect(this)
  }

  save(): Saved {
    return {
      version: 1,
      words: this.space.words.slice(),
      mailbox: this.mailbox.save(),
      interrupts: this.interrupts.save(),
      effects: this.#effects.save(),
      dropEnable: this.dropEnable.slice(),
      receive: this.receiveRings.map(ring => ring.save()),
      transmit: this.transmitRings.map(ring => ring.save()),
      schedule: this.schedule.save(),
      buffer: this.receivePath.buffer.save(),
      stored: this.receivePath.stored,
      drops: this.drops.counts.slice(),
      linkWasUp: this.#linkWasUp,
    }
  }

  load(saved: Saved): void {
    const state = saved as {
      words: Uint32Array
      mailbox: Saved
      interrupts: Saved
      effects: Saved
      dropEnable: Uint8Array
      receive: readonly Saved[]
      transmit: readonly Saved[]
      schedule: Saved
      buffer: Saved
      stored: number
      drops: Float64Array
      linkWasUp: boolean
    }
    this.space.words.set(state.words)
    this.mailbox.load(state.mailbox)
    this.interrupts.load(state.interrupts)
    this.#effects.load(state.effects)
    this.dropEnable.set(state.dropEnable)
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
