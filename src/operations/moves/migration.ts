/** Live migration between two platforms. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError, parsePhysical } from '../../core/index.ts'
import { DEVICE_TRACKING, DIRTY_TRACKING } from '../../hypervisor/index.ts'
import {
  LiveMigration,
  MIGRATION_DEFAULTS,
  type MigrationOptions,
  TwoPlatforms,
  undoneOnFailure,
} from '../../system/index.ts'
import { forgetProtections } from '../failover/forget.ts'
import { operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import {
  Count,
  described,
  Fields,
  FunctionAddress,
  Hex,
  Identifier,
  inPlatform,
  Nullable,
  Words,
} from '../schemas.ts'

const Large = Count(Number.MAX_SAFE_INTEGER)

const Round = Fields(
  {
    round: Count(1_000_000, 1),
    pages: Large,
    zeroPages: Large,
    diskPages: Large,
    bytes: Large,
    durationNs: Large,
    dirtied: Type.Integer({ minimum: 0, description: 'Pages that changed meanwhile' }),
    dirtyPagesPerSecond: Large,
    throttle: Type.Integer({
      minimum: 0,
      maximum: 99,
      description: 'Percent of its time that the guest was held back',
    }),
    expectedDowntimeNs: Type.Integer({ minimum: 0, description: 'Time that sending the rest would take' }),
  },
  { $id: 'MigrationRound' },
)

const Report = Fields(
  {
    vm: Type.String(),
    from: Type.String(),
    to: Type.String(),
    outcome: Words('migrated', 'cancelled'),
    converged: Type.Boolean({ description: 'The rest could be sent in the time allowed' }),
    rounds: Type.Array(Round),
    stateBytes: Large,
    finalPages: Large,
    finalBytes: Type.Integer({ minimum: 0, description: 'Sent while the guest stood still' }),
    bytes: Large,
    downtimeNs: Large,
    totalNs: Large,
    postCopy: Nullable(
      Fields({
        pages: Large,
        faults: Type.Integer({ minimum: 0, description: 'Pages that the guest waited for' }),
        hostFaults: Large,
        stalledNs: Large,
        durationNs: Large,
      }),
    ),
    primary: Nullable(
      Fields(
        { released: Type.String(), releaseNs: Large, taken: Type.String() },
        {
          description:
            'With failover teaming: the function that the machine let go of, and the one it has now',
        },
      ),
    ),
    framesLost: Type.Integer({ minimum: 0, description: 'Frames that came while the guest stood still' }),
    tracking: Words(...DIRTY_TRACKING),
    cost: Fields({
      entriesRead: Type.Integer({ minimum: 0, description: 'Leaves of tables that were looked at' }),
      logExits: Type.Integer({ minimum: 0, description: 'VM exits because a log of pages was full' }),
    }),
  },
  { $id: 'MigrationReport' },
)

const Load = Fields(
  {
    vcpu: Type.Optional(Count(63)),
    address: Hex,
    pages: Count(2 ** 30, 1),
    pagesPerSecond: Type.Number({ minimum: 0, maximum: 1e9 }),
  },
  { description: 'What the guest does meanwhile: it writes page after page of a range, round and round' },
)

export const migrateVm = operation({
  summary: 'Moves a running virtual machine to another platform; tells rounds, bytes and downtime',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/migrate' },
  words: 'vms migrate',
  others: (_context, { to }) => [to],
  input: inPlatform({
    vm: Identifier,
    to: Type.String({ description: 'The other platform' }),
    bandwidthMbps: Type.Optional(Type.Number({ minimum: 1, maximum: 1e7 })),
    latencyNs: Type.Optional(Count(1e9)),
    downtimeLimitNs: Type.Optional(Large),
    maxRounds: Type.Optional(Count(10_000, 1)),
    ifNotConverging: Type.Optional(Words('stopAndCopy', 'cancel')),
    autoConverge: Type.Optional(Type.Boolean()),
    postCopyAfter: Type.Optional(Count(10_000)),
    tracking: Type.Optional(Words(...DIRTY_TRACKING)),
    deviceTracking: Type.Optional(
      described(
        Words(...DEVICE_TRACKING),
        'Who tells which pages functions write: the devices, or their remapping units by dirty flags; default device',
      ),
    ),
    primary: Type.Optional(
      described(
        FunctionAddress,
        'The function of the other platform for the one for which a standby stands in (failover teaming)',
      ),
    ),
    load: Type.Optional(Load),
    functions: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description:
          'Functions of the other platform for assigned ones here whose state can be taken out of them',
      }),
    ),
    switches: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Switches of the other platform for those here',
      }),
    ),
  }),
  output: Report,
  errors: [
    'notFound',
    'poweredOff',
    'invalidArgument',
    'notMigratable',
    'nameTaken',
    'outOfMemory',
    'outOfResources',
    'unsupported',
    'alreadyDone',
  ],
  *run(context, { platform, vm, to, load, ...rest }) {
    const source = poweredPlatform(context, platform)
    source.hypervisor.vm(vm)
    const target = poweredPlatform(context, to)
    if (source === target) {
      const message = 'must be another platform'
      throw new NorthbridgeError('invalidArgument', `to ${message}`, { issues: [{ path: '/to', message }] })
    }
    const options: MigrationOptions = {
      ...MIGRATION_DEFAULTS,
      ...rest,
      ...(load && { load: { ...load, address: parsePhysical(load.address) } }),
    }
    const migration = new LiveMigration(new TwoPlatforms(source, target), vm, options)
    const report = yield* undoneOnFailure([source, target], migration.run())
    if (report.outcome !== 'cancelled') forgetProtections(context, platform, vm)
    return { ...report, rounds: [...report.rounds] }
  },
  tell,
})

/** A table of what happened. */
function tell(report: Static<typeof Report>): string {
  const { vm, from, to, outcome, rounds, downtimeNs, totalNs, bytes, postCopy, stateBytes } = report
  const lines = rounds.map(
    one =>
      `round ${one.round}: ${one.pages} pages (${one.zeroPages} of zeros), ${one.bytes} bytes in ${one.durationNs} ns; ` +
      `${one.dirtied} pages changed meanwhile (${one.dirtyPagesPerSecond}/s)` +
      (one.throttle > 0 ? `, guest held back ${one.throttle} %` : ''),
  )
  const late =
    postCopy === null
      ? []
      : [
          `post-copy: ${postCopy.pages} pages came later, ${postCopy.faults} of them asked for by the guest, which ` +
            `waited ${postCopy.stalledNs} ns`,
        ]
  const end =
    outcome === 'cancelled'
      ? `"${vm}" stays on "${from}": it changes its memory faster than it can be sent`
      : `"${vm}" runs on "${to}": downtime ${downtimeNs} ns (${stateBytes} bytes of state), ${bytes} bytes in ${totalNs} ns`
  const team =
    report.primary === null
      ? []
      : [`its standby stood in for ${report.primary.released}; it has ${report.primary.taken} now`]
  return [...lines, ...late, ...team, `${end}.`].join('\n')
}
