/** Sequences of random commands on random machines, for tests and for campaigns. */
import fc from 'fast-check'
import { AssignmentWorld, type Tally } from './assignment-world.ts'
import { type Step, takeStep } from './random-commands.ts'
import { topology } from './random-topology.ts'

const KINDS = [
  ...Array<string>(5).fill('createVm'),
  ...Array<string>(8).fill('attach'),
  ...Array<string>(4).fill('detach'),
  ...Array<string>(5).fill('setNumVfs'),
  ...Array<string>(6).fill('fault'),
  ...Array<string>(3).fill('policy'),
  ...Array<string>(3).fill('buffer'),
  ...Array<string>(3).fill('card'),
  ...Array<string>(2).fill('reset'),
  'link',
  'deleteVm',
  'time',
  'power',
]

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  a: fc.nat(0xffff),
  b: fc.nat(0xffff),
  c: fc.nat(0xffff),
})

export const sequence = fc.record({
  topology,
  steps: fc.array(step, { minLength: 6, maxLength: 14 }),
})

/** Runs a sequence; what went before a failure is added to it. */
export function run(
  { topology: document, steps }: { topology: unknown; steps: readonly Step[] },
  tally: Tally,
): void {
  const world = new AssignmentWorld(document, tally)
  try {
    world.populate()
    for (const [at, one] of steps.entries()) {
      takeStep(world, one)
      world.check(one.a + at)
    }
  } catch (error) {
    if (error instanceof Error) error.message = `${error.message}\n  ${world.history.join('\n  ')}`
    throw error
  }
}
