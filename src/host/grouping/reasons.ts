/** Why a function is in its group, for programs and in a sentence. */
import { PORT_TYPE } from '../../pcie/formats/index.ts'
import type { GroupReason } from '../types.ts'
import type { GroupingFunction } from './grouping-function.ts'
import { isolates, lackInWords, missingIsolation } from './isolation.ts'

export const founderReason = (fn: GroupingFunction): GroupReason => ({
  function: fn.address,
  rule: 'founder',
  text: `${fn.address} shares no path with a function found before it`,
})

export const aliasReason = (fn: GroupingFunction, as: GroupingFunction): GroupReason => ({
  function: fn.address,
  joined: as.address,
  rule: 'alias',
  lackedBy: as.address,
  text: `requests of ${fn.address} carry a requester id that ${as.address} stamps`,
})

export const pathReason = (
  fn: GroupingFunction,
  bridge: GroupingFunction,
  gap: GroupingFunction,
): GroupReason => ({
  function: fn.address,
  joined: bridge.address,
  rule: 'unisolatedPath',
  lackedBy: gap.address,
  missing: missingIsolation(gap),
  text: `${fn.address} is below ${gap.address}, which ${lackInWords(gap)}`,
})

export const multifunctionReason = (
  fn: GroupingFunction,
  seenAs: GroupingFunction,
  other: GroupingFunction,
): GroupReason => ({
  function: fn.address,
  joined: other.address,
  rule: 'multifunction',
  lackedBy: other.address,
  missing: missingIsolation(seenAs),
  text: `${seenAs.address} and ${other.address} are functions of one device, and neither isolates: ${other.address} ${lackInWords(other)}`,
})

/** Bus rules: a bridge above belongs to a group that takes everything below. */
export const belowReason = (fn: GroupingFunction, bridge: GroupingFunction): GroupReason => ({
  function: fn.address,
  joined: bridge.address,
  rule: 'unisolatedPath',
  lackedBy: bridge.address,
  text: `${fn.address} is below ${bridge.address}, whose group takes everything below it`,
})

/** Bus rules: one function of the bus does not isolate, so none of them is out of reach. */
export const busReason = (
  fn: GroupingFunction,
  mate: GroupingFunction,
  lackedBy: GroupingFunction,
): GroupReason => ({
  function: fn.address,
  joined: mate.address,
  rule: 'sharedBus',
  lackedBy: lackedBy.address,
  missing: missingIsolation(lackedBy),
  text:
    lackedBy.expressType === PORT_TYPE.downstreamPort
      ? `${fn.address} and ${mate.address} are ports of one switch, in which ${lackedBy.address} ${lackInWords(lackedBy)}`
      : `${fn.address} and ${mate.address} share the PCI bus below ${lackedBy.address}`,
})

/** Bus rules: functions of one bus that reach each other, or are taken for each other. */
export function reachReason(fn: GroupingFunction, mate: GroupingFunction): GroupReason {
  const gap = [fn, mate].find(one => one.acs !== undefined && !isolates(one))
  if (gap === undefined) return aliasReason(fn, mate)
  return {
    function: fn.address,
    joined: mate.address,
    rule: 'multifunction',
    lackedBy: gap.address,
    missing: missingIsolation(gap),
    text: `${fn.address} and ${mate.address} are functions of one device, and ${gap.address} ${lackInWords(gap)}`,
  }
}
