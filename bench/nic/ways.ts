/** Network controllers with rings in many pools, and frames through them: what is measured. */
import { copyBytes } from '../../src/core/index.ts'
import { DEVICE_MODELS, definitionsFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import type { NicModel } from '../../src/devices/nic/common/nic-model.ts'
import { Engine } from '../../src/engine/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import { Frame, LinkPartner, NetworkPort, Wire } from '../../src/net/index.ts'
import { Fabric, HostBridge, type MemoryRequest, type PcieFunction, TARGET } from '../../src/pcie/index.ts'
import { heapOf } from '../heap.ts'
import type { Contestant } from '../measure.ts'

const ALL = 0xffff_ffff
const RING = 256
const POOL_BYTES = 0x20_0000

/** Where a chip has what the benchmark sets. */
interface Layout {
  readonly sheet: string
  readonly vfReceive: number
  readonly vfTransmit: number
  readonly srrctl: number
  readonly address: (pool: number) => readonly (readonly [number, number])[]
  readonly start: readonly (readonly [number, number])[]
}

const MAC = { low: 0x0000_0002, high: (pool: number) => (pool + 1) << 8 }
const LAYOUTS: readonly Layout[] = [
  {
    sheet: 'intel-82576',
    vfReceive: 0x2800,
    vfTransmit: 0x3800,
    srrctl: 0x0c,
    address: pool => [
      [0x5408 + pool * 8, MAC.low],
      [0x540c + pool * 8, (0x8000_0000 | (1 << (18 + pool)) | MAC.high(pool)) >>> 0],
    ],
    start: [
      [0x5818, 3],
      [0x581c, 0x4000_0000 | (7 << 7)],
      [0x3500, 0x8000_0000],
      [0x100, 0x0400_0002],
      [0x400, 0xa],
    ],
  },
  {
    sheet: 'intel-82599',
    vfReceive: 0x1000,
    vfTransmit: 0x2000,
    srrctl: 0x14,
    address: pool => [
      [0xa208 + pool * 8, MAC.low],
      [0xa20c + pool * 8, (0x8000_0000 | MAC.high(pool)) >>> 0],
      [0xa608 + pool * 8, pool < 32 ? (1 << pool) >>> 0 : 0],
      [0xa60c + pool * 8, pool < 32 ? 0 : (1 << (pool - 32)) >>> 0],
    ],
    start: [
      [0x5818, 8],
      [0x51b0, 0x4000_0001 | (63 << 7)],
      [0x8220, 1],
      [0x51e0, ALL],
      [0x51e4, ALL],
      [0x8110, ALL],
      [0x8114, ALL],
      [0x3000, 1],
      [0x4a80, 0x8100_0001],
    ],
  },
]

/** A port with a virtual function in each of `pools`, on a root complex that is memory without any table. */
class Bench {
  readonly memory = new PhysicalMemory([{ base: 0, size: 0x1000_0000 }])
  readonly partner = new LinkPartner('bench')
  readonly vfs: readonly PcieFunction[]
  readonly #layout: Layout
  readonly #tails: number[] = []
  readonly #clock = { now: 0 }
  readonly #sendTails: number[] = []

  constructor(layout: Layout, pools: number) {
    this.#layout = layout
    const definition = definitionsFromDataSheet(loadDataSheet(layout.sheet))[0]!
    const entry = DEVICE_MODELS[definition.registerModel!]!
    const host = new HostBridge({ segment: 0, bus: 0, lastBus: 255, clock: this.#clock }, this)
    new Fabric().add(host)
    const pf = host.addFunction(3, 0, definition)
    const port = new NetworkPort('port', entry.portSpeed!, {
      receive: frame => (pf.model as NicModel).receive(frame),
    })
    new Wire(port, this.partner.port)
    const { trace } = new Engine()
    pf.setModel(() =>
      entry.make(pf, { name: '0000:00:03.0', clock: this.#clock, trace, schedule: () => {}, port }),
    )
    pf.writeConfig(0x04, 0x6, 0xffff)
    const sriov = pf.layout.findExtended(0x10)
    pf.writeConfig(sriov + 0x10, pools, 0xffff)
    pf.writeConfig(sriov + 0x08, 0x9, 0xffff)
    this.#clock.now = 1e9
    this.vfs = pf.virtualFunctions
    for (const [offset, value] of layout.start) pf.region(0).writeDword(offset, value, ALL)
    for (const [pool, vf] of this.vfs.entries()) {
      vf.writeConfig(0x04, 0x4, 0xffff)
      for (const [offset, value] of layout.address(pool)) pf.region(0).writeDword(offset, value, ALL)
      this.#rings(pool, vf)
    }
  }

  #rings(pool: number, vf: PcieFunction): void {
    const registers = vf.region(0)
    const base = pool * POOL_BYTES
    const { vfReceive, vfTransmit, srrctl } = this.#layout
    registers.writeDword(vfReceive, base, ALL)
    registers.writeDword(vfReceive + 8, RING * 16, ALL)
    registers.writeDword(vfReceive + srrctl, 0x0200_0002, ALL)
    registers.writeDword(vfReceive + 0x28, 0x0200_0000, ALL)
    registers.writeDword(vfTransmit, base + 0x2000, ALL)
    registers.writeDword(vfTransmit + 8, RING * 16, ALL)
    registers.writeDword(vfTransmit + 0x28, 0x0200_0000, ALL)
    this.#tails.push(0)
    this.#sendTails.push(0)
  }

  request(request: MemoryRequest): void {
    const { page, offset, length, data, dataStart } = request
    request.target = TARGET.memory
    const bytes = this.memory.pageForWrite(page)!.bytes
    if (request.write) copyBytes(data, dataStart, bytes, offset, length)
    else copyBytes(bytes, offset, data, dataStart, length)
  }

  /** Posts a buffer of a pool's receive ring. */
  post(pool: number): void {
    const tail = this.#tails[pool]!
    const base = pool * POOL_BYTES
    this.memory.writeDword(base + tail * 16, base + 0x1_0000 + tail * 2048, ALL)
    this.memory.writeDword(base + tail * 16 + 8, 0, ALL)
    this.#tails[pool] = (tail + 1) % RING
    this.vfs[pool]!.region(0).writeDword(this.#layout.vfReceive + 0x18, this.#tails[pool]!, ALL)
  }

  /** Sends the frame in a pool's transmit buffer. */
  send(pool: number, length: number): void {
    const tail = this.#sendTails[pool]!
    const base = pool * POOL_BYTES
    this.memory.writeDword(base + 0x2000 + tail * 16, base + 0x1000, ALL)
    this.memory.writeDword(base + 0x2000 + tail * 16 + 8, (0x2b << 24) | (3 << 20) | length, ALL)
    this.memory.writeDword(base + 0x2000 + tail * 16 + 12, length << 14, ALL)
    this.#sendTails[pool] = (tail + 1) % RING
    this.vfs[pool]!.region(0).writeDword(this.#layout.vfTransmit + 0x18, this.#sendTails[pool]!, ALL)
  }
}

const frameTo = (pool: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  bytes.set([2, 0, 0, 0, 0, pool + 1, 2, 0, 0, 0, 0, 99, 0x88, 0xb5])
  return bytes
}

/** A way of frames, and to how many queues they go in turn. */
export interface Way extends Contestant {
  readonly sheet: string
  readonly length: number
  readonly queues: number
}

function contestants(layout: Layout, most: number): Way[] {
  const { sheet } = layout
  const receive = (pools: number, length: number): Way => {
    const bench = new Bench(layout, pools)
    const frames = Array.from({ length: pools }, (_, pool) => Frame.of(frameTo(pool, length)))
    return {
      name: `${sheet}: ${length} bytes from the wire, ${pools} pools`,
      sheet,
      length,
      queues: pools,
      count: 10_000,
      run: count => {
        for (let i = 0; i < count; i++) {
          const pool = i % pools
          bench.post(pool)
          bench.partner.send(frames[pool]!)
        }
      },
    }
  }
  const transmit = (to: number, name: string): Way => {
    const bench = new Bench(layout, 2)
    bench.memory.write(0x1000, frameTo(to, 60))
    return {
      name: `${sheet}: 60 bytes ${name}`,
      sheet,
      length: 60,
      queues: 1,
      count: 10_000,
      run: count => {
        for (let i = 0; i < count; i++) {
          bench.post(1)
          bench.send(0, 60)
        }
      },
    }
  }
  return [
    receive(1, 60),
    receive(1, 1514),
    receive(most, 60),
    transmit(200, 'to the wire'),
    transmit(1, 'to another pool'),
  ]
}

/** All ways of a frame through both chips. */
export const allWays = (): Way[] => LAYOUTS.flatMap((layout, i) => contestants(layout, i === 0 ? 7 : 63))

/** Bytes that each frame allocates, by its way. */
export const heapPerFrame = (ways: readonly Contestant[], frames: number): Map<string, number> =>
  new Map(ways.map(({ name, run }) => [name, heapOf(run, frames, 1).allocated]))
