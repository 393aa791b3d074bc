/** To whom every page of the physical address space belongs. */
import type { PageNumber } from '../../core/index.ts'
import type { PhysicalOwner } from '../../policy/isolation/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'

interface Segment {
  readonly first: PageNumber
  readonly end: PageNumber
  readonly owner: PhysicalOwner
  /** Where a BAR begins in its first page. */
  readonly offset?: number
}

/** Pages of one owner. */
export interface OwnedPages {
  readonly frame: PageNumber
  readonly pages: number
  readonly owner: PhysicalOwner
  /** Where in the first page its part begins. */
  readonly offset: number
}

const HOST: PhysicalOwner = { kind: 'host' }
const NOBODY: PhysicalOwner = { kind: 'nobody' }

export class MemoryOwners {
  /** Ascending, disjoint. Where there is none, nothing answers. */
  readonly #segments: readonly Segment[]

  constructor({ hardware, host, hypervisor }: SimulatedPlatform) {
    const ram = hardware.memory.ranges.map(({ base, size }) => pages(base, size))
    const known: Segment[] = host.memory.freeExtents.map(({ first, pages: count }) => ({
      first,
      end: first + count,
      owner: NOBODY,
    }))
    for (const { name } of hypervisor.vms()) {
      const owner: PhysicalOwner = { kind: 'vm', name }
      for (const { hostPage, pages: count } of hypervisor.hostMemoryOf(name)) {
        known.push({ first: hostPage, end: hostPage + count, owner })
      }
    }
    known.sort((a, b) => a.first - b.first)
    const segments = ram.flatMap(range => withHost(range, known))
    for (const { address, bars } of host.functions()) {
      for (const { kind, address: base, size } of bars) {
        if (kind === 'io' || base === 0) continue
        segments.push({
          ...pages(base, size),
          owner: { kind: 'function', name: address },
          offset: base % 4096,
        })
      }
    }
    this.#segments = segments.sort((a, b) => a.first - b.first)
  }

  /** Cuts a run of pages into pieces of one owner each; what nothing answers at is left out. */
  *cut(frame: PageNumber, count: number): Generator<OwnedPages> {
    const segments = this.#segments
    let low = 0
    for (let high = segments.length; low < high; ) {
      const middle = (low + high) >>> 1
      if (segments[middle]!.end <= frame) low = middle + 1
      else high = middle
    }
    for (let at = low; at < segments.length && segments[at]!.first < frame + count; at++) {
      const { first, end, owner, offset = 0 } = segments[at]!
      const from = Math.max(first, frame)
      const until = Math.min(end, frame + count)
      if (until > from) {
        yield { frame: from, pages: until - from, owner, offset: from === first ? offset : 0 }
      }
    }
  }
}

const pages = (base: number, size: number): { first: PageNumber; end: PageNumber } => ({
  first: Math.floor(base / 4096),
  end: Math.ceil((base + size) / 4096),
})

/** A range of RAM: what has no other owner is the host's. */
function withHost(
  { first, end }: { first: PageNumber; end: PageNumber },
  known: readonly Segment[],
): Segment[] {
  const result: Segment[] = []
  let at = first
  for (const segment of known) {
    if (segment.first < first || segment.first >= end) continue
    if (segment.first > at) result.push({ first: at, end: segment.first, owner: HOST })
    result.push(segment)
    at = segment.end
  }
  if (at < end) result.push({ first: at, end, owner: HOST })
  return result
}
