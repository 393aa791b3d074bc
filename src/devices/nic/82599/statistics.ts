/** "Statistics Registers" of the 82599, counted as frames pass; reading clears most of them. */
import { FCS_SIZE, type FrameHeaders, isBroadcast, isGroupAddress } from '../../../net/index.ts'
import {
  BPRC,
  BPTC,
  CRCERRS,
  GORCL,
  GOTCL,
  GPRC,
  GPTC,
  MPC,
  MPRC,
  MPTC,
  PRC64,
  PTC64,
  PVFGPRC,
  PVFGPTC,
  QPRDC,
  RNBC,
  ROC,
  RQSMR,
  RUC,
  SSVPC,
  TORL,
  TPR,
  TPT,
} from '../../formats/nic/i82599-registers.ts'
import type { NicRegister } from '../../formats/nic/register.ts'
import { DROP } from '../common/nic-model.ts'
import type { RegisterSpace } from '../common/register-space.ts'

/** Upper ends of the size classes that PRC64 and PTC64 begin. */
const SIZE_CLASSES = [64, 127, 255, 511, 1023] as const

export class Statistics82599 {
  readonly #space: RegisterSpace

  constructor(space: RegisterSpace) {
    this.#space = space
  }

  #count({ offset, stride }: NicRegister, index = 0): void {
    this.#space.count((offset + index * stride) >>> 2)
  }

  #sized(register: NicRegister, bytes: number): void {
    let size = 0
    while (size < SIZE_CLASSES.length && bytes > SIZE_CLASSES[size]!) size++
    this.#count(register, size)
  }

  received({ destinationLow, destinationHigh }: FrameHeaders, length: number): void {
    const bytes = length + FCS_SIZE
    this.#count(GPRC)
    this.#count(TPR)
    this.#sized(PRC64, bytes)
    this.#space.countWide(GORCL.offset >>> 2, bytes)
    this.#space.countWide(TORL.offset >>> 2, bytes)
    if (isBroadcast(destinationLow, destinationHigh)) this.#count(BPRC)
    else if (isGroupAddress(destinationLow)) this.#count(MPRC)
  }

  stored(pool: number): void {
    this.#count(PVFGPRC, pool)
  }

  sent(
    pool: number,
    { destinationLow, destinationHigh }: FrameHeaders,
    length: number,
    toWire: boolean,
  ): void {
    const bytes = length + FCS_SIZE
    this.#count(PVFGPTC, pool)
    if (!toWire) return
    this.#count(GPTC)
    this.#count(TPT)
    this.#sized(PTC64, bytes)
    this.#space.countWide(GOTCL.offset >>> 2, bytes)
    if (isBroadcast(destinationLow, destinationHigh)) this.#count(BPTC)
    else if (isGroupAddress(destinationLow)) this.#count(MPTC)
  }

  dropped(cause: number, queue: number): void {
    if (cause === DROP.damaged) this.#count(CRCERRS)
    else if (cause === DROP.tooShort) this.#count(RUC)
    else if (cause === DROP.tooLong && queue < 0) this.#count(ROC)
    else if (cause === DROP.packetBufferFull) this.#count(MPC)
    else if (cause === DROP.noDescriptor) this.#count(QPRDC, this.#counterOf(queue))
    else if (cause === DROP.macSpoof || cause === DROP.vlanSpoof) this.#count(SSVPC)
  }

  /** "RQSMR": which of the 16 counters a receive queue counts in. */
  #counterOf(queue: number): number {
    return (this.#space.words[(RQSMR.offset >>> 2) + (queue >>> 2)]! >>> ((queue & 3) * 8)) & 15
  }

  noBuffer(): void {
    this.#count(RNBC)
  }
}
