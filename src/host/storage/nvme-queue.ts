/** A queue pair of the host's NVMe driver: entries in memory shared with the controller, doorbells in its registers. */

import type { Saved } from '../../core/index.ts'
import {
  CDW0,
  CQ_ENTRY,
  CQE,
  CSTS,
  completionDoorbell,
  PHASE,
  SQ_ENTRY,
  statusOf,
  submissionDoorbell,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import { until } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { DmaBuffer } from '../types.ts'

const REGISTERS = 0
/** What a command ends with that will never complete: the function is gone, reset, or another driver's. */
export const NEVER_COMPLETED = -1
const PAGE = 4096

export class NvmeQueue {
  readonly id: number
  readonly entries: number
  readonly submission: DmaBuffer
  readonly completion: DmaBuffer
  /** The command that is being composed. */
  readonly command = new Uint32Array(SQ_ENTRY.size / 4)
  /** Of the command completed last. */
  status = 0
  result = 0
  readonly #device: DeviceAccess
  readonly #stride: number
  readonly #commandBytes = new Uint8Array(this.command.buffer)
  #tail = 0
  #head = 0
  #phase: number = PHASE
  #nextCommand = 0
  #freed = false

  private constructor(
    device: DeviceAccess,
    id: number,
    entries: number,
    stride: number,
    submission: DmaBuffer,
    completion: DmaBuffer,
  ) {
    this.#device = device
    this.id = id
    this.entries = entries
    this.#stride = stride
    this.submission = submission
    this.completion = completion
  }

  static *create(device: DeviceAccess, id: number, entries: number, stride: number): Software<NvmeQueue> {
    const pages = (size: number): number => Math.ceil((entries * size) / PAGE)
    const submission = yield* device.allocate(pages(SQ_ENTRY.size), { read: true, write: false })
    const completion = yield* device.allocate(pages(CQ_ENTRY.size), { read: true, write: true })
    return new NvmeQueue(device, id, entries, stride, submission, completion)
  }

  /** Has {@link command} executed and waits for its completion. Returns its status; {@link result} is its DW0. */
  *execute(): Software<number> {
    if (!this.alive) return NEVER_COMPLETED
    const cid = this.#nextCommand
    this.#nextCommand = (cid + 1) & 0xffff
    this.command[0] = ((this.command[0]! & 0xffff) | (cid << CDW0.CID_SHIFT)) >>> 0
    this.#device.write(this.submission, this.#tail * SQ_ENTRY.size, this.#commandBytes)
    this.#tail = this.#tail + 1 === this.entries ? 0 : this.#tail + 1
    this.#device.writeRegister(REGISTERS, submissionDoorbell(this.id, this.#stride), this.#tail)
    if (!this.#completed()) yield* until(() => this.#completed() || !this.alive)
    if (!this.#completed()) return NEVER_COMPLETED
    this.#take()
    return this.status
  }

  /** Whether the controller is ready and ours. What is not there reads all ones: CSTS.CFS among them. */
  get alive(): boolean {
    if (this.#freed || !this.#device.bound) return false
    const status = this.#device.readRegister(REGISTERS, CSTS.offset)
    return (status & (CSTS.f.RDY.mask | CSTS.f.CFS.mask)) === CSTS.f.RDY.mask
  }

  /** Whether the next entry has the phase tag of this pass. */
  #completed(): boolean {
    const at = this.#head * CQ_ENTRY.size + CQE.status * 4
    return (this.#device.readDword(this.completion, at) & PHASE) === this.#phase
  }

  #take(): void {
    const at = this.#head * CQ_ENTRY.size
    this.status = statusOf(this.#device.readDword(this.completion, at + CQE.status * 4))
    this.result = this.#device.readDword(this.completion, at + CQE.result * 4)
    this.#head++
    if (this.#head === this.entries) {
      this.#head = 0
      this.#phase ^= PHASE
    }
    this.#device.writeRegister(REGISTERS, completionDoorbell(this.id, this.#stride), this.#head)
  }

  save(): Saved {
    return {
      submission: this.submission.address,
      completion: this.completion.address,
      tail: this.#tail,
      head: this.#head,
      phase: this.#phase,
      nextCommand: this.#nextCommand,
    }
  }

  *free(): Software {
    this.#freed = true
    yield* this.#device.free(this.submission)
    yield* this.#device.free(this.completion)
  }
}
