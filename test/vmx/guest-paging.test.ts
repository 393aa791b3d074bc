import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exitOf, guestRig, PRIMARY } from './rig.ts'

/** 4-level tables of the program in physical memory, no EPT: PML4, PDPT, PD, PT, and the page. */
const TABLES = [0x20_0000, 0x20_1000, 0x20_2000, 0x20_3000] as const
const TARGETS = [0x20_1000, 0x20_2000, 0x20_3000, 0x20_4000] as const
const [P, W, U, A, D, PS] = [1n, 2n, 4n, 0x20n, 0x40n, 0x80n]
const NX = 1n << 63n

interface Expected {
  /** Page-fault error code, or undefined for success. */
  readonly fault?: bigint
}

/** The walk of the specification's text, in bigints. */
function walk(
  entries: readonly bigint[],
  write: boolean,
  user: boolean,
  fetch: boolean,
  wp: boolean,
): Expected {
  const access = (write ? 2n : 0n) | (user ? 4n : 0n) | (fetch ? 16n : 0n)
  let rights = W | U
  let executable = true
  for (const [depth, entry] of entries.entries()) {
    if ((entry & P) === 0n) return { fault: access }
    const large = depth > 0 && depth < 3 && (entry & PS) !== 0n
    const reserved =
      ((entry >> 46n) & 0x3fn) !== 0n ||
      (depth === 0 && (entry & PS) !== 0n) ||
      (large && (entry & (depth === 1 ? 0x3fff_e000n : 0x1f_e000n)) !== 0n)
    if (reserved) return { fault: access | 9n }
    rights &= entry
    if ((entry & NX) !== 0n) executable = false
    if (depth < 3 && !large) continue
    const writable = (rights & W) !== 0n || (!user && !wp)
    const denied = (user && (rights & U) === 0n) || (write && !writable) || (fetch && !executable)
    return denied ? { fault: access | 1n } : {}
  }
  return {}
}

const flags = fc.record({
  p: fc.boolean(),
  w: fc.boolean(),
  u: fc.boolean(),
  a: fc.boolean(),
  nx: fc.boolean(),
  ps: fc.boolean(),
  reserved: fc.integer({ min: 0, max: 12 }),
})

describe('the paging of a program', () => {
  it('faults, or not, as a bigint walk of the same tables does, for every access', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(
        fc.tuple(flags, flags, flags, flags),
        fc.constantFrom('readLinear', 'writeLinear', 'fetchLinear'),
        fc.boolean(),
        fc.boolean(),
        (levels, op, user, wp) => {
          const entries = levels.map(({ p, w, u, a, nx, ps, reserved }, i) => {
            const bits =
              (p || reserved % 3 !== 0 ? P : 0n) | (w ? W : 0n) | (u ? U : 0n) | (a ? A : 0n) | (nx ? NX : 0n)
            const large = ps && reserved === 5 ? PS : 0n
            return BigInt(TARGETS[i]!) | bits | large | (reserved === 7 ? 1n << 47n : 0n)
          })
          const rig = guestRig(prepared => {
            prepared.vmwrite(0x401e, 0)
            prepared.vmwrite(0x4004, 1 << 14)
            prepared.vmwrite(0x4002, PRIMARY)
            prepared.vmwrite(0x6802, TABLES[0])
            prepared.vmwrite(0x6800, wp ? 0x8001_0031 : 0x8000_0031)
            for (const [i, entry] of entries.entries()) {
              prepared.map.writeDword(TABLES[i]!, Number(entry & 0xffff_ffffn))
              prepared.map.writeDword(TABLES[i]! + 4, Number(entry >> 32n))
            }
            if (!user) return
            prepared.vmwrite(0x0802, 0xb)
            prepared.vmwrite(0x0804, 0x13)
            prepared.vmwrite(0x4816, 0xa0fb)
            for (const n of [4, 6, 0, 8, 10]) prepared.vmwrite(0x4814 + n, 0xc0f3)
          })
          const write = op === 'writeLinear'
          const expected = walk(entries, write, user, op === 'fetchLinear', wp)
          const address = [0x10, 0] as const
          const { outcome } = rig.run(
            op === 'writeLinear'
              ? { op, address, width: 4, value: [1, 0] }
              : op === 'readLinear'
                ? { op, address, width: 4 }
                : { op, address },
          )
          if (expected.fault === undefined) {
            expect(outcome).toBe('done')
            const large = entries.findIndex((entry, i) => i > 0 && i < 3 && (entry & PS) !== 0n)
            const leaf = large < 0 ? 3 : large
            for (let i = 0; i <= leaf; i++) expect(rig.dword(TABLES[i]!) & Number(A)).toBe(Number(A))
            expect((rig.dword(TABLES[leaf]!) & Number(D)) !== 0).toBe(write)
          } else {
            expect(outcome).toBe('vmExit')
            expect(exitOf(rig)).toMatchObject({ reason: 0, interruption: 0x8000_0b0e, qualification: 0x10 })
            expect(rig.vmread(0x4406)).toBe(Number(expected.fault))
          }
          seen.add(`${outcome} ${expected.fault ?? ''}`)
        },
      ),
      { numRuns: 600 },
    )
    expect(seen.size).toBeGreaterThan(8)
  })
})
