/** What a topology says about the machine of a sweep. */
import { invalidDocument } from '../../core/index.ts'
import { type DataSheetFunction, loadDataSheet } from '../../devices/index.ts'
import { parseCommandLine } from '../../host/index.ts'
import type { Topology, TopologyNode } from '../../platform/index.ts'
import { over, type Settings } from './settings.ts'

/** Transfer rate of each PCI Express generation. */
const GENERATIONS = [2.5, 5, 8, 16, 32, 64]

/** Base classes of adapters: mass storage and network controllers. */
const ADAPTER_CLASSES = [0x01, 0x02]

/**
 * Settings that follow from a topology, below those of the document: sockets and cores, the adapter's link, what the
 * kernel's command line makes of the IOMMU. Throws `invalidDocument` if there is no adapter of the model asked for.
 */
export function machineSettings(
  topology: Topology,
  adapter: string | undefined,
  document: Settings,
): Settings {
  const workload = (document['workload'] ?? {}) as Settings
  const machine = (document['machine'] ?? {}) as Settings
  const logical = topology.processors.reduce((sum, socket) => sum + socket.logicalProcessors, 0)
  const threads = machine['threadsPerCore'] === 2 ? 2 : 1
  const wanted = workload['kind'] === 'storage' ? 0x01 : 0x02
  return over(
    { machine: { sockets: topology.processors.length, cores: Math.max(1, Math.floor(logical / threads)) } },
    { iommu: { mode: iommuMode(topology) }, ...linkOf(topology, adapter, wanted) },
  )
}

function iommuMode({ iommu, host }: Topology): 'off' | 'passThrough' | 'strict' | 'deferred' {
  const parameters = parseCommandLine(host.commandLine)
  if (iommu.kind !== 'intel-vtd' || !parameters.iommu) return 'off'
  if (parameters.passThrough) return 'passThrough'
  return parameters.strict ? 'strict' : 'deferred'
}

function linkOf(topology: Topology, adapter: string | undefined, baseClass: number): Settings {
  const all = topology.hostBridges.flatMap(({ devices }) => devices.flatMap(node => adaptersBelow(node, [])))
  const found = all.find(({ model, sheet }) =>
    adapter === undefined ? baseClassOf(sheet) === baseClass : model === adapter,
  )
  if (found === undefined && adapter !== undefined) {
    const known = [...new Set(all.map(({ model }) => model))].join(', ') || 'no adapters'
    const message = `${topology.name} has no "${adapter}"; it has ${known}`
    throw invalidDocument('experiment', [{ path: '/adapter', message }])
  }
  const express = found && expressOf(found.sheet)
  if (express?.link === undefined) return {}
  const { speedGTs, width } = express.link
  return {
    link: {
      generation: GENERATIONS.indexOf(speedGTs) + 1,
      lanes: width,
      mps: Math.min(express.maxPayloadBytes, ...found!.payloads),
    },
  }
}

interface Adapter {
  readonly model: string
  readonly sheet: DataSheetFunction
  /** Max_Payload_Size Supported of the ports above. */
  readonly payloads: readonly number[]
}

/** Adapters at and below a node, in the order of the document. */
function adaptersBelow({ model, devices }: TopologyNode, payloads: readonly number[]): readonly Adapter[] {
  const sheet = model === undefined ? undefined : loadDataSheet(model).functions[0]!
  if (devices !== undefined) {
    const here = sheet && expressOf(sheet)?.maxPayloadBytes
    const all = here === undefined ? payloads : [...payloads, here]
    return devices.flatMap(node => adaptersBelow(node, all))
  }
  return sheet !== undefined && ADAPTER_CLASSES.includes(baseClassOf(sheet))
    ? [{ model: model!, sheet, payloads }]
    : []
}

const baseClassOf = ({ classCode }: DataSheetFunction): number => Number(classCode) >>> 16

const expressOf = ({ capabilities }: DataSheetFunction) =>
  capabilities.find(each => each.capability === 'express')
