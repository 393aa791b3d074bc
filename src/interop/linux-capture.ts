/**
 * From what a running Linux machine shows of itself to a topology document: powered on, it has the same functions at
 * the same addresses with the same identity. Needed is only the dump of config space; every other file makes the
 * result more exact, and what had to be assumed is said in the notes.
 */
import { NorthbridgeError } from '../core/index.ts'
import { parseTopology, type TopologyDocument } from '../platform/index.ts'
import { readIoMemory } from './base-address-sizes.ts'
import { type CaptureFiles, readCaptureFiles } from './capture-files.ts'
import { CapturedFunction } from './captured-function.ts'
import { FunctionNodes } from './function-nodes.ts'
import { FunctionTree } from './function-tree.ts'
import { readDetails } from './lspci/details.ts'
import { parseLspci } from './lspci/dump.ts'
import { describeMachine } from './machine-description.ts'
import { type CapturedRemapping, readRemapping } from './remapping.ts'
import { matchVirtualFunctions } from './virtual-functions.ts'

export interface ImportedCapture {
  readonly topology: TopologyDocument
  /** What the files did not tell and was assumed, in sentences. */
  readonly notes: readonly string[]
}

/** The topology of a capture folder, or of one file of lspci output. See {@link importCapture}. */
export const readCapture = (path: string): TopologyDocument => importCapture(path).topology

/**
 * Reads a capture folder, or one file of lspci output with bytes, packed or not.
 * Throws `notFound`, `malformedInput`, or `invalidDocument` for a machine that the schema cannot express.
 */
export function importCapture(path: string): ImportedCapture {
  return importFiles(readCaptureFiles(path))
}

export function importFiles(files: CaptureFiles): ImportedCapture {
  const notes: string[] = []
  const functions = readFunctions(files, notes)
  const virtual = matchVirtualFunctions(functions, notes)
  const tree = new FunctionTree(functions, virtual, notes)
  const machine = describeMachine(files, notes)
  const remapping = readRemapping(files, functions, tree.paths(), ramOf(machine.memory), notes)
  const nodes = new FunctionNodes(functions, virtual, readIoMemory(files.texts.get('iomem')), notes)
  const { includeAll, unitOf } = remapping
  const hostBridges = tree.roots.map(root => {
    const wired = root.functions.map(unitOf)
    const numaNode = tree.numaNodeOf(root)
    const same = wired.every(unit => unit === wired[0])
    const expected = includeAll(root.segment)
    const above = same ? wired[0] : expected
    return {
      ...(root.segment > 0 && { segment: root.segment }),
      bus: root.bus,
      ...(numaNode >= 0 && { numaNode }),
      ...(remapping.iommu.kind === 'intel-vtd' && above !== expected && { remappingUnit: above ?? null }),
      devices: root.functions.map((one, i) => ({
        ...nodes.node(one, tree),
        ...(!same && wired[i] !== above && { remappingUnit: wired[i] ?? null }),
      })),
    }
  })
  const topology: TopologyDocument = {
    name: nameOf(files.name),
    description: descriptionOf(files),
    ...(remapping.hostAddressWidth !== undefined && { hostAddressWidth: widthOf(remapping) }),
    ...machine,
    iommu: remapping.iommu,
    ...(remapping.reservedMemory.length > 0 && { reservedMemory: remapping.reservedMemory }),
    hostBridges,
    host: { commandLine: commandLineOf(files), kernel: kernelOf(files, notes) },
  }
  parseTopology(topology)
  return { topology, notes }
}

function readFunctions({ dump, details }: CaptureFiles, notes: string[]): CapturedFunction[] {
  const more = new Map(
    details === undefined ? [] : parseLspci(details).map(one => [one.address, one.details]),
  )
  const listed = parseLspci(dump)
  const functions = listed.map(
    one => new CapturedFunction(one, readDetails(more.get(one.address) ?? one.details)),
  )
  const missing = functions.find(one => one.listed.config.length < 64)
  if (missing !== undefined) {
    throw new NorthbridgeError(
      'malformedInput',
      `lspci output: ${missing.address} has ${missing.listed.config.length} bytes of config space, a header has 64`,
    )
  }
  if (functions.some(one => one.listed.config.length < 256)) {
    notes.push('the dump has less than 256 bytes of some functions: their capabilities are unknown')
  }
  if (details === undefined && listed.every(one => one.details.length === 0)) {
    notes.push('there is no lspci -v output: sizes of base addresses are inferred, expansion ROMs left out')
  }
  return functions
}

/** RAM as this platform lays it out: 2 GiB low, the rest from 4 GiB. */
function ramOf(memory: readonly { readonly sizeMiB: number }[]): { base: number; end: number }[] {
  const bytes = memory.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0) * 2 ** 20
  const low = Math.min(bytes, 2 ** 31)
  return [
    { base: 0, end: low },
    { base: 2 ** 32, end: 2 ** 32 + bytes - low },
  ]
}

const widthOf = ({ hostAddressWidth = 0 }: CapturedRemapping): number =>
  Math.min(52, Math.max(36, hostAddressWidth))

const nameOf = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64) || 'imported'

function descriptionOf({ about }: CaptureFiles): string {
  const parts = [about['title'], about['shows']].filter(part => typeof part === 'string')
  return ['Imported from a running Linux machine', ...parts].join('. ').slice(0, 4096)
}

const commandLineOf = ({ texts }: CaptureFiles): string => (texts.get('cmdline') ?? '').trim().slice(0, 2048)

/** The modelled kernel whose rules are those of the captured one. */
function kernelOf({ about, texts }: CaptureFiles, notes: string[]): '6.1' | '7.2' {
  const told = [texts.get('uname'), about['uname'], about['kernel']].find(text => typeof text === 'string')
  const version = /(?:^|\s)(\d+)\.(\d+)/.exec(String(told ?? ''))
  if (version === null) {
    notes.push('the kernel version is unknown: the rules of 6.1 apply')
    return '6.1'
  }
  return Number(version[1]) >= 7 ? '7.2' : '6.1'
}
