/** Machines that can be changed as a repair says, with nodes that keep their number across changes. */
import type { GroupRepair, HostFunction, KernelVersion } from '../../src/host/index.ts'
import type { TopologyDocument, TopologyNodeDocument } from '../../src/platform/index.ts'
import { type Booted, boot } from './machine.ts'

export type Node = TopologyNodeDocument & { devices?: Node[] | undefined }

export interface Machine {
  readonly kernel: KernelVersion
  readonly roots: readonly Node[]
  /** Ports whose redirection the command line switches off. */
  readonly unredirected: readonly Node[]
  /** Further options of `pci=`. */
  readonly options: readonly string[]
}

const numbers = new WeakMap<Node, number>()

export const nodesOf = (nodes: readonly Node[]): Node[] =>
  nodes.flatMap(node => [node, ...nodesOf(node.devices ?? [])])

/** A copy whose nodes are numbered. */
export function numbered(roots: readonly Node[]): Node[] {
  let count = 0
  return roots.map(root =>
    renewed(
      root,
      node => node,
      new Map(),
      () => count++,
    ),
  )
}

function renewed(
  node: Node,
  change: (node: Node) => Node,
  names: Map<Node, Node>,
  number: (node: Node) => number,
): Node {
  const mine = number(node)
  const made: Node = { ...change(node) }
  if (made.devices !== undefined) {
    made.devices = made.devices.map(child => renewed(child, change, names, number))
  }
  numbers.set(made, mine)
  names.set(node, made)
  return made
}

export interface Running extends Booted {
  readonly addressOf: ReadonlyMap<Node, string>
  readonly nodeAt: ReadonlyMap<string, Node>
}

/** Boots twice if the command line names ports, because addresses are told by the first boot. */
export function start(machine: Machine): Running {
  const { unredirected, options } = machine
  if (unredirected.length === 0) return run(machine, options)
  const { addressOf } = run(machine, [])
  const named = unredirected.map(node => addressOf.get(node)).join(';')
  return run(machine, [`disable_acs_redir=${named}`, ...options])
}

function run({ kernel, roots }: Machine, options: readonly string[]): Running {
  const pci = options.length === 0 ? [] : [`pci=${options.join(',')}`]
  const document: TopologyDocument = {
    name: 'repaired',
    memory: [{ sizeMiB: 64 }],
    iommu: { kind: 'intel-vtd', units: [{ id: 'unit', includeAll: true }] },
    hostBridges: [{ devices: [...roots] }],
    host: { commandLine: ['intel_iommu=on', ...pci].join(' '), kernel },
  }
  const booted = boot(document)
  const functions = booted.host.functions().filter(({ kind }) => kind !== 'VF')
  const addressOf = new Map<Node, string>()
  const place = (nodes: readonly Node[], above: HostFunction | undefined): void => {
    for (const node of nodes) {
      const fn = functions.find(one => one.parent === above?.address && one.address.endsWith(node.at))
      if (fn === undefined) continue
      addressOf.set(node, fn.address)
      place(node.devices ?? [], fn)
    }
  }
  place(roots, undefined)
  return { ...booted, addressOf, nodeAt: new Map([...addressOf].map(([node, address]) => [address, node])) }
}

/** A function by the number of its node, and for a VF its own. */
export function nameOf(running: Running, address: string): string {
  const physical = running.host.find(address).physicalFunction
  if (physical === undefined) return `${numbers.get(running.nodeAt.get(address)!)}`
  const vf = running.host.find(physical).virtualFunctions.indexOf(address)
  return `${numbers.get(running.nodeAt.get(physical)!)}/VF${vf}`
}

/** The machine after a repair: other parameters, other parts, or the card in another slot. */
export function repaired(machine: Machine, running: Running, repair: GroupRepair): Machine {
  const nodes = repair.functions.flatMap(address => running.nodeAt.get(address) ?? [])
  switch (repair.kind) {
    case 'enableAccessControl':
      return machine.kernel === '6.1'
        ? { ...machine, unredirected: machine.unredirected.filter(node => !nodes.includes(node)) }
        : { ...machine, options: [repair.parameter!.replace('pci=', '')] }
    case 'replace':
      return changed(machine, node =>
        nodes.includes(node) ? { ...node, acs: ['SV', 'TB', 'RR', 'CR', 'UF'] } : node,
      )
    case 'move': {
      const slot = running.nodeAt.get(repair.to!)!
      return changed(machine, node => {
        if (node === slot) return { ...node, devices: nodes }
        if (!node.devices?.some(child => nodes.includes(child))) return node
        return { ...node, devices: node.devices.filter(child => !nodes.includes(child)) }
      })
    }
  }
}

function changed(machine: Machine, change: (node: Node) => Node): Machine {
  const names = new Map<Node, Node>()
  const roots = machine.roots.map(root => renewed(root, change, names, node => numbers.get(node)!))
  return { ...machine, roots, unredirected: machine.unredirected.flatMap(node => names.get(node) ?? []) }
}

/** The groups that some functions are in, by their names. */
export const partsOf = (running: Running, members: ReadonlySet<string>): string[] =>
  running.host
    .groups()
    .map(({ functions }) =>
      functions.map(address => nameOf(running, address)).filter(name => members.has(name)),
    )
    .filter(part => part.length > 0)
    .map(part => part.sort().join(' '))
    .sort()
