/** Functions of lspci's output, from bytes where they are, else from text, with a note for all that is assumed. */
import { NorthbridgeError } from '../../core/index.ts'
import { CapturedFunction } from '../captured-function.ts'
import { type FunctionFacts, headerFacts, isPciBridge } from '../function-facts.ts'
import { assembleFunctions } from '../known-functions.ts'
import { readDetails } from './details.ts'
import { type ListedFunction, parseLspci } from './dump.ts'
import { factsFromText, hasIds } from './facts.ts'

/** Bytes of the header, which everybody may read; and of conventional configuration space, which root may. */
const HEADER = 64
const WHOLE = 256

/** @param details output of `lspci -v`, if it is a text of its own. Throws `malformedInput`. */
export function readLspci(dump: string, details: string | undefined, notes: string[]): CapturedFunction[] {
  const more = new Map(
    details === undefined ? [] : parseLspci(details).map(one => [one.address, one.details]),
  )
  const listed = parseLspci(dump).map(one => ({ ...one, details: more.get(one.address) ?? one.details }))
  const missing = listed.find(({ config }) => config.length > 0 && config.length < HEADER)
  if (missing !== undefined) {
    throw new NorthbridgeError(
      'malformedInput',
      `lspci output: ${missing.address} has ${missing.config.length} bytes of config space, a header has ${HEADER}`,
    )
  }
  tellWhatIsMissing(listed, notes)
  const read = listed.map(one =>
    one.config.length >= WHOLE ? new CapturedFunction(one, readDetails(one.details)) : factsOf(one),
  )
  const facts = read.flatMap(one => (one instanceof CapturedFunction ? [] : [one]))
  if (facts.length === read.length) return assembleFunctions(withBuses(facts, notes), 'lspci output')
  return assembleFunctions(read, 'lspci output')
}

/** The header's word counts for what it says; the text's for the rest. */
function factsOf(one: ListedFunction): FunctionFacts {
  const facts = factsFromText(one)
  if (one.config.length === 0) return facts
  const header = headerFacts(one.config)
  return { ...facts, ...header, ...(header.express === false && { portType: null }) }
}

function tellWhatIsMissing(listed: readonly ListedFunction[], notes: string[]): void {
  const count = (test: (one: ListedFunction) => boolean): number => listed.filter(test).length
  const bare = count(({ config }) => config.length === 0)
  const short = count(({ config }) => config.length > 0 && config.length < WHOLE)
  const half = count(({ config }) => config.length === WHOLE)
  if (bare > 0)
    notes.push(
      `${bare} functions have no bytes (-xxxx): their configuration space is made of what the text says of them`,
    )
  if (short > 0)
    notes.push(
      `the dump has less than 256 bytes of ${short} functions: their capabilities are those that each kind of function must have, or that the text lists`,
    )
  if (half > 0 && listed.every(({ config }) => config.length <= WHOLE))
    notes.push(
      'the dump has no extended configuration space (-xxxx as root): access control, ARI and SR-IOV are unknown',
    )
  if (count(one => one.config.length === 0 && !hasIds(one)) > 0)
    notes.push('ids are not told (-nn): 0001:0001 stands for them')
  if (listed.every(({ details }) => details.length === 0)) {
    notes.push('there is no lspci -v output: sizes of base addresses are inferred, expansion ROMs left out')
  }
}

/**
 * Bus numbers of bridges, where none are told: depth first in the order of addresses, as firmware gives them out. A
 * bus that no bridge gets so is a root bus.
 */
function withBuses(facts: readonly FunctionFacts[], notes: string[]): FunctionFacts[] {
  const bridges = facts.filter(({ classCode }) => isPciBridge(classCode))
  if (bridges.length === 0 || bridges.some(({ buses }) => buses !== undefined)) return [...facts]
  notes.push('the buses behind bridges are not told (-v): they are numbered depth first, as firmware does')
  const buses = new Map<FunctionFacts, { secondary: number; subordinate: number }>()
  for (const segment of new Set(facts.map(one => one.segment))) {
    const here = facts.filter(one => one.segment === segment).sort((a, b) => a.rid - b.rid)
    const populated = [...new Set(here.map(({ rid }) => rid >>> 8))]
    let last = -1
    const number = (bus: number): void => {
      last = Math.max(last, bus)
      for (const one of here) {
        if (one.rid >>> 8 !== bus || !bridges.includes(one) || last >= 0xff) continue
        const secondary = last + 1
        number(secondary)
        buses.set(one, { secondary, subordinate: last })
      }
    }
    for (const bus of populated) if (bus > last) number(bus)
  }
  return facts.map(one => ({ ...one, buses: buses.get(one) }))
}
