/** One transfer of blocks followed on its whole journey. */
import { Type } from '@sinclair/typebox'
import { bytesToHex, hexToBytes } from '../core/index.ts'
import { within } from '../engine/index.ts'
import { followJourney, type Transfer } from '../system/index.ts'
import { JourneyView, journeyFields, tellJourney } from './journeys.ts'
import { invalid } from './judge.ts'
import { operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, HexBytes, Identifier, inPlatform, Words } from './schemas.ts'
import { LAST_SECTOR, MOST_SECTORS } from './storage.ts'

const BlockTraceView = JourneyView(
  {
    outcome: Words('completed', 'failed'),
    data: Type.Optional(HexBytes),
  },
  { $id: 'BlockTrace', description: 'The journey of a transfer of blocks, step by step, and what it cost' },
)

export const traceBlock = operation({
  summary:
    'Has a guest read or write blocks of its disk, and shows their whole journey with all that it cost',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk/traces' },
  words: 'trace block',
  input: inPlatform({
    vm: Identifier,
    sector: Count(LAST_SECTOR),
    count: Type.Optional(Count(MOST_SECTORS, 1)),
    data: Type.Optional(HexBytes),
  }),
  output: BlockTraceView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, { platform, vm, sector, count = 1, data }) {
    const running = poweredPlatform(context, platform)
    const { disks, engine } = running
    if (data !== undefined && count !== 1) {
      throw invalid([{ path: '/count', message: 'does not belong beside data' }])
    }
    disks.view(vm)
    let transfer: Transfer | undefined
    const journey = yield* within(
      engine,
      followJourney(running, function* () {
        transfer =
          data === undefined
            ? yield* disks.read(vm, sector, count)
            : yield* disks.write(vm, sector, hexToBytes(data))
      }),
    )
    const { ok, data: read } = transfer!
    const outcome: 'completed' | 'failed' = ok ? 'completed' : 'failed'
    return {
      outcome,
      ...(ok && data === undefined && { data: bytesToHex(read) }),
      ...journeyFields(journey),
    }
  },
  tell: ({ outcome, data: _data, ...journey }, { vm, sector, count = 1, data }) => {
    const what = data === undefined ? `Read of ${count}` : `Write of ${data.length / 1024}`
    return `${what} sectors from ${sector} by "${vm}": ${outcome}.\n${tellJourney(journey)}`
  },
})
