/** Reads a capture's config dump and ACPI tables straight into the grouping algorithm's descriptions. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { GroupingFunction } from '../../src/host/grouping/grouping-function.ts'

export const CAPTURES = join(import.meta.dirname, '../data/captures')

export const captureNames = (): string[] =>
  existsSync(CAPTURES)
    ? readdirSync(CAPTURES)
        .filter(name => existsSync(join(CAPTURES, name, 'lspci-xxxx.txt.gz')))
        .sort()
    : []

interface Dumped {
  readonly address: string
  readonly rid: number
  readonly bytes: Uint8Array
}

export function readDump(name: string): Dumped[] {
  const text = gunzipSync(readFileSync(join(CAPTURES, name, 'lspci-xxxx.txt.gz'))).toString('latin1')
  const functions: Dumped[] = []
  for (const block of text.split('\n\n')) {
    const [title, ...lines] = block.trim().split('\n')
    const match = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7]) /.exec(title ?? '')
    if (match === null) continue
    const bytes = new Uint8Array(4096)
    for (const line of lines) {
      const data = /^([0-9a-f]{2,3}): ((?:[0-9a-f]{2} ?)+)$/.exec(line)
      if (data === null) continue
      data[2]!
        .trim()
        .split(' ')
        .forEach((byte, i) => {
          bytes[Number.parseInt(data[1]!, 16) + i] = Number.parseInt(byte, 16)
        })
    }
    const [, segment = '0000', bus, device, fn] = match
    const rid = Number.parseInt(bus!, 16) * 256 + Number.parseInt(device!, 16) * 8 + Number(fn)
    functions.push({ address: `${segment}:${bus}:${device}.${fn}`, rid, bytes })
  }
  return functions
}

const word = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8)
const dword = (bytes: Uint8Array, at: number): number => (word(bytes, at) | (word(bytes, at + 2) << 16)) >>> 0

function capability(bytes: Uint8Array, id: number): number {
  if (!(bytes[0x06]! & 0x10)) return 0
  for (let at = bytes[0x34]!, n = 0; at >= 0x40 && n < 48; at = bytes[at + 1]!, n++) {
    if (bytes[at] === id) return at
  }
  return 0
}

function extendedCapability(bytes: Uint8Array, id: number): number {
  for (let at = 0x100, n = 0; at >= 0x100 && n < 96; at = dword(bytes, at) >>> 20, n++) {
    if (word(bytes, at) === id && dword(bytes, at) !== 0) return at
  }
  return 0
}

/** Descriptions in Linux's order of discovery: a bus, then the buses below each bridge on it; VFs last. */
export function groupingFunctions(name: string): { all: GroupingFunction[]; covered: GroupingFunction[] } {
  const dumped = new Map(readDump(name).map(fn => [fn.rid, fn]))
  const virtual = new Map<number, Dumped>()
  for (const fn of dumped.values()) {
    const sriov = extendedCapability(fn.bytes, 0x10)
    if (sriov === 0 || !(fn.bytes[sriov + 8]! & 1)) continue
    for (let n = 0; n < word(fn.bytes, sriov + 0x10); n++) {
      virtual.set(fn.rid + word(fn.bytes, sriov + 0x14) + n * word(fn.bytes, sriov + 0x16), fn)
    }
  }
  const bridges = [...dumped.values()].filter(fn => (fn.bytes[0x0e]! & 0x7f) === 1)
  const bridgeTo = (bus: number) => bridges.find(bridge => bridge.bytes[0x19] === bus)
  const described = new Map<number, GroupingFunction>()
  const describe = (fn: Dumped): GroupingFunction => {
    const known = described.get(fn.rid)
    if (known !== undefined) return known
    const physical = virtual.get(fn.rid)
    const above = bridgeTo((physical ?? fn).rid >>> 8)
    const express = capability(fn.bytes, 0x10)
    const acs = express === 0 ? 0 : extendedCapability(fn.bytes, 0x0d)
    const description: GroupingFunction = {
      address: fn.address,
      segment: 0,
      rid: fn.rid,
      vendorId: word((physical ?? fn).bytes, 0),
      deviceId: word(fn.bytes, 2),
      expressType: express === 0 ? -1 : (fn.bytes[express + 2]! >>> 4) & 15,
      bridge: (fn.bytes[0x0e]! & 0x7f) === 1,
      multifunction: physical === undefined && ((fn.bytes[0x0e]! & 0x80) !== 0 || (fn.rid & 7) !== 0),
      acs:
        acs === 0
          ? undefined
          : { capability: word(fn.bytes, acs + 4) & 0x7f, control: word(fn.bytes, acs + 6) },
      above: above === undefined ? undefined : describe(above),
      secondaryBus: fn.bytes[0x19]!,
      quirkAliases: [],
    }
    described.set(fn.rid, description)
    return description
  }
  const all: GroupingFunction[] = []
  const walk = (bus: number): void => {
    const here = [...dumped.values()]
      .filter(fn => fn.rid >>> 8 === bus && !virtual.has(fn.rid))
      .sort((a, b) => a.rid - b.rid)
    all.push(...here.map(describe))
    for (const bridge of here.filter(fn => bridges.includes(fn))) walk(bridge.bytes[0x19]!)
  }
  const buses = new Set([...dumped.values()].filter(fn => !virtual.has(fn.rid)).map(fn => fn.rid >>> 8))
  for (const bus of [...buses].sort((a, b) => a - b)) if (bridgeTo(bus) === undefined) walk(bus)
  all.push(...[...virtual.keys()].sort((a, b) => a - b).map(rid => describe(dumped.get(rid)!)))
  const covered = coverage(name)
  return { all, covered: all.filter(fn => covered(fn)) }
}

/** Whether some remapping unit of the capture translates a function, by its DMAR or IVRS table. */
function coverage(name: string): (fn: GroupingFunction) => boolean {
  const acpi = join(CAPTURES, name, 'acpi')
  if (existsSync(join(acpi, 'IVRS.bin'))) {
    const own = word(readFileSync(join(acpi, 'IVRS.bin')), 48 + 4)
    return fn => fn.rid !== own
  }
  if (!existsSync(join(acpi, 'DMAR.bin'))) return () => false
  const table = readFileSync(join(acpi, 'DMAR.bin'))
  const scopes: { bridge: boolean; bus: number; path: number[] }[] = []
  let includeAll = false
  for (let at = 48; at < table.length; at += word(table, at + 2)) {
    if (word(table, at) !== 0) continue
    if (table[at + 4]! & 1) includeAll = true
    for (let scope = at + 16; scope < at + word(table, at + 2); scope += table[scope + 1]!) {
      const path = []
      for (let step = scope + 6; step < scope + table[scope + 1]!; step += 2)
        path.push(table[step]! * 8 + table[step + 1]!)
      if (table[scope]! <= 2) scopes.push({ bridge: table[scope] === 2, bus: table[scope + 5]!, path })
    }
  }
  const chain = (fn: GroupingFunction): GroupingFunction[] =>
    fn.above === undefined ? [fn] : [...chain(fn.above), fn]
  return fn =>
    includeAll ||
    scopes.some(({ bridge, bus, path }) => {
      const way = chain(fn)
      if (way[0]!.rid >>> 8 !== bus || way.length < path.length) return false
      if (!path.every((devfn, i) => (way[i]!.rid & 0xff) === devfn)) return false
      return bridge || way.length === path.length
    })
}

export function partitionOf(name: string): { partition: string[][]; ungrouped: string[] } {
  return JSON.parse(readFileSync(join(CAPTURES, name, 'iommu-groups.json'), 'utf8'))
}
