/** Which functions are virtual, where a format does not say so. */
import type { RequesterId } from '../core/index.ts'
import type { FunctionFacts } from './function-facts.ts'
import { Surroundings } from './surroundings.ts'

/** What virtual functions have in the place of ids. */
export const NO_ID = 0xffff
const CALLED_VIRTUAL = /virtual function/i

/**
 * Marks virtual functions where a format does not: behind a link there is one device, so that what has a link and
 * another device number is a virtual function of a function of device 0.
 */
export function withVirtualFunctions(facts: readonly FunctionFacts[]): FunctionFacts[] {
  const around = new Surroundings(facts)
  const physicalOf = new Map<FunctionFacts, FunctionFacts>()
  const virtualOf = new Map<FunctionFacts, RequesterId[]>()
  const tellers = new Map(
    facts.flatMap(one => (one.virtual?.on ?? []).map(rid => [`${one.segment}/${rid}`, one] as const)),
  )
  for (const one of facts) {
    const above = around.above(one)
    const told = tellers.get(`${one.segment}/${one.rid}`)
    if (told !== undefined) physicalOf.set(one, told)
    if (told !== undefined || one.physical !== undefined || above === undefined) continue
    if (one.buses !== undefined || (one.rid & 0xff) < 8) continue
    const certain = one.vendorId === NO_ID || CALLED_VIRTUAL.test(one.title ?? '')
    const candidates = around
      .below(above)
      .filter(
        ({ rid, vendorId, link, buses }) =>
          (rid & 0xff) < 8 &&
          buses === undefined &&
          (certain || link !== undefined) &&
          (vendorId === one.vendorId || one.vendorId === NO_ID),
      )
    const mine = candidates[(one.rid & 0xff) % Math.max(candidates.length, 1)]
    if (mine === undefined) continue
    physicalOf.set(one, mine)
    virtualOf.set(mine, [...(virtualOf.get(mine) ?? []), one.rid])
  }
  return facts.map(one => {
    // What a physical function says of its own is better.
    const on = one.virtual === undefined ? (virtualOf.get(one) ?? []) : []
    const physical = physicalOf.get(one)
    return {
      ...one,
      ...(physical !== undefined && { physical: physical.rid }),
      ...(on.length > 0 && { virtual: { total: on.length, on: on.sort((a, b) => a - b) } }),
    }
  })
}
