/** A small machine for tests of the fabric: real parts on one host bridge, and a root complex that only takes notes. */
import { requesterId } from '../../src/core/index.ts'
import { definitionsFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import {
  Fabric,
  type FunctionDefinition,
  HostBridge,
  type HostBridgeOptions,
  MemoryRequest,
  type PcieFunction,
  TARGET,
  type UpstreamSink,
} from '../../src/pcie/index.ts'

export const ALL = 0xffff_ffff
export const rid = (bus: number, device: number, fn: number) => requesterId(bus, (device << 3) | fn)

/** What arrived at the root complex. */
export interface Arrival {
  readonly requesterId: number
  readonly page: number
  readonly offset: number
  readonly data: readonly number[]
  readonly entry: PcieFunction
}

export class Notes implements UpstreamSink {
  readonly arrivals: Arrival[] = []
  request(request: MemoryRequest, entry: PcieFunction): void {
    const { requesterId, page, offset, data, dataStart, length } = request
    this.arrivals.push({
      requesterId,
      page,
      offset,
      data: [...data.subarray(dataStart, dataStart + length)],
      entry,
    })
    request.target = TARGET.memory
    request.physicalPage = page
  }
}

export const part = (name: string, number = 0): FunctionDefinition =>
  definitionsFromDataSheet(loadDataSheet(name))[number]!

/** The same part with some bytes of its image changed. */
export function patched(
  definition: FunctionDefinition,
  ...bytes: [offset: number, value: number][]
): FunctionDefinition {
  const image = definition.image.slice()
  for (const [offset, value] of bytes) image[offset] = value
  return { ...definition, image }
}

export class Machine {
  readonly fabric = new Fabric()
  readonly notes = new Notes()
  readonly host: HostBridge

  constructor(bus = 0, lastBus = 255, options: Partial<HostBridgeOptions> = {}) {
    this.host = new HostBridge({ segment: 0, bus, lastBus, ...options }, this.notes)
    this.fabric.add(this.host)
  }

  /** Plugs a part in at `device.function`, below `parent` if given. */
  plug(definition: FunctionDefinition, at: string, parent?: PcieFunction): PcieFunction {
    const [device, fn] = at.split('.').map(text => Number.parseInt(text, 16))
    return this.host.addFunction(device!, fn!, definition, parent)
  }

  read(bus: number, device: number, fn: number, offset: number): number {
    return this.fabric.readConfig(0, bus, (device << 3) | fn, offset)
  }

  write(bus: number, device: number, fn: number, offset: number, value: number, lanes = ALL): void {
    this.fabric.writeConfig(0, bus, (device << 3) | fn, offset, value, lanes)
  }

  /** Numbers a bridge: primary, secondary, subordinate bus; windows closed, decode and bus mastering on. */
  number(bus: number, device: number, fn: number, secondary: number, subordinate: number): void {
    this.write(bus, device, fn, 0x18, (subordinate << 16) | (secondary << 8) | bus)
    this.write(bus, device, fn, 0x20, 0x0000_fff0)
    this.write(bus, device, fn, 0x24, 0x0000_fff0)
    this.write(bus, device, fn, 0x04, 0x6, 0xffff)
  }

  /** Memory window of a bridge, in MiB; `limit` is the last MiB. */
  window(bus: number, device: number, fn: number, base: number, limit: number): void {
    this.write(bus, device, fn, 0x20, (limit << 20) | (base << 4))
  }
}

/** A request of `length` bytes at `address`, ready to be issued. */
export function request(address: number, write = true, data = new Uint8Array([1, 2, 3, 4])): MemoryRequest {
  const made = new MemoryRequest()
  made.write = write
  made.page = Math.floor(address / 4096)
  made.offset = address % 4096
  made.length = data.length
  made.data = data
  return made
}

/** 00:01.0 root port, 01:00.0 upstream port, 02:00.0 and 02:01.0 downstream ports, endpoints on buses 3 and 4. */
export function withSwitch(downstream = 'switch-downstream-port') {
  const machine = new Machine()
  const port = machine.plug(part('root-port'), '1.0')
  const upstream = machine.plug(part('switch-upstream-port'), '0.0', port)
  const ports = ['0.0', '1.0'].map(at => machine.plug(part(downstream), at, upstream))
  const [a, b] = ports.map(above => machine.plug(part('intel-82574l'), '0.0', above))
  machine.number(0, 1, 0, 1, 4)
  machine.window(0, 1, 0, 0xe00, 0xe1f)
  machine.number(1, 0, 0, 2, 4)
  machine.window(1, 0, 0, 0xe00, 0xe1f)
  for (const [i, window] of [
    [0, 0xe00],
    [1, 0xe10],
  ] as const) {
    machine.number(2, i, 0, 3 + i, 3 + i)
    machine.window(2, i, 0, window, window + 0xf)
    machine.write(3 + i, 0, 0, 0x10, window * 2 ** 20)
    machine.write(3 + i, 0, 0, 0x04, 0x6, 0xffff)
  }
  return { machine, port, upstream, ports, a: a!, b: b! }
}
