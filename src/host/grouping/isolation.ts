/** Whether a function keeps its peers apart: what Linux asks of Access Control Services before it splits groups. */
import { ACS_BIT, PORT_TYPE } from '../../pcie/formats/index.ts'
import type { GroupingFunction } from './grouping-function.ts'
import { quirkAccessControl, REQUIRED_ACS } from './quirks.ts'

const NAMED_BITS = [
  [ACS_BIT.SV, 'SV'],
  [ACS_BIT.RR, 'RR'],
  [ACS_BIT.CR, 'CR'],
  [ACS_BIT.UF, 'UF'],
] as const

/** What the bits are called in the specification. */
export const ACS_BIT_NAMES: Readonly<Record<string, string>> = {
  SV: 'Source Validation',
  RR: 'P2P Request Redirect',
  CR: 'P2P Completion Redirect',
  UF: 'Upstream Forwarding',
}

/**
 * What a function lacks to isolate, as names of ACS control bits; `ACS` stands for the capability itself. Empty if it
 * isolates. A bit that a present capability does not offer counts as hard-wired on.
 */
export function missingIsolation(fn: GroupingFunction): readonly string[] {
  const vouched = quirkAccessControl(fn)
  if (vouched !== undefined) return named(REQUIRED_ACS & ~vouched, fn)
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
  return named(REQUIRED_ACS & fn.acs.capability & ~fn.acs.control, fn)
}

function named(lacking: number, { acs }: GroupingFunction): readonly string[] {
  if (lacking !== 0 && acs === undefined) return ['ACS']
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

/** What a function lacks, in words for messages. */
export function lackInWords(fn: GroupingFunction): string {
  const missing = missingIsolation(fn)
  if (missing[0] !== 'ACS') return `has ACS ${missing.join(', ')} off`
  return fn.expressType < 0 ? 'is conventional PCI, which has no ACS' : 'has no ACS'
}
