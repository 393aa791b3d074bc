/** The formats that machines are read from and written to, by the names that the command line uses. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { NorthbridgeError } from '../core/index.ts'
import { acpiFiles } from './acpi/write.ts'
import { readPlainFile } from './capture-files.ts'
import type { ImportedCapture } from './captured-facts.ts'
import type { ExportedFile } from './exported-file.ts'
import { importHwloc } from './hwloc/read.ts'
import { hwlocFiles } from './hwloc/write.ts'
import { hostdevFiles } from './libvirt/hostdev-write.ts'
import { importNodedev } from './libvirt/nodedev-read.ts'
import { nodedevFiles } from './libvirt/nodedev-write.ts'
import { importCapture, importFiles } from './linux-capture.ts'
import { lspciFiles } from './lspci/print.ts'
import { type ExportedMachine, MachineView } from './machine-view.ts'
import { importQemu, qemuFiles } from './qemu/index.ts'
import { importSysfs } from './sysfs/read.ts'
import { sysfsFiles } from './sysfs/tree.ts'

export interface ImportFormat {
  readonly summary: string
  /** Whether several paths make one machine. */
  readonly several?: true
  /** Throws `notFound`, `malformedInput`, `invalidDocument`. */
  read(paths: readonly string[]): ImportedCapture
}

export interface ExportFormat {
  readonly summary: string
  /** Files of a machine that is powered on. */
  write(machine: ExportedMachine): readonly ExportedFile[]
}

/** A reader of one folder or file. */
const ofOne =
  (read: (path: string) => ImportedCapture): ImportFormat['read'] =>
  ([path = '']) =>
    read(path)

/** A reader of text, which several files may hold together. */
const ofText =
  (read: (name: string, text: string) => ImportedCapture): ImportFormat['read'] =>
  paths =>
    read(nameOf(paths[0] ?? ''), paths.flatMap(textsOf).join('\n'))

/** A writer that looks at the machine as a program on it does. */
const fromView =
  (files: (machine: MachineView) => readonly ExportedFile[]): ExportFormat['write'] =>
  machine =>
    files(new MachineView(machine))

export const IMPORT_FORMATS: Readonly<Record<string, ImportFormat>> = {
  capture: { summary: 'a folder with dumps of a running Linux', read: ofOne(importCapture) },
  lspci: { summary: 'text of lspci: -xxxx, -vvv, -nn, in any mixture', read: ofOne(importCapture) },
  sysfs: { summary: '/sys, or a copy of it', read: ofOne(importSysfs) },
  hwloc: { summary: 'XML of lstopo', read: ofText(importHwloc) },
  qemu: { summary: 'arguments of QEMU, machine q35', read: ofOne(importQemu) },
  libvirt: { summary: 'XML of virsh nodedev-dumpxml', several: true, read: ofText(importNodedev) },
}

/** Formats that are one text. */
export const TEXT_FORMATS = {
  lspci: (name: string, dump: string): ImportedCapture =>
    importFiles({ name, dump, details: undefined, tables: new Map(), texts: new Map(), about: {} }),
  hwloc: importHwloc,
  libvirt: importNodedev,
} as const

/** Throws `malformedInput`, `invalidDocument`. */
export const importText = (format: keyof typeof TEXT_FORMATS, name: string, text: string): ImportedCapture =>
  TEXT_FORMATS[format](name, text)

export const EXPORT_FORMATS: Readonly<Record<string, ExportFormat>> = {
  lspci: { summary: 'a dump that `lspci -F` reads', write: fromView(lspciFiles) },
  sysfs: { summary: 'the tree below /sys', write: fromView(sysfsFiles) },
  acpi: { summary: 'ACPI tables as binaries', write: fromView(acpiFiles) },
  qemu: { summary: 'arguments with which QEMU builds the nearest machine', write: qemuFiles },
  hwloc: { summary: 'XML for `lstopo -i`', write: fromView(hwlocFiles) },
  'libvirt-nodedev': { summary: 'node devices of libvirt, a document each', write: fromView(nodedevFiles) },
  'libvirt-hostdev': {
    summary: 'hostdev elements of libvirt, one for each function',
    write: fromView(hostdevFiles),
  },
}

/** Imports in a format that must be one of {@link IMPORT_FORMATS}, or in the one that the paths look like. */
export function importMachineFrom(paths: readonly string[], format = detectFormat(paths)): ImportedCapture {
  const row = IMPORT_FORMATS[format]
  if (row === undefined) throw unknownFormat(format, IMPORT_FORMATS)
  if (paths.length > 1 && row.several !== true)
    throw new NorthbridgeError('invalidArgument', `format "${format}" reads one path, not ${paths.length}`)
  return row.read(paths)
}

/** Throws `invalidArgument` for a format that is not one of {@link EXPORT_FORMATS}. */
export function exportMachine(format: string, machine: ExportedMachine): readonly ExportedFile[] {
  const row = Object.hasOwn(EXPORT_FORMATS, format) ? EXPORT_FORMATS[format] : undefined
  if (row === undefined) throw unknownFormat(format, EXPORT_FORMATS)
  return row.write(machine)
}

const unknownFormat = (format: string, formats: object): NorthbridgeError =>
  new NorthbridgeError(
    'invalidArgument',
    `there is no format "${format}"; there are ${Object.keys(formats).join(', ')}`,
  )

/** By what a folder holds, or by how a file begins. */
export function detectFormat([path = '']: readonly string[]): string {
  const status = statSync(path, { throwIfNoEntry: false })
  if (status?.isDirectory()) {
    const holds = (...names: string[]): boolean => names.some(name => existsSync(join(path, name)))
    if (holds('lspci-xxxx.txt', 'lspci-xxxx.txt.gz')) return 'capture'
    if (holds('sys/bus/pci/devices', 'bus/pci/devices') || /pci\/devices\/?$/.test(path)) return 'sysfs'
    return readdirSync(path).some(name => name.endsWith('.xml')) ? 'libvirt' : 'capture'
  }
  if (status === undefined) return 'lspci'
  const start = readPlainFile(path).slice(0, 65_536)
  if (/<topology[\s>]/.test(start)) return 'hwloc'
  if (/<device>|<nodedev/.test(start)) return 'libvirt'
  return /^(?:qemu-system\S*|\s*-(?:machine|M|device)\s)/m.test(start) ? 'qemu' : 'lspci'
}

const nameOf = (path: string): string => basename(path, extname(path)) || 'imported'

/** The text of a file, or of every XML file of a folder. */
function textsOf(path: string): string[] {
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined) throw new NorthbridgeError('notFound', `there is no file or folder ${path}`)
  if (!status.isDirectory()) return [readPlainFile(path)]
  const files = readdirSync(path).filter(name => name.endsWith('.xml'))
  if (files.length === 0) throw new NorthbridgeError('notFound', `${path} holds no .xml file`)
  return files.sort().map(name => readPlainFile(join(path, name)))
}
