/** What is said and shown of a virtual machine's part of the processors. */
import { Type } from '@sinclair/typebox'
import { Count, Fields } from '../schemas.ts'

const Nanoseconds = Type.Number({ minimum: 0 })
export const MOST_SHARES_OF_CPU = 1_000_000

export const CpuSettings = {
  shares: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MOST_SHARES_OF_CPU,
      description: 'Weight when processors are short; default 1000 for each virtual processor',
    }),
  ),
  reservationPercent: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 6400,
      description: 'Percent of one processor that it gets whatever happens: 150 are one and a half',
    }),
  ),
  limitPercent: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 6400, description: 'Percent of one processor that it gets at most' }),
  ),
  loadPercent: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 100,
      description: 'How much of the time each virtual processor has something to compute',
    }),
  ),
}

export const CpuView = Fields(
  {
    vm: Type.String(),
    vcpus: Count(64),
    shares: Count(MOST_SHARES_OF_CPU),
    reservationPercent: Count(6400),
    limitPercent: Count(6400),
    loadPercent: Count(100),
    usedNs: Nanoseconds,
    entitledNs: Type.Number({ description: 'What it was entitled to while it had something to compute' }),
    readyNs: Type.Number({ description: 'How long virtual processors waited for a processor' }),
    turns: Count(2 ** 40),
    moves: Type.Integer({ description: 'Turns on another processor than the one before' }),
  },
  { $id: 'VmCpu' },
)
