/** A PCI function as the kernel knows it: what its config space says, and who uses it. */
import { formatFunctionAddress, get, type RequesterId } from '../../core/index.ts'
import {
  ACS,
  ARI,
  BAR_COUNT,
  BUS_NUMBERS,
  barOffset,
  CAPABILITY,
  type CapabilityEntry,
  CLASS,
  CONVENTIONAL_CONFIG_SIZE,
  capabilityName,
  EXPRESS,
  EXPRESS_CONFIG_SIZE,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  HEADER,
  ID,
  listCapabilities,
  PORT_TYPE,
  ROM_OFFSET,
  SUBSYSTEM,
} from '../../pcie/formats/index.ts'
import type { AccessControlRegisters, GroupingFunction } from '../grouping/grouping-function.ts'
import { hasWideAccessControl, quirkAliasesOf } from '../grouping/quirks.ts'
import type { HostBar, HostFunction, HostFunctionKind, HostSriov, Owner, ResetMethod } from '../types.ts'
import { probeBars, probeRom } from './bars.ts'
import type { ConfigSpace } from './config-space.ts'
import { flavoursOfReset } from './reset-methods.ts'
import { SriovCapability } from './sriov-capability.ts'

const UNOWNED: Owner = Object.freeze({ kind: 'none' })

/** Where a function was found. */
export interface FunctionPlace {
  readonly segment: number
  readonly rid: RequesterId
  /** The bridge above. */
  readonly above?: HostPciFunction | undefined
  /** Of a VF: its PF and its number. */
  readonly virtual?: { readonly physical: HostPciFunction; readonly index: number }
  readonly numaNode: number
  /** Found behind the first function of its device, however far ARI numbers it. */
  readonly furtherFunction?: boolean
}

export class HostPciFunction implements HostFunction, GroupingFunction {
  readonly config: ConfigSpace
  readonly address: string
  readonly segment: number
  readonly rid: RequesterId
  readonly above: HostPciFunction | undefined
  readonly physical: HostPciFunction | undefined
  readonly numaNode: number

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
  readonly decodesMemory: boolean
  peerDecodesDisabled = false
  besideAmdIommu = false

  /** Of a PF: its SR-IOV capability. */
  readonly virtualization: SriovCapability | undefined
  /** Of a PF: VFs that its driver allows; as many as there are without one. */
  vfLimit: number
  readonly virtuals: HostPciFunction[] = []
  /** Of a bridge: functions on the bus below, VFs too, in the order of discovery. */
  readonly below: HostPciFunction[] = []

  group: number | null = null
  remappingUnit: string | null = null
  driver: string | null = null
  owner: Owner = UNOWNED

  constructor(config: ConfigSpace, place: FunctionPlace) {
    const { segment, rid, above, virtual, numaNode, furtherFunction = false } = place
    const physical = virtual?.physical
    this.config = config
    this.segment = segment
    this.rid = rid
    this.address = formatFunctionAddress(segment, rid)
    this.above = above
    this.physical = physical
    this.numaNode = numaNode

    const id = config.read(ID.offset)
    // "VF configuration space": Vendor ID and Device ID read all ones, the PF's capability names the real ones.
    this.vendorId = physical?.vendorId ?? get(ID.f.VENDOR, [id])
    this.deviceId = physical?.virtualization?.vfDeviceId ?? get(ID.f.DEVICE, [id])
    this.classCode = config.get(0, CLASS, CLASS.f.CODE)
    this.revision = config.get(0, CLASS, CLASS.f.REVISION)
    this.bridge = config.get(0, HEADER, HEADER.f.LAYOUT) === 1
    // Linux: the header's word, or having been found behind another function; never for VFs.
    this.multifunction =
      physical === undefined && (config.get(0, HEADER, HEADER.f.MF) === 1 || furtherFunction)
    this.entries = listCapabilities(offset => config.read(offset), configSize(config))
    const express = findCapability(this.entries, CAPABILITY.EXPRESS)
    this.expressType =
      express === undefined ? -1 : config.get(express, EXPRESS.CAPABILITIES, EXPRESS.CAPABILITIES.f.TYPE)

    const bridgeIds = findCapability(this.entries, CAPABILITY.BRIDGE_SUBSYSTEM)
    const subsystem = this.bridge
      ? bridgeIds === undefined
        ? 0
        : config.read(bridgeIds + 4)
      : config.read(SUBSYSTEM.offset)
    this.subsystemVendorId = get(SUBSYSTEM.f.VENDOR, [subsystem])
    this.subsystemId = get(SUBSYSTEM.f.ID, [subsystem])

    this.bars =
      virtual === undefined
        ? probeBars(config, barOffset(0), this.bridge ? BAR_COUNT.type1 : BAR_COUNT.type0)
        : virtual.physical.virtualization!.bars.map(bar => ({
            ...bar,
            address: bar.address === 0 ? 0 : bar.address + bar.size * virtual.index,
          }))
    this.quirkAliases = quirkAliasesOf(this)
    this.rom =
      physical === undefined ? probeRom(config, this.bridge ? ROM_OFFSET.type1 : ROM_OFFSET.type0) : undefined
    this.decodesMemory =
      this.bars.some(({ kind }) => kind !== 'io') || (this.bridge && this.rom !== undefined)
    const sriov = this.extendedCapability(EXTENDED_CAPABILITY.SRIOV)
    this.virtualization =
      physical === undefined && sriov !== undefined ? new SriovCapability(config, sriov) : undefined
    this.vfLimit = this.virtualization?.totalVfs ?? 0
  }

  get kind(): HostFunctionKind {
    if (this.physical !== undefined) return 'VF'
    switch (this.expressType) {
      case PORT_TYPE.rootPort:
        return 'rootPort'
      case PORT_TYPE.upstreamPort:
        return 'upstreamPort'
      case PORT_TYPE.downstreamPort:
        return 'downstreamPort'
    }
    if (this.bridge) return 'bridge'
    if (this.classCode >>> 8 === HOST_BRIDGE_CLASS) return 'hostBridge'
    return this.virtualization === undefined ? 'endpoint' : 'PF'
  }

  get parent(): string | undefined {
    return this.above?.address
  }

  get physicalFunction(): string | undefined {
    return this.physical?.address
  }

  get virtualFunctions(): readonly string[] {
    return this.virtuals.map(({ address }) => address)
  }

  get capabilities(): readonly string[] {
    return this.entries.map(({ id, extended }) => capabilityName(id, extended))
  }

  get resetMethods(): readonly ResetMethod[] {
    const methods: ResetMethod[] = flavoursOfReset(this.config, this.entries)
    return this.aloneOnBus ? [...methods, 'bus'] : methods
  }

  get sriov(): HostSriov | undefined {
    const state = this.virtualization
    if (state === undefined) return undefined
    const { totalVfs, numVfs, offset, stride, vfDeviceId, bars } = state
    return { totalVfs, driverLimit: this.vfLimit, numVfs, offset, stride, vfDeviceId, bars }
  }

  /** Whether resetting the bus would hit nobody else: the function is all there is below a bridge. */
  get aloneOnBus(): boolean {
    const { above } = this
    return above !== undefined && !this.bridge && above.below.length === 1 && above.below[0] === this
  }

  /** Offset of a capability; undefined if there is none. */
  capability(id: number): number | undefined {
    return findCapability(this.entries, id)
  }

  extendedCapability(id: number): number | undefined {
    return findExtendedCapability(this.entries, id)
  }

  // What grouping asks.

  get secondaryBus(): number {
    return this.bridge ? this.config.get(0, BUS_NUMBERS, BUS_NUMBERS.f.SECONDARY) : 0
  }

  get subordinateBus(): number {
    return this.bridge ? this.config.get(0, BUS_NUMBERS, BUS_NUMBERS.f.SUBORDINATE) : 0
  }

  get acs(): AccessControlRegisters | undefined {
    const at = this.extendedCapability(EXTENDED_CAPABILITY.ACS)
    if (at === undefined) return undefined
    const word = this.config.read(at + ACS.CAPABILITY.offset)
    const registers = { capability: word & 0x7f, control: (word >>> 16) & 0x7f }
    if (!hasWideAccessControl(this)) return registers
    return { ...registers, nextDword: this.config.read(at + ACS.EGRESS_VECTOR) }
  }

  /** Next function number of the ARI chain, 0 at its end; undefined without the capability. */
  get nextAriFunction(): number | undefined {
    const at = this.extendedCapability(EXTENDED_CAPABILITY.ARI)
    return at === undefined ? undefined : this.config.get(at, ARI.CONTROL, ARI.CONTROL.f.NEXT)
  }
}

/** Class 06 (bridge), subclass 00. */
const HOST_BRIDGE_CLASS = 0x0600

/** A conventional function has no registers beyond 256 bytes: they read all ones, or 0 in a window that has them. */
function configSize(config: ConfigSpace): number {
  const header = config.read(CONVENTIONAL_CONFIG_SIZE)
  return header === 0xffff_ffff || header === 0 ? CONVENTIONAL_CONFIG_SIZE : EXPRESS_CONFIG_SIZE
}
