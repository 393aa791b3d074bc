/** A PCI function as the kernel knows it: what its config space says, and who uses it. */
import { formatFunctionAddress, type RequesterId } from '../../core/index.ts'
import {
  ACS,
  ARI,
  BUS_NUMBERS,
  type CapabilityEntry,
  capabilityName,
  EXTENDED_CAPABILITY,
  findCapability,
  findExtendedCapability,
  PORT_TYPE,
} from '../../pcie/formats/index.ts'
import type { AccessControlRegisters, GroupingFunction } from '../grouping/grouping-function.ts'
import { hasWideAccessControl } from '../grouping/quirks.ts'
import type { HostBar, HostFunction, HostFunctionKind, HostSriov, Owner, ResetMethod } from '../types.ts'
import type { ConfigSpace } from './config-space.ts'
import { type FunctionFacts, readFacts } from './function-facts.ts'
import { flavoursOfReset } from './reset-methods.ts'
import { type SavedSriov, SriovCapability } from './sriov-capability.ts'

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

type Plain<Of> = { readonly [Key in keyof Of]: Of[Key] }

export type SavedFunction = {
  readonly segment: number
  readonly rid: RequesterId
  /** Addresses of other functions. */
  readonly above: string | null
  readonly physical: string | null
  readonly virtuals: readonly string[]
  readonly below: readonly string[]
  readonly numaNode: number
  readonly facts: Plain<
    Omit<FunctionFacts, 'entries' | 'bars'> & {
      readonly entries: readonly Plain<CapabilityEntry>[]
      readonly bars: readonly Plain<HostBar>[]
    }
  >
  readonly sriov: SavedSriov | null
  readonly peerDecodesDisabled: boolean
  readonly besideAmdIommu: boolean
  readonly vfLimit: number
  readonly group: number | null
  readonly remappingUnit: string | null
  readonly driver: string | null
  readonly owner: Owner
  readonly vfToken: string | null
  readonly chosenResets: readonly ResetMethod[] | null
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
  /** Of a PF in vfio-pci's hands: what its user demands of users of its VFs. Linux begins with one nobody knows. */
  vfToken: string | undefined
  /** sysfs `reset_method`, if it was written. */
  chosenResets: readonly ResetMethod[] | undefined

  /** @param saved what it was when it was saved: nothing is read, and nothing of its registers changes. */
  constructor(config: ConfigSpace, place: FunctionPlace, saved?: SavedFunction) {
    const { segment, rid, above, virtual, numaNode } = place
    const physical = virtual?.physical
    this.config = config
    this.segment = segment
    this.rid = rid
    this.address = formatFunctionAddress(segment, rid)
    this.above = above
    this.physical = physical
    this.numaNode = numaNode

    const facts = saved?.facts ?? readFacts(config, place)
    this.vendorId = facts.vendorId
    this.deviceId = facts.deviceId
    this.subsystemVendorId = facts.subsystemVendorId
    this.subsystemId = facts.subsystemId
    this.classCode = facts.classCode
    this.revision = facts.revision
    this.bridge = facts.bridge
    this.multifunction = facts.multifunction
    this.entries = facts.entries.map(entry => ({ ...entry }))
    this.expressType = facts.expressType
    this.bars = facts.bars.map(bar => ({ ...bar }))
    this.quirkAliases = [...facts.quirkAliases]
    this.rom = facts.rom && { ...facts.rom }
    this.decodesMemory =
      this.bars.some(({ kind }) => kind !== 'io') || (this.bridge && this.rom !== undefined)
    const sriov = this.extendedCapability(EXTENDED_CAPABILITY.SRIOV)
    this.virtualization =
      physical === undefined && sriov !== undefined
        ? new SriovCapability(config, sriov, saved?.sriov ?? undefined)
        : undefined
    this.vfLimit = this.virtualization?.totalVfs ?? 0
    if (saved === undefined) return
    this.peerDecodesDisabled = saved.peerDecodesDisabled
    this.besideAmdIommu = saved.besideAmdIommu
    this.vfLimit = saved.vfLimit
    this.group = saved.group
    this.remappingUnit = saved.remappingUnit
    this.driver = saved.driver
    this.owner = { ...saved.owner }
    this.vfToken = saved.vfToken ?? undefined
    this.chosenResets = saved.chosenResets === null ? undefined : [...saved.chosenResets]
  }

  save(): SavedFunction {
    const { entries, bars, rom } = this
    return {
      segment: this.segment,
      rid: this.rid,
      above: this.above?.address ?? null,
      physical: this.physical?.address ?? null,
      numaNode: this.numaNode,
      facts: {
        vendorId: this.vendorId,
        deviceId: this.deviceId,
        subsystemVendorId: this.subsystemVendorId,
        subsystemId: this.subsystemId,
        classCode: this.classCode,
        revision: this.revision,
        bridge: this.bridge,
        multifunction: this.multifunction,
        entries: entries.map(entry => ({ ...entry })),
        expressType: this.expressType,
        bars: bars.map(bar => ({ ...bar })),
        quirkAliases: [...this.quirkAliases],
        rom: rom && { ...rom },
      },
      sriov: this.virtualization?.save() ?? null,
      peerDecodesDisabled: this.peerDecodesDisabled,
      besideAmdIommu: this.besideAmdIommu,
      vfLimit: this.vfLimit,
      virtuals: this.virtuals.map(({ address }) => address),
      below: this.below.map(({ address }) => address),
      group: this.group,
      remappingUnit: this.remappingUnit,
      driver: this.driver,
      owner: { ...this.owner },
      vfToken: this.vfToken ?? null,
      chosenResets: this.chosenResets === undefined ? null : [...this.chosenResets],
    }
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

  /** Methods that are used, best first: those it has, unless the administrator chose among them. */
  get resetMethods(): readonly ResetMethod[] {
    return this.chosenResets ?? this.supportedResets
  }

  /** Every way to reset it and nobody else, in the kernel's order. */
  get supportedResets(): readonly ResetMethod[] {
    const methods: ResetMethod[] = flavoursOfReset(this.config, this.entries)
    return this.aloneOnBus ? [...methods, 'bus'] : methods
  }

  get sriov(): HostSriov | undefined {
    const state = this.virtualization
    if (state === undefined) return undefined
    const { totalVfs, offset, stride, vfDeviceId, bars } = state
    return {
      totalVfs,
      driverLimit: this.vfLimit,
      numVfs: this.virtuals.length,
      offset,
      stride,
      vfDeviceId,
      bars,
    }
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
