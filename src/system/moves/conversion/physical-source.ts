/** A physical machine as a definition: its processors and memory, the adapters and disks that its kernel runs, and what else it has. */
import type { Software } from '../../../engine/index.ts'
import type { HostFunction } from '../../../host/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import { SECTOR } from '../../storage/index.ts'
import type { DiskDefinition, FunctionDefinition, MachineDefinition, NetworkInterface } from './definition.ts'
import { readNamespace } from './disk-contents.ts'
import { attempt, type ConversionItem, notCarried } from './report.ts'

const MIB = 2 ** 20
/** Base class and subclass. */
export const CLASS = { ethernet: 0x0200, nvme: 0x0108, hostBridge: 0x0600 } as const
const BRIDGE = 0x06
export const classOf = ({ classCode }: HostFunction): number => classCode >>> 8

const PORTS: readonly string[] = ['rootPort', 'upstreamPort', 'downstreamPort', 'bridge', 'hostBridge']

/** Parts of the machine itself: no other machine has them. */
const isBoard = (fn: HostFunction): boolean => PORTS.includes(fn.kind) || fn.classCode >>> 16 === BRIDGE

/** Why the kernel does not work with a function, in words; undefined if it may. */
function foreign({ owner }: HostFunction): string | undefined {
  return owner.kind === 'vm' ? `it belongs to the virtual machine "${owner.name}"` : undefined
}

/**
 * Adapters and controllers of disks that are not in use are brought up by their drivers. Throws `unsupported` for a medium
 * that fails.
 *
 * @param withContents reads the disk
 */
export function* definitionOfHost(
  platform: SimulatedPlatform,
  name: string,
  withContents: boolean,
): Software<MachineDefinition> {
  const { host, hardware } = platform
  const left: ConversionItem[] = []
  const network: NetworkInterface[] = []
  const functions: FunctionDefinition[] = []
  let disk: DiskDefinition | undefined
  for (const fn of host.functions()) {
    if (isBoard(fn) || fn.kind === 'VF') continue
    const named = { what: 'function', name: fn.address } as const
    const text = `${fn.address} (${fn.driver ?? 'no driver'})`
    const other = foreign(fn)
    if (other !== undefined) left.push(notCarried(named, text, other))
    else if (classOf(fn) === CLASS.ethernet) {
      const found = yield* interfaceOf(platform, fn)
      if (typeof found === 'string') left.push(notCarried(named, text, found))
      else network.push(found)
    } else if (classOf(fn) === CLASS.nvme) {
      const { found, without } = yield* diskOf(platform, fn, disk === undefined, withContents)
      disk ??= found
      left.push(...without)
    } else functions.push(definitionOf(fn))
    if (fn.virtualFunctions.length > 0) left.push(withoutVirtualFunctions(fn))
  }
  left.push(...withoutSoftware(platform), withoutBoard(platform))
  return {
    origin: 'physical',
    name,
    processors: hardware.processors.length,
    memoryMiB: hardware.memory.ranges.reduce((sum, { size }) => sum + size, 0) / MIB,
    options: {},
    remappingUnit: host.functions().some(fn => fn.remappingUnit !== null) ? 'physical' : undefined,
    claims: undefined,
    network,
    disk,
    functions,
    left,
  }
}

const definitionOf = ({ address, vendorId, deviceId, driver, kind }: HostFunction): FunctionDefinition => ({
  address,
  vendorId,
  deviceId,
  driver,
  virtual: kind === 'VF',
})

/** An adapter whose driver moves frames; else why it is none. */
function* interfaceOf(
  { networking }: SimulatedPlatform,
  { address, vendorId, deviceId }: HostFunction,
): Software<NetworkInterface | string> {
  const opened = yield* attempt(networking.adapter(address))
  if ('refusal' in opened) return `its address cannot be learned: ${opened.refusal}`
  const { mac, driver } = opened.result
  return {
    mac: mac.slice(),
    model: 'physical',
    place: `adapter ${address}`,
    driver,
    kind: { vendorId, deviceId },
    switch: undefined,
    rules: {},
    standby: false,
    // A cable carries whatever is sent.
    vlan: { mode: 'trunk', native: 1 },
    maximumRate: 0,
  }
}

/** The disk on a controller, if it is the first of the machine's, and what is there besides. */
function* diskOf(
  platform: SimulatedPlatform,
  { address }: HostFunction,
  isFirst: boolean,
  withContents: boolean,
): Software<{ readonly found: DiskDefinition | undefined; readonly without: readonly ConversionItem[] }> {
  const opened = yield* attempt(platform.disks.hostDriver(address))
  if ('refusal' in opened) {
    const item = notCarried({ what: 'function', name: address }, `${address} (nvme)`, opened.refusal)
    return { found: undefined, without: [item] }
  }
  const { namespaces } = opened.result
  const first = isFirst ? namespaces.find(({ blockSize }) => blockSize === SECTOR) : undefined
  const without = namespaces
    .filter(namespace => namespace !== first)
    .map(({ id, blocks, blockSize }) => {
      const name = `namespace ${id} of ${address}`
      const reason =
        blockSize === SECTOR
          ? 'a virtual machine has one disk here, and this is not the first'
          : `its blocks have ${blockSize} bytes, and those of a virtual machine’s disk ${SECTOR}`
      return notCarried({ what: 'disk', name }, `${blocks} blocks of ${blockSize} bytes`, reason)
    })
  if (first === undefined) return { found: undefined, without }
  const found = {
    model: 'physical',
    place: `namespace ${first.id} of ${address}`,
    driver: 'nvme',
    sectors: first.blocks,
    contents: withContents ? yield* readNamespace(platform, address, first) : null,
  } as const
  return { found, without }
}

const withoutVirtualFunctions = ({ address, virtualFunctions }: HostFunction): ConversionItem =>
  notCarried(
    { what: 'virtualFunctions', name: address },
    `${virtualFunctions.length} of ${address}`,
    'they are made of a function of the machine; an adapter of a virtual machine makes none',
  )

/** What runs on it and is the hypervisor's. */
function withoutSoftware({ hypervisor, networking }: SimulatedPlatform): ConversionItem[] {
  const machines = hypervisor
    .vms()
    .map(({ name, vcpus, memoryMiB }) =>
      notCarried(
        { what: 'virtualMachine', name },
        `${vcpus.length} virtual processors, ${memoryMiB} MiB`,
        'virtual machines are taken on their own: v2v, or migrateVm while they run',
      ),
    )
  const switches = networking.switches.map(({ network: { name, ports } }) =>
    notCarried(
      { what: 'switch', name },
      `${ports.length} ports`,
      'a virtual switch is the hypervisor’s; its uplinks are carried as what they are, adapters',
    ),
  )
  return [...machines, ...switches]
}

/** Sockets, buses and the functions that only lead to others. */
function withoutBoard({ host, topology }: SimulatedPlatform): ConversionItem {
  const ports = host.functions().filter(isBoard).length
  const { processors, hostBridges } = topology
  return notCarried(
    { what: 'topology', name: topology.name },
    `${processors.length} sockets, ${hostBridges.length} host bridges, ${ports} bridges and ports`,
    'the board of a virtual machine has one socket, one node of memory and one bus',
  )
}
