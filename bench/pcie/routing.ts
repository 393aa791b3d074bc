/** What routing costs as machines grow: the same request among 100, 10,000 and 65,536 functions, at random places. */
import { definitionFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import {
  Fabric,
  type FunctionDefinition,
  HostBridge,
  MemoryRequest,
  type PcieFunction,
  TARGET,
} from '../../src/pcie/index.ts'
import type { Contestant } from '../measure.ts'

const ALL = 0xffff_ffff
const MIB = 2 ** 20
/** Bytes of a BAR, above 4 GiB. */
const BAR_SIZE = 4096
const FIRST_ADDRESS = 2 ** 40

const sheet = (name: string): FunctionDefinition => definitionFromDataSheet(loadDataSheet(name), 0)
const rootPort = sheet('root-port')
const endpoint: FunctionDefinition = {
  ...sheet('intel-82576'),
  bars: [{ index: 0, kind: 'memory64', prefetchable: true, size: BAR_SIZE }],
}
/** ARI Forwarding Enable of a root port: Device Control 2. */
const DEVICE_CONTROL_2 = 0x90 + 0x28

interface Machine {
  readonly fabric: Fabric
  readonly functions: readonly PcieFunction[]
}

/** Segments of root ports, each with a device of up to 256 functions, numbered, placed and enabled. */
function machine(segments: number, ports: number, functionsPerPort: number): Machine {
  const fabric = new Fabric()
  const functions: PcieFunction[] = []
  const sink = {
    request: (request: MemoryRequest): void => {
      request.target = TARGET.memory
    },
  }
  let next = FIRST_ADDRESS
  for (let segment = 0; segment < segments; segment++) {
    const host = new HostBridge({ segment, bus: 0, lastBus: 255 }, sink)
    fabric.add(host)
    for (let n = 0; n < ports; n++) {
      const bus = n + 1
      const port = host.addFunction((n >>> 3) + 1, n & 7, rootPort)
      port.writeConfig(0x18, (bus << 16) | (bus << 8), ALL)
      port.writeConfig(0x04, 6, 0xffff)
      port.writeConfig(DEVICE_CONTROL_2, 0x20, 0xffff)
      const base = next
      for (let i = 0; i < functionsPerPort; i++) {
        const fn = host.addFunction(i >>> 3, i & 7, endpoint, port)
        fn.captureBus(bus)
        fn.writeConfig(0x10, next % 2 ** 32, ALL)
        fn.writeConfig(0x14, Math.floor(next / 2 ** 32), ALL)
        fn.writeConfig(0x04, 6, 0xffff)
        functions.push(fn)
        next += BAR_SIZE
      }
      next = Math.ceil(next / MIB) * MIB
      const limit = next - MIB
      port.writeConfig(0x24, (((limit / MIB) & 0xfff) << 20) | (((base / MIB) & 0xfff) << 4), ALL)
      port.writeConfig(0x28, Math.floor(base / 2 ** 32), ALL)
      port.writeConfig(0x2c, Math.floor(limit / 2 ** 32), ALL)
      port.writeConfig(0x20, 0xfff0, ALL)
    }
  }
  return { fabric, functions }
}

/** Functions that are visited, far from each other: as many in every machine, so that caches hold as much of each. */
const VISITED = 64

/** An order without pattern of some functions that lie all over the machine. */
function scattered(count: number): Uint32Array {
  let state = 1
  return Uint32Array.from({ length: 4096 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(((state >>> 8) % VISITED) * (count / VISITED))
  })
}

function contestants(name: string, { fabric, functions }: Machine, count: number): Contestant[] {
  const order = scattered(functions.length)
  const request = new MemoryRequest()
  request.data = new Uint8Array(64)
  request.length = 64
  const each =
    (visit: (fn: PcieFunction, i: number) => void) =>
    (times: number): void => {
      for (let i = 0; i < times; i++) visit(functions[order[i & 4095]!]!, i)
    }
  return [
    {
      name: `configuration read, ${name}`,
      count,
      run: each(fn => fabric.readConfig(fn.segment, fn.rid >>> 8, fn.rid & 0xff, 0)),
    },
    {
      name: `memory read of a processor, ${name}`,
      count,
      run: each(fn => fabric.readMemory(fn.barAddress(0))),
    },
    {
      name: `write up to the root complex, ${name}`,
      count,
      run: each(fn => {
        request.write = true
        request.page = 0x1234
        request.offset = 0
        fn.issue(request)
      }),
    },
    {
      name: `write down again to a peer, ${name}`,
      count,
      run: each((_, i) => {
        request.write = true
        request.begin()
        request.offset = 0
        request.physicalPage = functions[order[(i + 1) & 4095]!]!.barAddress(0) / BAR_SIZE
        fabric.request(request)
      }),
    },
  ]
}

/** By kind of request, each in machines of growing size. */
export function routing(count = 100_000): Contestant[] {
  const sizes = [
    ['100 functions', machine(1, 4, 25)],
    ['10,000 functions', machine(2, 200, 25)],
    ['65,536 functions', machine(8, 128, 64)],
  ] as const
  const all = sizes.map(([name, made]) => contestants(name, made, count))
  return all[0]!.flatMap((_, kind) => all.map(size => size[kind]!))
}

/** Bytes of heap per request over many writes up and down in the largest machine. */
export function heapPerRequest(requests: number): number {
  const [up, down] = contestants('', machine(8, 128, 64), requests).slice(2)
  up!.run(100_000)
  down!.run(100_000)
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  up!.run(requests)
  down!.run(requests)
  return Math.max(0, process.memoryUsage().heapUsed - before) / (2 * requests)
}
