/** Tools of other projects that judge what is exported. Where one is missing its tests are skipped, and say why. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import { type ExportedFile, exportMachine, importCapture } from '../../src/interop/index.ts'
import { parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { CAPTURES } from '../host/capture-functions.ts'

/** Runs a tool; its exit status, output and complaints. */
export function run(tool: string, args: readonly string[], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(tool, args, {
    encoding: 'latin1',
    maxBuffer: 2 ** 26,
    env: { ...process.env, LC_ALL: 'C', ...environment },
  })
  return { status, stdout, stderr }
}

const isThere = (tool: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some(folder => existsSync(join(folder, tool)))

/** A `describe` that is skipped, with the reason in its name, where a tool is not installed. */
export function describeWith(tool: string, name: string, tests: () => void): void {
  if (isThere(tool)) describe(name, tests)
  else describe.skip(`${name} (skipped: ${tool} is not installed)`, tests)
}

export const boot = (topology: TopologyDocument): SimulatedPlatform =>
  drive(SimulatedPlatform.create(parseTopology(topology), { id: 'exported', name: 'exported' }), () => false)

/** Captures that differ most in shape, for what need not be seen of all of them. */
export const SHAPES = [
  'acs-switch',
  'bridge-under-switch',
  'conv-behind-pcie',
  'flat-bus0',
  'large-mix',
  'mf-igb-vfs',
  'nested-switch',
  'no-iommu',
  'pci-bridge-chain',
  'pxb-bypass',
  'pxb-numa',
  'rp-nvme-many',
  'virtio-sriov',
] as const

const booted = new Map<string, SimulatedPlatform>()
/** The machine of a capture, imported and powered on, once. */
export function bootedCapture(name: string): SimulatedPlatform {
  let machine = booted.get(name)
  if (machine === undefined) booted.set(name, (machine = boot(importCapture(join(CAPTURES, name)).topology)))
  return machine
}

/** A folder that is gone after the tests of the file. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'northbridge-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  return folder
}

export function writeFiles(folder: string, files: readonly ExportedFile[]): void {
  for (const file of files) {
    const path = join(folder, file.path)
    mkdirSync(dirname(path), { recursive: true })
    if ('link' in file) symlinkSync(file.link, path)
    else writeFileSync(path, 'text' in file ? file.text : file.bytes)
  }
}

/** The text of an export that is one file. */
export function exportedText(format: string, machine: SimulatedPlatform): string {
  const [file] = exportMachine(format, machine)
  if (file === undefined || !('text' in file)) throw new Error(`format ${format} is one text`)
  return file.text
}
