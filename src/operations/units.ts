/** Operations that look into remapping units: read-only inspection. */
import { type Static, Type } from '@sinclair/typebox'
import { formatAddress64, hex, parseAddress64, parseFunctionAddress } from '../core/index.ts'
import { ApertureUnit } from '../gart/index.ts'
import type { RemappingUnit } from '../vtd/index.ts'
import { faultReasonName } from './faults.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Facts, Fields, FunctionAddress, Hex, Identifier, inPlatform, Words } from './schemas.ts'
import {
  describedUnit,
  hostNameOf,
  sourceIn,
  translatingUnit,
  translatingUnits,
  unitIdOf,
} from './unit-names.ts'

const UnitView = Fields(
  {
    id: Type.String(),
    segment: Count(65_535),
    includeAll: Type.Boolean(),
    numaNode: Type.Integer({ minimum: -1 }),
    functions: Type.Array(Type.String(), { description: 'Functions whose requests it translates' }),
    kind: Words('intel-vtd', 'gart'),
    version: Type.Optional(Type.String({ description: 'Of the architecture, as VER says' })),
    capabilities: Type.Record(Type.String(), Type.Integer(), {
      description: 'Fields of CAP and ECAP that are not 0, in their encodings',
    }),
  },
  { $id: 'RemappingUnit' },
)

/** A reason code as all faces show it: two digits. */
const reasonText = (text: string): string => hex(Number.parseInt(text, 16), 2)
/** An address as all faces show it: no leading zeros. */
const addressText = (text: string): string => formatAddress64(parseAddress64(text))
const segmentText = (segment: number): string => hex(segment, 4).slice(2)

/** What a unit's capability registers say. */
function whatItCan(unit: RemappingUnit | ApertureUnit) {
  if (unit instanceof ApertureUnit) return { kind: 'gart' as const, capabilities: {} }
  const { MAJOR, MINOR, ...fields } = unit.capabilities
  const capabilities = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0))
  return { kind: 'intel-vtd' as const, version: `${MAJOR}.${MINOR}`, capabilities }
}

const path = '/v1/platforms/{platform}/remapping-units'

export const units = operation({
  summary: 'Lists the remapping units and the functions that each serves',
  rest: { method: 'GET', path },
  words: 'units list',
  input: inPlatform({}),
  output: Type.Array(UnitView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof UnitView>) => item.id,
    columns: ['id', 'kind', 'segment', 'includeAll', 'numaNode', 'functions'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const functions = platform.host.functions()
      return translatingUnits(platform)
        .map(unit => ({
          id: unit.id,
          ...describedUnit(platform, unit.id),
          functions: functions
            .filter(fn => unit instanceof ApertureUnit || unitIdOf(platform, fn) === unit.id)
            .map(fn => fn.address),
          ...whatItCan(unit),
        }))
        .sort((a, b) => (a.id < b.id ? -1 : 1))
    }),
})

const RegisterView = Fields(
  { name: Type.String(), offset: Hex, width: Count(1024), value: Type.String(), fields: Facts },
  { $id: 'Register' },
)

export const registers = operation({
  summary: 'Lists the registers of a remapping unit by offset, with their fields',
  rest: { method: 'GET', path: `${path}/{unit}/registers` },
  words: 'units registers',
  input: inPlatform({ unit: Identifier }),
  output: Type.Array(RegisterView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof RegisterView>) => Number.parseInt(item.offset, 16),
    columns: ['name', 'offset', 'width', 'value'],
  },
  run: (context, { platform, unit }) =>
    now(() =>
      translatingUnit(poweredPlatform(context, platform), unit)
        .registers()
        .map(register => ({ ...register, fields: { ...register.fields } }))
        .sort((a, b) => Number.parseInt(a.offset, 16) - Number.parseInt(b.offset, 16)),
    ),
})

const FaultView = Fields(
  {
    index: Count(Number.MAX_SAFE_INTEGER),
    state: Words('recorded', 'read'),
    reason: Hex,
    name: Type.String(),
    source: Type.String({ description: 'Requester id as the unit saw it' }),
    address: Hex,
    access: Words('read', 'write'),
    unit: Type.String(),
  },
  {
    $id: 'FaultRecord',
    description:
      'A primary fault: `recorded` while it is in a fault recording register, `read` once the driver took it',
  },
)

export const faults = operation({
  summary:
    'Lists the faults of a remapping unit, oldest first: those its driver read, then those in its registers',
  rest: { method: 'GET', path: `${path}/{unit}/faults` },
  words: 'units faults',
  input: inPlatform({ unit: Identifier }),
  output: Type.Array(FaultView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof FaultView>) => item.index,
    columns: ['index', 'state', 'reason', 'name', 'source', 'address', 'access'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const unit = translatingUnit(platform, input.unit)
      if (unit instanceof ApertureUnit) return []
      const { segment } = describedUnit(platform, unit.id)
      const read = platform.host.faults(hostNameOf(platform, unit)).map(fault => ({
        state: 'read' as const,
        reason: hex(fault.reason, 2),
        name: faultReasonName(fault.reason),
        source: fault.source,
        address: fault.address,
        access: fault.write ? ('write' as const) : ('read' as const),
      }))
      const recorded = unit.faultRecords().map(({ reason, name, source, address, access }) => ({
        state: 'recorded' as const,
        reason: reasonText(reason),
        name,
        source: `${segmentText(segment)}:${source}`,
        address,
        access,
      }))
      return [...read, ...recorded].map((fault, index) => ({ index, ...fault, unit: unit.id }))
    }),
})

const ExplanationView = Fields(
  {
    steps: Type.Array(
      Fields({
        check: Type.String({ description: 'What was asked, and the answer' }),
        section: Type.Optional(Type.String({ description: 'Where the specification says so' })),
        entryAddress: Type.Optional(Hex),
        raw: Type.Optional(Type.String()),
        fields: Type.Optional(Facts),
        from: Type.Optional(Type.String({ description: '`memory`, or the cache that answered' })),
        outcome: Words('passed', 'failed'),
      }),
    ),
    outcome: Words('translated', 'passedThrough', 'notTranslated', 'interrupt', 'fault', 'blocked'),
    physicalAddress: Type.Optional(Hex),
    fault: Type.Optional(
      Fields({
        reason: Hex,
        name: Type.String(),
        source: Type.String(),
        address: Hex,
        unit: Type.String(),
        recorded: Type.Boolean({ description: 'Fault Processing Disable keeps some from being recorded' }),
      }),
    ),
    repair: Type.Optional(
      Type.String({ description: 'The smallest change that would let the request pass' }),
    ),
  },
  { $id: 'Explanation' },
)

export const explain = operation({
  summary: 'Explains how a remapping unit would translate a request, step by step, without changing anything',
  asks: true,
  rest: { method: 'POST', path: `${path}/{unit}/explain` },
  words: 'units explain',
  input: inPlatform({
    unit: Identifier,
    source: FunctionAddress,
    address: Hex,
    access: Words('read', 'write'),
  }),
  output: ExplanationView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const unit = translatingUnit(platform, input.unit)
      const rid = sourceIn(platform, unit.id, input.source)
      const { segment } = parseFunctionAddress(input.source)
      const { page, offset } = parseAddress64(input.address)
      const found =
        unit instanceof ApertureUnit
          ? unit.explain(page, offset)
          : unit.explain(rid, page, offset, input.access === 'write')
      const { steps, fault, physicalAddress, ...rest } = found
      return {
        ...rest,
        ...(physicalAddress === undefined ? {} : { physicalAddress: addressText(physicalAddress) }),
        steps: steps.map(step => ({ ...step })),
        ...(fault === undefined
          ? {}
          : {
              fault: {
                ...fault,
                reason: reasonText(fault.reason),
                address: addressText(fault.address),
                source: `${segmentText(segment)}:${fault.source}`,
                unit: unit.id,
              },
            }),
      }
    }),
  tell: ({ steps, outcome, physicalAddress, fault, repair }) =>
    [
      ...steps.map(tellStep),
      fault === undefined
        ? `Outcome: ${outcome}${physicalAddress === undefined ? '' : ` to ${physicalAddress}`}.`
        : `Outcome: ${outcome}, reason ${fault.reason}: ${fault.name}.`,
      ...(repair === undefined ? [] : [`Repair: ${repair}`]),
    ].join('\n'),
})

type Step = Static<typeof ExplanationView>['steps'][number]

function tellStep({ check, entryAddress, raw, from, outcome }: Step, index: number): string {
  const where = entryAddress === undefined ? '' : ` at ${entryAddress}`
  const source = from === undefined || from === 'memory' ? '' : `, from the ${from}`
  const value = raw === undefined ? '' : `: ${raw}`
  return `${index + 1}. ${check}${where}${source}${value} (${outcome})`
}
