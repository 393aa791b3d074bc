/** The operation that shows what happened. */
import { type Static, Type } from '@sinclair/typebox'
import type { TraceEvent } from '../engine/index.ts'
import { now, operation } from './operation.ts'
import { Count, Facts, Fields, inPlatform } from './schemas.ts'

export const EventView = Fields(
  {
    sequence: Count(Number.MAX_SAFE_INTEGER, 1),
    timeNs: Type.Number({ description: 'Virtual time, nanoseconds' }),
    kind: Type.String(),
    message: Type.String({ description: 'One sentence for people' }),
    detail: Facts,
  },
  { $id: 'Event' },
)

export const eventView = ({
  sequence,
  time,
  kind,
  message,
  detail,
}: TraceEvent): Static<typeof EventView> => ({
  sequence,
  timeNs: time,
  kind,
  message,
  detail: { ...detail },
})

export const events = operation({
  summary:
    'Shows the events that are still kept, newer than `after`; over HTTP as server-sent events unless JSON is asked for',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/events' },
  words: 'events list',
  input: inPlatform({ after: Type.Optional(Count(Number.MAX_SAFE_INTEGER)) }),
  output: Type.Array(EventView),
  errors: ['notFound'],
  list: {
    key: (item: Static<typeof EventView>) => item.sequence,
    columns: ['sequence', 'timeNs', 'kind', 'message'],
  },
  follow: (context, { platform }) => ({ trace: context.platforms.get(platform).running.engine.trace }),
  run: (context, { platform, after = 0 }) =>
    now(() => context.platforms.get(platform).running.engine.trace.since(after).map(eventView)),
})
