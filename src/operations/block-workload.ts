/** Workloads of blocks: many commands of a guest, several under way together, and what they took. */
import { type Static, Type } from '@sinclair/typebox'
import { operation } from './operation.ts'
import { Count, Fields, Identifier, inPlatform, Nullable, Words } from './schemas.ts'
import { ControllerRequests, exitsByHandler, LAST_SECTOR, MOST_SECTORS, tellCost } from './storage.ts'
import { command } from './vms.ts'

const MOST_COMMANDS = 65_536
/** No driver has more under way. */
const MOST_DEPTH = 256
const LAST_SEED = 2 ** 31 - 1

const BlockWorkloadView = Fields(
  {
    reads: Type.Integer({ description: 'Commands that ended well' }),
    writes: Type.Integer(),
    failed: Type.Integer({ description: 'Commands that the disk ended with an error, or never' }),
    mismatches: Type.Integer({
      description: 'Sectors that were read without the stamp with which the workload had written them',
    }),
    readBytes: Type.Integer(),
    writtenBytes: Type.Integer(),
    doorbells: Type.Integer({
      description: 'Register writes of the driver that told of commands or of completions seen',
    }),
    interrupts: Type.Integer({ description: 'Messages that the driver took' }),
    exits: Type.Integer({ description: 'VM exits from the first register access to the idle loop' }),
    exitsByHandler: Type.Record(Type.String(), Type.Integer()),
    copiedBytes: Type.Integer({ description: 'Bytes that the hypervisor copied' }),
    requests: Nullable(ControllerRequests),
  },
  { $id: 'BlockWorkloadResult' },
)

function tell({ reads, writes, failed, mismatches, ...cost }: Static<typeof BlockWorkloadView>): string {
  const bytes = `${cost.readBytes} bytes read, ${cost.writtenBytes} written`
  const trouble = `${failed} failed, ${mismatches} sectors not as they were written`
  const told = `${cost.doorbells} doorbells, ${cost.interrupts} interrupts taken`
  return `${reads} reads, ${writes} writes, ${trouble}; ${bytes}; ${told}; ${tellCost(cost)}.`
}

export const runBlockWorkload = operation({
  summary: 'Has a guest keep its disk busy, with several commands under way together; says what it took',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/vms/{vm}/disk/workloads' },
  words: 'block run',
  input: inPlatform({
    vm: Identifier,
    pattern: Type.Optional(Words('sequential', 'random')),
    sectors: Type.Optional(Count(MOST_SECTORS, 1)),
    depth: Type.Optional(Count(MOST_DEPTH, 1)),
    commands: Type.Optional(Count(MOST_COMMANDS, 1)),
    readPercent: Type.Optional(Count(100)),
    firstSector: Type.Optional(Count(LAST_SECTOR)),
    span: Type.Optional(Count(LAST_SECTOR, 1)),
    seed: Type.Optional(Count(LAST_SEED)),
  }),
  output: BlockWorkloadView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, { platform, vm, ...asked }) {
    const { pattern = 'sequential', sectors = 8, depth = 1, commands = 100 } = asked
    const { readPercent = 100, firstSector = 0, seed = 1 } = asked
    const { exits, requests, driver, ...report } = yield* command(context, platform, ({ disks }) => {
      const { span = disks.view(vm).sectors - firstSector } = asked
      const places = { pattern, sectors, firstSector, span, seed }
      return disks.runWorkload(vm, { ...places, depth, commands, readPercent })
    })
    return {
      ...report,
      readBytes: report.reads * sectors * 512,
      writtenBytes: report.writes * sectors * 512,
      doorbells: driver.doorbells,
      interrupts: driver.interrupts,
      exits: exits.length,
      exitsByHandler: exitsByHandler(exits),
      requests: requests === undefined ? null : { ...requests },
    }
  },
  tell,
})
