/**
 * The Intel 82599 as its drivers find it: one model per port, for the physical function and the virtual ones that it has
 * enabled. What a register does beyond storing bits is in `register-effects.ts`; frames go through `nic/common`.
 */
import type { Saved } from '../../../core/index.ts'
import type { FilterTables } from '../../../net/index.ts'
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
import { Mailbox } from '../common/mailbox.ts'
import type { NicInspection } from '../common/nic-model.ts'
import { macOfPlace, NonVolatileMemory } from '../common/non-volatile-memory.ts'
import { PortModel } from '../common/port-model.ts'
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

export class Intel82599 extends PortModel implements Parts82599 {
  readonly space: RegisterSpace
  readonly mac: Uint8Array
  readonly nvm: NonVolatileMemory
  readonly mailbox = new Mailbox(I82599_POOLS, this)
  readonly interrupts: Interrupts82599
  readonly tables: FilterTables
  readonly rss: ReceiveSideScaling
  readonly receiveRings: readonly ReceiveRing[]
  readonly transmitRings: readonly TransmitRing[]
  readonly receivePath: ReceivePath
  readonly transmitPath: TransmitPath
  readonly schedule: TransmitSchedule
  readonly dropEnable = new Uint8Array(I82599_QUEUES)
  protected readonly effects: RegisterEffects82599

  constructor(fn: PcieFunction, environment: DeviceEnvironment) {
    super(fn, environment)
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
    this.effects = new RegisterEffects82599(this)
    this.loadFromNvm()
    const { size } = sharedMap
    // The upper part of BAR 0 is a window to the flash, which is empty.
    fn.installBehaviour(0, {
      readDword: offset => (offset < size ? this.effects.read(offset >>> 2) >>> 0 : 0xffff_ffff),
      writeDword: (offset, value, lanes) => {
        if (offset < size) this.effects.write(offset >>> 2, value, lanes)
      },
    })
  }

  protected linkChanged(): void {
    this.interrupts.other(EICR.bits.LSC)
  }

  protected loadFilters(): void {
    loadFilters(this.space.words, this.tables)
    loadQueueFilters(this.space.words, this.queueFilters)
  }

  get #queuesPerFunction(): number {
    return queuesPerFunction(this.space.words)
  }

  protected window(index: number): BarBehaviour {
    return {
      readDword: offset => {
        const at = physicalOffset(index, this.#queuesPerFunction, offset)
        return at < 0 ? 0 : this.effects.read(at >>> 2) >>> 0
      },
      writeDword: (offset, value, lanes) => {
        const at = physicalOffset(index, this.#queuesPerFunction, offset)
        if (at >= 0) this.effects.write(at >>> 2, value, lanes)
      },
    }
  }

  protected virtualFunctionWasReset(index: number): void {
    this.space.words[(index < 32 ? PFVFLRE_LOW : PFVFLRE_HIGH).offset >>> 2]! |= 1 << (index & 31)
    this.interrupts.other(EICR.bits.MAILBOX)
  }

  protected stop(index: number): void {
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
    this.mailbox.resetVirtual(index, this.effects.resetDone)
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

  // Reset and state

  override portReset(): void {
    this.dropEnable.fill(0)
    super.portReset()
  }

  /** What the hardware reads from its EEPROM after each reset: the first receive address, for all pools. */
  protected loadFromNvm(): void {
    const { words } = this.space
    words[RAL.offset >>> 2] = this.nvm.read(0) | (this.nvm.read(1) << 16)
    words[RAH.offset >>> 2] = (RAH.bits.AV | this.nvm.read(2)) >>> 0
    words[MPSAR_LO.offset >>> 2] = 0xffff_ffff
    words[MPSAR_HI.offset >>> 2] = 0xffff_ffff
  }

  inspect(): NicInspection {
    return inspect(this)
  }

  protected savePart(): { dropEnable: Uint8Array } {
    return { dropEnable: this.dropEnable.slice() }
  }

  protected loadPart(saved: Saved): void {
    this.dropEnable.set((saved as { dropEnable: Uint8Array }).dropEnable)
  }
}
