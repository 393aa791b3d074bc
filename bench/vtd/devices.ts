/**
 * A machine with eight kinds of device under one remapping unit, set up as firmware and a driver would: functions of a
 * root bus, behind a root port, behind a PCIe-to-PCI bridge, and a virtual function; each in a domain of its own, with
 * its buffers above 4 GiB.
 */
import { Engine, sleep } from '../../src/engine/index.ts'
import { MemoryRequest, type PcieFunction, STATUS } from '../../src/pcie/index.ts'
import { Platform, parseTopology } from '../../src/platform/index.ts'
import { enableTranslation, SECOND_STAGE, Tables } from './tables.ts'

const GIB = 2 ** 30
/** Where the machine's host bridge keeps configuration space, and its unit the registers. */
const ECAM = 0x8000_0000
const UNIT = 0xfed9_0000
/** Input pages and host pages that every function has: 256 of 4 KiB. */
export const FIRST_PAGE = (24 * GIB) / 4096
const FIRST_FRAME = (6 * GIB) / 4096
const PAGES = 256

const topology = {
  name: 'eight-devices',
  memory: [{ numaNode: 0, sizeMiB: 8192 }],
  iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
  hostBridges: [
    {
      devices: [
        { at: '02.0', model: 'intel-82576' },
        { at: '03.0', model: 'intel-82599' },
        { at: '04.0', model: 'nvme-sriov' },
        { at: '05.0', model: 'intel-82540em' },
        { at: '06.0', model: 'intel-82574l' },
        { at: '07.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82599' }] },
        { at: '08.0', model: 'pcie-pci-bridge', devices: [{ at: '01.0', model: 'intel-82540em' }] },
      ],
    },
  ],
}

/** Requester ids of the functions that send, and the ids that the unit sees. */
const PORT_BUS = 1
const BRIDGE_BUS = 8
const SR_IOV = 0x160
const SENDERS: readonly (readonly [rid: number, seen: number])[] = [
  [0x0010, 0x0010],
  [0x0018, 0x0018],
  [0x0020, 0x0020],
  [0x0028, 0x0028],
  [0x0030, 0x0030],
  [PORT_BUS << 8, PORT_BUS << 8],
  [(BRIDGE_BUS << 8) | 8, BRIDGE_BUS << 8],
]

export interface EightDevices {
  readonly platform: Platform
  readonly functions: readonly PcieFunction[]
  /** One DMA write of 64 bytes into page `page` (0 to 255) of what function `n` may reach. */
  send(n: number, page: number): void
}

export function eightDevices(): EightDevices {
  const engine = new Engine()
  const platform = engine.run(Platform.build(parseTopology(topology), engine))
  platform.powerOn()
  engine.trace.enabled = false
  const { port, fabric } = platform
  const config = (rid: number, register: number, value: number): void =>
    port.writeDword(ECAM + rid * 4096 + register, value)
  for (const [rid, bus] of [
    [0x0038, PORT_BUS],
    [0x0040, BRIDGE_BUS],
  ] as const) {
    config(rid, 0x18, (bus << 16) | (bus << 8))
    config(rid, 0x04, 6)
  }
  const functions = SENDERS.map(([rid]) => {
    config(rid, 0x04, 6)
    return fabric.functionAt(0, rid as never)!
  })
  // One virtual function of the NIC behind the port: NumVFs, then VF Enable and VF MSE.
  const physical = functions[5]!
  config(PORT_BUS << 8, SR_IOV + 0x10, 1)
  config(PORT_BUS << 8, SR_IOV + 0x08, 9)
  engine.run(sleep(engine, 100_000_000))
  const [virtual] = physical.virtualFunctions
  virtual!.writeConfig(4, 4, 0xffff_ffff)
  functions.push(virtual!)
  const seen = [...SENDERS.map(([, id]) => id), virtual!.rid]

  const tables = new Tables(platform.memory, 4 * GIB)
  const root = tables.page()
  for (const [n, sourceId] of seen.entries()) {
    const top = tables.page()
    tables.context(root, sourceId, n + 1, top)
    for (let i = 0; i < PAGES; i++) {
      tables.map(top, 4, FIRST_PAGE + i, FIRST_FRAME + n * PAGES + i, SECOND_STAGE)
    }
  }
  enableTranslation({ writeDword: (at, value, lanes) => port.writeDword(UNIT + at, value, lanes) }, root)

  const request = new MemoryRequest()
  request.data = new Uint8Array(64)
  request.length = 64
  request.write = true
  request.offset = 0x40
  const send = (n: number, page: number): void => {
    request.page = FIRST_PAGE + page
    functions[n]!.issue(request)
    if (request.status !== STATUS.successful) {
      throw new Error(`function ${n}: status ${request.status}, reason ${request.faultReason}`)
    }
  }
  return { platform, functions, send }
}
