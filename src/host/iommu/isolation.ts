/** Whether a function keeps its peers apart: what Linux asks of Access Control Services before it splits groups. */
import { ACS_BIT, PORT_TYPE } from '../../pcie/formats/index.ts'
import { quirkAcs, REQUIRED_ACS } from './acs-quirks.ts'

/** A function as grouping sees it: nothing but what config space and its place in the tree say. */
export interface GroupingFunction {
  /** `dddd:bb:dd.f` */
  readonly address: string
  readonly segment: number
  /** Routing id. */
  readonly rid: number
  readonly vendorId: number
  readonly deviceId: number
  /** "Device/Port Type" of the PCI Express Capabilities register; -1 for conventional functions. */
  readonly expressType: number
  /** Header type 1. */
  readonly bridge: boolean
  /** Part of a device with several functions; never set for VFs. */
  readonly multifunction: boolean
  /** Its ACS capability and control registers, if it has any. */
  readonly acs?: { readonly capability: number; readonly control: number } | undefined
  /** The bridge above; undefined on a root bus. A VF has its PF's. */
  readonly above?: GroupingFunction | undefined
  /** Bridges: the bus below. */
  readonly secondaryBus: number
  /** Routing ids beyond its own under which its requests are known to appear (quirks). */
  readonly quirkAliases: readonly number[]
}

const NAMED_BITS = [
  [ACS_BIT.SV, 'SV'],
  [ACS_BIT.RR, 'RR'],
  [ACS_BIT.CR, 'CR'],
  [ACS_BIT.UF, 'UF'],
] as const

/**
 * What a function lacks to isolate, as names of ACS control bits; `ACS` stands for the capability itself. Empty if it
 * isolates. A bit that a present capability does not offer counts as hard-wired on.
 */
export function missingIsolation(fn: GroupingFunction): readonly string[] {
  const required = REQUIRED_ACS & ~quirkAcs(fn.vendorId, fn.deviceId, fn.expressType)
  if (required === 0) return []
  switch (fn.expressType) {
    case -1:
    case PORT_TYPE.pcieToPciBridge:
    case PORT_TYPE.pciToPcieBridge:
    case PORT_TYPE.eventCollector:
      return ['ACS']
    case PORT_TYPE.rootPort:
    case PORT_TYPE.downstreamPort:
      break
    default:
      if (!fn.multifunction) return []
  }
  if (fn.acs === undefined) return ['ACS']
  const lacking = required & fn.acs.capability & ~fn.acs.control
  return NAMED_BITS.filter(([bit]) => lacking & bit).map(([, name]) => name)
}

export const isolates = (fn: GroupingFunction): boolean => missingIsolation(fn).length === 0

/** The first function from `fn` up to the root bus that does not isolate. */
export function firstUnisolated(fn: GroupingFunction): GroupingFunction | undefined {
  for (let at: GroupingFunction | undefined = fn; at !== undefined; at = at.above) {
    if (!isolates(at)) return at
  }
  return undefined
}

/** A requester id that a function's requests may carry, and the function that stamps it. */
export interface DmaAlias {
  readonly rid: number
  readonly stampedBy: GroupingFunction
}

/**
 * Every requester id of a function's requests on their way up, its own first ("requester id aliasing" of PCIe-to-PCI
 * bridges: secondary bus, device 0, function 0; of conventional bridges: their own).
 */
export function dmaAliases(fn: GroupingFunction): readonly DmaAlias[] {
  const aliases: DmaAlias[] = [fn.rid, ...fn.quirkAliases].map(rid => ({ rid, stampedBy: fn }))
  for (let bridge = fn.above; bridge !== undefined; bridge = bridge.above) {
    switch (bridge.expressType) {
      case PORT_TYPE.rootPort:
      case PORT_TYPE.upstreamPort:
      case PORT_TYPE.downstreamPort:
        continue
      case PORT_TYPE.pcieToPciBridge:
        aliases.push({ rid: bridge.secondaryBus << 8, stampedBy: bridge })
        continue
      default:
        aliases.push({ rid: bridge.rid, stampedBy: bridge })
    }
  }
  return aliases
}
