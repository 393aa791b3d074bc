/**
 * A sysfs tree on disk: `/sys` of the running machine, or a copy of the parts about PCI. Needed is `bus/pci/devices`;
 * groups, remapping units, nodes and firmware tables make the result more exact.
 */
import { basename, join } from 'node:path'
import { NorthbridgeError, parseFunctionAddress, type RequesterId } from '../../core/index.ts'
import type { ImportedCapture, MachineDescription } from '../captured-facts.ts'
import { CapturedFunction } from '../captured-function.ts'
import { importMachine } from '../captured-machine.ts'
import { type FunctionFacts, headerFacts } from '../function-facts.ts'
import { assembleFunctions } from '../known-functions.ts'
import type { ListedDetails } from '../lspci/details.ts'
import { Folder } from './folder.ts'
import { readResources } from './resource-details.ts'

const DEVICE = /^[0-9a-f]{4,6}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/i
/** Bytes of the header, all that others than root may read; and of conventional configuration space. */
const HEADER = 64
const WHOLE = 256
const TABLES = ['DMAR', 'IVRS', 'MCFG', 'APIC', 'SRAT'] as const
const MODULE_MIB = 64

/** Reads `path`, which is `/sys`, what holds it, or `bus/pci/devices` alone. Throws `notFound`, `malformedInput`. */
export function importSysfs(path: string): ImportedCapture {
  const folder = new Folder(path)
  const root = ['sys', '.', '../../..'].find(place => folder.has(join(place, 'bus/pci/devices')))
  const devices = root === undefined ? '.' : join(root, 'bus/pci/devices')
  const names = folder.list(devices).filter(name => DEVICE.test(name))
  if (names.length === 0)
    throw new NorthbridgeError(
      'notFound',
      `${path} holds no bus/pci/devices with functions like 0000:00:00.0`,
    )
  const notes: string[] = []
  const ranges = new Map<string, ReadonlyMap<number, number>>()
  const read = names.sort().map(name => readDevice(folder, join(devices, name), name, ranges))
  const unread = read.filter(one => !(one instanceof CapturedFunction)).length
  if (unread > 0) {
    notes.push(
      `the configuration space of ${unread} functions is cut short (only root reads all of it): their capabilities are those that each kind of function must have`,
    )
  }
  const functions = assembleFunctions(read, 'sysfs')
  const inRoot = (name: string): string => join(root ?? '.', name)
  const tables = new Map<string, Uint8Array>()
  for (const table of TABLES) {
    const bytes = folder.bytes(inRoot(`firmware/acpi/tables/${table}`))
    if (bytes !== undefined) tables.set(table, bytes)
  }
  const cmdline = folder.text(join(inRoot('..'), 'proc/cmdline'))
  const texts = new Map(cmdline === undefined ? [] : [['cmdline', cmdline]])
  texts.set('iommu-units', unitTexts(folder, inRoot('class/iommu')))
  const name = basename(path.replace(/\/+$/, '')) || 'sysfs'
  const description = tables.has('SRAT') ? {} : readNodes(folder, inRoot('devices/system/node'))
  return importMachine(
    { name, functions, tables, texts, about: {}, showsRemapping: true, ranges, description },
    notes,
  )
}

/** A function whose configuration space could be read, or what else is told of it. */
function readDevice(
  folder: Folder,
  path: string,
  name: string,
  ranges: Map<string, ReadonlyMap<number, number>>,
): CapturedFunction | FunctionFacts {
  const { segment, rid } = parseFunctionAddress(name)
  const text = (file: string): string | undefined => folder.text(join(path, file))?.trim()
  const resources = readResources(name, text('resource') ?? '')
  ranges.set(name, resources.ranges)
  const node = Number(text('numa_node') ?? -1)
  const group = folder.linkName(join(path, 'iommu_group'))
  const driver = folder.linkName(join(path, 'driver'))
  const details: ListedDetails = {
    regions: resources.regions,
    romSize: resources.romSize,
    numaNode: Number.isInteger(node) && node >= 0 ? node : undefined,
    driver,
    group: group === undefined ? undefined : Number(group),
  }
  const config = folder.bytes(join(path, 'config')) ?? new Uint8Array(0)
  if (config.length >= WHOLE) {
    const listed = { address: name.toLowerCase(), segment, rid, title: '', config, details: [] }
    return new CapturedFunction(listed, details)
  }
  const number = (file: string): number | undefined => numberIn(name, file, text(file))
  const total = number('sriov_totalvfs') ?? 0
  const physical = folder.linkName(join(path, 'physfn'))
  const on = folder
    .list(path)
    .flatMap(file => (/^virtfn\d+$/.test(file) ? (folder.linkName(join(path, file)) ?? []) : []))
    .map(address => addressIn(name, address))
    .sort((a, b) => a - b)
  const secondary = number('secondary_bus_number')
  return {
    vendorId: number('vendor') ?? missing(name, 'vendor'),
    deviceId: number('device') ?? missing(name, 'device'),
    classCode: number('class') ?? missing(name, 'class'),
    subsystemVendorId: number('subsystem_vendor'),
    subsystemId: number('subsystem_device'),
    revision: number('revision'),
    ...(secondary !== undefined && {
      buses: { secondary, subordinate: number('subordinate_bus_number') ?? secondary },
    }),
    ...(config.length >= HEADER && physical === undefined && headerFacts(config)),
    ...(text('max_link_speed') !== undefined && { express: true }),
    segment,
    rid,
    ...(total > 0 && { virtual: { total: Math.max(total, on.length), on } }),
    ...(physical !== undefined && { physical: addressIn(name, physical) }),
    group: details.group,
    details,
  }
}

function numberIn(device: string, file: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const value = /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value))
    throw new NorthbridgeError('malformedInput', `${device}/${file} is no number: "${text.slice(0, 40)}"`)
  return value
}

function missing(device: string, file: string): never {
  throw new NorthbridgeError('malformedInput', `${device} has neither a readable config nor a file "${file}"`)
}

function addressIn(device: string, text: string): RequesterId {
  try {
    return parseFunctionAddress(text).rid
  } catch {
    throw new NorthbridgeError('malformedInput', `${device} has a link to "${text}", which is no function`)
  }
}

/** As the text of a capture: a section per unit. */
function unitTexts(folder: Folder, path: string): string {
  const sections = folder.list(path).map(unit => {
    const lines = ['address', 'version', 'cap', 'ecap'].flatMap(key => {
      const value = folder.text(join(path, unit, 'intel-iommu', key))
      return value === undefined ? [] : [`${key}=${value.trim()}`]
    })
    return `[${unit}]\n${lines.join('\n')}\n`
  })
  return sections.join('\n')
}

/** Processors and memory of each node; a single node is no proximity domain. */
function readNodes(folder: Folder, path: string): Partial<MachineDescription> {
  const nodes = folder.list(path).flatMap(name => {
    const number = /^node(\d{1,2})$/.exec(name)?.[1]
    if (number === undefined) return []
    const kibibytes = /MemTotal:\s+(\d{1,12}) kB/.exec(folder.text(join(path, name, 'meminfo')) ?? '')?.[1]
    const sizeMiB = Math.ceil(Number(kibibytes ?? 0) / 1024 / MODULE_MIB) * MODULE_MIB
    const list = folder.text(join(path, name, 'cpulist'))?.trim() ?? ''
    return [{ numaNode: Number(number), sizeMiB, logicalProcessors: countList(list) }]
  })
  const single = nodes.length === 1
  const processors = nodes
    .filter(({ logicalProcessors }) => logicalProcessors > 0)
    .map(({ numaNode, logicalProcessors }) => ({ numaNode: single ? -1 : numaNode, logicalProcessors }))
  const memory = nodes
    .filter(({ sizeMiB }) => sizeMiB > 0)
    .map(({ numaNode, sizeMiB }) => ({ ...(!single && { numaNode }), sizeMiB }))
  return { ...(processors.length > 0 && { processors }), ...(memory.length > 0 && { memory }) }
}

/** Of a list like `0-3,8`. */
const countList = (text: string): number =>
  text.split(',').reduce((sum, part) => {
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? []
    return first === undefined ? sum : sum + Math.max(0, Number(last) - Number(first) + 1)
  }, 0)
