/** The interrupts that the host kernel took, as Linux lists them in `/proc/interrupts`. */
import { type Static, Type } from '@sinclair/typebox'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, inPlatform } from './schemas.ts'

const LineView = Fields(
  {
    processor: Count(65_535),
    vector: Count(255),
    name: Type.String({ description: 'Function and message, or unit and event' }),
    count: Count(Number.MAX_SAFE_INTEGER),
    disabled: Type.Boolean({ description: 'Nobody cared for too many of them: the handler does not run' }),
  },
  { $id: 'InterruptLine' },
)

/** A vector belongs to one processor. */
const keyOf = ({ processor, vector }: Static<typeof LineView>): number => processor * 256 + vector

export const interruptCounts = operation({
  summary: 'Counts the interrupts that the host kernel took, by processor and vector',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/interrupts' },
  words: 'interrupts list',
  input: inPlatform({}),
  output: Type.Array(LineView),
  errors: ['notFound', 'poweredOff'],
  list: { key: keyOf, columns: ['processor', 'vector', 'name', 'count', 'disabled'] },
  run: (context, { platform }) =>
    now(() =>
      poweredPlatform(context, platform)
        .host.interruptLines()
        .map(line => ({ ...line })),
    ),
})
