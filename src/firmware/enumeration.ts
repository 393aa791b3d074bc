/**
 * Finding every function and numbering every bus, depth first, as the board's presets say or else one after the other.
 * Behind a link only device 0 is asked, and functions above 7 (ARI) are left to the operating system.
 */
import { devfn, devfnOf, hex, NorthbridgeError, requesterId } from '../core/index.ts'
import { pause, type Software } from '../engine/index.ts'
import {
  BAR_COUNT,
  BUS_NUMBERS,
  barOffset,
  CAPABILITY,
  CLASS,
  EXPRESS,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  HEADER,
  ID,
  IO_WINDOW,
  PORT_TYPE,
  PREFETCHABLE_WINDOW,
  ROM_OFFSET,
  SRIOV,
} from '../pcie/formats/index.ts'
import type { BoardHostBridge, BoardPath, BoardPreset } from '../platform/board.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { type BaseAddress, sizeBaseAddresses, sizeRom } from './base-addresses.ts'
import { ConfigSpace } from './config-space.ts'

export interface FoundFunction {
  readonly config: ConfigSpace
  readonly classCode: number
  /** Those of a resizable BAR change with the size that is chosen for it. */
  bars: readonly BaseAddress[]
  /** Bytes of the expansion ROM, and where its register is. */
  readonly rom: { readonly size: number; readonly offset: number }
  /** VF BARs, and how many VFs they must have room for. */
  readonly virtual: { readonly total: number; readonly bars: readonly BaseAddress[] }
  readonly preset: BoardPreset | undefined
  readonly bridge: FoundBridge | undefined
}

export interface FoundBridge {
  secondary: number
  subordinate: number
  functions: readonly FoundFunction[]
  /** Whether the window registers are there, and how wide they are. */
  readonly io: boolean
  readonly prefetchable: 'none' | '32 bits' | '64 bits'
  /** Whether it has a slot that cards can be plugged into. */
  readonly hotplug: boolean
}

export interface Enumeration {
  /** Functions on each root bus, in the order of the board's host bridges. */
  readonly roots: readonly (readonly FoundFunction[])[]
  readonly functions: number
  readonly buses: number
  readonly notes: readonly string[]
}

const keyOf = ({ segment, rootBus, steps }: BoardPath): string =>
  `${segment}/${rootBus}/${steps.map(({ device, fn }) => devfn(device, fn)).join('/')}`

/** What is known of the way to the bus that is being scanned. */
interface Way {
  readonly path: BoardPath
  /** Only device 0 can be there. */
  readonly link: boolean
  /** The port above forwards by ARI function numbers, once told to. */
  readonly ari: boolean
}

export function* enumerate(machine: MachinePort): Software<Enumeration> {
  const scanner = new Scanner(machine)
  const roots: FoundFunction[][] = []
  for (const bridge of machine.board.hostBridges) roots.push(yield* scanner.root(bridge))
  return { roots, functions: scanner.functions, buses: scanner.buses, notes: scanner.notes }
}

class Scanner {
  functions = 0
  buses = 0
  readonly notes: string[] = []
  readonly #machine: MachinePort
  readonly #presets: ReadonlyMap<string, BoardPreset>

  constructor(machine: MachinePort) {
    this.#machine = machine
    this.#presets = new Map(machine.board.presets.map(preset => [keyOf(preset.path), preset]))
  }

  *root({ segment, bus, lastBus }: BoardHostBridge): Software<FoundFunction[]> {
    const functions: FoundFunction[] = []
    const way: Way = { path: { segment, rootBus: bus, steps: [] }, link: false, ari: false }
    yield* this.#scanBus(functions, bus, lastBus, way)
    return functions
  }

  /** Scans a bus and everything below. Returns the highest bus number used, at most `last`. */
  *#scanBus(found: FoundFunction[], bus: number, last: number, way: Way): Software<number> {
    this.buses++
    for (let device = 0; device < (way.link ? 1 : 32); device++) {
      for (let fn = 0; fn < 8; fn++) {
        const one = this.#probe(bus, device, fn, way)
        if (one !== undefined) {
          found.push(one)
          yield* pause()
        }
        if (fn === 0 && (one === undefined || !one.config.get(HEADER.offset, HEADER.f.MF))) break
      }
    }
    this.functions += found.length

    let highest = bus
    for (const one of found) highest = Math.max(highest, lastBusOfVirtualFunctions(one, way.ari))
    if (highest > last) {
      this.notes.push(
        `no bus numbers are left for all virtual functions on bus ${hex(bus, 2)} of segment ${way.path.segment}`,
      )
      highest = last
    }
    // Preset numbers first, so that the others are given out behind them.
    const bridges = found.filter(({ bridge }) => bridge !== undefined)
    for (const one of bridges) {
      if (one.preset?.secondaryBus !== undefined)
        highest = yield* this.#scanBelow(one, bus, highest, last, way)
    }
    for (const one of bridges) {
      if (one.preset?.secondaryBus === undefined)
        highest = yield* this.#scanBelow(one, bus, highest, last, way)
    }
    return highest
  }

  #probe(bus: number, device: number, fn: number, { path }: Way): FoundFunction | undefined {
    const { segment, rootBus, steps } = path
    const ecam = this.#machine.board.ecam.find(window => window.segment === segment)
    if (ecam === undefined || bus > ecam.lastBus) return undefined
    const config = new ConfigSpace(this.#machine, ecam.base, segment, requesterId(bus, devfn(device, fn)))
    const vendor = config.get(ID.offset, ID.f.VENDOR)
    if (vendor === 0xffff || vendor === 0) return undefined
    const isBridge = config.get(HEADER.offset, HEADER.f.LAYOUT) === 1
    const romOffset = isBridge ? ROM_OFFSET.type1 : ROM_OFFSET.type0
    return {
      config,
      classCode: config.get(CLASS.offset, CLASS.f.CODE),
      bars: sizeBaseAddresses(config, barOffset(0), isBridge ? BAR_COUNT.type1 : BAR_COUNT.type0),
      rom: { size: sizeRom(config, romOffset), offset: romOffset },
      virtual: isBridge ? { total: 0, bars: [] } : sizeVirtualFunctions(config),
      preset: this.#presets.get(keyOf({ segment, rootBus, steps: [...steps, { device, fn }] })),
      bridge: isBridge ? probeBridge(config) : undefined,
    }
  }

  *#scanBelow(one: FoundFunction, bus: number, highest: number, last: number, way: Way): Software<number> {
    const { config, preset } = one
    const wanted = preset?.secondaryBus
    const secondary = wanted !== undefined && wanted > bus && wanted <= last ? wanted : highest + 1
    if (wanted !== undefined && wanted !== secondary) {
      this.notes.push(
        `${config.address}: secondary bus ${hex(wanted, 2)} is out of reach, ${hex(secondary, 2)} instead`,
      )
    }
    if (secondary > last) {
      throw new NorthbridgeError(
        'outOfResources',
        `no bus number is left for what is below ${config.address}`,
        {
          function: config.address,
        },
      )
    }
    const presetEnd = preset?.subordinateBus ?? last
    const end = wanted === secondary && presetEnd >= secondary && presetEnd <= last ? presetEnd : last
    const bridge = one.bridge!
    bridge.secondary = secondary
    numberBuses(config, bus, secondary, end)
    const entries = config.capabilities()
    const express = findCapability(entries, CAPABILITY.EXPRESS)
    const type = express === undefined ? undefined : config.get(express, EXPRESS.CAPABILITIES.f.TYPE)
    const link = type === PORT_TYPE.rootPort || type === PORT_TYPE.downstreamPort
    const capabilities2 = (express ?? 0) + EXPRESS.DEVICE_CAPABILITIES_2.offset
    const below: Way = {
      path: { ...way.path, steps: [...way.path.steps, stepOf(config)] },
      link,
      ari: link && config.get(capabilities2, EXPRESS.DEVICE_CAPABILITIES_2.f.ARI_FORWARDING) === 1,
    }
    const functions: FoundFunction[] = []
    const used = yield* this.#scanBus(functions, secondary, end, below)
    const reserved = Math.min(used + (preset?.reservedBuses ?? 0), end)
    bridge.functions = functions
    bridge.subordinate = preset?.subordinateBus === end ? end : reserved
    numberBuses(config, bus, secondary, bridge.subordinate)
    return Math.max(highest, bridge.subordinate)
  }
}

const stepOf = ({ rid }: ConfigSpace): { device: number; fn: number } => ({
  device: devfnOf(rid) >>> 3,
  fn: devfnOf(rid) & 7,
})

function numberBuses(config: ConfigSpace, primary: number, secondary: number, subordinate: number): void {
  config.write(BUS_NUMBERS.offset, primary | (secondary << 8) | (subordinate << 16), 0x00ff_ffff)
}

/** Finds out which windows a bridge has by writing to them. They are left closed. */
function probeBridge(config: ConfigSpace): FoundBridge {
  config.write(IO_WINDOW.offset, IO_WINDOW.f.BASE.mask, 0xffff)
  const io = config.get(IO_WINDOW.offset, IO_WINDOW.f.BASE) !== 0
  config.write(PREFETCHABLE_WINDOW.offset, PREFETCHABLE_WINDOW.f.BASE.mask)
  const there = config.get(PREFETCHABLE_WINDOW.offset, PREFETCHABLE_WINDOW.f.BASE) !== 0
  const wide = config.get(PREFETCHABLE_WINDOW.offset, PREFETCHABLE_WINDOW.f.BASE_WIDTH) === 1
  const prefetchable = there ? (wide ? '64 bits' : '32 bits') : 'none'
  return { secondary: 0, subordinate: 0, functions: [], io, prefetchable, hotplug: hasHotplugSlot(config) }
}

/** "Slot Implemented" and "Hot-Plug Capable". */
function hasHotplugSlot(config: ConfigSpace): boolean {
  const express = findCapability(config.capabilities(), CAPABILITY.EXPRESS)
  if (express === undefined || config.get(express, EXPRESS.CAPABILITIES.f.SLOT) === 0) return false
  const { SLOT_CAPABILITIES } = EXPRESS
  return config.get(express + SLOT_CAPABILITIES.offset, SLOT_CAPABILITIES.f.HPC) === 1
}

function sizeVirtualFunctions(config: ConfigSpace): FoundFunction['virtual'] {
  const sriov = findExtendedCapability(config.capabilities(), EXTENDED_CAPABILITY.SRIOV)
  if (sriov === undefined) return { total: 0, bars: [] }
  const total = config.get(sriov + SRIOV.COUNTS.offset, SRIOV.COUNTS.f.TOTAL)
  return { total, bars: total === 0 ? [] : sizeBaseAddresses(config, sriov + SRIOV.BARS, BAR_COUNT.type0) }
}

/**
 * The highest bus that VFs of a PF can come to lie on. First VF Offset and VF Stride depend on NumVFs and on ARI
 * Capable Hierarchy, so both are set as an operating system would, read, and put back.
 */
function lastBusOfVirtualFunctions({ config, virtual }: FoundFunction, ariForwarding: boolean): number {
  const bus = config.rid >>> 8
  if (virtual.total === 0) return bus
  const entries = config.capabilities()
  const sriov = findExtendedCapability(entries, EXTENDED_CAPABILITY.SRIOV)!
  const ari = ariForwarding && findExtendedCapability(entries, EXTENDED_CAPABILITY.ARI) !== undefined
  const control = sriov + SRIOV.CONTROL.offset
  const numVfs = sriov + SRIOV.NUM_VFS.offset
  if (ari) config.write(control, SRIOV.CONTROL.f.ARI.mask, 0xffff)
  config.write(numVfs, virtual.total, SRIOV.NUM_VFS.f.NUM_VFS.mask)
  const routing = config.read(sriov + SRIOV.ROUTING.offset)
  config.write(numVfs, 0, SRIOV.NUM_VFS.f.NUM_VFS.mask)
  if (ari) config.write(control, 0, 0xffff)
  const last = config.rid + (routing & 0xffff) + (routing >>> 16) * (virtual.total - 1)
  return Math.max(bus, last >>> 8)
}
