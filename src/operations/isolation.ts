/** Operations that tell what functions can do by the tables as they stand, and whether virtual machines are apart. */
import { type Static, Type } from '@sinclair/typebox'
import { formatAddress64, hex, parseAddress64 } from '../core/index.ts'
import { type Software, within } from '../engine/index.ts'
import {
  type BreachRepair,
  compareIsolation,
  type DecidingEntry,
  type IsolationReport,
  judgeIsolation,
} from '../policy/isolation/index.ts'
import { isolationFacts, type SimulatedPlatform } from '../system/index.ts'
import { OwnerView } from './functions.ts'
import { operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Hex, inPlatform, Nullable, Words } from './schemas.ts'

const EntryView = Fields(
  {
    unit: Type.Optional(Type.String()),
    table: Words(
      'none',
      'disabled',
      'context',
      'pasid',
      'firstStage',
      'secondStage',
      'aperture',
      'interrupt',
    ),
    address: Type.Optional(Type.String({ description: 'Physical address of the entry' })),
    raw: Type.Optional(Type.String({ description: 'All its words as one number' })),
    level: Type.Optional(Count(5, 1)),
  },
  { $id: 'DecidingEntry', description: 'The table entry that lets a request pass' },
)

const PhysicalOwnerView = Fields(
  { kind: Words('vm', 'host', 'function', 'nobody'), name: Type.Optional(Type.String()) },
  { $id: 'PhysicalOwner', description: 'To whom a part of the physical address space belongs' },
)

const Size = Type.Integer({ minimum: 4096, maximum: Number.MAX_SAFE_INTEGER })

const RangeView = Fields({
  owner: PhysicalOwnerView,
  physicalAddress: Hex,
  size: Size,
  address: Type.String({ description: 'Where the function finds it' }),
  read: Type.Boolean(),
  write: Type.Boolean(),
  pasid: Type.Optional(Count(2 ** 20 - 1)),
  atMost: Type.Optional(
    Type.Boolean({ description: 'Nested translation: the guest’s tables may permit less' }),
  ),
  entry: EntryView,
})

const VectorView = Fields({
  index: Count(2 ** 17),
  target: Type.String(),
  posted: Type.Boolean(),
  entry: EntryView,
})

const PeerView = Fields({
  function: Type.String(),
  read: Type.Boolean(),
  write: Type.Boolean(),
  at: Type.String({ description: 'Where its requests turn' }),
  offersRedirect: Type.Boolean(),
})

const FunctionIsolation = Fields(
  {
    function: Type.String(),
    owner: OwnerView,
    group: Nullable(Type.Integer()),
    mates: Type.Array(Fields({ function: Type.String(), owner: OwnerView })),
    requesterId: Type.String({ description: 'As the remapping unit sees it' }),
    unit: Nullable(Type.String()),
    closed: Type.Optional(
      Fields({ at: Type.String(), because: Type.String() }, { description: 'Why nothing of it passes' }),
    ),
    memory: Type.Array(RangeView),
    complete: Type.Boolean(),
    vectors: Type.Array(VectorView),
    anyVector: Type.Boolean({ description: 'Its messages are not remapped: it can raise any interrupt' }),
    peers: Type.Array(PeerView, { description: 'Reached without passing the root complex' }),
    trusted: Type.Boolean({ description: 'It may send requests as translated already (ATS)' }),
  },
  { $id: 'FunctionIsolation' },
)

export const DefectView = Fields(
  {
    kind: Words('translation', 'requester', 'interrupt', 'redirect'),
    function: Type.String({ description: 'Whose table entry it is, or at which port the bit is' }),
    entry: Type.Optional(Type.String({ description: 'Physical address of the entry' })),
  },
  { $id: 'IsolationDefect', description: 'What is wrong, where the host can put it right by itself' },
)

const BreachView = Fields({
  kind: Words('memory', 'registers', 'interrupt'),
  function: Type.String(),
  from: Type.String(),
  to: Type.String(),
  reaches: Type.String(),
  entry: Type.Optional(EntryView),
  acs: Type.Optional(Fields({ function: Type.String(), bit: Words('RR'), offered: Type.Boolean() })),
  text: Type.String(),
  repair: Fields({ cost: Count(2 ** 31, 1), text: Type.String(), defect: Type.Optional(DefectView) }),
})

export const PairView = Fields(
  {
    vms: Type.Array(Type.String(), { minItems: 2, maxItems: 2 }),
    isolated: Type.Boolean(),
    breaches: Type.Array(BreachView),
    conditions: Type.Array(Type.String()),
  },
  { $id: 'IsolationPair' },
)

const ReportView = Fields(
  { functions: Type.Array(FunctionIsolation), pairs: Type.Array(PairView) },
  {
    $id: 'IsolationReport',
    description: 'What functions can do by tables and access control as they stand',
  },
)
type ReportView = Static<typeof ReportView>

const entryView = (entry: DecidingEntry): Static<typeof EntryView> => ({ ...entry })

export function reportView({ functions, pairs }: IsolationReport): ReportView {
  return {
    functions: functions.map(({ memory, vectors, peers, mates, owner, closed, ...rest }) => ({
      ...rest,
      owner: { ...owner },
      mates: mates.map(mate => ({ function: mate.function, owner: { ...mate.owner } })),
      ...(closed === undefined ? {} : { closed: { ...closed } }),
      memory: memory.map(({ owner, frame, pages, input, read, write, pasid, atMost, entry }) => ({
        owner: { ...owner },
        physicalAddress: hex(frame * 4096),
        size: pages * 4096,
        address: formatAddress64({ page: input, offset: 0 }),
        read,
        write,
        ...(pasid === undefined ? {} : { pasid }),
        ...(atMost === undefined ? {} : { atMost }),
        entry: entryView(entry),
      })),
      vectors: vectors.map(({ entry, ...vector }) => ({ ...vector, entry: entryView(entry) })),
      peers: peers.map(peer => ({ ...peer })),
    })),
    pairs: pairs.map(({ vms, isolated, breaches, conditions }) => ({
      vms: [...vms],
      isolated,
      breaches: breaches.map(({ entry, acs, repair, ...breach }) => ({
        ...breach,
        repair: repairView(repair),
        ...(entry === undefined ? {} : { entry: entryView(entry) }),
        ...(acs === undefined ? {} : { acs: { ...acs } }),
      })),
      conditions: [...conditions],
    })),
  }
}

const repairView = ({ defect, ...repair }: BreachRepair) => ({
  ...repair,
  ...(defect === undefined ? {} : { defect: { ...defect } }),
})

/** The report that a view shows: what schema and TypeScript say alike. */
const reportOf = ({ functions, pairs }: ReportView): IsolationReport =>
  ({
    functions: functions.map(({ memory, ...rest }) => ({
      ...rest,
      memory: memory.map(({ physicalAddress, size, address, ...range }) => ({
        ...range,
        frame: parseAddress64(physicalAddress).page,
        pages: Math.ceil(size / 4096),
        input: parseAddress64(address).page,
      })),
    })),
    pairs,
  }) as unknown as IsolationReport

/** Judges a platform as it stands. */
export function* isolationOf(platform: SimulatedPlatform): Software<IsolationReport> {
  return judgeIsolation(yield* isolationFacts(platform))
}

export const path = '/v1/platforms/{platform}/isolation'

export const isolationReport = operation({
  summary:
    'Reports what every function reaches by the tables as they stand, and whether virtual machines are isolated',
  rest: { method: 'GET', path },
  words: 'isolation report',
  input: inPlatform({}),
  output: ReportView,
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    return reportView(yield* within(platform.engine, isolationOf(platform)))
  },
  tell: tellReport,
})

const ChangeView = Fields({
  change: Words('gained', 'lost'),
  function: Type.String(),
  what: Words('read', 'write', 'interrupt', 'registers', 'mate'),
  owner: Type.Optional(PhysicalOwnerView),
  physicalAddress: Type.Optional(Hex),
  size: Type.Optional(Size),
  target: Type.Optional(Type.String()),
})

const DifferenceView = Fields(
  {
    changes: Type.Array(ChangeView),
    verdicts: Type.Array(
      Fields({
        vms: Type.Array(Type.String()),
        before: Nullable(Type.Boolean()),
        after: Nullable(Type.Boolean()),
      }),
    ),
  },
  { $id: 'IsolationDifference' },
)

export const isolationDiff = operation({
  summary: 'Compares an isolation report with another one, or with the platform as it stands',
  asks: true,
  rest: { method: 'POST', path: `${path}/diff` },
  words: 'isolation diff',
  input: inPlatform({ before: ReportView, after: Type.Optional(ReportView) }),
  output: DifferenceView,
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const after =
      input.after === undefined
        ? yield* within(platform.engine, isolationOf(platform))
        : reportOf(input.after)
    const { changes, verdicts } = compareIsolation(reportOf(input.before), after)
    return {
      changes: changes.map(({ owner, address, ...change }) => ({
        ...change,
        ...(owner === undefined ? {} : { owner: { ...owner } }),
        ...(address === undefined ? {} : { physicalAddress: hex(address) }),
      })),
      verdicts: verdicts.map(({ vms, ...verdict }) => ({ vms: [...vms], ...verdict })),
    }
  },
  tell: ({ changes, verdicts }) =>
    changes.length + verdicts.length === 0
      ? 'Nothing changed.'
      : [
          ...changes.map(
            ({ function: address, change, what, owner, physicalAddress, size, target }) =>
              `${address} ${change} ${what} of ${
                owner === undefined ? target : `${ownerText(owner)}, ${sizeText(size!)} at ${physicalAddress}`
              }`,
          ),
          ...verdicts.map(
            ({ vms, before, after }) =>
              `${vms.join(' and ')}: ${verdictText(before)} before, ${verdictText(after)} now`,
          ),
        ].join('\n'),
})

const verdictText = (isolated: boolean | null): string =>
  isolated === null ? 'not both there' : isolated ? 'isolated' : 'not isolated'

const ownerText = ({ kind, name }: Static<typeof PhysicalOwnerView>): string =>
  kind === 'vm'
    ? name!
    : kind === 'function'
      ? `registers of ${name}`
      : kind === 'host'
        ? 'the host'
        : 'nobody'

function sizeText(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size} ${unit}`
  }
  return `${bytes} bytes`
}

/** Functions of virtual machines as a table, then each pair. */
function tellReport({ functions, pairs }: ReportView): string {
  const held = functions.filter(({ owner }) => owner.kind === 'vm')
  const rows = held.map(fn => [
    fn.function,
    fn.owner.name!,
    totals(fn.memory),
    fn.anyVector ? 'any' : String(fn.vectors.length),
    fn.peers.map(({ function: peer }) => peer).join(' ') || '-',
    fn.mates.map(({ function: mate }) => mate).join(' ') || '-',
  ])
  const table = [['function', 'owner', 'reaches', 'vectors', 'peers', 'group mates'], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map(row => row[column]!.length)))
  const lines = table.map(row =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  )
  return [
    ...(held.length === 0 ? ['No function belongs to a virtual machine.'] : lines),
    ...pairs.flatMap(({ vms, isolated, breaches, conditions }) => [
      `${vms.join(' and ')}: ${isolated ? 'isolated' : 'not isolated'}`,
      ...breaches.flatMap(({ text, repair }) => [`  ${text}`, `    repair: ${repair.text}`]),
      ...conditions.map(text => `  provided that ${text}`),
    ]),
  ].join('\n')
}

/** Bytes reached by owner, `rw` where both. */
function totals(memory: ReportView['functions'][number]['memory']): string {
  const sums = new Map<string, number>()
  for (const { owner, size, read, write } of memory) {
    const key = `${ownerText(owner)} ${read ? 'r' : ''}${write ? 'w' : ''}`
    sums.set(key, (sums.get(key) ?? 0) + size)
  }
  return [...sums].map(([who, bytes]) => `${sizeText(bytes)} of ${who}`).join(', ') || 'nothing'
}
