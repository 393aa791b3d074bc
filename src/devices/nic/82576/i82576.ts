/**
 * The Intel 82576 as its drivers find it: one model per port, for the physical function and the virtual ones that it has
 * enabled. What a register does beyond storing bits is in `register-effects.ts`; frames go through `nic/common`.
 */
import type { Saved } from '../../../core/index.ts'
import { type FilterTables, Frame } from '../../../net/index.ts'
import type { BarBehaviour, PcieFunction } from '../../../pcie/index.ts'
import type { DeviceEnvironment } from '../../device-model.ts'
import {
  I82576_QUEUES,
  I82576_REGISTERS,
  ICR_BIT,
  MBVFICR,
  MBVFIMR,
  RAH,
  RAH_BIT,
  RAL,
  RDBAL,
  RETA,
  RSSRK,
  RTTBCNRC,
  RXDCTL,
  TDBAL,
  TXDCTL,
  VFLRE,
  VFRE,
  VFTE,
  VTIVAR,
  VTIVAR_MISC,
} from '../../formats/nic/i82576-registers.ts'
import type { NicRegister, NicRegisterFile } from '../../formats/nic/register.ts'
import { Mailbox, type MailboxEvents } from '../common/mailbox.ts'
import { NicDma } from '../common/nic-dma.ts'
import { DropCounts, type NicInspection, type NicModel, type NicObserver } from '../common/nic-model.ts'
import { macOfPlace, NonVolatileMemory } from '../common/non-volatile-memory.ts'
import { Phy } from '../common/phy.ts'
import { QueueFilters } from '../common/queue-filters.ts'
import { ReceivePath } from '../common/receive-path.ts'
import { ReceiveRing } from '../common/receive-ring.ts'
import { RegisterMap, RegisterSpace } from '../common/register-space.ts'
import { ReceiveSideScaling } from '../common/rss.ts'
import { TransmitPath } from '../common/transmit-path.ts'
import { TransmitRing } from '../common/transmit-ring.ts'
import { rateFactor, TransmitSchedule } from '../common/transmit-schedule.ts'
import type { Parts82576 } from './chip-parts.ts'
import { loadFilters, makeFilters } from './filters.ts'
import { inspect } from './inspect.ts'
import { Interrupts82576 } from './interrupts.ts'
import { NVM_WORDS } from './nvm-words.ts'
import { loadQueueFilters } from './queue-filters.ts'
import { ReceiveChip82576 } from './receive-chip.ts'
import { RegisterEffects82576 } from './register-effects.ts'
import { Statistics82576 } from './statistics.ts'
import { TransmitChip82576 } from './transmit-chip.ts'
import { physicalDword } from './vf-window.ts'

const VIRTUAL_FUNCTIONS = 8
const RECEIVE_BUFFER = 64 * 1024
const sharedMaps = new Map<NicRegisterFile, RegisterMap>()

/** A controller of the family: its name, and the registers that it has. */
export interface Variant82576 {
  readonly name: string
  readonly registers: NicRegisterFile
}

function mapOf(registers: NicRegisterFile): RegisterMap {
  const shared = sharedMaps.get(registers) ?? new RegisterMap(registers)
  sharedMaps.set(registers, shared)
  return shared
}

export class Intel82576 implements NicModel, MailboxEvents, Parts82576 {
  readonly name: string
  readonly function: PcieFunction
  readonly environment: DeviceEnvironment
  readonly space: RegisterSpace
  readonly mac: Uint8Array
  readonly nvm: NonVolatileMemory
  readonly phy: Phy
  readonly mailbox = new Mailbox(VIRTUAL_FUNCTIONS, this)
  readonly interrupts: Interrupts82576
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
  readonly #effects: RegisterEffects82576
  #filtersChanged = true
  #linkWasUp = false
  #virtualFunctions = 0
  #observer: NicObserver | undefined

  constructor(
    fn: PcieFunction,
    environment: DeviceEnvironment,
    { name, registers }: Variant82576 = { name: '82576', registers: I82576_REGISTERS },
  ) {
    this.name = name
    this.function = fn
    this.environment = environment
    const space = new RegisterSpace(mapOf(registers))
    const { words } = space
    this.space = space
    this.mac = macOfPlace(environment.name, fn.definition.functionNumber ?? 0)
    this.nvm = new NonVolatileMemory(this.mac, NVM_WORDS)
    this.phy = new Phy(
      () => this.linkUp,
      on => {
        if (environment.port !== undefined) environment.port.enabled = on
      },
    )
    const interrupts = new Interrupts82576(space, fn, environment)
    const statistics = new Statistics82576(space)
    this.interrupts = interrupts
    this.tables = makeFilters(words)
    this.rss = new ReceiveSideScaling(words, RSSRK.offset >>> 2, RETA.offset >>> 2)
    const rings = ({ offset, stride }: NicRegister) =>
      Array.from({ length: I82576_QUEUES }, (_, queue) => [queue, (offset + queue * stride) >>> 2] as const)
    this.receiveRings = rings(RDBAL).map(([queue, at]) => new ReceiveRing(queue, words, at))
    this.transmitRings = rings(TDBAL).map(([queue, at]) => new TransmitRing(queue, words, at))
    const { dma, drops, tables, rss } = this
    const chipParts = { words, pf: fn, statistics, interrupts, filters: () => this.filters() }
    this.receivePath = new ReceivePath({
      chip: new ReceiveChip82576(chipParts),
      tables,
      rings: this.receiveRings,
      rss,
      queueFilters: this.queueFilters,
      dma,
      drops,
      bufferSize: RECEIVE_BUFFER,
    })
    this.schedule = new TransmitSchedule(environment, I82576_QUEUES, queue =>
      rateFactor(RTTBCNRC, this.rateOf(queue)),
    )
    this.transmitPath = new TransmitPath({
      chip: new TransmitChip82576(chipParts),
      tables,
      rings: this.transmitRings,
      receive: this.receivePath,
      dma,
      drops,
      port: environment.port,
      schedule: this.schedule,
      refreshFilters: () => void this.filters(),
    })
    this.#effects = new RegisterEffects82576(this)
    this.#loadFromNvm()
    this.#linkWasUp = this.linkUp
    fn.installBehaviour(0, this.#behaviour())
  }

  #behaviour(): BarBehaviour {
    return {
      readDword: offset => this.#effects.read(offset >>> 2) >>> 0,
      writeDword: (offset, value, lanes) => this.#effects.write(offset >>> 2, value, lanes),
    }
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
    this.interrupts.other(ICR_BIT.LSC)
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

  #window(index: number): BarBehaviour {
    return {
      readDword: offset => {
        const at = physicalDword(index, offset)
        return at < 0 ? 0 : this.#effects.read(at) >>> 0
      },
      writeDword: (offset, value, lanes) => {
        const at = physicalDword(index, offset)
        if (at >= 0) this.#effects.write(at, value, lanes)
      },
    }
  }

  /** "VF Software Reset" and function level reset: its queues stop, and the physical function is told. */
  virtualFunctionReset(index: number): void {
    this.#stop(index)
    this.space.words[VFLRE.offset >>> 2]! |= 1 << index
    this.interrupts.other(ICR_BIT.VMMB)
    this.receivePath.drain()
  }

  /** Queues, vectors and mailbox of a virtual function are as after a reset. */
  #stop(index: number): void {
    const { words, map } = this.space
    for (const queue of [index, index + VIRTUAL_FUNCTIONS]) {
      for (const [first, last] of [
        [RDBAL, RXDCTL],
        [TDBAL, TXDCTL],
      ] as const) {
        const begin = (first.offset + queue * first.stride) >>> 2
        const end = (last.offset + queue * last.stride) >>> 2
        for (let at = begin; at <= end; at++) words[at] = map.resetOf(at)
      }
      this.receiveRings[queue]!.restart()
      this.transmitRings[queue]!.restart()
      this.#effects.setQueueVectors(queue, 0, 0)
    }
    words[(VTIVAR.offset >>> 2) + index] = 0
    words[(VTIVAR_MISC.offset >>> 2) + index] = 0
    words[VFRE.offset >>> 2]! &= ~(1 << index)
    words[VFTE.offset >>> 2]! &= ~(1 << index)
    this.filtersWritten()
    this.interrupts.resetVirtual(index)
    this.mailbox.resetVirtual(index, this.#effects.resetDone)
  }

  // Mailbox

  requested(vf: number): void {
    this.#mailboxCause(1 << vf)
  }

  acknowledged(vf: number): void {
    this.#mailboxCause(1 << (16 + vf))
  }

  #mailboxCause(cause: number): void {
    const { words } = this.space
    words[MBVFICR.offset >>> 2]! |= cause
    const vf = (cause | (cause >>> 16)) & 0xff
    if (words[MBVFIMR.offset >>> 2]! & vf) this.interrupts.other(ICR_BIT.VMMB)
  }

  withdrawn(vf: number): void {
    this.space.words[MBVFICR.offset >>> 2]! &= ~((1 << vf) | (1 << (16 + vf)))
  }

  notified(vf: number): void {
    this.interrupts.mailbox(vf)
  }

  // Reset and state

  /** A PCIe reset of any kind ends with everything as after power-on. */
  reset(): void {
    this.phy.reset()
    this.portReset()
    this.drops.counts.fill(0)
    this.receivePath.stored = 0
    if (this.environment.port !== undefined) this.environment.port.enabled = true
  }

  /** `CTRL.RST`: queues, filters and interrupts; not the transceiver. */
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
    this.#effects.reset()
    this.rss.keyChanged()
    this.filtersWritten()
    this.#loadFromNvm()
  }

  /** What the hardware reads from its EEPROM after each reset: the first receive address. */
  #loadFromNvm(): void {
    const { words } = this.space
    words[RAL.offset >>> 2] = this.nvm.read(0) | (this.nvm.read(1) << 16)
    words[RAH.offset >>> 2] = (RAH_BIT.AV | this.nvm.read(2)) >>> 0
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
      phy: this.phy.save(),
      mailbox: this.mailbox.save(),
      interrupts: this.interrupts.save(),
      effects: this.#effects.save(),
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
      phy: Saved
      mailbox: Saved
      interrupts: Saved
      effects: Saved
      receive: readonly Saved[]
      transmit: readonly Saved[]
      schedule: Saved
      buffer: Saved
      stored: number
      drops: Float64Array
      linkWasUp: boolean
    }
    this.space.words.set(state.words)
    this.phy.load(state.phy)
    this.mailbox.load(state.mailbox)
    this.interrupts.load(state.interrupts)
    this.#effects.load(state.effects)
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
