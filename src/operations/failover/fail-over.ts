/** A platform has died: its protected machines go on elsewhere. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import { type Software, within } from '../../engine/index.ts'
import { recover, type SimulatedPlatform, undoneOnFailure } from '../../system/index.ts'
import type { OperationContext, ProtectionEntry } from '../context.ts'
import { operation } from '../operation.ts'
import { Count, Fields, inPlatform, Words } from '../schemas.ts'
import { keyOf } from './forget.ts'

const MILLISECOND = 1_000_000
/** As long as cluster managers usually wait for a sign of life. */
const DETECTION_MS = 3000
const Nanoseconds = Type.Number({ minimum: 0 })

const RecoveredView = Fields({
  vm: Type.String(),
  to: Type.String(),
  outcome: Type.Unsafe<'resumed' | 'restarted' | 'lost'>({
    ...Words('resumed', 'restarted', 'lost'),
    description: 'From its checkpoint; from its definition; not at all',
  }),
  reason: Type.Optional(Type.String({ description: 'Of a loss' })),
  missing: Type.Array(Type.String(), { description: 'What it had and has no more' }),
  workLostNs: Type.Number({
    minimum: 0,
    description: 'From its checkpoint to the death of its platform, by that one’s clock',
  }),
  downtimeNs: Type.Number({ minimum: 0, description: 'From the death to its going on' }),
})

const FailoverView = Fields(
  {
    platform: Type.String(),
    fenced: Type.Boolean({ description: 'It was switched off first' }),
    detectionNs: Nanoseconds,
    machines: Type.Array(RecoveredView),
  },
  { $id: 'Failover' },
)

/** The platform of an entry, if it can take anything. */
function targetOf(context: OperationContext, { to }: ProtectionEntry): SimulatedPlatform {
  const { running } = context.platforms.get(to)
  if (running.responds) return running
  throw new NorthbridgeError('poweredOff', `platform ${to} does not respond either`)
}

function* recoverOne(
  context: OperationContext,
  entry: ProtectionEntry,
): Software<Pick<Static<typeof RecoveredView>, 'outcome' | 'reason' | 'missing'>> {
  try {
    const target = targetOf(context, entry)
    const work = within(target.engine, recover(target, entry.protection, entry.options))
    const { outcome, missing } = yield* undoneOnFailure([target], work)
    return { outcome, missing: [...missing] }
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    return { outcome: 'lost', reason: error.message, missing: [] }
  }
}

/** Where the protected machines of a platform would go on. */
const targetsOf = (
  { protections }: OperationContext,
  { platform }: { readonly platform: string },
): string[] => protections.entries().flatMap(([, entry]) => (entry.platform === platform ? [entry.to] : []))

export const failOver = operation({
  summary: 'Has the protected virtual machines of a platform that died go on elsewhere',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/failover' },
  words: 'platforms fail-over',
  // Not atomic: what is dead stays dead, and each machine is whole or not there.
  others: targetsOf,
  kept: { asState: true },
  input: inPlatform({
    fence: Type.Optional(
      Type.Boolean({
        description: 'A platform that still responds is switched off; default: that is refused',
      }),
    ),
    detectMs: Type.Optional(Count(86_400_000, 0)),
  }),
  output: FailoverView,
  errors: ['notFound', 'platformAlive'],
  *run(context, { platform: id, fence = false, detectMs = DETECTION_MS }) {
    const { running } = context.platforms.get(id)
    if (running.responds && !fence) {
      throw new NorthbridgeError(
        'platformAlive',
        `platform ${id} still responds: its machines would run twice (fence switches it off)`,
      )
    }
    const entries = context.protections
      .entries()
      .map(([, entry]) => entry)
      .filter(({ platform }) => platform === id)
    // A kernel that has stopped does nothing, but its devices may: nothing of it may write any more.
    const fenced = running.powered
    if (fenced) yield* within(running.engine, running.power('off'))
    const detectionNs = detectMs * MILLISECOND
    const began = new Map<SimulatedPlatform, number>()
    const machines: Static<typeof RecoveredView>[] = []
    for (const entry of entries) {
      const target = context.platforms.has(entry.to) ? context.platforms.get(entry.to).running : undefined
      if (target !== undefined && !began.has(target)) {
        began.set(target, target.engine.now)
        yield* within(target.engine, target.elapse(detectionNs))
      }
      const result = yield* recoverOne(context, entry)
      if (result.outcome !== 'lost') context.protections.delete(keyOf(id, entry.protection.vm))
      machines.push({
        vm: entry.protection.vm,
        to: entry.to,
        ...result,
        workLostNs: result.outcome === 'resumed' ? running.engine.now - entry.protection.takenNs : 0,
        downtimeNs: target === undefined ? detectionNs : target.engine.now - began.get(target)!,
      })
    }
    return { platform: id, fenced, detectionNs, machines }
  },
  tell: ({ platform, fenced, machines }) =>
    [
      `"${platform}" is dead${fenced ? ' (it was switched off)' : ''}; ${machines.length} protected machines.`,
      ...machines.map(tellMachine),
    ].join('\n'),
})

function tellMachine({
  vm,
  to,
  outcome,
  reason,
  missing,
  workLostNs,
  downtimeNs,
}: Static<typeof RecoveredView>): string {
  const without = missing.length === 0 ? '' : `, without ${missing.join('; ')}`
  switch (outcome) {
    case 'resumed':
      return `"${vm}" goes on, on "${to}", after ${downtimeNs} ns; the last ${workLostNs} ns of its work are lost${without}.`
    case 'restarted':
      return `"${vm}" is started again on "${to}" after ${downtimeNs} ns${without}.`
    case 'lost':
      return `"${vm}" is lost: ${reason}.`
  }
}
