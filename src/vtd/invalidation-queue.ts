/** "Queued Invalidation Interface": descriptors from a ring in memory, in order, until one of them is wrong. */
import { get, type RegisterFile, set } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import type { FaultRecorder } from './fault-recording.ts'
import {
  CONTEXT_CACHE_INVALIDATE as CC,
  DESCRIPTOR_BYTES,
  DESCRIPTOR_TYPE,
  DEVICE_TLB_INVALIDATE as DEVICE,
  INTERRUPT_ENTRY_CACHE_INVALIDATE as IEC,
  IOTLB_INVALIDATE as IOTLB,
  reservedWords,
  INVALIDATION_WAIT as WAIT,
} from './formats/invalidation-descriptors.ts'
import {
  INVALIDATION_QUEUE_ERROR as ERROR,
  GRANULARITY,
  GSTS,
  ICS,
  IQA,
  IQH,
  IQT,
} from './formats/registers.ts'
import type { DeviceTlbPort, Invalidation } from './invalidation.ts'

/** Reserved bits by type; undefined for a type that is invalid. */
const RESERVED: readonly (readonly [number, number, number, number] | undefined)[] = (() => {
  const table: (readonly [number, number, number, number] | undefined)[] = new Array(128).fill(undefined)
  table[DESCRIPTOR_TYPE.contextCache] = reservedWords(CC)
  table[DESCRIPTOR_TYPE.iotlb] = reservedWords(IOTLB)
  table[DESCRIPTOR_TYPE.deviceTlb] = reservedWords(DEVICE)
  table[DESCRIPTOR_TYPE.interruptEntryCache] = reservedWords(IEC)
  table[DESCRIPTOR_TYPE.wait] = reservedWords(WAIT)
  return table
})()

const WORDS = DESCRIPTOR_BYTES / 4

/** What descriptors act on. */
export interface QueueTargets {
  readonly memory: PhysicalMemory
  readonly invalidation: Invalidation
  readonly faults: FaultRecorder
  readonly completion: EventInterrupt
  readonly deviceTlbs: DeviceTlbPort | undefined
}

export class InvalidationQueue {
  readonly #words: Uint32Array
  readonly #capabilities: UnitCapabilities
  readonly #targets: QueueTargets
  /** The descriptor being processed; its upper half is there for 256-bit ones. */
  readonly #descriptor = new Uint32Array(2 * WORDS)

  constructor(file: RegisterFile, capabilities: UnitCapabilities, targets: QueueTargets) {
    this.#words = file.words
    this.#capabilities = capabilities
    this.#targets = targets
  }

  get enabled(): boolean {
    return (this.#words[GSTS.at]! & GSTS.f.QIES.mask) !== 0
  }

  enable(): void {
    this.#words[GSTS.at]! |= GSTS.f.QIES.mask
    this.run()
  }

  disable(): void {
    this.#words[GSTS.at]! &= ~GSTS.f.QIES.mask
    this.#words[IQH.at] = 0
  }

  /** Processes descriptors until the queue is empty or stopped by an error. After writes to IQA, IQT and FSTS too. */
  run(): void {
    const words = this.#words
    const wide = (words[IQA.at]! & IQA.f.DW.mask) !== 0
    const size = 4096 << get(IQA.f.QS, words, IQA.at)
    const step = wide ? 2 * DESCRIPTOR_BYTES : DESCRIPTOR_BYTES
    const { SMTS, ADMS } = this.#capabilities
    if (this.enabled && !this.#targets.faults.queueStopped && wide && SMTS + ADMS === 0) {
      this.#targets.faults.invalidationQueueError(ERROR.invalidDescriptorWidth)
    }
    while (this.enabled && !this.#targets.faults.queueStopped) {
      const head = words[IQH.at]! & IQH.f.QH.mask
      const tail = words[IQT.at]! & IQT.f.QT.mask
      if (head === tail) return
      let error: number
      if (tail >= size) error = ERROR.invalidTail
      else if (tail % step !== 0) error = ERROR.tailMisaligned
      else error = this.#fetch(head, step) || this.#execute()
      if (error !== ERROR.none) {
        // The head stays at the descriptor; clearing IQE tries it again.
        this.#targets.faults.invalidationQueueError(error)
        return
      }
      words[IQH.at] = (head + step) % size
    }
  }

  #fetch(head: number, step: number): number {
    const words = this.#words
    const frame = words[IQA.at + 1]! * 0x10_0000 + (words[IQA.at]! >>> 12) + (head >>> 12)
    const page = this.#targets.memory.page(frame)
    if (page === undefined) return ERROR.fetchError
    const at = (head & 0xfff) >>> 2
    this.#descriptor.fill(0)
    for (let word = 0; word < step / 4; word++) this.#descriptor[word] = page.words[at + word]!
    return ERROR.none
  }

  #execute(): number {
    const d = this.#descriptor
    const type = (get(CC.TYPE_HIGH, d) << 4) | get(CC.TYPE, d)
    const reserved = RESERVED[type]
    const { DT, PDS } = this.#capabilities
    if (reserved === undefined || (type === DESCRIPTOR_TYPE.deviceTlb && DT === 0)) return ERROR.invalidType
    if ((d[0]! & reserved[0]) | (d[1]! & reserved[1]) | (d[2]! & reserved[2]) | (d[3]! & reserved[3])) {
      return ERROR.reservedField
    }
    if (d[4]! | d[5]! | d[6]! | d[7]!) return ERROR.reservedField
    switch (type) {
      case DESCRIPTOR_TYPE.contextCache: {
        const done = this.#targets.invalidation.contextCache(
          get(CC.G, d),
          get(CC.DID, d),
          get(CC.SID, d),
          get(CC.FM, d),
        )
        return done === GRANULARITY.none ? ERROR.reservedField : ERROR.none
      }
      case DESCRIPTOR_TYPE.iotlb: {
        const page = get(IOTLB.ADDR, d)
        const done = this.#targets.invalidation.iotlb(
          get(IOTLB.G, d),
          get(IOTLB.DID, d),
          page,
          get(IOTLB.AM, d),
        )
        return done === GRANULARITY.none ? ERROR.reservedField : ERROR.none
      }
      case DESCRIPTOR_TYPE.deviceTlb:
        this.#invalidateDeviceTlb()
        return ERROR.none
      case DESCRIPTOR_TYPE.interruptEntryCache:
        this.#targets.invalidation.interruptEntries(get(IEC.G, d) === 0, get(IEC.IIDX, d), get(IEC.IM, d))
        return ERROR.none
      default:
        if (PDS === 0 && get(WAIT.PD, d) !== 0) return ERROR.reservedField
        this.#wait()
        return ERROR.none
    }
  }

  /** S=1: the range is 8 KiB shifted left by the number of trailing ones of the page number. */
  #invalidateDeviceTlb(): void {
    const d = this.#descriptor
    let page = get(DEVICE.ADDR, d)
    let count = 1
    if (get(DEVICE.S, d) === 1) {
      count = 2
      for (let rest = page; rest % 2 === 1 && count < 2 ** 52; rest = Math.floor(rest / 2)) count *= 2
      page = Math.floor(page / count) * count
    }
    this.#targets.deviceTlbs?.invalidate(get(DEVICE.SID, d), page, count)
  }

  /** All earlier descriptors are complete by now, which FN asks for. Status is written before the event. */
  #wait(): void {
    const d = this.#descriptor
    const words = this.#words
    if (get(WAIT.SW, d) === 1) {
      this.#targets.memory.writeDword(get(WAIT.STADDR, d) * 4, get(WAIT.STDATA, d))
    }
    if (get(WAIT.IF, d) === 1 && (words[ICS.at]! & ICS.f.IWC.mask) === 0) {
      set(ICS.f.IWC, words, 1, ICS.at)
      this.#targets.completion.raise()
    }
  }
}
