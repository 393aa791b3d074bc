/** Set Features and Get Features: NVM Express 1.4, §5.21 and §5.9. Nothing is saveable. */
import { assert, type Saved } from '../../core/index.ts'
import { FEATURE, NAMESPACE_NOTICES, NVME_STATUS, SELECT } from '../formats/nvme/index.ts'

/** Value after reset. Those that are absent are not supported. */
const DEFAULTS: Readonly<Record<number, number>> = {
  [FEATURE.arbitration]: 0x7, // AB: no limit
  [FEATURE.powerManagement]: 0,
  [FEATURE.temperatureThreshold]: 0x157, // 343 K, WCTEMP
  [FEATURE.errorRecovery]: 0,
  [FEATURE.volatileWriteCache]: 1,
  [FEATURE.numberOfQueues]: 0,
  [FEATURE.interruptCoalescing]: 0,
  [FEATURE.interruptVector]: 0,
  [FEATURE.writeAtomicity]: 0,
  [FEATURE.asynchronousEvents]: 0,
}
/** Bits that exist. */
const WRITABLE: Readonly<Record<number, number>> = {
  [FEATURE.arbitration]: 0xffff_ff07,
  [FEATURE.powerManagement]: 0xff,
  [FEATURE.temperatureThreshold]: 0x003f_ffff,
  [FEATURE.errorRecovery]: 0x1_ffff,
  [FEATURE.volatileWriteCache]: 1,
  [FEATURE.interruptCoalescing]: 0xffff,
  [FEATURE.writeAtomicity]: 1,
  [FEATURE.asynchronousEvents]: 0x7fff,
}
/** "Feature capabilities": changeable. */
const CHANGEABLE = 0x4
const SAVE = 0x8000_0000
const COALESCING_DISABLE = 0x1_0000

export class Features {
  readonly #values = new Uint32Array(16)
  /** Per vector: Coalescing Disable. */
  readonly #disabled: Uint8Array
  /** I/O submission and completion queues that the controller has resources for. */
  readonly #limit: () => number
  /** Vectors that it has. */
  readonly #vectors: () => number
  #queues = -1

  constructor(mostVectors: number, limit: () => number, vectors: () => number) {
    this.#disabled = new Uint8Array(mostVectors)
    this.#limit = limit
    this.#vectors = vectors
    this.reset()
  }

  reset(): void {
    for (const [id, value] of Object.entries(DEFAULTS)) this.#values[Number(id)] = value
    this.#disabled.fill(0)
    this.#queues = -1
  }

  /** I/O queues of each kind that may be created: what was allocated, else what there is. */
  get queues(): number {
    const limit = this.#limit()
    return this.#queues < 0 ? limit : Math.min(this.#queues, limit)
  }

  /** Entries to aggregate before an interrupt, and the time after which there is one anyway. */
  get aggregationThreshold(): number {
    return (this.#values[FEATURE.interruptCoalescing]! & 0xff) + 1
  }

  get aggregationTime(): number {
    return (this.#values[FEATURE.interruptCoalescing]! >>> 8) & 0xff
  }

  coalesces(vector: number): boolean {
    return this.aggregationTime > 0 && this.#disabled[vector] === 0
  }

  /** Whether notices of changed namespaces are wanted. */
  get namespaceNotices(): boolean {
    return (this.#values[FEATURE.asynchronousEvents]! & NAMESPACE_NOTICES) !== 0
  }

  get writeCache(): boolean {
    return this.#values[FEATURE.volatileWriteCache] === 1
  }

  /** Commands taken from a queue before the next one has its turn. */
  get arbitrationBurst(): number {
    const exponent = this.#values[FEATURE.arbitration]! & 7
    return exponent === 7 ? Number.MAX_SAFE_INTEGER : 2 ** exponent
  }

  /** @param hasQueues whether I/O queues exist. Returns the status; `result` becomes DW0 of the completion. */
  set(cdw10: number, nsid: number, value: number, hasQueues: boolean): number {
    const id = cdw10 & 0xff
    if (DEFAULTS[id] === undefined) return NVME_STATUS.invalidField
    if ((cdw10 & SAVE) !== 0) return NVME_STATUS.featureNotSaveable
    // None of them belongs to a namespace.
    if (nsid !== 0 && nsid !== 0xffff_ffff) return NVME_STATUS.featureNotNamespaceSpecific
    this.result = 0
    switch (id) {
      case FEATURE.numberOfQueues:
        return this.#setQueues(value, hasQueues)
      case FEATURE.interruptVector: {
        const vector = value & 0xffff
        if (vector >= this.#vectors()) return NVME_STATUS.invalidField
        this.#disabled[vector] = (value & COALESCING_DISABLE) === 0 ? 0 : 1
        return NVME_STATUS.success
      }
      case FEATURE.powerManagement:
        // There is one power state.
        if ((value & 0x1f) !== 0) return NVME_STATUS.invalidField
        break
    }
    this.#values[id] = value & WRITABLE[id]!
    return NVME_STATUS.success
  }

  /** DW0 of the completion of the last {@link set} or {@link get}. */
  result = 0

  /** "Number of Queues": once after a reset, before there are any. Counts are 0's based; FFFFh is none of them. */
  #setQueues(value: number, hasQueues: boolean): number {
    const submission = value & 0xffff
    const completion = value >>> 16
    if (submission === 0xffff || completion === 0xffff) return NVME_STATUS.invalidField
    if (hasQueues) return NVME_STATUS.commandSequenceError
    this.#queues = Math.min(Math.max(submission, completion) + 1, this.#limit())
    this.result = this.#queueResult()
    return NVME_STATUS.success
  }

  #queueResult(): number {
    const last = Math.max(this.queues - 1, 0)
    return ((last << 16) | last) >>> 0
  }

  get(cdw10: number, cdw11: number): number {
    const id = cdw10 & 0xff
    const select = (cdw10 >>> 8) & 7
    const initial = DEFAULTS[id]
    if (initial === undefined || select > SELECT.capabilities) return NVME_STATUS.invalidField
    if (select === SELECT.capabilities) this.result = CHANGEABLE
    // What cannot be saved has its default there.
    else if (select !== SELECT.current) this.result = initial
    else if (id === FEATURE.numberOfQueues) this.result = this.#queueResult()
    else if (id === FEATURE.interruptVector) {
      const vector = cdw11 & 0xffff
      if (vector >= this.#vectors()) return NVME_STATUS.invalidField
      this.result = vector | (this.#disabled[vector] === 0 ? 0 : COALESCING_DISABLE)
    } else this.result = this.#values[id]!
    return NVME_STATUS.success
  }

  save(): Saved {
    return { values: this.#values.slice(), disabled: this.#disabled.slice(), queues: this.#queues }
  }

  load(saved: Saved): void {
    const { values, disabled, queues } = saved as {
      values: Uint32Array
      disabled: Uint8Array
      queues: number
    }
    assert(disabled.length === this.#disabled.length, 'a state is loaded into a controller of its own kind')
    this.#values.set(values)
    this.#disabled.set(disabled)
    this.#queues = queues
  }
}
