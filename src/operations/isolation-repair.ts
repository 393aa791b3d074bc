/** The operation that puts right what an isolation report found. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { type Software, within } from '../engine/index.ts'
import type { IsolationDefect } from '../host/index.ts'
import type { BreachDefect, IsolationReport } from '../policy/isolation/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { DefectView, isolationOf, PairView, path, reportView } from './isolation.ts'
import { operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Fields, inPlatform } from './schemas.ts'

export const repairIsolation = operation({
  summary: 'Lets the host put right what an isolation report names as the defect behind a breach',
  rest: { method: 'POST', path: `${path}/repairs` },
  words: 'isolation repair',
  atomic: true,
  input: inPlatform({ defect: DefectView }),
  output: Fields({
    repaired: Type.Array(Type.String(), { description: 'Breaches that are no more' }),
    pairs: Type.Array(PairView, { description: 'The verdicts now' }),
  }),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    return yield* within(platform.engine, repair(platform, input.defect))
  },
  tell: ({ repaired, pairs }) =>
    [
      ...repaired.map(text => `No more: ${text}`),
      ...pairs.map(({ vms, isolated }) => `${vms.join(' and ')}: ${isolated ? 'isolated' : 'not isolated'}`),
    ].join('\n'),
})

function* repair(
  platform: SimulatedPlatform,
  defect: Static<typeof DefectView>,
): Software<{ repaired: string[]; pairs: Static<typeof PairView>[] }> {
  const before = breachesOf(yield* isolationOf(platform))
  const wanted = keyOf(defect)
  const found = before.find(breach => breach.repair.defect && keyOf(breach.repair.defect) === wanted)
  if (found === undefined) {
    const message = `no breach of isolation comes from ${defect.kind} of ${defect.function}`
    throw new NorthbridgeError('notFound', message, { issues: [{ path: '/defect', message }] })
  }
  yield* platform.host.mend(hostDefect(found.repair.defect!))
  platform.engine.trace.emit('host', `put right: ${found.text}`, { function: defect.function })
  const report = yield* isolationOf(platform)
  const left = new Set(breachesOf(report).map(({ text }) => text))
  return {
    repaired: before.map(({ text }) => text).filter(text => !left.has(text)),
    pairs: reportView(report).pairs,
  }
}

const breachesOf = ({ pairs }: IsolationReport) => pairs.flatMap(({ breaches }) => breaches)

const keyOf = ({ kind, function: address, entry = '' }: BreachDefect): string => `${kind} ${address} ${entry}`

const hostDefect = ({ kind, function: address, entry }: BreachDefect): IsolationDefect =>
  kind === 'translation' || kind === 'interrupt'
    ? { kind, function: address, entry: Number(entry) }
    : { kind, function: address }
