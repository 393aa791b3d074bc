/** What a record describes, in the terms of the model: its words and settings read once, defaults filled in. */
import { type System, systemOf } from './known-systems.ts'
import type { FigureRecord } from './record.ts'

/** How a guest, or the host itself, reaches the device. */
export type IoModel = 'native' | 'emulated' | 'paravirtual' | 'vmdq' | 'sriov' | 'direct'
export type Backend = 'kernel' | 'user' | 'sidecore'
export type Monitor = 'none' | 'translation' | 'assisted'
export type Invalidation = 'none' | 'strict' | 'deferred' | 'batched'
export type Direction = 'read' | 'write' | 'readWrite' | 'writeRead'

export interface Link {
  readonly generation: number
  readonly lanes: number
  readonly mps: number
  readonly mrrs: number
}

export interface Scenario {
  readonly record: FigureRecord
  readonly system: System
  /** Everything that the record says in words, lower case. */
  readonly words: string
  readonly model: IoModel
  readonly backend: Backend
  readonly monitor: Monitor
  /** Interrupts of an assigned device without exits. */
  readonly exitless: boolean
  /** Devices of the guest sit on registers alone (virtio-mmio): an interrupt is asked for its cause and acknowledged. */
  readonly registerTransport: boolean
  /** A guest programs an IOMMU of its own, emulated or as a nested stage. */
  readonly guestIommu: 'none' | 'emulated' | 'nested'
  readonly nested: boolean
  readonly translated: boolean
  readonly superpages: boolean
  readonly invalidation: Invalidation
  readonly link: Link
  readonly lineGbps: number
  /** What an application hands over at once, or a transfer of a device; undefined: a stream. */
  readonly messageBytes: number | undefined
  readonly mtu: number
  readonly vms: number
  /** Processors, or flows with one each. */
  readonly cores: number
  readonly pages: number
  readonly windowBytes: number
  readonly coldCache: boolean
  readonly remoteMemory: boolean
  readonly direction: Direction
  readonly receiving: boolean
}

const MODELS: Readonly<Record<string, IoModel>> = {
  native: 'native',
  emulated: 'emulated',
  'emulated-iommu': 'direct',
  'hardware-assisted': 'direct',
  'hardware-vmm': 'emulated',
  'software-vmm': 'emulated',
  paravirtual: 'paravirtual',
  'paravirtual+sidecore': 'paravirtual',
  vmdq: 'vmdq',
  sriov: 'sriov',
  direct: 'direct',
  'direct+exitless': 'direct',
}

const DIRECTIONS: Readonly<Record<string, Direction>> = {
  rd: 'read',
  wr: 'write',
  rw: 'readWrite',
  wrrd: 'writeRead',
}

type Settings = ReadonlyMap<string, string | number | boolean>

/** The configuration, with the place on the axis where that is a setting too. */
function settingsOf({ configuration, x }: FigureRecord): Settings {
  const settings = new Map<string, string | number | boolean>()
  const set = (name: string, value: unknown) => {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      settings.set(name, value)
    }
  }
  if (x) {
    const names = x.name.split(/[,|]/)
    const values = names.length === 1 ? [x.value] : String(x.value).split(/[,|/ ]+/)
    names.forEach((name, i) => {
      const value = values[i]
      set(name.trim(), typeof value === 'string' && /^\d+$/.test(value.trim()) ? Number(value) : value)
    })
  }
  for (const [name, value] of Object.entries(configuration)) set(name, value)
  return settings
}

const text = (settings: Settings, name: string): string => String(settings.get(name) ?? '').toLowerCase()
const number = (settings: Settings, ...names: readonly string[]): number | undefined => {
  for (const name of names) {
    const value = settings.get(name)
    if (typeof value === 'number' && Number.isFinite(value)) return value
  }
  return undefined
}

const MTU = /\bmtu[ =]?(\d+)/
const GENERATION_MODE = /gen ?(\d) ?x ?(\d+)/
const DEFAULT_LINK = { generation: 3, lanes: 8 }
/** From 40 Gb/s on, adapters sit on sixteen lanes. */
const WIDE = { generation: 3, lanes: 16 }

const GIGABITS = /(\d+) ?g(?:be|b\/s|bps|bit|b ethernet)/
const MEGABITS = /(\d+) ?m(?:be|b\/s|bps|bit|b ethernet)/
/** When adapters of ten gigabits became what servers have. */
const TEN_SINCE = 2007

function lineOf(words: string, year: number | null | undefined): number {
  const gigabits = GIGABITS.exec(words)
  if (gigabits) return Number(gigabits[1])
  const megabits = MEGABITS.exec(words)
  if (megabits) return Number(megabits[1]) / 1000
  if ((year ?? TEN_SINCE) >= TEN_SINCE) return 10
  return (year ?? TEN_SINCE) > 2002 ? 1 : 0.1
}

function linkOf(settings: Settings, lineGbps: number): Link {
  const stated = GENERATION_MODE.exec(text(settings, 'pcie'))
  const link = stated
    ? { generation: Number(stated[1]), lanes: Number(stated[2]) }
    : lineGbps > 40
      ? WIDE
      : DEFAULT_LINK
  return { ...link, mps: number(settings, 'mps') ?? 256, mrrs: number(settings, 'mrrs') ?? 512 }
}

function invalidationOf(settings: Settings): Invalidation {
  const stated = text(settings, 'invalidation')
  if (/contiguous|batched/.test(stated)) return 'batched'
  if (/strict/.test(stated)) return 'strict'
  if (/deferred|lazy|optimistic|batch/.test(stated)) return 'deferred'
  return 'none'
}

export function scenarioOf(record: FigureRecord): Scenario {
  const settings = settingsOf(record)
  const mode = text(settings, 'mode') || 'native'
  const words =
    `${record.system ?? ''} ${record.conditions ?? ''} ${text(settings, 'variant')} ${text(settings, 'path')} ` +
    `${text(settings, 'workload')} ${record.x?.value ?? ''}`.toLowerCase()
  const all = words.toLowerCase()
  const iommu = text(settings, 'iommu')
  const invalidation = invalidationOf(settings)
  const lineGbps = number(settings, 'linkGbps') ?? lineOf(all, record.year)
  const message = number(settings, 'transferBytes', 'msgBytes')
  const mtu = number(settings, 'mtu') ?? Number(MTU.exec(all)?.[1] ?? 1500)
  const translated = /^on/.test(iommu)
  return {
    record,
    system: systemOf(record),
    words: all,
    model: MODELS[mode.replace(/-(vhost|userspace|firecracker)$/, '')] ?? 'native',
    backend: /sidecore/.test(mode + all)
      ? 'sidecore'
      : /user-?space|qemu backend|firecracker|slirp/.test(all) && !/vhost/.test(all)
        ? 'user'
        : 'kernel',
    monitor:
      mode === 'software-vmm' || (mode === 'emulated' && /software.*vmm|binary translation/.test(all))
        ? 'translation'
        : mode === 'native'
          ? 'none'
          : 'assisted',
    exitless: /exitless|posted/.test(mode),
    registerTransport: /\bmmio\b/.test(all),
    guestIommu: /nested/.test(iommu)
      ? 'nested'
      : mode === 'emulated-iommu' || /guest and host/.test(text(settings, 'invalidation'))
        ? 'emulated'
        : 'none',
    nested: settings.get('nested') === true,
    translated,
    superpages: /superpages/.test(iommu) || (number(settings, 'pageSize') ?? 4096) > 4096,
    invalidation: translated || invalidation !== 'none' ? invalidation : 'none',
    link: linkOf(settings, lineGbps),
    lineGbps,
    // Where a study counts packets, they are as large as the network allows.
    messageBytes: message === mtu ? undefined : message,
    mtu,
    vms: number(settings, 'vms') ?? (mode === 'native' ? 0 : 1),
    cores: number(settings, 'cores', 'cpus', 'coresPerDirection', 'flows', 'jobs') ?? 1,
    pages: number(settings, 'pages4k') ?? 1,
    windowBytes: number(settings, 'windowBytes') ?? 8192,
    coldCache: /cold/.test(text(settings, 'cache')),
    remoteMemory: /remote/.test(all),
    direction: DIRECTIONS[text(settings, 'direction')] ?? 'read',
    receiving: !/transmit|\btx\b|send/.test(
      `${record.metric} ${text(settings, 'direction')} ${text(settings, 'dir')}`,
    ),
  }
}
