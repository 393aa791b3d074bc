/** A running host as policies see it: what an inventory agent on it would report. */
import { formatFunctionAddress, type NorthbridgeError, type RequesterId } from '../core/index.ts'
import type { HostFunction, HostKernel } from '../host/index.ts'
import type { Device, DeviceRole, NumaNode, PolicyHost } from './model/index.ts'

export interface InventoryOptions {
  /** Sockets of NUMA nodes; without, every node is a socket of its own. */
  readonly sockets?: Readonly<Record<number, number>>
  readonly tenants?: ReadonlyMap<string, string>
}

const ROLES: Readonly<Record<HostFunction['kind'], DeviceRole>> = {
  PF: 'PF',
  VF: 'VF',
  endpoint: 'endpoint',
  rootPort: 'bridge',
  upstreamPort: 'bridge',
  downstreamPort: 'bridge',
  bridge: 'bridge',
  hostBridge: 'bridge',
}

const NETWORK_CLASS = 0x02

export function inventoryOf(host: HostKernel, name: string, options: InventoryOptions = {}): PolicyHost {
  const functions = host.functions()
  const byAddress = new Map(functions.map(fn => [fn.address, fn]))
  const unisolated = unisolatedPorts(host)
  const users = new Map<string, string>()
  for (const { address, owner } of functions) if (owner.kind === 'vm') users.set(address, owner.name)
  const refusals = refusalsOf(host, functions)
  const remapped = functions.some(({ remappingUnit }) => remappingUnit !== null)
  return {
    name,
    devices: functions.map(fn => deviceOf(fn, byAddress, unisolated, refusals)),
    numaNodes: numaNodesOf(functions, options.sockets ?? {}),
    isolatedInterrupts:
      remapped && ![...refusals.values()].some(({ code }) => code === 'noInterruptRemapping'),
    users,
    ...(options.tenants === undefined ? {} : { tenants: options.tenants }),
  }
}

/** What the kernel has against giving a function away, apart from machines that have it or its group's mates. */
function refusalsOf(
  host: HostKernel,
  functions: readonly HostFunction[],
): ReadonlyMap<string, NorthbridgeError> {
  const refusals = new Map<string, NorthbridgeError>()
  for (const { address } of functions) {
    const refusal = host.vfio.whyNot(address, '')
    if (refusal !== undefined && !isAboutMachines(refusal)) refusals.set(address, refusal)
  }
  return refusals
}

function isAboutMachines({ code, details }: NorthbridgeError): boolean {
  if (code === 'functionInUse') return true
  if (code !== 'groupNotViable') return false
  const mates = details['mates'] as readonly { readonly owner: { readonly kind: string } }[]
  return mates.every(({ owner }) => owner.kind === 'vm')
}

/** For functions that joined a group through a port: that port. */
function unisolatedPorts(host: HostKernel): ReadonlyMap<string, string> {
  const reasons = host.groups().flatMap(({ why }) => why)
  return new Map(
    reasons.flatMap(({ function: address, rule, lackedBy }) =>
      rule === 'unisolatedPath' && lackedBy !== undefined ? [[address, lackedBy]] : [],
    ),
  )
}

function numaNodesOf(
  functions: readonly HostFunction[],
  sockets: Readonly<Record<number, number>>,
): NumaNode[] {
  const ids = new Set(functions.map(({ numaNode }) => numaNode).filter(node => node >= 0))
  return [...ids].sort((a, b) => a - b).map(id => ({ id, socket: sockets[id] ?? id }))
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

function deviceOf(
  fn: HostFunction,
  byAddress: ReadonlyMap<string, HostFunction>,
  unisolated: ReadonlyMap<string, string>,
  refusals: ReadonlyMap<string, NorthbridgeError>,
): Device {
  const { address, kind, sriov, physicalFunction: pf } = fn
  const physical = pf === undefined ? undefined : byAddress.get(pf)
  const port = unisolated.get(address)
  const index = physical?.virtualFunctions.indexOf(address)
  return {
    address,
    role: ROLES[kind],
    vendorId: hex(fn.vendorId, 4),
    productId: hex(fn.deviceId, 4),
    subsystemVendorId: hex(fn.subsystemVendorId, 4),
    subsystemId: hex(fn.subsystemId, 4),
    classCode: hex(fn.classCode, 6),
    driver: fn.driver,
    numaNode: fn.numaNode < 0 ? null : fn.numaNode,
    iommuGroup: fn.group,
    pcieRoot: rootOf(fn, byAddress),
    resetMethods: fn.resetMethods,
    ...(pf === undefined ? {} : { parent: pf }),
    ...(index === undefined ? {} : { vfIndex: index }),
    ...(sriov === undefined
      ? {}
      : {
          sriov: { totalVfs: sriov.driverLimit, numVfs: sriov.numVfs, vfProductId: hex(sriov.vfDeviceId, 4) },
        }),
    ...(port === undefined ? {} : { unisolatedBelow: port }),
    ...(refusals.has(address) ? { kernelRefusal: refusals.get(address)!.message } : {}),
    ...(fn.classCode >>> 16 === NETWORK_CLASS ? { network: networkOf(fn, physical) } : {}),
  }
}

/** `pciDDDD:BB` of the host bridge above, as sysfs names it. */
function rootOf(fn: HostFunction, byAddress: ReadonlyMap<string, HostFunction>): string {
  let top = fn
  for (let at: string | undefined = topParent(fn); at !== undefined; at = byAddress.get(at)?.parent) {
    top = byAddress.get(at) ?? top
  }
  return `pci${formatFunctionAddress(top.segment, ((top.rid >>> 8) << 8) as RequesterId).slice(0, 'dddd:bb'.length)}`
}

const topParent = ({ parent, physicalFunction }: HostFunction): string | undefined =>
  parent ?? physicalFunction

/** Interfaces are named by place, as systemd does: `enp5s0f1`, and `enp5s0f1v3` for a VF. */
function networkOf(fn: HostFunction, physical: HostFunction | undefined): NonNullable<Device['network']> {
  const own = hasInterface(fn) ? { name: interfaceName(fn, physical) } : {}
  const named = physical !== undefined && hasInterface(physical)
  return {
    ...own,
    ...(named ? { physicalFunctionName: interfaceName(physical, undefined) } : {}),
    linkType: fn.classCode >>> 8 === 0x0207 ? 'infiniband' : 'ether',
    mtu: 1500,
    eSwitchMode: 'legacy',
  }
}

const hasInterface = ({ driver }: HostFunction): boolean => driver !== null && driver !== 'vfio-pci'

function interfaceName(fn: HostFunction, physical: HostFunction | undefined): string {
  if (physical !== undefined)
    return `${interfaceName(physical, undefined)}v${physical.virtualFunctions.indexOf(fn.address)}`
  const domain = fn.segment === 0 ? '' : `P${fn.segment}`
  const slot = (fn.rid >>> 3) & 0x1f
  const number = fn.rid & 0x7
  return `en${domain}p${fn.rid >>> 8}s${slot}${number > 0 ? `f${number}` : ''}`
}
