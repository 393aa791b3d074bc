/** What a record describes, in the terms of the model: its settings and words are read here; names of operations where they are. */
import { type System, systemOf } from './known-systems.ts'
import { type Link, lineOf, linkOf } from './link-words.ts'
import type { FigureRecord } from './record.ts'
import { Settings } from './settings.ts'

/** How a guest, or the host itself, reaches the device. */
export type IoModel = 'native' | 'emulated' | 'paravirtual' | 'vmdq' | 'sriov' | 'direct'
export type Backend = 'kernel' | 'user' | 'sidecore'
export type Monitor = 'none' | 'translation' | 'assisted'
/** Back ends as threads of a host kernel, a hypervisor in one piece with its drivers, or a monitor on another system. */
export type Structure = 'kernel' | 'onePiece' | 'hosted'
/** At once, some time later, together for neighbours, or not at all in the hope that the buffer is mapped again (optimistic). */
export type Invalidation = 'none' | 'strict' | 'deferred' | 'batched' | 'optimistic'
export type Direction = 'read' | 'write' | 'readWrite' | 'writeRead'

export interface Scenario {
  readonly record: FigureRecord
  readonly system: System
  readonly words: string
  readonly model: IoModel
  readonly backend: Backend
  readonly monitor: Monitor
  readonly structure: Structure
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
  /** Addresses come from caches of processors, not from one tree. */
  readonly cachedAddresses: boolean
  /** Places in the queue of commands are taken by one addition, not by compare-and-swap loops. */
  readonly queuedOnce: boolean
  /** Commands for a list of buffers are put in together. */
  readonly batchedCommands: boolean
  /** Payload is copied to buffers that stay mapped. */
  readonly bounced: boolean
  readonly link: Link
  readonly lineGbps: number
  /** Packets leave the host. Between a guest and its host none is cut, and no adapter is in the way. */
  readonly wired: boolean
  /** What an application hands over at once, or a transfer of a device; undefined: a stream. */
  readonly messageBytes: number | undefined
  readonly mtu: number
  readonly datagrams: boolean
  /** The transport sees received packets joined, or hands on large segments to be cut below it. */
  readonly offload: boolean
  readonly ring: number
  readonly vms: number
  /** Processors, or flows with one each; undefined: not said. */
  readonly cores: number
  readonly coresStated: boolean
  readonly pages: number
  readonly windowBytes: number
  readonly coldCache: boolean
  readonly remoteMemory: boolean
  readonly direction: Direction
  readonly receiving: boolean
  readonly disks: number
  readonly storage: boolean
  /** The disk is made of memory. */
  readonly fastDisk: boolean
  readonly polled: boolean
  /** Sizes of memory, largest first, and whether all of a guest's is pinned. */
  readonly gigabytes: readonly number[]
  readonly pinsEverything: boolean
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

/** Linux joins received packets since 2.6.30, and leaves the cutting of segments to adapters since 2.6; others likewise. */
const RECEIVE_OFFLOAD_SINCE = 2010
const TRANSMIT_OFFLOAD_SINCE = 2004
/** Linux caches addresses by processor since 4.7. */
const CACHED_ADDRESSES_SINCE = 2016
const THIS_YEAR_UNKNOWN = 2018
const RING = 512
const GIGABYTES = /(\d+(?:\.\d+)?) ?gi?b\b(?!\/s|e)/g

export function scenarioOf(record: FigureRecord): Scenario {
  const settings = new Settings(record)
  const { words } = settings
  const year = record.year ?? THIS_YEAR_UNKNOWN
  const lineGbps = lineOf(settings, year)
  return {
    record,
    system: systemOf(record),
    words,
    ...virtualizationOf(settings),
    ...mappingOf(settings, record.series, year),
    ...trafficOf(settings, record.metric, year),
    link: linkOf(settings, lineGbps),
    lineGbps,
    wired: isWired(settings, record.metric),
    windowBytes: settings.number('windowBytes') ?? 8192,
    coldCache: /cold/.test(settings.text('cache')),
    remoteMemory: settings.says(/remote/),
    direction: DIRECTIONS[settings.text('direction')] ?? 'read',
    disks: disksOf(words),
    storage: settings.says(/nvme|\bssd|block device|\bfio\b|\bdisk/),
    fastDisk: settings.says(/non-?volatile|\bnvm\b|optane|3d xpoint|memory disk/),
    polled: settings.says(/\bpoll/),
    gigabytes: [...words.matchAll(GIGABYTES)].map(([, size]) => Number(size)).sort((a, b) => b - a),
    pinsEverything: settings.says(/static|whole|\bpin(?:ned|ning)? all\b/),
  }
}

const DISKS = /(\d+|two|three|four|eight) ?(?:x )?(?:nvme|ssd|disk)/
const WORDS: Readonly<Record<string, number>> = { two: 2, three: 3, four: 4, eight: 8 }

function disksOf(words: string): number {
  const count = DISKS.exec(words)?.[1] ?? '1'
  return WORDS[count] ?? Number(count)
}

const INSIDE = /(?:guest|vm) to (?:the )?(?:host|guest|vm)|host to (?:the )?(?:guest|vm)|same host|inter-?vm/

/** What a guest reaches over TCP is its host, where nobody names a line. */
function isWired(settings: Settings, metric: string): boolean {
  if (settings.number('linkGbps') !== undefined) return true
  return metric !== 'guest_tcp_throughput' && !settings.says(INSIDE)
}

function virtualizationOf(settings: Settings) {
  const mode = settings.text('mode') || 'native'
  const sorted = mode === 'paravirtual' && /^(?:on|yes|true|enabled|with)/.test(settings.text('netqueue'))
  return {
    model: sorted ? 'vmdq' : emulatesAside(settings) ? 'direct' : (MODELS[mode] ?? 'native'),
    backend: backendOf(settings, mode),
    monitor: monitorOf(settings, mode),
    structure: structureOf(settings),
    exitless: /exitless|posted/.test(mode),
    registerTransport: settings.says(/\bmmio\b/),
    nested: settings.flag('nested'),
  } as const
}

function backendOf(settings: Settings, mode: string): Backend {
  if (/sidecore/.test(mode) || settings.says(/sidecore/)) return 'sidecore'
  const user = settings.says(/user-?space|qemu backend|firecracker|slirp/) && !settings.says(/vhost/)
  return user ? 'user' : 'kernel'
}

function monitorOf(settings: Settings, mode: string): Monitor {
  if (mode === 'native') return 'none'
  if (mode === 'software-vmm') return 'translation'
  return mode === 'emulated' && settings.says(/software.*vmm|binary translation/) ? 'translation' : 'assisted'
}

function structureOf(settings: Settings): Structure {
  if (settings.says(/vmware (?:gsx|workstation)|hosted|virtualbox|parallels/)) return 'hosted'
  return settings.says(/vmware|\besxi?\b|vsphere|\bxen\b|hyper-v/) ? 'onePiece' : 'kernel'
}

function mappingOf(settings: Settings, series: string, year: number) {
  const iommu = settings.text('iommu')
  const invalidation = settings.text('invalidation')
  const mode = settings.text('mode')
  const emulated = mode === 'emulated-iommu' || emulatesAside(settings) || /guest and host/.test(invalidation)
  // Who says how buffers are unmapped, and not whether there is a unit, has one.
  const implied = iommu === '' && invalidationOf(invalidation) !== 'none'
  return {
    translated: /^on/.test(iommu) || emulated || implied,
    superpages: /superpages/.test(iommu) || (settings.number('pageSize') ?? 4096) > 4096,
    guestIommu: /nested/.test(iommu) ? 'nested' : emulated ? 'emulated' : 'none',
    invalidation: invalidationOf(invalidation),
    cachedAddresses: year >= CACHED_ADDRESSES_SINCE || /\+$|constant|cached|rcache/.test(series),
    // What a study proposes to change is measured after the change.
    queuedOnce: settings.says(/\bafter\b/),
    batchedCommands: /batched/.test(iommu),
    bounced: settings.flag('bounceCopy'),
    pages: settings.number('pages4k') ?? 1,
  } as const
}

/** A side core may emulate a back end, or the remapping unit of a guest that owns its device. */
const emulatesAside = (settings: Settings): boolean =>
  /sidecore/.test(settings.text('mode')) && /^on/.test(settings.text('iommu'))

function invalidationOf(stated: string): Invalidation {
  if (/contiguous|batched/.test(stated)) return 'batched'
  if (/strict/.test(stated)) return 'strict'
  if (/optimistic|pool/.test(stated)) return 'optimistic'
  return /deferred|lazy/.test(stated) ? 'deferred' : 'none'
}

const MTU = /\bmtu[ =]?(\d+)/

function trafficOf(settings: Settings, metric: string, year: number) {
  const mtu = settings.number('mtu') ?? Number(MTU.exec(settings.words)?.[1] ?? 1500)
  const message = settings.number('transferBytes', 'msgBytes')
  const datagrams = settings.says(/\budp\b/)
  const cores = settings.number('cores', 'cpus', 'coresPerDirection', 'flows', 'jobs')
  const sent = `${metric} ${settings.text('direction')} ${settings.text('dir')} ${settings.text('traffic')}`
  const receiving = !/transmit|\btx|send/.test(sent)
  return {
    mtu,
    datagrams,
    // Where a study counts packets, they are as large as the network allows.
    messageBytes: message === mtu ? undefined : message,
    offload: !datagrams && year >= (receiving ? RECEIVE_OFFLOAD_SINCE : TRANSMIT_OFFLOAD_SINCE),
    ring: settings.number('ringBuffer') ?? RING,
    vms: settings.number('vms') ?? (settings.text('mode') === 'native' ? 0 : 1),
    cores: cores ?? 1,
    coresStated: cores !== undefined,
    receiving,
  }
}
