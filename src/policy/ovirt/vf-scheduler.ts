/**
 * oVirt's choice of a VF for each pass-through vNIC. Source: oVirt/ovirt-engine
 * backend/manager/modules/bll/.../network/host/VfSchedulerImpl.java.
 */
import type { Refusal } from '../model/index.ts'

/** What the engine knows of a VF. */
export interface SchedulableVf {
  readonly address: string
  /** Unused by the host's networks and by other machines. */
  readonly free: boolean
  /** Has company in its IOMMU group, all of which would have to go with it. */
  readonly sharesGroup: boolean
  /** Attached, or scheduled to be, as a host device of its own. */
  readonly directlyAttached: boolean
}

/** A PF with its VFs and which networks may use them. */
export interface VfsConfiguration {
  readonly physicalFunction: string
  readonly allNetworksAllowed: boolean
  readonly networks: readonly string[]
  /** Labels of networks that may use them. */
  readonly labels: readonly string[]
  readonly vfs: readonly SchedulableVf[]
}

export interface VirtualNic {
  readonly name: string
  readonly network: string
  readonly networkLabel?: string
  /** Its profile is pass-through: it needs a VF. */
  readonly passthrough: boolean
  /** An unplugged one needs none. */
  readonly plugged: boolean
}

export type VfSchedule =
  | { readonly vfs: ReadonlyMap<string, string> }
  | { readonly refusal: Refusal; readonly problemVnics: readonly string[] }

/** Each vNIC gets the first VF that will do; all vNICs without one are named. */
export function scheduleVfs(
  vnics: readonly VirtualNic[],
  configurations: readonly VfsConfiguration[],
): VfSchedule {
  const vfs = new Map<string, string>()
  const taken = new Set<string>()
  const problemVnics: string[] = []
  for (const vnic of vnics) {
    if (!vnic.passthrough || !vnic.plugged) continue
    const found = configurations
      .filter(configuration => isAllowed(vnic, configuration))
      .flatMap(configuration => configuration.vfs)
      .find(
        ({ address, free, sharesGroup, directlyAttached }) =>
          free && !sharesGroup && !directlyAttached && !taken.has(address),
      )
    if (found === undefined) {
      problemVnics.push(vnic.name)
      continue
    }
    taken.add(found.address)
    vfs.set(vnic.name, found.address)
  }
  if (problemVnics.length === 0) return { vfs }
  const text = `no free VF of an allowed PF for ${problemVnics.join(', ')}`
  return { refusal: { errorClass: 'host-not-valid', text }, problemVnics }
}

const isAllowed = (
  { network, networkLabel }: VirtualNic,
  { allNetworksAllowed, networks, labels }: VfsConfiguration,
) =>
  allNetworksAllowed ||
  networks.includes(network) ||
  (networkLabel !== undefined && labels.includes(networkLabel))
