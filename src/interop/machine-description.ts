/** Processors and RAM of a capture, from its MADT, SRAT and /proc/iomem. */
import {
  AFFINITY_ENABLED,
  decodeMadt,
  decodeSrat,
  LOCAL_APIC_FLAGS,
  proximityDomainOf,
} from '../platform/formats/acpi/index.ts'
import { TOPOLOGY_LIMITS } from '../platform/index.ts'
import { systemRamOf } from './base-address-sizes.ts'
import type { CapturedMachine, MachineDescription } from './captured-facts.ts'

const MIB = 2 ** 20
/** /proc/iomem leaves out what the firmware keeps, so its sum is rounded up to whole memory modules. */
const MODULE = 64 * MIB
const SMALLEST_MIB = 16

export function describeMachine(
  { tables, texts, description = {} }: Pick<CapturedMachine, 'tables' | 'texts' | 'description'>,
  notes: string[],
): MachineDescription {
  const srat = tables.get('SRAT')
  const affinity = srat === undefined ? [] : decodeSrat(srat).entries
  const nodeOfProcessor = new Map<number, number>()
  const bytesOfNode = new Map<number, number>()
  for (const entry of affinity) {
    if (entry.kind === 'unknown' || (entry.flags & AFFINITY_ENABLED) === 0) continue
    const node = nodeOf(proximityDomainOf(entry))
    if (entry.kind === 'memory') bytesOfNode.set(node, (bytesOfNode.get(node) ?? 0) + entry.size)
    else nodeOfProcessor.set(entry.apicId, node)
  }

  const processorsOfNode = new Map<number, number>()
  const madt = tables.get('APIC')
  for (const entry of madt === undefined ? [] : decodeMadt(madt).entries) {
    if (entry.kind !== 'localApic' && entry.kind !== 'localX2Apic') continue
    if ((entry.flags & LOCAL_APIC_FLAGS.ENABLED) === 0) continue
    const node = nodeOfProcessor.get(entry.apicId) ?? -1
    processorsOfNode.set(node, (processorsOfNode.get(node) ?? 0) + 1)
  }
  if (processorsOfNode.size === 0 && description.processors === undefined) {
    notes.push('no MADT names a processor: two are assumed')
    processorsOfNode.set(-1, 2)
  }

  if (bytesOfNode.size === 0 && description.memory === undefined) {
    const ram = Math.ceil(systemRamOf(texts.get('iomem')) / MODULE) * MODULE
    if (ram === 0) notes.push('neither SRAT nor /proc/iomem tells how much RAM there is: 4 GiB are assumed')
    bytesOfNode.set(-1, ram === 0 ? 4096 * MIB : ram)
  }
  return {
    processors: [...processorsOfNode].map(([numaNode, logicalProcessors]) => ({
      numaNode,
      logicalProcessors,
    })),
    memory: [...bytesOfNode].map(([node, bytes]) => ({
      ...onNode(node),
      sizeMiB: Math.max(SMALLEST_MIB, Math.ceil(bytes / MIB)),
    })),
    ...description,
  }
}

const onNode = (numaNode: number): { numaNode?: number } => (numaNode < 0 ? {} : { numaNode })

export const nodeOf = (proximityDomain: number): number =>
  proximityDomain < TOPOLOGY_LIMITS.numaNodes ? proximityDomain : -1
