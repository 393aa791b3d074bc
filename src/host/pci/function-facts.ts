/** What the kernel reads of a function once, when it finds it. */
import { get } from '../../core/index.ts'
import {
  BAR_COUNT,
  barOffset,
  CAPABILITY,
  type CapabilityEntry,
  CLASS,
  CONVENTIONAL_CONFIG_SIZE,
  EXPRESS,
  EXPRESS_CONFIG_SIZE,
  findCapability,
  HEADER,
  ID,
  listCapabilities,
  ROM_OFFSET,
  SUBSYSTEM,
} from '../../pcie/formats/index.ts'
import { quirkAliasesOf } from '../grouping/quirks.ts'
import type { HostBar } from '../types.ts'
import { probeBars, probeRom } from './bars.ts'
import type { ConfigSpace } from './config-space.ts'

export interface FunctionFacts {
  readonly vendorId: number
  readonly deviceId: number
  readonly subsystemVendorId: number
  readonly subsystemId: number
  readonly classCode: number
  readonly revision: number
  /** Header type 1. */
  readonly bridge: boolean
  readonly multifunction: boolean
  readonly entries: readonly CapabilityEntry[]
  /** "Device/Port Type", -1 for a conventional function. */
  readonly expressType: number
  readonly bars: readonly HostBar[]
  readonly quirkAliases: readonly number[]
  /** Memory for the expansion ROM, decoded or not. */
  readonly rom: { readonly address: number; readonly size: number } | undefined
}

/** Where the function was found, as far as the facts depend on it. */
export interface FactsPlace {
  readonly rid: number
  readonly virtual?: {
    readonly physical: {
      readonly vendorId: number
      readonly virtualization: { readonly vfDeviceId: number; readonly bars: readonly HostBar[] } | undefined
    }
    readonly index: number
  }
  readonly furtherFunction?: boolean
}

/** Reads the facts, for which BARs are sized by writing ones. */
export function readFacts(config: ConfigSpace, place: FactsPlace): FunctionFacts {
  const { virtual, rid, furtherFunction = false } = place
  const physical = virtual?.physical
  const id = config.read(ID.offset)
  // "VF configuration space": Vendor ID and Device ID read all ones, the PF's capability names the real ones.
  const vendorId = physical?.vendorId ?? get(ID.f.VENDOR, [id])
  const deviceId = physical?.virtualization?.vfDeviceId ?? get(ID.f.DEVICE, [id])
  const classCode = config.get(0, CLASS, CLASS.f.CODE)
  const revision = config.get(0, CLASS, CLASS.f.REVISION)
  const bridge = config.get(0, HEADER, HEADER.f.LAYOUT) === 1
  // Linux: the header's word, or having been found behind another function; never for VFs.
  const multifunction =
    physical === undefined && (config.get(0, HEADER, HEADER.f.MF) === 1 || furtherFunction)
  const entries = listCapabilities(offset => config.read(offset), configSize(config))
  const express = findCapability(entries, CAPABILITY.EXPRESS)
  const expressType =
    express === undefined ? -1 : config.get(express, EXPRESS.CAPABILITIES, EXPRESS.CAPABILITIES.f.TYPE)
  const subsystem = subsystemOf(config, bridge, entries)
  const subsystemVendorId = get(SUBSYSTEM.f.VENDOR, [subsystem])
  const subsystemId = get(SUBSYSTEM.f.ID, [subsystem])
  const bars =
    virtual === undefined
      ? probeBars(config, barOffset(0), bridge ? BAR_COUNT.type1 : BAR_COUNT.type0)
      : virtual.physical.virtualization!.bars.map(bar => ({
          ...bar,
          address: bar.address === 0 ? 0 : bar.address + bar.size * virtual.index,
        }))
  return {
    vendorId,
    deviceId,
    subsystemVendorId,
    subsystemId,
    classCode,
    revision,
    bridge,
    multifunction,
    entries,
    expressType,
    bars,
    quirkAliases: quirkAliasesOf({ rid, vendorId, deviceId, subsystemVendorId, subsystemId }),
    rom: physical === undefined ? probeRom(config, bridge ? ROM_OFFSET.type1 : ROM_OFFSET.type0) : undefined,
  }
}

function subsystemOf(config: ConfigSpace, bridge: boolean, entries: readonly CapabilityEntry[]): number {
  if (!bridge) return config.read(SUBSYSTEM.offset)
  const ids = findCapability(entries, CAPABILITY.BRIDGE_SUBSYSTEM)
  return ids === undefined ? 0 : config.read(ids + 4)
}

/** A conventional function has no registers beyond 256 bytes: they read all ones, or 0 in a window that has them. */
function configSize(config: ConfigSpace): number {
  const header = config.read(CONVENTIONAL_CONFIG_SIZE)
  return header === 0xffff_ffff || header === 0 ? CONVENTIONAL_CONFIG_SIZE : EXPRESS_CONFIG_SIZE
}
