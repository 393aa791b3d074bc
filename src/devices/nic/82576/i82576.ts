/**
 * The Intel 82576 as its drivers find it: one model per port, for the physical function and the virtual ones that it has
 * enabled. What a register does beyond storing bits is in `register-effects.ts`; frames go through `nic/common`.
 */
import type { Saved } from '../../../core/index.ts'
import type { FilterTables } from '../../../net/index.ts'
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
import { Mailbox } from '../common/mailbox.ts'
import type { NicInspection } from '../common/nic-model.ts'
import { macOfPlace, NonVolatileMemory } from '../common/non-volatile-memory.ts'
import { Phy } from '../common/phy.ts'
import { PortModel } from '../common/port-model.ts'
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

export class Intel82576 extends PortModel implements Parts82576 {
  readonly name: string
  readonly space: RegisterSpace
  readonly mac: Uint8Array
  readonly nvm: NonVolatileMemory
  readonly phy: Phy
  readonly mailbox = new Mailbox(VIRTUAL_FUNCTIONS, this)
  readonly interrupts: Interrupts82576
  readonly tables: FilterTables
  readonly rss: ReceiveSideScaling
  readonly receiveRings: readonly ReceiveRing[]
  readonly transmitRings: readonly TransmitRing[]
  readonly receivePath: ReceivePath
  readonly transmitPath: TransmitPath
  readonly schedule: TransmitSchedule
  protected readonly effects: RegisterEffects82576

  constructor(
    fn: PcieFunction,
    environment: DeviceEnvironment,
    { name, registers }: Variant82576 = { name: '82576', registers: I82576_REGISTERS },
  ) {
    super(fn, environment)
    this.name = name
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
    this.effects = new RegisterEffects82576(this)
    this.loadFromNvm()
    fn.installBehaviour(0, this.#behaviour())
  }

  #behaviour(): BarBehaviour {
    return {
      readDword: offset => this.effects.read(offset >>> 2) >>> 0,
      writeDword: (offset, value, lanes) => this.effects.write(offset >>> 2, value, lanes),
    }
  }

  protected linkChanged(): void {
    this.interrupts.other(ICR_BIT.LSC)
  }

  protected loadFilters(): void {
    loadFilters(this.space.words, this.tables)
    loadQueueFilters(this.space.words, this.queueFilters)
  }

  protected window(index: number): BarBehaviour {
    return {
      readDword: offset => {
        const at = physicalDword(index, offset)
        return at < 0 ? 0 : this.effects.read(at) >>> 0
      },
      writeDword: (offset, value, lanes) => {
        const at = physicalDword(index, offset)
        if (at >= 0) this.effects.write(at, value, lanes)
      },
    }
  }

  protected virtualFunctionWasReset(index: number): void {
    this.space.words[VFLRE.offset >>> 2]! |= 1 << index
    this.interrupts.other(ICR_BIT.VMMB)
  }

  protected stop(index: number): void {
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
      this.effects.setQueueVectors(queue, 0, 0)
    }
    words[(VTIVAR.offset >>> 2) + index] = 0
    words[(VTIVAR_MISC.offset >>> 2) + index] = 0
    words[VFRE.offset >>> 2]! &= ~(1 << index)
    words[VFTE.offset >>> 2]! &= ~(1 << index)
    this.filtersWritten()
    this.interrupts.resetVirtual(index)
    this.mailbox.resetVirtual(index, this.effects.resetDone)
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

  // Reset and state

  override reset(): void {
    this.phy.reset()
    super.reset()
    if (this.environment.port !== undefined) this.environment.port.enabled = true
  }

  /** What the hardware reads from its EEPROM after each reset: the first receive address. */
  protected loadFromNvm(): void {
    const { words } = this.space
    words[RAL.offset >>> 2] = this.nvm.read(0) | (this.nvm.read(1) << 16)
    words[RAH.offset >>> 2] = (RAH_BIT.AV | this.nvm.read(2)) >>> 0
  }

  inspect(): NicInspection {
    return inspect(this)
  }

  protected savePart(): { phy: Saved } {
    return { phy: this.phy.save() }
  }

  protected loadPart(saved: Saved): void {
    this.phy.load((saved as { phy: Saved }).phy)
  }
}
