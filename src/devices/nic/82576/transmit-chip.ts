/** What the transmit path asks of the 82576: from its registers. */
import type { FrameHeaders } from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import {
  DTXSWC,
  DTXTCPFLGH,
  DTXTCPFLGL,
  I82576_POOLS,
  ICR_BIT,
  RCTL,
  TCTL,
  VET,
  VFTE,
  VMVIR,
  WVBR,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import type { TransmitChip } from '../common/chip.ts'
import { isPooling } from './filters.ts'
import type { Interrupts82576 } from './interrupts.ts'
import { ownerOf } from './receive-chip.ts'
import type { Statistics82576 } from './statistics.ts'

/** 9.5 KB, with frame check sequence. */
const LONGEST_FRAME = 9728
/** `RCTL.LBM`: frames come back at the MAC. */
const MAC_LOOPBACK = 1

export interface TransmitChipParts {
  readonly words: Uint32Array
  readonly pf: PcieFunction
  readonly statistics: Statistics82576
  readonly interrupts: Interrupts82576
}

export class TransmitChip82576 implements TransmitChip {
  readonly longestTransmit = LONGEST_FRAME
  readonly #words: Uint32Array
  readonly #parts: TransmitChipParts

  constructor(parts: TransmitChipParts) {
    this.#words = parts.words
    this.#parts = parts
  }

  get transmitterEnabled(): boolean {
    return (this.#words[TCTL.offset >>> 2]! & TCTL.bits.EN) !== 0
  }

  get padsShortFrames(): boolean {
    return (this.#words[TCTL.offset >>> 2]! & TCTL.bits.PSP) !== 0
  }

  get tagType(): number {
    return this.#words[VET.offset >>> 2]! & VET.bits.VET
  }

  tcpFlagMask = (place: number): number => {
    const low = this.#words[DTXTCPFLGL.offset >>> 2]!
    if (place === 0) return low & DTXTCPFLGL.bits.FIRST
    if (place === 1) return fieldOf(low, DTXTCPFLGL.bits.MIDDLE)
    return this.#words[DTXTCPFLGH.offset >>> 2]! & DTXTCPFLGH.bits.LAST
  }

  functionOfTransmitQueue(queue: number): PcieFunction | undefined {
    return ownerOf(this.#parts.pf, queue)
  }

  poolOfTransmitQueue(queue: number): number {
    return queue % I82576_POOLS
  }

  poolMaySend(pool: number): boolean {
    return !isPooling(this.#words) || ((this.#words[VFTE.offset >>> 2]! >>> pool) & 1) !== 0
  }

  portTag(pool: number): number {
    if (!isPooling(this.#words)) return -1
    const vmvir = this.#words[(VMVIR.offset >>> 2) + pool]!
    if (vmvir & VMVIR.bits.DEFAULT) return vmvir & VMVIR.bits.PORT_VLAN
    return vmvir & VMVIR.bits.NEVER ? -2 : -1
  }

  #switch(mask: number, pool: number): boolean {
    const dtxswc = this.#words[DTXSWC.offset >>> 2]!
    return isPooling(this.#words) && ((fieldOf(dtxswc, mask) >>> pool) & 1) !== 0
  }

  checksMac(pool: number): boolean {
    return this.#switch(DTXSWC.bits.MACAS, pool)
  }

  checksVlan(pool: number): boolean {
    return this.#switch(DTXSWC.bits.VLANAS, pool)
  }

  get switches(): boolean {
    return this.#switch(DTXSWC.bits.LOOPBACK_EN, 0)
  }

  loopsToItself(pool: number): boolean {
    return this.#switch(DTXSWC.bits.LLE, pool)
  }

  get macLoopback(): boolean {
    return fieldOf(this.#words[RCTL.offset >>> 2]!, RCTL.bits.LBM) === MAC_LOOPBACK
  }

  frameSent(headers: FrameHeaders, length: number, pool: number, toWire: boolean, local: boolean): void {
    this.#parts.statistics.sent(pool, headers, length, toWire, local)
  }

  /** "Wrong VM Behavior Register": the physical function learns which pool it was. */
  spoofed(pool: number): void {
    this.#words[WVBR.offset >>> 2]! |= 1 << pool
    this.#parts.statistics.spoofed()
    this.#parts.interrupts.other(ICR_BIT.DOUTSYNC)
  }

  descriptorDone(queue: number): void {
    this.#parts.interrupts.transmitted(queue)
  }

  segmented(): void {
    this.#parts.statistics.segmented()
  }

  frameDropped(cause: number, queue: number): void {
    this.#parts.statistics.dropped(cause, queue)
  }

  busError(): void {
    this.#parts.interrupts.other(ICR_BIT.FER)
  }
}
