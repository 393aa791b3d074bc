/** The operation that puts many hosts onto one. */
import { type Static, Type } from '@sinclair/typebox'
import { SLICE_RANGE_NS } from '../hypervisor/index.ts'
import { type ConsolidationReport, consolidate as consolidateHosts } from '../system/index.ts'
import { ASSIGNMENT_ERRORS } from './codes.ts'
import { mebibytes } from './memory/machine.ts'
import { operation } from './operation.ts'
import { Count, Fields, inPlatform, Name, Nullable, Words } from './schemas.ts'
import { command } from './vms.ts'

const Mebibytes = Count(2 ** 20)
const Pages = Count(2 ** 40)

const Host = Fields(
  {
    name: Name,
    processors: Count(64, 1),
    memoryMiB: Count(2 ** 20, 2),
    loadPercent: Type.Integer({ minimum: 0, maximum: 100, description: 'How busy its processors are' }),
    ownMiB: Type.Optional(Mebibytes),
    commonMiB: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2 ** 20,
        description: 'Memory that has the same contents in every host',
      }),
    ),
    cacheMiB: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2 ** 20,
        description: 'Memory that holds files and could do without',
      }),
    ),
    shares: Type.Optional(Count(1_000_000, 1)),
    reservationPercent: Type.Optional(Count(6400)),
    reservationMiB: Type.Optional(Mebibytes),
    network: Type.Optional(
      Type.Unsafe<'none' | 'virtualFunction'>({
        ...Words('none', 'virtualFunction'),
        description: 'A virtual function reaches all memory of its machine, which is pinned then',
      }),
    ),
  },
  { $id: 'SourceHost', description: 'A host that is to become a virtual machine, as it was measured' },
)

const Processors = Type.Number({ minimum: 0 })

const ReportView = Fields(
  {
    ratio: Type.Integer({ description: 'Hosts on one' }),
    processors: Count(4096),
    vcpus: Count(2 ** 20),
    hostMiB: Pages,
    grantedMiB: Pages,
    savedBySharing: Type.Integer({ description: 'Host pages that sharing saved' }),
    ballooned: Pages,
    swapped: Pages,
    largestDeviationPercent: Type.Number(),
    isolation: Fields({ pairs: Pages, isolated: Pages, breaches: Type.Array(Type.String()) }),
    hosts: Type.Array(
      Fields({
        vm: Type.String(),
        vcpus: Count(64),
        memoryMiB: Pages,
        shares: Pages,
        demand: Processors,
        entitled: Processors,
        used: Processors,
        deviationPercent: Type.Number(),
        function: Nullable(Type.String()),
        memory: Fields({ resident: Pages, shared: Pages, swapped: Pages, ballooned: Pages }),
        pagesHeld: Pages,
        pagesUsed: Pages,
      }),
    ),
  },
  { $id: 'Consolidation' },
)

const rounded = (value: number): number => Math.round(value * 1000) / 1000

const view = (report: ConsolidationReport): Static<typeof ReportView> => ({
  ...report,
  ratio: report.hosts.length,
  largestDeviationPercent: rounded(report.largestDeviationPercent),
  isolation: { ...report.isolation, breaches: [...report.isolation.breaches] },
  hosts: report.hosts.map(host => ({
    ...host,
    demand: rounded(host.demand),
    entitled: rounded(host.entitled),
    used: rounded(host.used),
    deviationPercent: rounded(host.deviationPercent),
    memory: { ...host.memory },
  })),
})

function tell(report: Static<typeof ReportView>): string {
  const { ratio, processors, vcpus, hostMiB, grantedMiB, isolation, hosts } = report
  const held = hosts.reduce((sum, { pagesHeld }) => sum + pagesHeld, 0)
  const used = hosts.reduce((sum, { pagesUsed }) => sum + pagesUsed, 0)
  const pinned = hosts.filter(({ function: fn }) => fn !== null)
  const demand = hosts.reduce((sum, host) => sum + host.demand, 0)
  return [
    `${ratio} hosts are one: ${vcpus} virtual processors on ${processors}, ${grantedMiB} MiB granted of ${hostMiB}.`,
    `Processors: ${demand.toFixed(1)} were asked for; nobody had more than ${report.largestDeviationPercent} % more or less than he was entitled to.`,
    ...byShares(hosts),
    `Memory: sharing saved ${mebibytes(report.savedBySharing)}, balloons hold ${mebibytes(report.ballooned)}, ${mebibytes(report.swapped)} are swapped out; ${pinned.length} machines with virtual functions keep all of theirs.`,
    `Every page that programs wrote holds what they wrote: ${held} of ${used}.`,
    `Isolation: ${isolation.isolated} of ${isolation.pairs} pairs of virtual machines are isolated.`,
    ...isolation.breaches,
  ].join('\n')
}

/** One line for machines that have the same claim. */
function byShares(hosts: Static<typeof ReportView>['hosts']): string[] {
  const groups = new Map<string, Static<typeof ReportView>['hosts']>()
  for (const host of hosts) {
    const key = `${host.vcpus} virtual processors, ${host.shares} shares`
    groups.set(key, [...(groups.get(key) ?? []), host])
  }
  return [...groups].map(([claim, members]) => {
    const span = (value: (host: (typeof members)[number]) => number): string => {
      const values = members.map(value)
      const [low, high] = [Math.min(...values), Math.max(...values)]
      return low === high ? String(low) : `${low} to ${high}`
    }
    const asked = span(({ demand }) => demand)
    return `  ${members.length} with ${claim}: asked for ${asked}, entitled to ${span(({ entitled }) => entitled)}, had ${span(({ used }) => used)} processors.`
  })
}

export const consolidate = operation({
  summary: 'Makes virtual machines of many hosts on one, has them work, and reports what each got',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/consolidation' },
  words: 'platforms consolidate',
  atomic: true,
  input: inPlatform({
    hosts: Type.Array(Host, { minItems: 1, maxItems: 256 }),
    nanoseconds: Type.Integer({
      minimum: SLICE_RANGE_NS.least,
      maximum: 60_000_000_000,
      description: 'Virtual time for which they compute',
    }),
    sliceNs: Type.Optional(Count(SLICE_RANGE_NS.most, SLICE_RANGE_NS.least)),
  }),
  output: ReportView,
  errors: [
    'notFound',
    'poweredOff',
    'invalidArgument',
    'nameTaken',
    'outOfMemory',
    'outOfResources',
    'unsupported',
    ...ASSIGNMENT_ERRORS,
  ],
  *run(context, { platform, hosts, nanoseconds, sliceNs }) {
    const sources = hosts.map(({ ownMiB = 0, commonMiB = 0, cacheMiB = 0, ...host }) => ({
      ...host,
      ownMiB,
      commonMiB,
      cacheMiB,
    }))
    const options = { hosts: sources, nanoseconds, ...(sliceNs !== undefined && { sliceNs }) }
    return view(yield* command(context, platform, running => consolidateHosts(running, options)))
  },
  tell,
})
