/** "Equivalence": what a guest can see of itself is the same under every faithful technique as on the bare processor. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseWorkload, type Step, streamOf } from '../../../src/guest/index.ts'
import type { TechniqueName } from '../../../src/hypervisor/index.ts'
import { runStream, visibleState } from '../../../src/system/technique-laboratory.ts'
import type { Operation, Word64 } from '../../../src/vmx/formats/operations.ts'

const FAITHFUL: Readonly<Record<32 | 64, readonly TechniqueName[]>> = {
  32: ['binaryTranslation', 'paravirtual', 'vmi', 'vmxShadow', 'vmxEpt', 'svmShadow', 'svmNested'],
  64: ['vmxShadow', 'vmxEpt', 'svmShadow', 'svmNested'],
}

const word = (low: number): Word64 => [low >>> 0, 0]
const bits = fc.constantFrom(32 as const, 64 as const)
const few = fc.integer({ min: 0, max: 3 })

const workload = fc
  .record({
    bits,
    seed: fc.integer({ min: 0, max: 0xffff_ffff }),
    rounds: fc.integer({ min: 1, max: 3 }),
    round: fc.record({
      compute: few,
      userAccesses: few,
      systemCalls: few,
      fastSystemCalls: few,
      pageFaults: few,
      unmaps: few,
      contextSwitches: few,
      interruptToggles: few,
      taskPriorityWrites: few,
      portAccesses: few,
      interrupts: few,
      cpuids: few,
      codeWrites: few,
    }),
  })
  .map(fields => parseWorkload({ name: 'random', description: 'random', ...fields }))

/** Kernel data, user data, pages that are mapped on demand. */
const page = fc.constantFrom(0x3_0000, 0x4_0000, 0x10_0000, 0x10_3000, 0x11_0000)
const address = fc.tuple(page, fc.integer({ min: 0, max: 511 })).map(([base, at]) => word(base + at * 8))
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.constantFrom<Operation>(
    { op: 'cli' },
    { op: 'sti' },
    { op: 'nop' },
    { op: 'pushf' },
    { op: 'popf', flags: 0x202 },
    { op: 'popf', flags: 0x2 },
    { op: 'popf', flags: 0xad7 },
    { op: 'int', vector: 0x80 },
    { op: 'sgdt' },
    { op: 'sidt' },
    { op: 'str' },
    { op: 'smsw' },
    { op: 'clts' },
    { op: 'lmsw', source: 9 },
    { op: 'cpuid', leaf: 0 },
    { op: 'wbinvd' },
    { op: 'movFromCr', cr: 0 },
    { op: 'movFromCr', cr: 2 },
    { op: 'movFromCr', cr: 3 },
    { op: 'lidt', base: word(0x2000), limit: 0x7ff },
    { op: 'rdmsr', msr: 0x175 },
    { op: 'ud2' },
    { op: 'in', port: 0x301, width: 1 },
    { op: 'out', port: 0x301, width: 1, value: 7 },
  ),
  address.map((at): Operation => ({ op: 'readLinear', address: at, width: 4 })),
  fc
    .tuple(address, fc.nat())
    .map(([at, value]): Operation => ({ op: 'writeLinear', address: at, width: 4, value: word(value) })),
  address.map((at): Operation => ({ op: 'invlpg', address: at })),
  fc
    .integer({ min: 0, max: 3 })
    .map((process): Operation => ({ op: 'movToCr', cr: 3, value: word(0x8_0000 + process * 0x4000) })),
)
/**
 * The kernel maps and unmaps pages of its first process, entries of its lowest page table, and invalidates them: without
 * that either translation may be used ("Details of TLB Use").
 */
const tableWrite = (width: 32 | 64): fc.Arbitrary<Step[]> =>
  fc
    .tuple(fc.constantFrom(0x10_0000, 0x10_3000, 0x11_0000), fc.constantFrom(0, 3, 7))
    .map(([linear, rights]): Step[] => {
      const size = width / 8
      const table = width === 64 ? 0x8_3000 : 0x8_1000
      const value = word(rights === 0 ? 0 : linear | rights)
      const at = word(table + (linear / 4096) * size)
      return [
        {
          kind: 'operation',
          at: 0,
          operation: { op: 'writeLinear', address: at, width: size as 4 | 8, value },
        },
        { kind: 'operation', at: 0, operation: { op: 'invlpg', address: word(linear) } },
      ]
    })
const steps = (width: 32 | 64): fc.Arbitrary<Step[]> =>
  fc.oneof(
    { weight: 2, arbitrary: tableWrite(width) },
    { weight: 8, arbitrary: operation.map((one): Step[] => [{ kind: 'operation', operation: one, at: 0 }]) },
    {
      weight: 1,
      arbitrary: fc
        .integer({ min: 0x50, max: 0x6f })
        .map((vector): Step[] => [{ kind: 'interrupt', vector }]),
    },
  )
const CODE = 0x1_2000
/**
 * Of interrupts that wait at the same time the processor takes the highest first, and makes one of two alike; a hypervisor may
 * have taken one of them before the other came. Which of it happens is a matter of timing everywhere: so one is held back for as
 * long as it likes, or many come, each to a processor that takes it.
 */
function oneWaiting(steps: readonly Step[], many: boolean): Step[] {
  const taken = (['sti', 'nop', 'nop'] as const).map(
    (op): Step => ({ kind: 'operation', operation: { op }, at: CODE }),
  )
  const first = steps.findIndex(({ kind }) => kind === 'interrupt')
  return steps.flatMap((step, i) => {
    if (step.kind !== 'interrupt') return [step]
    if (many) return [step, ...taken]
    return i === first ? [step] : []
  })
}

/** Code addresses from a small range, so that the same places are reached again. */
const placed = (width: 32 | 64) =>
  fc
    .tuple(fc.array(fc.tuple(steps(width), fc.integer({ min: 0, max: 30 })), { maxLength: 60 }), fc.boolean())
    .map(([list, many]) =>
      oneWaiting(
        list.flatMap(([few, at]) =>
          few.map((one): Step => (one.kind === 'operation' ? { ...one, at: CODE + at * 4 } : one)),
        ),
        many,
      ),
    )

function expectEquivalence(width: 32 | 64, steps: readonly Step[], taggedTlb: boolean): void {
  const features = { taggedTlb, umip: false }
  const bare = runStream('bareMetal', width, steps, features)
  for (const technique of FAITHFUL[width]) {
    const run = runStream(technique, width, steps, features)
    expect([run.failed, run.delivered, run.observations], technique).toEqual([
      bare.failed,
      bare.delivered,
      bare.observations,
    ])
    expect(visibleState(run), technique).toBe(visibleState(bare))
  }
}

describe('what a guest can see', () => {
  it('of RF, after a handler returned to an operation that translated code stands for, is 0 again', () => {
    const empty = parseWorkload({ name: 'start', description: 'start', bits: 32, rounds: 1, round: {} })
    const at = CODE
    const steps: Step[] = [
      { kind: 'operation', operation: { op: 'ud2' }, at },
      { kind: 'operation', operation: { op: 'movFromCr', cr: 0 }, at },
      { kind: 'interrupt', vector: 0x50 },
      { kind: 'operation', operation: { op: 'readLinear', address: word(0x3_0000), width: 4 }, at },
    ]
    expectEquivalence(32, [...streamOf(empty).slice(0, 5), ...steps], false)
  })

  it('of random workloads is what it sees on the bare processor', () => {
    fc.assert(
      fc.property(workload, fc.boolean(), (document, tagged) =>
        expectEquivalence(document.bits, streamOf(document), tagged),
      ),
      { numRuns: 15 },
    )
  })

  it('of random kernel code is what it sees on the bare processor', () => {
    const empty = parseWorkload({ name: 'start', description: 'start', bits: 32, rounds: 1, round: {} })
    const start = streamOf(empty).slice(0, 5)
    fc.assert(
      fc.property(
        bits.chain(width => fc.tuple(fc.constant(width), placed(width))),
        fc.boolean(),
        ([width, steps], tagged) => expectEquivalence(width, [...start, ...steps], tagged),
      ),
      { numRuns: 40 },
    )
  })
})
