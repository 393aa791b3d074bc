/** Functions of a host that a machine which comes to it might get. */
import type { HostFunction } from '../../../host/index.ts'
import type { SimulatedPlatform } from '../../simulated-platform.ts'
import type { FunctionKind } from './definition.ts'
import { CLASS, classOf } from './physical-source.ts'

export interface Candidates {
  /** Best first. */
  readonly functions: readonly string[]
  /** Why there is none. */
  readonly reason: string
}

export const isLike = (fn: FunctionKind, kind: FunctionKind): boolean =>
  fn.vendorId === kind.vendorId && fn.deviceId === kind.deviceId

const idsOf = ({ vendorId, deviceId }: FunctionKind): string =>
  [vendorId, deviceId].map(id => id.toString(16).padStart(4, '0')).join(':')

/** Those among functions that a machine may have as things stand. */
function assignable({ host }: SimulatedPlatform, vm: string, functions: readonly HostFunction[]): Candidates {
  const refusals = functions.map(({ address }) => ({ address, refusal: host.vfio.whyNot(address, vm) }))
  return {
    functions: refusals.filter(({ refusal }) => refusal === undefined).map(({ address }) => address),
    reason: refusals.find(({ refusal }) => refusal !== undefined)?.refusal?.message ?? '',
  }
}

/** Virtual functions of network adapters; with `kind`, only such ones. */
export function networkVfs(
  platform: SimulatedPlatform,
  vm: string,
  kind: FunctionKind | undefined,
): Candidates {
  const all = platform.host.functions().filter(fn => classOf(fn) === CLASS.ethernet)
  const none = (reason: string): Candidates => ({ functions: [], reason })
  if (!all.some(({ sriov }) => sriov !== undefined))
    return none(`no network adapter of ${platform.name} has SR-IOV`)
  const virtual = all.filter(fn => fn.kind === 'VF')
  if (virtual.length === 0)
    return none(`no virtual function of a network adapter of ${platform.name} is enabled`)
  const alike = kind === undefined ? virtual : virtual.filter(fn => isLike(fn, kind))
  if (alike.length === 0) return none(`${platform.name} has no virtual function like ${idsOf(kind!)}`)
  const free = alike.filter(({ owner }) => owner.kind !== 'vm')
  if (free.length === 0)
    return none(`all such virtual functions of ${platform.name} belong to virtual machines`)
  return assignable(platform, vm, free)
}

/** Whole network adapters that nobody needs; with `kind`, only such ones. */
export function networkAdapters(
  platform: SimulatedPlatform,
  vm: string,
  kind: FunctionKind | undefined,
): Candidates {
  const { host, networking } = platform
  const all = host.functions().filter(fn => classOf(fn) === CLASS.ethernet && fn.kind !== 'VF')
  const alike = kind === undefined ? all : all.filter(fn => isLike(fn, kind))
  const none = (reason: string): Candidates => ({ functions: [], reason })
  if (alike.length === 0)
    return none(`${platform.name} has no network adapter${kind === undefined ? '' : ` like ${idsOf(kind)}`}`)
  const isUplink = (address: string): boolean =>
    networking.adapters.some(
      adapter => adapter.address === address && networking.switches.some(one => one.uses(adapter)),
    )
  const free = alike.filter(({ owner, address }) => owner.kind !== 'vm' && !isUplink(address))
  if (free.length === 0)
    return none(`all such adapters of ${platform.name} are uplinks, or belong to virtual machines`)
  return assignable(platform, vm, free)
}

/** Functions like one, of the same role. */
export function functionsLike(
  platform: SimulatedPlatform,
  vm: string,
  kind: FunctionKind & { readonly virtual: boolean },
): Candidates {
  const alike = platform.host
    .functions()
    .filter(fn => isLike(fn, kind) && (fn.kind === 'VF') === kind.virtual && fn.owner.kind !== 'vm')
  if (alike.length > 0) return assignable(platform, vm, alike)
  const role = kind.virtual ? 'virtual function' : 'function'
  return { functions: [], reason: `${platform.name} has no free ${role} like ${idsOf(kind)}` }
}
