/** Whether many hosts fit onto one, and with what. Nothing is changed. */
import { NorthbridgeError } from '../../core/index.ts'
import type { HostFunction } from '../../host/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'

/** A host that is to become a virtual machine, as it was measured. */
export interface SourceHost {
  readonly name: string
  readonly processors: number
  readonly memoryMiB: number
  /** How busy its processors are. */
  readonly loadPercent: number
  /** Memory whose contents are its own, and that every host of its kind has: system and libraries. */
  readonly ownMiB: number
  readonly commonMiB: number
  /** Memory that holds files and could do without. */
  readonly cacheMiB: number
  /** Weight against the others; default 1000 for each processor. */
  readonly shares?: number
  readonly reservationPercent?: number
  /** MiB of memory that it keeps. */
  readonly reservationMiB?: number
  /** `virtualFunction`: one of the host's, which then reaches all of its memory. Default `none`. */
  readonly network?: 'none' | 'virtualFunction'
}

export interface Placement {
  readonly host: SourceHost
  /** The virtual function that it gets. */
  readonly fn: string | undefined
}

const invalid = (path: string, rule: string): NorthbridgeError =>
  new NorthbridgeError('invalidArgument', `${path.slice(1)} ${rule}`, { issues: [{ path, message: rule }] })

/** Throws `invalidArgument`, `nameTaken`, `outOfResources`. */
export function planConsolidation(platform: SimulatedPlatform, hosts: readonly SourceHost[]): Placement[] {
  const { hypervisor, hardware } = platform
  const names = new Set(hypervisor.vms().map(({ name }) => name))
  const functions = freeFunctions(platform.host.functions())
  const placements = hosts.map((host, i): Placement => {
    if (names.has(host.name)) {
      throw new NorthbridgeError('nameTaken', `there is a virtual machine ${host.name} already`)
    }
    names.add(host.name)
    const used = host.ownMiB + host.commonMiB + host.cacheMiB
    // The kernel and its drivers have the first 2 MiB.
    if (used > host.memoryMiB - 2) {
      throw invalid(`/hosts/${i}/memoryMiB`, `must hold 2 MiB of kernel and ${used} MiB that are in use`)
    }
    if (host.network !== 'virtualFunction') return { host, fn: undefined }
    const fn = functions.shift()
    if (fn === undefined) {
      throw new NorthbridgeError('outOfResources', `there is no virtual function left for ${host.name}`)
    }
    return { host, fn }
  })
  const reserved = hosts.reduce((sum, { reservationPercent = 0 }) => sum + reservationPercent, 0)
  const processors = hardware.processors.length
  if (reserved > processors * 100) {
    throw new NorthbridgeError(
      'outOfResources',
      `reservations of ${reserved} % of a processor cannot be kept by ${processors} processors`,
    )
  }
  return placements
}

/** Virtual functions that nobody has, one of each physical function in turn: ports share the load. */
function freeFunctions(functions: readonly HostFunction[]): string[] {
  const byParent = new Map<string, string[]>()
  for (const { kind, address, owner, physicalFunction } of functions) {
    if (kind !== 'VF' || owner.kind === 'vm') continue
    const parent = physicalFunction ?? address
    byParent.set(parent, [...(byParent.get(parent) ?? []), address])
  }
  const lanes = [...byParent.values()]
  const longest = Math.max(0, ...lanes.map(({ length }) => length))
  return Array.from({ length: longest }, (_, i) => lanes.flatMap(lane => lane[i] ?? [])).flat()
}
