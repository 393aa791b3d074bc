/** A queue pair of the host's NVMe driver: entries in memory shared with the controller, doorbells in its registers. */
import { PAGE_SIZE } from '../../core/index.ts'
import {
  CDW0,
  CQ_ENTRY,
  CQE,
  CSTS,
  completionDoorbell,
  NVM,
  PHASE,
  PSDT,
  SQ_ENTRY,
  SQE,
  statusOf,
  submissionDoorbell,
} from '../../devices/formats/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import { until } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { DmaBuffer } from '../types.ts'
import { high, low } from './words.ts'

const REGISTERS = 0
/** What a command ends with that will never complete: the function is gone, reset, or another driver's. */
export const NEVER_COMPLETED = -1

export type SavedNvmeQueue = {
  readonly id: number
  readonly entries: number
  readonly stride: number
  /** Addresses of its buffers. */
  readonly submission: number
  readonly completion: number
  readonly tail: number
  readonly head: number
  readonly phase: number
  readonly nextCommand: number
}

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
  readonly stride: number
  readonly #commandBytes = new Uint8Array(this.command.buffer)
  #tail = 0
  #head = 0
  #phase: number = PHASE
  #nextCommand = 0

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
    this.stride = stride
    this.submission = submission
    this.completion = completion
  }

  static *create(device: DeviceAccess, id: number, entries: number, stride: number): Software<NvmeQueue> {
    const pages = (size: number): number => Math.ceil((entries * size) / PAGE_SIZE)
    const submission = yield* device.allocate(pages(SQ_ENTRY.size), { read: true, write: false })
    const completion = yield* device.allocate(pages(CQ_ENTRY.size), { read: true, write: true })
    return new NvmeQueue(device, id, entries, stride, submission, completion)
  }

  /** A queue pair of a driver that has it already. */
  static restore(device: DeviceAccess, saved: SavedNvmeQueue): NvmeQueue {
    const { id, entries, stride, submission, completion } = saved
    const queue = new NvmeQueue(
      device,
      id,
      entries,
      stride,
      device.buffer(submission),
      device.buffer(completion),
    )
    queue.#tail = saved.tail
    queue.#head = saved.head
    queue.#phase = saved.phase
    queue.#nextCommand = saved.nextCommand
    return queue
  }

  /** As it was made, for a controller that has forgotten it. */
  rewind(): void {
    this.#tail = 0
    this.#head = 0
    this.#phase = PHASE
    const bytes = this.completion.pages * PAGE_SIZE
    for (let offset = 0; offset < bytes; offset += 4) this.#device.writeDword(this.completion, offset, 0)
  }

  /** Composes an I/O command; its data pointer is what follows. */
  compose(opcode: number, nsid: number, block: number, count: number): void {
    this.command.fill(0)
    this.command[0] = opcode
    this.command[SQE.nsid] = nsid
    this.command[SQE.cdw10] = low(block)
    this.command[SQE.cdw11] = high(block)
    this.command[SQE.cdw12] = count - 1
  }

  /** A read or a write. */
  composeTransfer(write: boolean, nsid: number, block: number, count: number): void {
    this.compose(write ? NVM.write : NVM.read, nsid, block, count)
  }

  /** PRP entries of the command. */
  pointPages(first: number, second: number): void {
    const { command } = this
    command[SQE.dptr] = low(first)
    command[SQE.dptr + 1] = high(first)
    command[SQE.dptr + 2] = low(second)
    command[SQE.dptr + 3] = high(second)
  }

  /** SGL1 of the command: a data block, or the last segment of a list. */
  pointList(type: number, address: number, length: number): void {
    const { command } = this
    command[0] = (command[0]! | (PSDT.sgl << CDW0.PSDT_SHIFT)) >>> 0
    command[SQE.dptr] = low(address)
    command[SQE.dptr + 1] = high(address)
    command[SQE.dptr + 2] = length
    command[SQE.dptr + 3] = (type << 28) >>> 0
  }

  /** Has {@link command} executed and waits for its completion. Returns its status; {@link result} is its DW0. */
  *execute(): Software<number> {
    if (!this.alive) return NEVER_COMPLETED
    const cid = this.#nextCommand
    this.#nextCommand = (cid + 1) & 0xffff
    this.command[0] = ((this.command[0]! & 0xffff) | (cid << CDW0.CID_SHIFT)) >>> 0
    this.#device.write(this.submission, this.#tail * SQ_ENTRY.size, this.#commandBytes)
    this.#tail = this.#tail + 1 === this.entries ? 0 : this.#tail + 1
    this.#device.writeRegister(REGISTERS, submissionDoorbell(this.id, this.stride), this.#tail)
    if (!this.#completed()) yield* until(() => this.#completed() || !this.alive)
    if (!this.#completed()) return NEVER_COMPLETED
    this.#take()
    return this.status
  }

  /** Whether the controller is ready and ours. What is not there reads all ones: CSTS.CFS among them. */
  get alive(): boolean {
    if (!this.#device.bound) return false
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
    this.#device.writeRegister(REGISTERS, completionDoorbell(this.id, this.stride), this.#head)
  }

  *free(): Software {
    yield* this.#device.free(this.submission)
    yield* this.#device.free(this.completion)
  }

  save(): SavedNvmeQueue {
    return {
      id: this.id,
      entries: this.entries,
      stride: this.stride,
      submission: this.submission.address,
      completion: this.completion.address,
      tail: this.#tail,
      head: this.#head,
      phase: this.#phase,
      nextCommand: this.#nextCommand,
    }
  }
}
