/** Operations that compare ways to virtualize a processor. They need no platform: each run has a machine of its own. */
import { type Static, Type } from '@sinclair/typebox'
import { compareTechniques as compare, tellComparison } from '../system/index.ts'
import { now, operation } from './operation.ts'
import { Count, Fields, Identifier } from './schemas.ts'
import { shippedCosts, shippedWorkload, shippedWorkloads } from './technique-catalogue.ts'

export const DEFAULT_GENERATION = 'nehalem'

const Counts = Type.Record(Type.String(), Count(2 ** 53))

const WorkloadSummary = Fields(
  {
    name: Type.String(),
    description: Type.String(),
    bits: Type.Integer({ description: 'Word size of the guest: 32 or 64' }),
    rounds: Count(10_000),
    seed: Count(0xffff_ffff),
  },
  { $id: 'WorkloadSummary' },
)

const Estimate = Fields({ cycles: Count(2 ** 53), low: Count(2 ** 53), high: Count(2 ** 53) })

const TechniqueReport = Fields(
  {
    technique: Type.String(),
    unavailable: Type.Optional(
      Type.String({ description: 'Why it cannot be used; the rest is missing then' }),
    ),
    exits: Type.Optional(Counts),
    traps: Type.Optional(Counts),
    hypercalls: Type.Optional(Counts),
    callouts: Type.Optional(Counts),
    counts: Type.Optional(Counts),
    translatedBlocks: Type.Optional(Count(2 ** 53)),
    walks: Type.Optional(Fields({ misses: Count(2 ** 53), paging: Count(2 ** 53), nested: Count(2 ** 53) })),
    estimate: Type.Optional(Estimate),
    equalsBareMetal: Type.Optional(
      Type.Boolean({ description: 'Whether everything the guest could see equals bare metal' }),
    ),
    selfChecks: Type.Optional(
      Type.Array(Fields({ name: Type.String(), about: Type.String(), passed: Type.Boolean() })),
    ),
  },
  { $id: 'TechniqueReport' },
)

const Comparison = Fields(
  {
    workload: Type.String(),
    bits: Type.Integer(),
    seed: Count(0xffff_ffff),
    rounds: Count(10_000),
    costs: Type.String({ description: 'Name of the cost table' }),
    techniques: Type.Array(TechniqueReport),
    multiMode: Fields({
      chosen: Type.Optional(Type.String()),
      allowed: Type.Array(Fields({ name: Type.String(), cycles: Count(2 ** 53) })),
      filtered: Type.Array(Fields({ name: Type.String(), reason: Type.String() })),
      why: Type.String(),
    }),
    vtI: Fields(
      { faults: Count(2 ** 53), accelerated: Count(2 ** 53), native: Count(2 ** 53) },
      { description: 'A profile of VT-i: looked up, not executed' },
    ),
  },
  { $id: 'TechniqueComparison' },
)

export const workloads = operation({
  summary: 'Lists the operation streams that techniques can be compared on',
  rest: { method: 'GET', path: '/v1/workloads' },
  words: 'workloads list',
  input: Fields({}),
  output: Type.Array(WorkloadSummary),
  errors: [],
  list: {
    key: (item: Static<typeof WorkloadSummary>) => item.name,
    columns: ['name', 'bits', 'rounds', 'seed', 'description'],
  },
  run: () =>
    now(() =>
      shippedWorkloads().map(({ name, description, bits, rounds, seed }) => ({
        name,
        description,
        bits,
        rounds,
        seed,
      })),
    ),
})

export const compareTechniques = operation({
  summary: 'Runs a workload under every virtualization technique and compares what it took',
  rest: { method: 'GET', path: '/v1/workloads/{workload}/techniques' },
  words: 'workloads compare',
  input: Fields({
    workload: Identifier,
    costs: Type.Optional(Type.String({ description: 'A processor generation: name of a cost table' })),
  }),
  output: Comparison,
  errors: ['notFound'],
  run: (_context, { workload, costs = DEFAULT_GENERATION }) =>
    now(() => {
      const comparison = compare(shippedWorkload(workload), shippedCosts(costs))
      return comparison as Static<typeof Comparison>
    }),
  tell: output => tellComparison(output as Parameters<typeof tellComparison>[0]),
})
