import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VMCS, VMCS_FIELDS } from '../../src/vmx/formats/vmcs.ts'
import { judge, type Verdict } from './entry-model.ts'
import { exitOf, FIELDS, OTHER_VMCS, type Rig, readyRig, VMCS_REGION } from './rig.ts'

/** Values on which rules turn: small ones, single bits, addresses, access rights, events, anything. */
const dword = fc.oneof(
  fc.integer({ min: 0, max: 0x20 }),
  fc.integer({ min: 0, max: 31 }).map(bit => 2 ** bit),
  fc.constantFrom(
    0xffff_ffff,
    0x1000,
    0x3000,
    0x8000_0041,
    0x8000_0b0d,
    0x8000_0202,
    0xc093,
    0xa09b,
    0xc0f3,
    0x93,
    0x83,
  ),
  fc.integer({ min: 0, max: 0xffff_ffff }),
)
const high = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: dword })
const anyField = fc.constantFrom(
  ...VMCS_FIELDS.filter(({ type }) => type !== 'exitInformation').map(({ name }) => name),
)

/** Control words: the setting of the rig with some bits that exist flipped. */
const CONTROLS = [
  ['pinBasedControls', 0x4000, [0, 3, 5, 6, 7]],
  [
    'primaryProcessorBasedControls',
    0x4002,
    [2, 3, 7, 12, 15, 16, 17, 19, 20, 21, 22, 24, 25, 27, 28, 30, 31],
  ],
  ['secondaryProcessorBasedControls', 0x401e, [0, 1, 3, 4, 5, 7, 8, 9, 13, 14, 17, 18, 22, 25]],
  ['exitControls', 0x400c, [2, 9, 12, 15, 18, 19, 20, 21, 22]],
  ['entryControls', 0x4012, [2, 9, 10, 13, 14, 15]],
] as const
/** A region with the shadow-VMCS indicator. */
const SHADOW_VMCS = 0xb000
type Write = readonly [name: keyof typeof VMCS, low: number, high: number]
const flipped: fc.Arbitrary<Write> = fc.constantFrom(...CONTROLS).chain(([name, encoding, existing]) => {
  const base = FIELDS.find(([field]) => field === encoding)![1]
  return fc
    .subarray([...existing], { maxLength: 4 })
    .map(bits => [name, bits.reduce((value, bit) => (value ^ (1 << bit)) >>> 0, base), 0] as const)
})
/** A field that the controls bring into play, with a value that is legal for it. */
const helpful: fc.Arbitrary<Write> = fc.constantFrom<Write>(
  ['ioBitmapA', 0x4000, 0],
  ['ioBitmapB', 0x5000, 0],
  ['msrBitmaps', 0x6000, 0],
  ['virtualApicAddress', 0x8000, 0],
  ['apicAccessAddress', 0x9000, 0],
  ['virtualProcessorIdentifier', 1, 0],
  ['tscMultiplier', 0, 0x1_0000],
  ['hostPat', 0x0007_0406, 0x0007_0406],
  ['vmcsLinkPointer', OTHER_VMCS, 0],
  ['vmcsLinkPointer', SHADOW_VMCS, 0],
  ['secondaryProcessorBasedControls', 0x4002, 0],
  ['guestPat', 0x0007_0406, 0x0007_0406],
  ['hostEfer', 0x500, 0],
  ['guestEfer', 0x500, 0],
  ['guestCsAccessRights', 0xc09b, 0],
  ['guestRflags', 0x202, 0],
  ['guestRflags', 0x2_0202, 0],
  ['guestActivityState', 1, 0],
  ['guestInterruptibilityState', 1, 0],
  ['guestCr0', 0x31, 0],
  ['guestCr0', 0x30, 0],
)
const write: fc.Arbitrary<Write> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(anyField, dword, high) },
  { weight: 3, arbitrary: flipped },
  { weight: 2, arbitrary: helpful },
)

const verdictOf = (rig: Rig): Verdict | { kind: string } => {
  const { outcome, error } = rig.run({ op: 'vmlaunch' })
  switch (outcome) {
    case 'done':
      return { kind: 'entered' }
    case 'vmFailValid':
      return { kind: 'fails', error: error as 7 | 8 }
    case 'vmExit': {
      const { reason, qualification } = exitOf(rig)
      if (reason === 0x8000_0021) return { kind: 'guestState', qualification }
      return { kind: reason === 0x8000_0022 && qualification > 0 ? 'msrLoading' : `exit ${reason}` }
    }
    default:
      return { kind: outcome }
  }
}

const widthOf = new Map<number, bigint>(
  VMCS_FIELDS.map(({ encoding, width }) => [encoding, width === 16 ? 16n : width === 32 ? 32n : 64n]),
)

describe('the outcome of a VM entry', () => {
  it('is what an independent model of the checks says, for random fields and controls', () => {
    const seen = new Map<string, number>()
    fc.assert(
      fc.property(fc.array(write, { minLength: 1, maxLength: 7 }), writes => {
        const rig = readyRig()
        rig.map.writeDword(SHADOW_VMCS, 0x8000_4e42)
        const fields = new Map(
          FIELDS.map(([field, low, top = 0]) => [field, (BigInt(top) << 32n) | BigInt(low)]),
        )
        for (const [name, low, top] of writes) {
          const field = VMCS[name]
          // An exit list whose MSRs cannot be loaded is a VMX abort, which is told elsewhere.
          if (name === 'exitMsrLoadCount') continue
          if (rig.run({ op: 'vmwrite', field, value: [low, top] }).outcome !== 'done') continue
          fields.set(field, ((BigInt(top) << 32n) | BigInt(low)) & ((1n << widthOf.get(field)!) - 1n))
        }
        const expected = judge({
          fields,
          dword: address => BigInt(rig.dword(Number(address))),
          currentVmcs: BigInt(VMCS_REGION),
        })
        expect(verdictOf(rig)).toEqual(expected)
        const key = Object.values(expected).join(' ')
        seen.set(key, (seen.get(key) ?? 0) + 1)
      }),
      // Rare outcomes must be among them: the seed is fixed unless another is asked for.
      { numRuns: Number(process.env['RUNS'] ?? 2000), seed: Number(process.env['SEED'] ?? 1) },
    )
    for (const outcome of ['entered', 'fails 7', 'fails 8', 'guestState 0', 'guestState 4', 'msrLoading']) {
      expect(seen.get(outcome), outcome).toBeGreaterThan(0)
    }
  })
})
