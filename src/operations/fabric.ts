/** Operations on the PCIe fabric: where a request goes and why, what errors were logged, and what hangs on which link. */
import { type Static, Type } from '@sinclair/typebox'
import { formatFunctionAddress, hex, parseAddress64, type RequesterId } from '../core/index.ts'
import {
  ADDRESS_TYPE,
  CORRECTABLE,
  completionStatusOf,
  type FunctionNode,
  type PcieFunction,
  readErrorLog,
  STATUS,
  UNCORRECTABLE,
} from '../pcie/index.ts'
import type { SimulatedPlatform } from '../system/index.ts'
import { functionOf } from './functions.ts'
import { invalid } from './judge.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Hex, Identifier, inPlatform, Words } from './schemas.ts'

const path = '/v1/platforms/{platform}/functions/{function}'

const addressOf = (fn: FunctionNode): string =>
  formatFunctionAddress(fn.bus.host.segment, fn.rid as RequesterId)

const StepView = Fields({
  function: Type.String({ description: 'The port or function that decides' }),
  decision: Words(
    'issued',
    'notIssued',
    'passedUp',
    'aliased',
    'bridgeClosed',
    'linkDown',
    'turned',
    'redirected',
    'violation',
    'unsupported',
    'passedDown',
    'claimed',
    'unclaimed',
    'rootComplex',
    'completionRedirected',
    'completionLost',
  ),
  acs: Type.Optional(Words('SV', 'TB', 'RR', 'CR', 'UF', 'EC', 'DT')),
  text: Type.String(),
})

const RouteView = Fields(
  {
    steps: Type.Array(StepView),
    target: Words('memory', 'peer', 'interrupt', 'none'),
    completion: Words('SC', 'UR', 'CA', 'none'),
    requesterId: Type.String({ description: 'As the root complex or the peer sees it, after bridges' }),
    unit: Type.Optional(Type.String({ description: 'The remapping unit on the way' })),
    translation: Type.Optional(Type.String({ description: 'What that unit decides' })),
    physicalAddress: Type.Optional(Hex),
  },
  { $id: 'Route', description: 'The way of one memory request, hop by hop' },
)

/** What each decision means, in a sentence that goes on after the address of who decides. */
const SENTENCES: Readonly<Record<Static<typeof StepView>['decision'], string>> = {
  issued: 'sends the request',
  notIssued: 'may not send it: Bus Master Enable is clear, or it is not in D0',
  passedUp: 'passes it up',
  aliased: 'passes it up under its own requester id',
  bridgeClosed: 'does not pass it up: Bus Master Enable is clear',
  linkDown: 'has its link down',
  turned: 'finds that a peer on the same bus claims it, and hands it over',
  redirected: 'sends it up although the address lies below',
  violation: 'blocks it as an access control violation',
  unsupported: 'ends it as unsupported: the address lies behind the port that it came out of',
  passedDown: 'passes it down through a window',
  claimed: 'claims it',
  unclaimed: 'ends it as unsupported: nobody claims the address',
  rootComplex: 'hands it to the root complex',
  completionRedirected: 'sends the completion up instead of to the peer',
  completionLost: 'cannot send the completion on: the requester times out',
}

export const route = operation({
  summary: 'Explains which way a memory request of a function would take, without sending it',
  asks: true,
  rest: { method: 'POST', path: `${path}/route` },
  words: 'functions route',
  input: inPlatform({
    function: Identifier,
    address: Hex,
    access: Words('read', 'write'),
    length: Type.Optional(Count(4096, 1)),
    addressType: Type.Optional(Words('untranslated', 'translated')),
    relaxedOrdering: Type.Optional(Type.Boolean({ title: 'true: the completion need not keep its order' })),
  }),
  output: RouteView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const fn = hardwareOf(platform, input.function)
      const { page, offset } = parseAddress64(input.address)
      const { access, length = 4, addressType = 'untranslated', relaxedOrdering = false } = input
      if (offset + length > 4096) throw invalid([{ path: '/length', message: 'crosses a 4-KiB boundary' }])
      const found = platform.hardware.route(fn, {
        page,
        offset,
        length,
        write: access === 'write',
        addressType: ADDRESS_TYPE[addressType],
        relaxedOrdering,
      })
      const { steps, target, status, requesterId, unit, translation, physicalPage } = found
      return {
        steps: steps.map(({ function: at, event, acs }) => ({
          function: addressOf(at),
          decision: event,
          ...(acs === undefined ? {} : { acs }),
          text: `${addressOf(at)} ${SENTENCES[event]}${acs === undefined ? '' : ` (ACS ${acs})`}`,
        })),
        target,
        completion: access === 'write' && status === STATUS.successful ? 'none' : completionStatusOf(status),
        requesterId: formatFunctionAddress(fn.segment, requesterId as RequesterId),
        ...(unit === undefined ? {} : { unit: unit.id }),
        ...(translation === undefined ? {} : { translation }),
        ...(physicalPage === undefined ? {} : { physicalAddress: hex(physicalPage * 4096 + offset) }),
      }
    }),
  tell: ({ steps, target, completion, unit, translation, physicalAddress }) =>
    [
      ...steps.map(({ text }, index) => `${index + 1}. ${text}`),
      ...(translation === undefined ? [] : [`${steps.length + 1}. ${unit}: ${translation}`]),
      `It reaches ${target === 'none' ? 'nobody' : target}${physicalAddress === undefined ? '' : ` at ${physicalAddress}`}; completion: ${completion}.`,
    ].join('\n'),
})

/** The hardware behind a function that the host knows. */
export function hardwareOf(platform: SimulatedPlatform, text: string): PcieFunction {
  return platform.functionAt(functionOf(platform, text).address)
}

const names = (table: Readonly<Record<string, number>>, bits: number): string[] =>
  Object.entries(table)
    .filter(([, bit]) => bits & (1 << bit))
    .map(([name]) => name)

const ErrorLogView = Fields(
  {
    device: Type.Array(Words('correctable', 'nonFatal', 'fatal', 'unsupportedRequest'), {
      description: 'Device Status',
    }),
    uncorrectable: Type.Array(Type.String()),
    correctable: Type.Array(Type.String()),
    firstError: Type.Optional(Type.String()),
    header: Type.Optional(
      Type.String({ description: 'Header Log: four dwords of the packet with the first error' }),
    ),
    root: Type.Optional(
      Fields({
        received: Type.Array(Type.String(), { description: 'Root Error Status' }),
        correctableSource: Type.String(),
        uncorrectableSource: Type.String(),
      }),
    ),
    containment: Type.Optional(
      Fields({
        triggered: Type.Boolean(),
        reason: Words('unmaskedError', 'nonFatalMessage', 'fatalMessage', 'extended'),
        source: Type.String(),
      }),
    ),
  },
  { $id: 'ErrorLog', description: 'What a function has logged: Device Status and Advanced Error Reporting' },
)

const DEVICE_ERRORS = ['correctable', 'nonFatal', 'fatal', 'unsupportedRequest'] as const
const REASONS = ['unmaskedError', 'nonFatalMessage', 'fatalMessage', 'extended'] as const

export const errorLog = operation({
  summary: 'Shows the errors that a function has logged',
  rest: { method: 'GET', path: `${path}/errors` },
  words: 'functions errors',
  input: inPlatform({ function: Identifier }),
  output: ErrorLogView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const fn = hardwareOf(platform, input.function)
      const log = readErrorLog(fn)
      const source = (rid: number): string => formatFunctionAddress(fn.segment, rid as RequesterId)
      const first = names(UNCORRECTABLE, 1 << log.first)[0]
      return {
        device: DEVICE_ERRORS.filter((_, bit) => log.device & (1 << bit)),
        uncorrectable: names(UNCORRECTABLE, log.uncorrectable),
        correctable: names(CORRECTABLE, log.correctable),
        ...(log.firstValid && first !== undefined
          ? {
              firstError: first,
              header: log.header.map(word => word.toString(16).padStart(8, '0')).join(' '),
            }
          : {}),
        ...(log.root === undefined
          ? {}
          : {
              root: {
                received: ROOT_ERRORS.filter((_, bit) => log.root!.status & (1 << bit)),
                correctableSource: source(log.root.correctableSource),
                uncorrectableSource: source(log.root.uncorrectableSource),
              },
            }),
        ...(log.containment === undefined
          ? {}
          : {
              containment: {
                triggered: log.containment.triggered,
                reason: REASONS[log.containment.reason]!,
                source: source(log.containment.source),
              },
            }),
      }
    }),
  tell: ({ device, uncorrectable, correctable, firstError, header, root, containment }, input) =>
    [
      `${input.function}: ${device.length === 0 ? 'no error was detected' : `detected ${device.join(', ')}`}.`,
      ...(uncorrectable.length === 0 ? [] : [`Uncorrectable: ${uncorrectable.join(', ')}.`]),
      ...(correctable.length === 0 ? [] : [`Correctable: ${correctable.join(', ')}.`]),
      ...(firstError === undefined ? [] : [`First: ${firstError}, header ${header}.`]),
      ...(root === undefined || root.received.length === 0
        ? []
        : [
            `Received from below: ${root.received.join(', ')}; sources ${root.correctableSource} (correctable), ${root.uncorrectableSource} (uncorrectable).`,
          ]),
      ...(containment?.triggered ? [`Contained: ${containment.reason}, source ${containment.source}.`] : []),
    ].join('\n'),
})

const ROOT_ERRORS = [
  'correctable',
  'multipleCorrectable',
  'uncorrectable',
  'multipleUncorrectable',
  'firstUncorrectableFatal',
  'nonFatal',
  'fatal',
] as const
