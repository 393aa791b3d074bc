/**
 * A network controller on a root bus of its own, with memory that it can master, a wire to the test, and a list of the
 * interrupt messages it sent. Registers are reached through the BAR, as software does.
 */
import { DEVICE_MODELS, definitionsFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import type { NicModel } from '../../src/devices/nic/common/nic-model.ts'
import { Engine } from '../../src/engine/index.ts'
import { Frame, LinkPartner, NetworkPort, Wire } from '../../src/net/index.ts'
import {
  Fabric,
  HostBridge,
  type MemoryRequest,
  type PcieFunction,
  STATUS,
  TARGET,
} from '../../src/pcie/index.ts'

export const ALL = 0xffff_ffff
const MEMORY = 4 * 1024 * 1024

export interface Message {
  readonly requesterId: number
  readonly address: number
  readonly data: number
}

export class NicRig {
  readonly memory = new Uint8Array(MEMORY)
  readonly view = new DataView(this.memory.buffer)
  readonly messages: Message[] = []
  /** Frames that came out of the port. */
  readonly sent: Uint8Array[] = []
  readonly clock = { now: 0 }
  readonly pf: PcieFunction
  readonly port: NetworkPort
  readonly partner = new LinkPartner('test')
  readonly wire: Wire
  /** Requests that went to addresses where nothing is, or that {@link blocked} refused. */
  refused = 0
  requests = 0
  /** Pages that remapping would block, by requester. */
  blocked: (requesterId: number, page: number, write: boolean) => boolean = () => false
  keepFrames = true
  readonly #timers: { at: number; argument: number }[] = []

  constructor(sheet: string, functionNumber = 0) {
    const definition = definitionsFromDataSheet(loadDataSheet(sheet))[functionNumber]!
    const entry = DEVICE_MODELS[definition.registerModel!]!
    const host = new HostBridge({ segment: 0, bus: 0, lastBus: 255, clock: this.clock }, this)
    new Fabric().add(host)
    this.pf = host.addFunction(3, functionNumber, definition)
    const pf = this.pf
    this.port = new NetworkPort('port', entry.portSpeed!, {
      receive: frame => this.nic.receive(frame),
      carrierChanged: () => (pf.modelMade as NicModel | undefined)?.carrierChanged?.(),
    })
    this.wire = new Wire(this.port, this.partner.port)
    this.partner.listener = frame => {
      if (this.keepFrames) this.sent.push(frame.toBytes())
    }
    const environment = {
      name: `0000:00:03.${functionNumber}`,
      clock: this.clock,
      trace: new Engine().trace,
      schedule: (delay: number, argument: number) => {
        this.#timers.push({ at: this.clock.now + delay, argument })
      },
      port: this.port,
    }
    this.pf.setModel(() => entry.make(this.pf, environment))
    // Memory space and bus master.
    this.pf.writeConfig(0x04, 0x6, 0xffff)
  }

  get nic(): NicModel {
    return this.pf.model as NicModel
  }

  request(request: MemoryRequest): void {
    this.requests++
    const { page, offset, length, data, dataStart } = request
    const address = page * 4096 + offset
    if (page >= 0xfee00 && page < 0xfef00 && request.write) {
      const value = data[dataStart]! | (data[dataStart + 1]! << 8)
      this.messages.push({ requesterId: request.requesterId, address, data: value })
      request.target = TARGET.interrupt
    } else if (address + length > MEMORY || this.blocked(request.requesterId, page, request.write)) {
      this.refused++
      request.status = address + length > MEMORY ? STATUS.unsupportedRequest : STATUS.remappingFault
    } else {
      request.target = TARGET.memory
      if (request.write) {
        for (let i = 0; i < length; i++) this.memory[address + i] = data[dataStart + i]!
      } else for (let i = 0; i < length; i++) data[dataStart + i] = this.memory[address + i]!
    }
  }

  /** Lets virtual time pass, and what was asked for happen. */
  advance(nanoseconds: number): void {
    const end = this.clock.now + nanoseconds
    for (;;) {
      this.#timers.sort((a, b) => a.at - b.at)
      const next = this.#timers[0]
      if (next === undefined || next.at > end) break
      this.#timers.shift()
      this.clock.now = next.at
      this.nic.timeIsUp?.(next.argument)
    }
    this.clock.now = end
  }

  read(offset: number, fn: PcieFunction = this.pf): number {
    return fn.region(0).readDword(offset) >>> 0
  }

  write(offset: number, value: number, fn: PcieFunction = this.pf): void {
    fn.region(0).writeDword(offset, value >>> 0, ALL)
  }

  set(offset: number, bits: number, fn: PcieFunction = this.pf): void {
    this.write(offset, this.read(offset, fn) | bits, fn)
  }

  /** Puts a frame on the wire. */
  arrive(bytes: Uint8Array): void {
    this.partner.send(Frame.of(bytes))
  }

  /** Enables virtual functions and waits until they answer; all may master the bus. */
  enableVfs(count: number): readonly PcieFunction[] {
    const at = this.pf.layout.findExtended(0x10)
    this.pf.writeConfig(at + 0x10, count, 0xffff)
    this.pf.writeConfig(at + 0x08, 0x9, 0xffff)
    this.advance(200_000_000)
    for (const vf of this.pf.virtualFunctions) vf.writeConfig(0x04, 0x4, 0xffff)
    return this.pf.virtualFunctions
  }

  /** Enables MSI-X of a function; vector n sends n + `base`. */
  enableMsiX(fn: PcieFunction, vectors: number, base: number): void {
    const at = fn.layout.find(0x11)
    const bar = fn.words[(at + 4) >>> 2]! & 7
    for (let vector = 0; vector < vectors; vector++) {
      const table = fn.region(bar)
      table.writeDword(vector * 16, 0xfee0_0000, ALL)
      table.writeDword(vector * 16 + 8, base + vector, ALL)
      table.writeDword(vector * 16 + 12, 0, ALL)
    }
    fn.writeConfig(at, 0x8000_0000, 0xffff_0000)
  }
}

/** Layout of a queue's registers, and where its ring and buffers lie in memory. */
export interface QueuePlace {
  readonly registers: number
  readonly ring: number
  readonly buffers: number
  readonly count: number
  readonly fn?: PcieFunction
  /** Offset of SRRCTL from the first register. */
  readonly srrctl?: number
}

export interface ReceivedFrame {
  readonly bytes: Uint8Array
  readonly status: number
  readonly info: number
  readonly hash: number
  readonly tag: number
  readonly descriptors: number
}

/** What a driver does with a receive queue. Each descriptor has a buffer of 2 KiB and a header buffer of 256 bytes. */
export class TestReceiveQueue {
  readonly #rig: NicRig
  readonly #place: QueuePlace
  #next = 0
  #tail = 0

  constructor(rig: NicRig, place: QueuePlace, srrctl = 0x0200_0002) {
    this.#rig = rig
    this.#place = place
    const { registers, ring, count } = place
    this.#write(0x28, 0)
    this.#write(0x00, ring)
    this.#write(0x04, 0)
    this.#write(0x08, count * 16)
    rig.write(registers + (place.srrctl ?? 0x0c), srrctl, place.fn)
    this.#write(0x10, 0)
    this.#write(0x18, 0)
    this.#write(0x28, 0x0200_0000)
  }

  #write(offset: number, value: number): void {
    this.#rig.write(this.#place.registers + offset, value, this.#place.fn)
  }

  read(offset: number): number {
    return this.#rig.read(this.#place.registers + offset, this.#place.fn)
  }

  bufferOf(descriptor: number): number {
    return this.#place.buffers + descriptor * 4096
  }

  /** Hands descriptors to the hardware. */
  post(number: number): void {
    const { view } = this.#rig
    for (let i = 0; i < number; i++) {
      const at = this.#place.ring + this.#tail * 16
      view.setUint32(at, this.bufferOf(this.#tail), true)
      view.setUint32(at + 4, 0, true)
      view.setUint32(at + 8, this.bufferOf(this.#tail) + 2048, true)
      view.setUint32(at + 12, 0, true)
      this.#tail = (this.#tail + 1) % this.#place.count
    }
    this.#write(0x18, this.#tail)
  }

  /** Takes the frames that have been written back. */
  take(): ReceivedFrame[] {
    const frames: ReceivedFrame[] = []
    for (let frame = this.#takeOne(); frame !== undefined; frame = this.#takeOne()) frames.push(frame)
    return frames
  }

  #takeOne(): ReceivedFrame | undefined {
    const { view, memory } = this.#rig
    const parts: Uint8Array[] = []
    let at = this.#next
    for (let number = 1; ; number++) {
      if (at === this.#tail) return undefined
      const descriptor = this.#place.ring + at * 16
      const status = view.getUint32(descriptor + 8, true)
      if (!(status & 1)) return undefined
      const length = view.getUint16(descriptor + 12, true)
      const info = view.getUint32(descriptor, true)
      const header = info >>> 31 ? (info >>> 21) & 0x3ff : 0
      parts.push(memory.slice(this.bufferOf(at) + 2048, this.bufferOf(at) + 2048 + header))
      parts.push(memory.slice(this.bufferOf(at), this.bufferOf(at) + length))
      at = (at + 1) % this.#place.count
      if (!(status & 2)) continue
      this.#next = at
      return {
        bytes: Uint8Array.from(parts.flatMap(part => [...part])),
        status,
        info,
        hash: view.getUint32(descriptor + 4, true),
        tag: view.getUint16(descriptor + 14, true),
        descriptors: number,
      }
    }
  }
}

/** What a driver does with a transmit queue. */
export class TestTransmitQueue {
  readonly #rig: NicRig
  readonly #place: QueuePlace
  tail = 0

  constructor(rig: NicRig, place: QueuePlace) {
    this.#rig = rig
    this.#place = place
    this.#write(0x28, 0)
    this.#write(0x00, place.ring)
    this.#write(0x04, 0)
    this.#write(0x08, place.count * 16)
    this.#write(0x10, 0)
    this.#write(0x18, 0)
    this.#write(0x28, 0x0200_0000)
  }

  #write(offset: number, value: number): void {
    this.#rig.write(this.#place.registers + offset, value, this.#place.fn)
  }

  read(offset: number): number {
    return this.#rig.read(this.#place.registers + offset, this.#place.fn)
  }

  /** Writes a descriptor behind the last one. */
  put(words: readonly [number, number, number, number]): void {
    const { view } = this.#rig
    for (const [i, word] of words.entries()) {
      view.setUint32(this.#place.ring + this.tail * 16 + i * 4, word >>> 0, true)
    }
    this.tail = (this.tail + 1) % this.#place.count
  }

  /** Copies bytes to a buffer and describes them: an advanced data descriptor. */
  data(
    bytes: Uint8Array,
    { command = 0x2b, options = 0, total = bytes.length, buffer = this.tail } = {},
  ): void {
    const address = this.#place.buffers + buffer * 4096
    this.#rig.memory.set(bytes, address)
    this.put([address, 0, bytes.length | (3 << 20) | (command << 24), options | (total << 14)])
  }

  /** A context descriptor. */
  context(fields: { mac: number; ip: number; tag?: number; type: number; l4?: number; mss?: number }): void {
    const { mac, ip, tag = 0, type, l4 = 0, mss = 0 } = fields
    this.put([(tag << 16) | (mac << 9) | ip, 0, type | (2 << 20) | (1 << 29), (mss << 16) | (l4 << 8)])
  }

  ring(): void {
    this.#write(0x18, this.tail)
  }

  /** Sends one frame from one buffer. */
  send(bytes: Uint8Array): void {
    this.data(bytes)
    this.ring()
  }

  /** Status dword of a descriptor. */
  status(descriptor: number): number {
    return this.#rig.view.getUint32(this.#place.ring + descriptor * 16 + 12, true)
  }
}

/** Bytes of a MAC address `02:00:00:00:00:n`. */
export const mac = (number: number): readonly number[] => [2, 0, 0, 0, 0, number]

/** A frame with a pattern as payload. */
export function frame(
  to: readonly number[],
  from: readonly number[],
  length = 64,
  tag?: number,
  etherType = 0x88b5,
): Uint8Array {
  const tagged = tag === undefined ? [] : [0x81, 0x00, tag >>> 8, tag & 0xff]
  const header = [...to, ...from, ...tagged, etherType >>> 8, etherType & 0xff]
  const bytes = Uint8Array.from({ length: Math.max(length, header.length) }, (_, i) => i * 7)
  bytes.set(header)
  return bytes
}
