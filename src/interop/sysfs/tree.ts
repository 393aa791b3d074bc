/**
 * The part of sysfs that is about PCI functions, IOMMU groups and firmware tables, as files: laid out and printed as
 * Linux does, for tools that read `/sys` below another root (`lspci -A linux-sysfs -O sysfs.path=…`, hwloc with
 * `HWLOC_FSROOT`, scripts).
 */
import { type ExportedFile, linkText } from '../exported-file.ts'
import type { MachineView } from '../machine-view.ts'
import { deviceFiles, type Interrupts } from './device-files.ts'
import { DevicePaths } from './device-paths.ts'
import { iommuFiles } from './iommu-files.ts'

/** Numbers below belong to legacy interrupts on the boards that this one resembles. */
const FIRST_MESSAGE_INTERRUPT = 24

export function sysfsFiles(machine: MachineView): ExportedFile[] {
  const paths = new DevicePaths(machine.functions)
  const interrupts = numberInterrupts(machine)
  const processorsOf = (numaNode: number): string => processorList(machine, numaNode)
  const context = { machine, paths, interrupts, processorsOf }
  const files: ExportedFile[] = []
  const link = (path: string, to: string): void => {
    files.push({ path, link: linkText(path, to) })
  }
  for (const fn of machine.functions) {
    files.push(...deviceFiles(fn, context))
    link(`bus/pci/devices/${fn.address}`, paths.of(fn))
    if (fn.driver !== null) link(`bus/pci/drivers/${fn.driver}/${fn.address}`, paths.of(fn))
  }
  files.push(...iommuFiles(machine, paths), ...networkFiles(machine, paths), ...nodeFiles(machine))
  for (const [signature, bytes] of machine.tables)
    files.push({ path: `firmware/acpi/tables/${signature.trim()}`, bytes })
  const commandLine = { path: 'proc/cmdline', text: `${machine.topology.host.commandLine}\n` }
  return [...files.map(file => ({ ...file, path: `sys/${file.path}` })), commandLine]
}

/** In the order of addresses; Linux gives numbers out in the order in which drivers ask. */
function numberInterrupts(machine: MachineView): Map<string, Interrupts> {
  const numbered = new Map<string, Interrupts>()
  let next = FIRST_MESSAGE_INTERRUPT
  for (const fn of machine.functions) {
    const messages = machine.messages(fn)
    if (messages === undefined) continue
    numbered.set(fn.address, { ...messages, first: next })
    next += messages.count
  }
  return numbered
}

/** Processors are numbered through socket by socket. */
function processorList({ topology }: MachineView, numaNode: number): string {
  const ranges: string[] = []
  let next = 0
  let total = 0
  for (const { numaNode: node, logicalProcessors } of topology.processors) {
    if (node === numaNode) ranges.push(rangeText(next, next + logicalProcessors - 1))
    next += logicalProcessors
    total = next
  }
  return ranges.length === 0 ? rangeText(0, total - 1) : ranges.join(',')
}

const rangeText = (first: number, last: number): string => (first === last ? `${first}` : `${first}-${last}`)

/** Network interfaces, below their functions. */
function networkFiles(machine: MachineView, paths: DevicePaths): ExportedFile[] {
  return [...machine.networkInterfaces].flatMap(([address, name], i) => {
    const fn = machine.host.find(address)
    const folder = `${paths.of(fn)}/net/${name}`
    return [
      { path: `class/net/${name}`, link: linkText(`class/net/${name}`, folder) },
      { path: `${folder}/device`, link: linkText(`${folder}/device`, paths.of(fn)) },
      { path: `${folder}/subsystem`, link: linkText(`${folder}/subsystem`, 'class/net') },
      // Number 1 is the loopback interface; type 1 is Ethernet.
      { path: `${folder}/ifindex`, text: `${i + 2}\n` },
      { path: `${folder}/type`, text: '1\n' },
    ]
  })
}

/** Nodes with their processors and memory; a machine without proximity domains is node 0. */
function nodeFiles(machine: MachineView): ExportedFile[] {
  const { processors, memory } = machine.topology
  const nodes = [...new Set([...processors, ...memory].map(({ numaNode }) => Math.max(numaNode, 0)))]
  const files = nodes
    .sort((a, b) => a - b)
    .flatMap(node => {
      const folder = `devices/system/node/node${node}`
      const mebibytes = memory
        .filter(({ numaNode }) => Math.max(numaNode, 0) === node)
        .reduce((sum, { sizeMiB }) => sum + sizeMiB, 0)
      return [
        { path: `${folder}/cpulist`, text: `${processorList(machine, node)}\n` },
        { path: `${folder}/meminfo`, text: `Node ${node} MemTotal:       ${mebibytes * 1024} kB\n` },
      ]
    })
  return [...files, { path: 'devices/system/node/online', text: `${nodes.join(',')}\n` }]
}
