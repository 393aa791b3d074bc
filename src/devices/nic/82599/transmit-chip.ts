/** What the transmit path asks of the 82599: from its registers. */
import type { FrameHeaders } from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import {
  DMATXCTL,
  DTXTCPFLGH,
  DTXTCPFLGL,
  EICR,
  HLREG0,
  PFDTXGSWC,
  PFVFSPOOF,
  VFTE,
  VMTXSW,
  VMVIR,
} from '../../formats/nic/i82599-registers.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'
import type { TransmitChip } from '../common/chip.ts'
import type { Interrupts82599 } from './interrupts.ts'
import { isPooling, queuesPerPool } from './pools.ts'
import { functionOf } from './receive-chip.ts'
import type { Statistics82599 } from './statistics.ts'

/** 15.5 KB, with frame check sequence. */
const LONGEST_FRAME = 15_872

export interface TransmitChipParts {
  readonly words: Uint32Array
  readonly pf: PcieFunction
  readonly statistics: Statistics82599
  readonly interrupts: Interrupts82599
}

export class TransmitChip82599 implements TransmitChip {
  readonly longestTransmit = LONGEST_FRAME
  readonly #words: Uint32Array
  readonly #parts: TransmitChipParts

  constructor(parts: TransmitChipParts) {
    this.#words = parts.words
    this.#parts = parts
  }

  get transmitterEnabled(): boolean {
    return (this.#words[DMATXCTL.offset >>> 2]! & DMATXCTL.bits.TE) !== 0
  }

  get padsShortFrames(): boolean {
    return (this.#words[HLREG0.offset >>> 2]! & HLREG0.bits.TXPADEN) !== 0
  }

  get tagType(): number {
    return fieldOf(this.#words[DMATXCTL.offset >>> 2]!, DMATXCTL.bits.VT)
  }

  tcpFlagMask = (place: number): number => {
    const low = this.#words[DTXTCPFLGL.offset >>> 2]!
    if (place === 0) return low & DTXTCPFLGL.bits.FIRST
    if (place === 1) return fieldOf(low, DTXTCPFLGL.bits.MIDDLE)
    return this.#words[DTXTCPFLGH.offset >>> 2]! & DTXTCPFLGH.bits.LAST
  }

  functionOfTransmitQueue(queue: number): PcieFunction | undefined {
    return functionOf(this.#parts.pf, this.#parts.interrupts.ownerOfQueue(queue))
  }

  poolOfTransmitQueue(queue: number): number {
    return isPooling(this.#words) ? Math.floor(queue / queuesPerPool(this.#words)) : 0
  }

  /** A pool's bit in an array of two registers. */
  #bit({ offset }: NicRegister, pool: number): boolean {
    return ((this.#words[(offset >>> 2) + (pool >>> 5)]! >>> (pool & 31)) & 1) !== 0
  }

  poolMaySend(pool: number): boolean {
    return !isPooling(this.#words) || this.#bit(VFTE, pool)
  }

  portTag(pool: number): number {
    if (!isPooling(this.#words)) return -1
    const vmvir = this.#words[(VMVIR.offset >>> 2) + pool]!
    if (vmvir & VMVIR.bits.DEFAULT) return vmvir & VMVIR.bits.PORT_VLAN
    return vmvir & VMVIR.bits.NEVER ? -2 : -1
  }

  #spoof(mask: number, pool: number): boolean {
    const register = this.#words[(PFVFSPOOF.offset >>> 2) + (pool >>> 3)]!
    return isPooling(this.#words) && ((fieldOf(register, mask) >>> (pool & 7)) & 1) !== 0
  }

  checksMac(pool: number): boolean {
    return this.#spoof(PFVFSPOOF.bits.MACAS, pool)
  }

  checksVlan(pool: number): boolean {
    return this.#spoof(PFVFSPOOF.bits.VLANAS, pool)
  }

  get switches(): boolean {
    return isPooling(this.#words) && (this.#words[PFDTXGSWC.offset >>> 2]! & PFDTXGSWC.bits.LBE) !== 0
  }

  loopsToItself(pool: number): boolean {
    return this.#bit(VMTXSW, pool)
  }

  get macLoopback(): boolean {
    return (this.#words[HLREG0.offset >>> 2]! & HLREG0.bits.LPBK) !== 0
  }

  frameSent(headers: FrameHeaders, length: number, pool: number, toWire: boolean): void {
    this.#parts.statistics.sent(pool, headers, length, toWire)
  }

  /** SSVPC counts it as a drop; the physical function is not told who it was. */
  spoofed(): void {}

  descriptorDone(queue: number): void {
    this.#parts.interrupts.transmitted(queue)
  }

  /** There is no statistic of segmentations. */
  segmented(): void {}

  frameDropped(cause: number, queue: number): void {
    this.#parts.statistics.dropped(cause, queue)
  }

  busError(): void {
    this.#parts.interrupts.other(EICR.bits.PCI_EXCEPTION)
  }
}
