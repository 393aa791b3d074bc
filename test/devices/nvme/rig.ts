/**
 * A controller on a bench: the data sheet's function on a root bus, 16 MiB of memory behind it, and a hand that writes
 * registers and queue entries as the specification numbers them.
 */
import { copyBytes } from '../../../src/core/index.ts'
import { DEVICE_MODELS } from '../../../src/devices/index.ts'
import type { NvmeSubsystem } from '../../../src/devices/nvme/index.ts'
import { Engine } from '../../../src/engine/index.ts'
import { PhysicalMemory } from '../../../src/memory/index.ts'
import {
  Fabric,
  HostBridge,
  type MemoryRequest,
  type PcieFunction,
  STATUS,
  TARGET,
  type UpstreamSink,
} from '../../../src/pcie/index.ts'
import { part } from '../../pcie/machine.ts'

export const MEMORY = 16 * 2 ** 20
/** Where the registers of the physical function are. */
export const BAR = 0xe000_0000
const VF_BAR = 0xe100_0000
const PAGE = 4096

export interface Completion {
  readonly result: number
  readonly sqHead: number
  readonly sqId: number
  readonly cid: number
  /** Status type and code; `dnr` beside it. */
  readonly status: number
  readonly dnr: boolean
  readonly phase: number
}

interface Queue {
  readonly sq: number
  readonly cq: number
  readonly size: number
  tail: number
  head: number
  phase: number
}

/** Memory and the interrupt range; other addresses end with Unsupported Request. */
class Sink implements UpstreamSink {
  readonly vectors: number[] = []
  /** Requests that reached no memory. */
  readonly strays: number[] = []
  readonly memory = new PhysicalMemory([{ base: 0, size: MEMORY }])
  readonly fabric: Fabric
  /** Takes no notes of messages. */
  quiet = false

  constructor(fabric: Fabric) {
    this.fabric = fabric
  }

  request(request: MemoryRequest, entry: PcieFunction): void {
    const { page, offset, data, dataStart, length, write } = request
    if (page >= 0xfee00 && page <= 0xfeeff) {
      if (!this.quiet) this.vectors.push(data[0]!)
      request.target = TARGET.interrupt
      return
    }
    const found = write ? this.memory.pageForWrite(page) : this.memory.page(page)
    if (found === undefined) {
      this.strays.push(page)
      request.physicalPage = page
      request.status = STATUS.unsupportedRequest
      const device = [BAR, VF_BAR].some(base => page >= base / PAGE && page < base / PAGE + 8)
      if (device) {
        request.status = STATUS.successful
        this.fabric.request(request, entry)
      }
      return
    }
    if (write) copyBytes(data, dataStart, found.bytes, offset, length)
    else copyBytes(found.bytes, offset, data, dataStart, length)
  }
}

export class Rig {
  readonly engine = new Engine()
  readonly fabric = new Fabric()
  readonly sink = new Sink(this.fabric)
  readonly fn: PcieFunction
  readonly host: HostBridge
  /** Base of the registers that are written: of the physical function, or of a virtual one. */
  base = BAR
  /** Queues by the registers that they belong to, and by number. */
  readonly #queuesBehind = new Map<number, Map<number, Queue>>()
  #cid = 0

  constructor(model = 'nvme-sriov') {
    this.host = new HostBridge({ segment: 0, bus: 0, lastBus: 255 }, this.sink)
    this.fabric.add(this.host)
    this.fn = this.host.addFunction(3, 0, part(model))
    const { fn, engine } = this
    engine.handle('device', (_, argument) => fn.modelMade?.timeIsUp?.(argument))
    fn.setModel(() =>
      DEVICE_MODELS.nvme!.make(fn, {
        name: 'bench',
        clock: engine,
        trace: engine.trace,
        schedule: (delay, argument) => engine.schedule(delay, 'device', 'bench', argument),
        port: undefined,
      }),
    )
    this.place()
  }

  /** What firmware and a driver do to the function itself. */
  place(): void {
    this.fn.writeConfig(0x10, BAR, 0xffff_ffff)
    this.fn.writeConfig(0x04, 0x6, 0xffff)
    this.fn.writeConfig(0x40, 0x8000_0000, 0xffff_0000)
    for (let vector = 0; vector < 16; vector++) this.unmask(BAR, vector, 0x40 + vector)
  }

  unmask(bar: number, vector: number, data: number): void {
    const at = bar + 0x3000 + vector * 16
    this.fabric.writeMemory(at, 0xfee0_0000, 0xffff_ffff)
    this.fabric.writeMemory(at + 8, data, 0xffff_ffff)
    this.fabric.writeMemory(at + 12, 0, 0xffff_ffff)
  }

  /** Enables virtual functions and returns the address of the registers of the first. */
  enableVirtualFunctions(count: number): number {
    const { fn } = this
    fn.writeConfig(0x178 + 0x10, count, 0xffff)
    fn.writeConfig(0x178 + 0x24, VF_BAR, 0xffff_ffff)
    fn.writeConfig(0x178 + 0x08, 0x9, 0xffff)
    for (const vf of fn.virtualFunctions) vf.writeConfig(0x04, 0x4, 0xffff)
    return VF_BAR
  }

  get #queues(): Map<number, Queue> {
    return this.#queuesBehind.get(this.base)!
  }

  get subsystem(): NvmeSubsystem {
    return this.fn.model as NvmeSubsystem
  }

  read(offset: number): number {
    return this.fabric.readMemory(this.base + offset) >>> 0
  }

  write(offset: number, value: number, lanes = 0xffff_ffff): void {
    this.fabric.writeMemory(this.base + offset, value >>> 0, lanes)
  }

  bytes(address: number, length: number): Uint8Array {
    const target = new Uint8Array(length)
    if (!this.sink.memory.read(address, target)) throw new Error('no memory there')
    return target
  }

  poke(address: number, bytes: Uint8Array): void {
    if (!this.sink.memory.write(address, bytes)) throw new Error('no memory there')
  }

  words(address: number, ...words: number[]): void {
    this.poke(address, new Uint8Array(Uint32Array.from(words).buffer))
  }

  /** Admin queues of 32 entries at 64 KiB, and CC.EN. */
  enable({ cc = 0x0046_0001, size = 32, asq = 0x1_0000, acq = 0x1_1000 } = {}): void {
    this.write(0x24, ((size - 1) << 16) | (size - 1))
    this.write(0x28, asq)
    this.write(0x2c, 0)
    this.write(0x30, acq)
    this.write(0x34, 0)
    this.write(0x14, cc)
    const admin = { sq: asq, cq: acq, size, tail: 0, head: 0, phase: 1 }
    this.#queuesBehind.set(this.base, new Map([[0, admin]]))
  }

  /** I/O queue pair `id` of `size` entries at `base` and 1 MiB above it. Returns the statuses of both commands. */
  createPair(id: number, base: number, size = 32, vector = id, interrupts = true): [number, number] {
    const cq = this.admin([
      0x05,
      0,
      0,
      0,
      0,
      0,
      base + 0x10_0000,
      0,
      0,
      0,
      ((size - 1) << 16) | id,
      (vector << 16) | (interrupts ? 3 : 1),
    ])
    const sq = this.admin([0x01, 0, 0, 0, 0, 0, base, 0, 0, 0, ((size - 1) << 16) | id, (id << 16) | 1])
    this.#queues.set(id, { sq: base, cq: base + 0x10_0000, size, tail: 0, head: 0, phase: 1 })
    return [cq.status, sq.status]
  }

  /** Writes a command into queue `id`, without the doorbell. Returns its identifier. */
  submit(id: number, command: readonly number[]): number {
    const queue = this.#queues.get(id)!
    const cid = this.#cid++ & 0xffff
    const entry = Array.from({ length: 16 }, (_, i) => (command[i] ?? 0) >>> 0)
    entry[0] = ((entry[0]! & 0xffff) | (cid << 16)) >>> 0
    this.words(queue.sq + queue.tail * 64, ...entry)
    queue.tail = (queue.tail + 1) % queue.size
    return cid
  }

  ring(id: number): void {
    this.write(0x1000 + id * 8, this.#queues.get(id)!.tail)
  }

  /** Takes the completions that are there; the head doorbell follows unless `hold`. */
  reap(id: number, hold = false): Completion[] {
    const queue = this.#queues.get(id)!
    const found: Completion[] = []
    for (;;) {
      const entry = new Uint32Array(this.bytes(queue.cq + queue.head * 16, 16).buffer)
      const phase = (entry[3]! >>> 16) & 1
      if (phase !== queue.phase) break
      found.push({
        result: entry[0]!,
        sqHead: entry[2]! & 0xffff,
        sqId: entry[2]! >>> 16,
        cid: entry[3]! & 0xffff,
        status: (entry[3]! >>> 17) & 0x7ff,
        dnr: entry[3]! >>> 31 === 1,
        phase,
      })
      queue.head++
      if (queue.head === queue.size) {
        queue.head = 0
        queue.phase ^= 1
      }
    }
    if (found.length > 0 && !hold) this.write(0x1000 + id * 8 + 4, queue.head)
    return found
  }

  /** One command in queue `id`, to its completion. */
  execute(id: number, command: readonly number[]): Completion {
    const cid = this.submit(id, command)
    this.ring(id)
    const completion = this.reap(id).find(one => one.cid === cid)
    if (completion === undefined) throw new Error('the command was not completed')
    return completion
  }

  admin(command: readonly number[]): Completion {
    return this.execute(0, command)
  }

  /** A read (02h), write (01h) or comparison (05h) of whole blocks by one or two PRPs. */
  io(opcode: number, block: number, blocks: number, prp1: number, prp2 = 0, nsid = 1): Completion {
    return this.execute(1, [
      opcode,
      nsid,
      0,
      0,
      0,
      0,
      prp1,
      0,
      prp2,
      0,
      block % 2 ** 32,
      Math.floor(block / 2 ** 32),
      blocks - 1,
    ])
  }
}

/** Bytes that name where they are, so that none can be taken for another. */
export const pattern = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >>> 8) * 13 + seed * 31) & 0xff)
