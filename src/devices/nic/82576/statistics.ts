/** "Statistics Registers" of the 82576, counted as frames pass; reading clears most of them. */
import { FCS_SIZE, type FrameHeaders, isBroadcast, isGroupAddress } from '../../../net/index.ts'
import {
  BPRC,
  BPTC,
  CRCERRS,
  GORCL,
  GOTCL,
  GPRC,
  GPTC,
  HGORCL,
  MPC,
  MPRC,
  MPTC,
  PRC64,
  PTC64,
  PVFGORC,
  PVFGORLBC,
  PVFGOTC,
  PVFGOTLBC,
  PVFGPRC,
  PVFGPRLBC,
  PVFGPTC,
  PVFGPTLBC,
  PVFMPRC,
  RNBC,
  ROC,
  RPTHC,
  RQDPC,
  RUC,
  SSVPC,
  TORL,
  TOTL,
  TPR,
  TPT,
  TSCTC,
} from '../../formats/nic/i82576-registers.ts'
import type { NicRegister } from '../../formats/nic/register.ts'
import { DROP } from '../common/nic-model.ts'
import type { RegisterSpace } from '../common/register-space.ts'

/** Upper ends of the size classes that PRC64 and PTC64 begin. */
const SIZE_CLASSES = [64, 127, 255, 511, 1023] as const

export class Statistics82576 {
  readonly #space: RegisterSpace

  constructor(space: RegisterSpace) {
    this.#space = space
  }

  #count({ offset }: NicRegister): void {
    this.#space.count(offset >>> 2)
  }

  /** Of a pool, which wraps around. */
  #countOf({ offset, stride }: NicRegister, pool: number, amount: number): void {
    const at = (offset + pool * stride) >>> 2
    this.#space.words[at] = this.#space.words[at]! + amount
  }

  #sized({ offset }: NicRegister, bytes: number): void {
    let size = 0
    while (size < SIZE_CLASSES.length && bytes > SIZE_CLASSES[size]!) size++
    this.#space.count((offset >>> 2) + size)
  }

  /** A frame passed the filters. @param length without frame check sequence. */
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

  stored(
    pool: number,
    { destinationLow, destinationHigh }: FrameHeaders,
    length: number,
    loopback: boolean,
  ): void {
    const bytes = length + FCS_SIZE
    this.#count(RPTHC)
    this.#space.countWide(HGORCL.offset >>> 2, bytes)
    this.#countOf(loopback ? PVFGPRLBC : PVFGPRC, pool, 1)
    this.#countOf(loopback ? PVFGORLBC : PVFGORC, pool, bytes)
    if (isGroupAddress(destinationLow) && !isBroadcast(destinationLow, destinationHigh)) {
      this.#countOf(PVFMPRC, pool, 1)
    }
  }

  sent(
    pool: number,
    { destinationLow, destinationHigh }: FrameHeaders,
    length: number,
    toWire: boolean,
    local: boolean,
  ): void {
    const bytes = length + FCS_SIZE
    this.#countOf(PVFGPTC, pool, 1)
    this.#countOf(PVFGOTC, pool, bytes)
    if (local) {
      this.#countOf(PVFGPTLBC, pool, 1)
      this.#countOf(PVFGOTLBC, pool, bytes)
    }
    if (!toWire) return
    this.#count(GPTC)
    this.#count(TPT)
    this.#sized(PTC64, bytes)
    this.#space.countWide(GOTCL.offset >>> 2, bytes)
    this.#space.countWide(TOTL.offset >>> 2, bytes)
    if (isBroadcast(destinationLow, destinationHigh)) this.#count(BPTC)
    else if (isGroupAddress(destinationLow)) this.#count(MPTC)
  }

  dropped(cause: number, queue: number): void {
    if (cause === DROP.damaged) this.#count(CRCERRS)
    else if (cause === DROP.tooShort) this.#count(RUC)
    else if (cause === DROP.tooLong && queue < 0) this.#count(ROC)
    else if (cause === DROP.packetBufferFull) this.#count(MPC)
    else if (cause === DROP.noDescriptor) this.#space.count((RQDPC.offset + queue * RQDPC.stride) >>> 2)
  }

  noBuffer(): void {
    this.#count(RNBC)
  }

  segmented(): void {
    this.#count(TSCTC)
  }

  spoofed(): void {
    this.#count(SSVPC)
  }
}
