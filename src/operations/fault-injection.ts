/** Operations that break things: at once, at a time, or after an operation; each as it would break on a machine. */
import { type Static, Type } from '@sinclair/typebox'
import { within } from '../engine/index.ts'
import {
  FAULT_KINDS,
  type FaultRecord,
  faultJsonSchema,
  faultPlanJsonSchema,
  parseFault,
  parseFaultPlan,
  planFromSeed,
  type SimulatedPlatform,
  targetsAmong,
} from '../system/index.ts'
import { inField } from './judge.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Document, Facts, Fields, inPlatform, Words } from './schemas.ts'

const FaultRecordView = Fields(
  {
    number: Count(Number.MAX_SAFE_INTEGER, 1),
    kind: Words(...FAULT_KINDS),
    state: Words('waiting', 'injected', 'impossible', 'cleared'),
    fault: Facts,
    at: Type.Optional(Type.Number({ description: 'Virtual nanoseconds at which it is due' })),
    after: Type.Optional(
      Fields({ operation: Type.String(), with: Facts, left: Count(1_000_000) }, { description: 'Waits for' }),
    ),
    time: Type.Optional(Type.Number({ description: 'When it was injected' })),
    remaining: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          'How often it will still go wrong; 9007199254740991 for a fault that nothing but a reset ends',
      }),
    ),
    text: Type.String({ description: 'What was done, or why it could not be' }),
  },
  { $id: 'FaultInjection', description: 'A fault that waits, or was injected' },
)

function view(platform: SimulatedPlatform, record: FaultRecord): Static<typeof FaultRecordView> {
  const { number, fault, state, at, after, left, time, text } = record
  const remaining =
    fault.kind === 'interruptStorm' && state === 'injected' ? left : platform.faults.remaining(record)
  return {
    number,
    kind: fault.kind,
    state,
    fault: { ...fault },
    ...(at === undefined ? {} : { at }),
    ...(after === undefined ? {} : { after: { operation: after.operation, with: { ...after.with }, left } }),
    ...(time === undefined ? {} : { time }),
    ...(remaining === undefined ? {} : { remaining }),
    text,
  }
}

const path = '/v1/platforms/{platform}/fault-injections'

const columns = ['number', 'kind', 'state', 'text']
const key = (item: Static<typeof FaultRecordView>) => item.number

export const injectFault = operation({
  summary: 'Breaks something now: a bit of a table, a completion, a link, a reset',
  rest: { method: 'POST', path },
  words: 'fault-injections inject',
  input: inPlatform({ fault: Document(faultJsonSchema(), 'InjectableFault') }),
  output: FaultRecordView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'invalidDocument', 'topologyConflict'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const fault = inField('fault', () => parseFault(input.fault))
    const record = yield* within(platform.engine, platform.inject(fault))
    return view(platform, record)
  },
  tell: ({ text }) => `${text[0]!.toUpperCase()}${text.slice(1)}.`,
})

export const faultPlan = operation({
  summary: 'Lets faults wait for their time or for operations; a plan is written out, or made from a seed',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/fault-plans' },
  words: 'fault-injections plan',
  input: inPlatform({ plan: Document(faultPlanJsonSchema(), 'FaultPlan') }),
  output: Fields({ faults: Type.Array(FaultRecordView) }),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'invalidDocument'],
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const plan = inField('plan', () => parseFaultPlan(input.plan))
      const everybody = platform.host.functions().map(({ address }) => address)
      const faults =
        'faults' in plan
          ? plan.faults
          : planFromSeed(plan, targetsAmong(platform.hardware, plan.targets ?? everybody))
      return { faults: platform.faults.plan(faults).map(record => view(platform, record)) }
    }),
  tell: ({ faults }) =>
    [
      `${faults.length} ${faults.length === 1 ? 'fault waits' : 'faults wait'}:`,
      ...faults.map(({ number, kind, at, after }) =>
        at === undefined
          ? `  ${number}. ${kind} after ${after!.left} × ${after!.operation}`
          : `  ${number}. ${kind} at ${at} ns`,
      ),
    ].join('\n'),
})

export const injectedFaults = operation({
  summary:
    'Lists the faults that wait and those that were injected, in the order in which they were asked for',
  rest: { method: 'GET', path },
  words: 'fault-injections list',
  input: inPlatform({}),
  output: Type.Array(FaultRecordView),
  errors: ['notFound', 'poweredOff'],
  list: { key, columns },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      return platform.faults.records.map(record => view(platform, record))
    }),
})

export const clearFaults = operation({
  summary: 'Forgets the faults that wait and ends those that go on; what has happened stays',
  rest: { method: 'DELETE', path },
  words: 'fault-injections clear',
  input: inPlatform({}),
  output: Fields({ cleared: Count(Number.MAX_SAFE_INTEGER) }),
  errors: ['notFound', 'poweredOff'],
  run: (context, input) => now(() => ({ cleared: poweredPlatform(context, input.platform).faults.clear() })),
  tell: ({ cleared }) => `${cleared} faults were cleared.`,
})

/** An hour. */
const LONGEST = 3_600_000_000_000

export const passTime = operation({
  summary: 'Lets virtual time pass: what is due happens, and software takes the interrupts of it',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/time' },
  words: 'platforms wait',
  input: inPlatform({ nanoseconds: Count(LONGEST) }),
  output: Fields({ timeNs: Type.Number({ description: 'Virtual time since the world began' }) }),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    yield* within(platform.engine, platform.elapse(input.nanoseconds))
    return { timeNs: platform.engine.now }
  },
  tell: ({ timeNs }) => `It is ${timeNs} ns since the world began.`,
})
