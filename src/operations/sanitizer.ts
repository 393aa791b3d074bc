/** Operations on the watch over the software that manages DMA. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { DEFECTS, type DefectKind, type Finding } from '../system/index.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Hex, inPlatform, Words } from './schemas.ts'

const HistoryView = Fields({
  time: Type.Number({ description: 'Virtual nanoseconds' }),
  event: Words('mapped', 'unmapped', 'invalidated'),
  unit: Type.String(),
  domain: Type.Integer({ minimum: -1, description: '-1: every domain' }),
  address: Type.Optional(Hex),
  physicalAddress: Type.Optional(Hex),
  size: Type.Optional(Type.Integer({ minimum: 0 })),
})

const FindingView = Fields(
  {
    number: Count(Number.MAX_SAFE_INTEGER, 1),
    time: Type.Number(),
    kind: Words(...(Object.keys(DEFECTS) as DefectKind[])),
    requester: Type.Optional(Type.String()),
    address: Hex,
    text: Type.String(),
    missing: Type.String({ description: 'What software should have done' }),
    history: Type.Array(HistoryView, { description: 'What happened to the page before, oldest first' }),
  },
  { $id: 'SanitizerFinding', description: 'A defect of the software that manages DMA' },
)

const view = ({ history, ...finding }: Finding): Static<typeof FindingView> => ({
  ...finding,
  history: history.map(entry => ({ ...entry })),
})

const path = '/v1/platforms/{platform}/sanitizer'

export const sanitizer = operation({
  summary: 'Starts to watch the software that manages DMA for defects, or ends the watch',
  rest: { method: 'PUT', path },
  words: 'sanitizer set',
  input: inPlatform({ state: Words('on', 'off') }),
  output: Fields({ state: Words('on', 'off') }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, state }) =>
    now(() => {
      poweredPlatform(context, platform).sanitize(state === 'on')
      return { state }
    }),
  tell: ({ state }) => `The DMA sanitizer is ${state}.`,
})

export const findings = operation({
  summary: 'Lists what the DMA sanitizer has found since it was switched on',
  rest: { method: 'GET', path: `${path}/findings` },
  words: 'sanitizer findings',
  input: inPlatform({}),
  output: Type.Array(FindingView),
  errors: ['notFound', 'poweredOff', 'topologyConflict'],
  list: {
    key: (item: Static<typeof FindingView>) => item.number,
    columns: ['number', 'kind', 'requester', 'address', 'text'],
  },
  run: (context, { platform }) =>
    now(() => {
      const { sanitizer: watch, name } = poweredPlatform(context, platform)
      if (watch === undefined) {
        throw new NorthbridgeError('topologyConflict', `the DMA sanitizer of platform ${name} is off`)
      }
      return watch.findings.map(view)
    }),
})
