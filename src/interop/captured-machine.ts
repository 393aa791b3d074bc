/**
 * From what is known of a machine to a topology document: powered on, it has the same functions at the same addresses
 * with the same identity. Readers of all formats meet here; what had to be assumed is said in the notes.
 */
import { CAPABILITY, EXPRESS } from '../pcie/formats/index.ts'
import type { TopologyDocument } from '../platform/index.ts'
import { readIoMemory } from './base-address-sizes.ts'
import type { CapturedMachine, ImportedCapture } from './captured-facts.ts'
import type { CapturedFunction } from './captured-function.ts'
import { FunctionNodes } from './function-nodes.ts'
import { FunctionTree } from './function-tree.ts'
import { describeMachine } from './machine-description.ts'
import { type CapturedRemapping, readRemapping } from './remapping.ts'
import { repaired } from './repair.ts'
import { matchVirtualFunctions } from './virtual-functions.ts'

/** Throws `invalidDocument` for a machine that the schema cannot express. `notes` is added to. */
export function importMachine(files: CapturedMachine, notes: string[]): ImportedCapture {
  const { functions } = files
  const virtual = matchVirtualFunctions(functions, notes)
  const tree = new FunctionTree(functions, virtual, notes)
  const machine = describeMachine(files, notes)
  const remapping = readRemapping(files, functions, tree.paths(), ramOf(machine.memory), notes)
  const nodes = new FunctionNodes(
    functions,
    virtual,
    files.ranges ?? readIoMemory(files.texts.get('iomem')),
    notes,
  )
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
      ...(hidesHotplug(tree.everyFunction(root)) && { nativeHotplug: false }),
      ...(remapping.iommu.kind === 'intel-vtd' && above !== expected && { remappingUnit: above ?? null }),
      devices: root.functions.map((one, i) => ({
        ...nodes.node(one, tree),
        ...(!same && wired[i] !== above && { remappingUnit: wired[i] ?? null }),
      })),
    }
  })
  const drivers = driversOf(functions)
  const topology: TopologyDocument = {
    name: nameOf(files.name),
    description: descriptionOf(files),
    ...(remapping.hostAddressWidth !== undefined && { hostAddressWidth: widthOf(remapping) }),
    ...machine,
    iommu: remapping.iommu,
    ...(remapping.reservedMemory.length > 0 && { reservedMemory: remapping.reservedMemory }),
    hostBridges,
    host: {
      commandLine: commandLineOf(files),
      kernel: kernelOf(files, notes),
      ...(drivers !== undefined && { drivers }),
    },
  }
  return { topology: repaired(topology, notes), notes }
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

function descriptionOf({ about }: CapturedMachine): string {
  const parts = [about['title'], about['shows']].filter(part => typeof part === 'string')
  return ['Imported from a running Linux machine', ...parts].join('. ').slice(0, 4096)
}

/** Kernels of distributions leave DMA remapping off unless asked for: who has groups asked for it. */
const COMMAND_LINE = 'intel_iommu=on'

const commandLineOf = ({ texts }: CapturedMachine): string =>
  (texts.get('cmdline') ?? COMMAND_LINE).trim().slice(0, 2048)

/** Slots that could be hot-plugged, and a kernel that lets all of them be: the firmware keeps hot-plug to itself. */
function hidesHotplug(functions: readonly CapturedFunction[]): boolean {
  const slots = functions.flatMap(one => {
    const at = one.capability(CAPABILITY.EXPRESS)
    if (at === undefined || one.field(EXPRESS.CAPABILITIES, 'SLOT', at) === 0) return []
    const { HPC } = EXPRESS.SLOT_CAPABILITIES.f
    return one.dword(at + EXPRESS.SLOT_CAPABILITIES.offset) & HPC.mask
      ? [one.field(EXPRESS.SLOT_CONTROL, 'HPIE', at)]
      : []
  })
  return slots.length > 0 && slots.every(enabled => enabled === 0)
}

/** Which driver each function had, if that was told: then those without one had none. */
function driversOf(functions: readonly CapturedFunction[]): Record<string, string | null> | undefined {
  if (!functions.some(({ details }) => details.driver !== undefined)) return undefined
  return Object.fromEntries(functions.map(({ address, details }) => [address, details.driver ?? null]))
}

/** The modelled kernel whose rules are those of the captured one. */
function kernelOf({ about, texts }: CapturedMachine, notes: string[]): '6.1' | '7.2' {
  const told = [texts.get('uname'), about['uname'], about['kernel']].find(text => typeof text === 'string')
  const version = /(?:^|\s)(\d+)\.(\d+)/.exec(String(told ?? ''))
  if (version === null) {
    notes.push('the kernel version is unknown: the rules of 6.1 apply')
    return '6.1'
  }
  return Number(version[1]) >= 7 ? '7.2' : '6.1'
}
