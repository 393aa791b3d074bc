/** hwloc XML, version 2.0 of the format: what `lstopo -i FILE` shows. */
import { busOf } from '../../core/index.ts'
import type { HostFunction } from '../../host/index.ts'
import { CAPABILITY, EXPRESS } from '../../pcie/formats/index.ts'
import type { ExportedFile } from '../exported-file.ts'
import { isHostBridge } from '../function-facts.ts'
import type { MachineView } from '../machine-view.ts'
import { writeXml, type XmlOutput } from '../xml.ts'

const MIB = 2 ** 20
const PAGE = 4096
/** GB/s of one lane by the speed's encoding in "Link Status". */
const LANE_GIGABYTES = [0, 0.25, 0.5, 0.984615, 1.969231, 3.938462, 7.563025] as const
/** hwloc's numbers for what an operating system calls a network interface. */
const OSDEV_NETWORK = 2

export function hwlocFiles(machine: MachineView): ExportedFile[] {
  const body = new HwlocWriter(machine).machine()
  const head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n'
  return [
    {
      path: 'hwloc.xml',
      text: head + writeXml({ name: 'topology', attributes: { version: '2.0' }, children: [body] }),
    },
  ]
}

/** Bits as hwloc writes sets: 32 at a time, most significant first. */
function setText(members: readonly number[]): string {
  const words: number[] = []
  for (const member of members) words[member >>> 5] = (words[member >>> 5] ?? 0) | (1 << (member & 31))
  return Array.from({ length: Math.max(words.length, 1) }, (_, i) => words[i] ?? 0)
    .reverse()
    .map(word => `0x${(word >>> 0).toString(16).padStart(8, '0')}`)
    .join(',')
}

interface Socket {
  readonly node: number
  readonly processors: readonly number[]
}

class HwlocWriter {
  readonly #machine: MachineView
  readonly #sockets: readonly Socket[]
  readonly #nodes: readonly number[]
  readonly #below = new Map<string | undefined, HostFunction[]>()
  readonly #interfaces: ReadonlyMap<string, string>
  /** hwloc takes 0 for a missing index. */
  #next = 1

  constructor(machine: MachineView) {
    this.#machine = machine
    this.#interfaces = machine.networkInterfaces
    let first = 0
    this.#sockets = machine.topology.processors.map(({ numaNode, logicalProcessors }) => {
      const processors = Array.from({ length: logicalProcessors }, (_, i) => first + i)
      first += logicalProcessors
      return { node: Math.max(numaNode, 0), processors }
    })
    const memory = machine.topology.memory.map(({ numaNode }) => Math.max(numaNode, 0))
    this.#nodes = [...new Set([...this.#sockets.map(({ node }) => node), ...memory])].sort((a, b) => a - b)
    for (const fn of machine.functions) {
      const above = fn.parent ?? (fn.physicalFunction && machine.host.find(fn.physicalFunction).parent)
      this.#below.set(above, [...(this.#below.get(above) ?? []), fn])
    }
  }

  machine(): XmlOutput {
    const { topology } = this.#machine
    const all = this.#sockets.flatMap(({ processors }) => processors)
    const roots = [...new Set((this.#below.get(undefined) ?? []).map(rootKey))].sort()
    // A node without processors hangs at the machine, as do host bridges that are near no single node.
    const loose = this.#nodes.filter(node => !this.#sockets.some(socket => socket.node === node))
    const allowed = { allowed_cpuset: setText(all), allowed_nodeset: setText(this.#nodes) }
    return this.#object('Machine', 0, { ...this.#sets(all, this.#nodes), ...allowed }, [
      { name: 'info', attributes: { name: 'Backend', value: 'Northbridge' } },
      { name: 'info', attributes: { name: 'OSName', value: 'Linux' } },
      { name: 'info', attributes: { name: 'OSRelease', value: `${topology.host.kernel}.0` } },
      { name: 'info', attributes: { name: 'HostName', value: topology.name } },
      { name: 'info', attributes: { name: 'Architecture', value: 'x86_64' } },
      ...loose.map(node => this.#memory(node, [])),
      ...this.#sockets.map((socket, i) => this.#package(socket, i)),
      ...roots.filter(root => this.#nodeOf(root) < 0).map(root => this.#hostBridge(root)),
    ])
  }

  #package(socket: Socket, index: number): XmlOutput {
    const { node, processors } = socket
    const firstOfNode = this.#sockets.find(other => other.node === node) === socket
    const roots = [...new Set((this.#below.get(undefined) ?? []).map(rootKey))].sort()
    const sharing = this.#sockets.filter(other => other.node === node).flatMap(other => other.processors)
    return this.#object('Package', index, this.#sets(processors, [node]), [
      ...(firstOfNode ? [this.#memory(node, sharing)] : []),
      ...processors.map(number =>
        this.#object('Core', number, this.#sets([number], [node]), [
          this.#object('PU', number, this.#sets([number], [node]), []),
        ]),
      ),
      ...(firstOfNode
        ? roots.filter(root => this.#nodeOf(root) === node).map(root => this.#hostBridge(root))
        : []),
    ])
  }

  #memory(node: number, processors: readonly number[]): XmlOutput {
    const bytes = this.#machine.topology.memory
      .filter(({ numaNode }) => Math.max(numaNode, 0) === node)
      .reduce((sum, { sizeMiB }) => sum + sizeMiB * MIB, 0)
    return this.#object('NUMANode', node, { ...this.#sets(processors, [node]), local_memory: bytes }, [
      { name: 'page_type', attributes: { size: PAGE, count: bytes / PAGE } },
    ])
  }

  /** The node that a host bridge is near; -1 if it is near none in particular. */
  #nodeOf(root: string): number {
    if (this.#nodes.length < 2) return -1
    const near = (this.#below.get(undefined) ?? []).find(fn => rootKey(fn) === root)?.numaNode ?? -1
    return this.#sockets.some(({ node }) => node === near) ? near : -1
  }

  #hostBridge(root: string): XmlOutput {
    const functions = (this.#below.get(undefined) ?? []).filter(fn => rootKey(fn) === root)
    const { segment, rid } = functions[0]!
    const buses = functions.map(fn => this.#machine.decoded(fn).buses?.subordinate ?? busOf(fn.rid))
    const range = { secondary: busOf(rid), subordinate: Math.max(...buses) }
    return this.#io(
      'Bridge',
      { bridge_type: '0-1', depth: 0, bridge_pci: rangeText(segment, range) },
      functions,
      1,
    )
  }

  #function(fn: HostFunction, depth: number): XmlOutput {
    const buses = this.#machine.decoded(fn).buses
    const attributes = {
      pci_busid: fn.address,
      pci_type: typeText(fn),
      pci_link_speed: this.#linkSpeed(fn).toFixed(6),
    }
    const below = this.#below.get(fn.address) ?? []
    if (buses === undefined) return this.#io('PCIDev', attributes, [], depth, this.#interface(fn))
    const bridge = { bridge_type: '1-1', depth, bridge_pci: rangeText(fn.segment, buses) }
    return this.#io('Bridge', { ...bridge, ...attributes }, below, depth + 1)
  }

  #interface({ address }: HostFunction): XmlOutput[] {
    const name = this.#interfaces.get(address)
    if (name === undefined) return []
    return [
      {
        name: 'object',
        attributes: { type: 'OSDev', gp_index: this.#next++, name, osdev_type: OSDEV_NETWORK },
      },
    ]
  }

  #io(
    type: string,
    attributes: Readonly<Record<string, string | number>>,
    below: readonly HostFunction[],
    depth: number,
    more: readonly XmlOutput[] = [],
  ): XmlOutput {
    const index = this.#next++
    const children = [...more, ...below.map(fn => this.#function(fn, depth))]
    return { name: 'object', attributes: { type, gp_index: index, ...attributes }, children }
  }

  #object(
    type: string,
    index: number,
    attributes: Readonly<Record<string, string | number>>,
    children: readonly XmlOutput[],
  ): XmlOutput {
    return {
      name: 'object',
      attributes: { type, os_index: index, ...attributes, gp_index: this.#next++ },
      children,
    }
  }

  #sets(processors: readonly number[], nodes: readonly number[]): Readonly<Record<string, string>> {
    const cpuset = setText(processors)
    const nodeset = setText(nodes)
    return {
      cpuset,
      complete_cpuset: cpuset,
      nodeset,
      complete_nodeset: nodeset,
    }
  }

  #linkSpeed(fn: HostFunction): number {
    const decoded = this.#machine.decoded(fn)
    const at = decoded.capability(CAPABILITY.EXPRESS)
    if (at === undefined || isHostBridge(fn.classCode)) return 0
    const speed = LANE_GIGABYTES[decoded.field(EXPRESS.LINK_CONTROL, 'SPEED', at)] ?? 0
    return speed * decoded.field(EXPRESS.LINK_CONTROL, 'WIDTH', at)
  }
}

const digits = (value: number, width: number): string => value.toString(16).padStart(width, '0')

/** Segment and root bus. */
const rootKey = ({ segment, rid }: HostFunction): string => `${digits(segment, 4)}:${digits(busOf(rid), 2)}`

const rangeText = (
  segment: number,
  { secondary, subordinate }: { secondary: number; subordinate: number },
): string => `${digits(segment, 4)}:[${digits(secondary, 2)}-${digits(subordinate, 2)}]`

const typeText = (fn: HostFunction): string =>
  `${digits(fn.classCode >>> 8, 4)} [${digits(fn.vendorId, 4)}:${digits(fn.deviceId, 4)}] [${digits(fn.subsystemVendorId, 4)}:${digits(fn.subsystemId, 4)}] ${digits(fn.revision, 2)}`
