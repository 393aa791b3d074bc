/** Operations on IOMMU groups: what cannot be kept apart, why, and what would change it. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { within } from '../engine/index.ts'
import type { GroupReason, GroupRepair, IommuGroup } from '../host/index.ts'
import { OwnerView } from './functions.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, inPlatform, Nullable, Words } from './schemas.ts'

const Addresses = Type.Array(Type.String())

const ReasonView = Fields({
  function: Type.String(),
  joined: Type.Optional(Type.String({ description: 'The function through which it joined' })),
  rule: Words('founder', 'alias', 'unisolatedPath', 'multifunction', 'sharedBus'),
  lackedBy: Type.Optional(Type.String({ description: 'The port or function that lacks isolation' })),
  missing: Type.Optional(Type.Array(Type.String(), { description: 'ACS bits that would be needed there' })),
  text: Type.String(),
})

const GroupView = Fields(
  { id: Type.Integer(), functions: Addresses, owner: OwnerView, why: Type.Array(ReasonView) },
  { $id: 'IommuGroup' },
)

const RepairView = Fields(
  {
    kind: Words('enableAccessControl', 'move', 'replace'),
    cost: Count(2 ** 31, 1),
    functions: Addresses,
    bits: Type.Optional(Type.Array(Type.String(), { description: 'Bits of ACS control to be set there' })),
    to: Type.Optional(Type.String({ description: 'The free port above the other slot' })),
    parameter: Type.Optional(Type.String({ description: 'The kernel parameter that does it' })),
    parts: Type.Array(Addresses, { description: 'The groups that come of it' }),
    text: Type.String(),
  },
  { $id: 'GroupRepair', description: 'A change of the machine that splits a group; it was tried' },
)

const ExplainedGroup = Fields(
  {
    ...GroupView.properties,
    repairs: Type.Array(RepairView, { description: 'Cheapest first' }),
    whyNot: Nullable(Type.String({ description: 'Why nothing splits a group of several functions' })),
  },
  { $id: 'ExplainedIommuGroup' },
)

const reasonView = ({ missing, ...rest }: GroupReason): Static<typeof ReasonView> => ({
  ...rest,
  ...(missing !== undefined && { missing: [...missing] }),
})

const groupView = ({ id, functions, owner, why }: IommuGroup): Static<typeof GroupView> => ({
  id,
  functions: [...functions],
  owner: { ...owner },
  why: why.map(reasonView),
})

const repairView = ({ functions, bits, parts, ...rest }: GroupRepair): Static<typeof RepairView> => ({
  ...rest,
  functions: [...functions],
  ...(bits !== undefined && { bits: [...bits] }),
  parts: parts.map(part => [...part]),
})

const path = '/v1/platforms/{platform}/iommu-groups'

export const groups = operation({
  summary: 'Lists the IOMMU groups, each with the reasons why its functions cannot be kept apart',
  rest: { method: 'GET', path },
  words: 'iommu-groups list',
  input: inPlatform({}),
  output: Type.Array(GroupView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof GroupView>) => item.id,
    columns: ['id', 'owner', 'functions'],
  },
  run: (context, { platform }) =>
    now(() =>
      poweredPlatform(context, platform)
        .host.groups()
        .map(groupView)
        .sort((a, b) => a.id - b.id),
    ),
})

export const oneGroup = operation({
  summary: 'Shows an IOMMU group, why its functions are in it, and by which changes it would fall apart',
  rest: { method: 'GET', path: `${path}/{group}` },
  words: 'iommu-groups get',
  input: inPlatform({ group: Count(Number.MAX_SAFE_INTEGER) }),
  output: ExplainedGroup,
  errors: ['notFound', 'poweredOff'],
  *run(context, { platform: id, group: number }) {
    const platform = poweredPlatform(context, id)
    const group = platform.host.groups().find(one => one.id === number)
    if (group === undefined) throw new NorthbridgeError('notFound', `There is no IOMMU group ${number}`)
    const { repairs, whyNot } = yield* within(platform.engine, platform.host.groupRepairs(number))
    return { ...groupView(group), repairs: repairs.map(repairView), whyNot: whyNot ?? null }
  },
  tell: group => explainGroup(group),
})

/** A group in sentences: who is in it, through which joints, and what would split it. */
export function explainGroup({ id, functions, why, repairs, whyNot }: Static<typeof ExplainedGroup>): string {
  if (functions.length === 1) return `Group ${id}: ${functions[0]} is alone.`
  const joints = why.filter(({ rule }) => rule !== 'founder')
  const [cheapest, ...others] = repairs
  return [
    `Group ${id}: ${functions.join(', ')}`,
    ...joints.map(({ text, rule }) => `  ${text} [${rule}]`),
    ...(cheapest === undefined ? [`  no repair: ${whyNot}`] : [`  repair: ${repairInWords(cheapest)}`]),
    ...(cheapest?.parameter === undefined ? [] : [`          kernel parameter ${cheapest.parameter}`]),
    ...others.map(other => `      or: ${repairInWords(other)}`),
  ].join('\n')
}

const repairInWords = ({ text, parts }: Static<typeof RepairView>): string =>
  `${text}, which leaves ${parts.map(inBraces).join(' ')}`

const SHOWN = 4
const inBraces = (part: readonly string[]): string =>
  part.length <= SHOWN
    ? `{${part.join(', ')}}`
    : `{${part.slice(0, SHOWN - 1).join(', ')}, … ${part.length} functions}`
