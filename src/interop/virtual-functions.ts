/** Which functions of a dump are VFs of which PF, and what its VFs look like. */
import { requesterId } from '../core/index.ts'
import type { CapturedFunction } from './captured-function.ts'

/** VFs that were on, in VF order, by address of their PF. */
export type VirtualFunctions = ReadonlyMap<string, readonly CapturedFunction[]>

/** "VF Enable", "NumVFs", "First VF Offset", "VF Stride": VF n has routing id PF + offset + n * stride. */
export function matchVirtualFunctions(
  functions: readonly CapturedFunction[],
  notes: string[],
): VirtualFunctions {
  const byId = new Map(functions.map(one => [`${one.listed.segment}/${one.listed.rid}`, one]))
  const matched = new Map<string, readonly CapturedFunction[]>()
  for (const physical of functions) {
    const { sriov } = physical
    if (sriov === undefined || !sriov.enabled) continue
    const { segment, rid } = physical.listed
    const virtual: CapturedFunction[] = []
    for (let n = 0; n < Math.min(sriov.numVfs, sriov.totalVfs); n++) {
      const id = requesterId(0, (rid + sriov.firstVfOffset + n * sriov.vfStride) & 0xffff)
      const found = byId.get(`${segment}/${id}`)
      if (found === undefined || found === physical || found.sriov !== undefined) break
      if (!found.isVirtual && found.deviceId !== sriov.vfDeviceId) break
      virtual.push(found)
    }
    if (virtual.length < sriov.numVfs) {
      notes.push(
        `${physical.address}: ${virtual.length} of ${sriov.numVfs} virtual functions are in the dump`,
      )
    }
    if (virtual.length > 0) matched.set(physical.address, virtual)
  }
  return matched
}

/** Config space of a VF of this PF as one of them was found, or one of an equal PF; undefined if none was on. */
export function virtualImage(
  physical: CapturedFunction,
  matched: VirtualFunctions,
  functions: readonly CapturedFunction[],
): Uint8Array | undefined {
  const twin = functions.find(
    other =>
      matched.has(other.address) &&
      other.vendorId === physical.vendorId &&
      other.deviceId === physical.deviceId &&
      other.sriov?.vfDeviceId === physical.sriov?.vfDeviceId,
  )
  const [first] = matched.get(physical.address) ?? (twin && matched.get(twin.address)) ?? []
  return first?.image
}
