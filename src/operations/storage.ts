/** Disks of virtual machines under the models of input and output, and the NVMe controllers behind them. */
import { type Static, Type } from '@sinclair/typebox'
import { bytesToHex, hexToBytes } from '../core/index.ts'
import { DISK_MODELS, type Transfer, type VmDisk } from '../system/index.ts'
import { ASSIGNMENT_ERRORS } from './codes.ts'
import { functionOf } from './functions.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import {
  Count,
  Fields,
  FunctionAddress,
  HexBytes,
  Identifier,
  inPlatform,
  Nullable,
  Words,
} from './schemas.ts'
import { command } from './vms.ts'

/** What the buffers of guest drivers hold. */
export const MOST_SECTORS = 128
export const LAST_SECTOR = 2 ** 43

const Model = Words(...DISK_MODELS)
const DiskView = Fields(
  {
    vm: Type.String(),
    model: Model,
    function: Nullable(Type.String({ description: 'The NVMe function behind it; null: memory of the host' })),
    guestAddress: Type.String({ description: 'Where the guest finds it' }),
    driver: Type.String({ description: 'The driver of the guest' }),
    sectors: Type.Integer({ description: 'Of 512 bytes' }),
  },
  { $id: 'Disk' },
)

export const ControllerRequests = Fields(
  {
    reads: Type.Integer({ description: 'Memory reads that the controller sent' }),
    writes: Type.Integer(),
    bytes: Type.Integer(),
    failed: Type.Integer({ description: 'Requests that did not end successfully' }),
    iotlbLookups: Type.Integer({ description: 'Requests that a remapping unit translated' }),
    iotlbHits: Type.Integer(),
    tableReads: Type.Integer({ description: 'Reads of remapping structures in memory' }),
    interrupts: Type.Integer({ description: 'Messages that the controller signalled' }),
  },
  { $id: 'ControllerRequests' },
)

const TransferView = Fields(
  {
    outcome: Words('completed', 'failed'),
    data: Type.Optional(HexBytes),
    exits: Type.Integer({ description: 'VM exits from the first register access to the idle loop' }),
    exitsByHandler: Type.Record(Type.String(), Type.Integer()),
    copiedBytes: Type.Integer({ description: 'Bytes that the hypervisor copied' }),
    requests: Nullable(ControllerRequests),
  },
  { $id: 'BlockTransfer' },
)

const diskView = (disk: VmDisk): Static<typeof DiskView> => ({ ...disk, function: disk.function ?? null })

export function exitsByHandler(exits: Transfer['exits']): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { handledBy } of exits) counts[handledBy] = (counts[handledBy] ?? 0) + 1
  return counts
}

function transferView(transfer: Transfer, write: boolean): Static<typeof TransferView> {
  return {
    outcome: transfer.ok ? 'completed' : 'failed',
    ...(transfer.ok && !write && { data: bytesToHex(transfer.data) }),
    exits: transfer.exits.length,
    exitsByHandler: exitsByHandler(transfer.exits),
    copiedBytes: transfer.copiedBytes,
    requests: transfer.requests === undefined ? null : { ...transfer.requests },
  }
}

const sectors = (count: number): string => (count === 1 ? '1 sector' : `${count} sectors`)
const tellTransfer = (what: string, transfer: Static<typeof TransferView>): string =>
  `${what}: ${transfer.outcome}; ${tellCost(transfer)}.`

type Cost = Pick<Static<typeof TransferView>, 'exits' | 'exitsByHandler' | 'copiedBytes' | 'requests'>

export const tellCost = ({ exits, exitsByHandler: byHandler, copiedBytes, requests }: Cost): string => {
  const handlers = Object.entries(byHandler).map(([name, count]) => `${count} ${name}`)
  const controller =
    requests === null
      ? 'no controller'
      : `controller: ${requests.reads} reads, ${requests.writes} writes, ${requests.iotlbHits} of ${requests.iotlbLookups} in the IOTLB, ${requests.interrupts} interrupts`
  return `${exits} exits (${handlers.join(', ')}); ${copiedBytes} bytes copied; ${controller}`
}

const path = '/v1/platforms/{platform}/vms/{vm}/disk'

export const openDisk = operation({
  summary:
    'Gives a virtual machine a disk under a model of input and output and has the guest’s driver start it',
  rest: { method: 'POST', path, status: 201, location: path },
  words: 'block open',
  atomic: true,
  input: inPlatform({
    vm: Identifier,
    model: Model,
    function: Type.Optional(FunctionAddress),
    namespace: Type.Optional(Count(64, 1)),
  }),
  output: DiskView,
  errors: [
    'notFound',
    'poweredOff',
    'alreadyDone',
    'invalidArgument',
    'unsupported',
    ...ASSIGNMENT_ERRORS,
    'outOfResources',
    'outOfMemory',
  ],
  *run(context, { platform, vm, model, function: address, namespace }) {
    return diskView(
      yield* command(context, platform, machine =>
        machine.disks.open({
          vm,
          model,
          ...(address !== undefined && { function: functionOf(machine, address).address }),
          ...(namespace !== undefined && { namespace }),
        }),
      ),
    )
  },
  tell: ({ vm, model, guestAddress, driver, sectors }) =>
    `"${vm}" has a disk of ${sectors} sectors at ${guestAddress} (${model}), run by its driver ${driver}.`,
})

export const disk = operation({
  summary: 'Shows the disk of a virtual machine',
  rest: { method: 'GET', path },
  words: 'block show',
  input: inPlatform({ vm: Identifier }),
  output: DiskView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) => now(() => diskView(poweredPlatform(context, input.platform).disks.view(input.vm))),
})

export const closeDisk = operation({
  summary: 'Takes the disk of a virtual machine away; what is on a namespace stays there',
  rest: { method: 'DELETE', path, status: 204 },
  words: 'block close',
  atomic: true,
  input: inPlatform({ vm: Identifier }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    yield* command(context, input.platform, ({ disks }) => disks.close(input.vm))
    return null
  },
  tell: (_output, input) => `"${input.vm}" has no disk any more.`,
})

export const readBlocks = operation({
  summary: 'Has a guest read sectors of its disk; says what it took',
  rest: { method: 'POST', path: `${path}/read` },
  words: 'block read',
  input: inPlatform({ vm: Identifier, sector: Count(LAST_SECTOR), count: Count(MOST_SECTORS, 1) }),
  output: TransferView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, { platform, vm, sector, count }) {
    return transferView(
      yield* command(context, platform, ({ disks }) => disks.read(vm, sector, count)),
      false,
    )
  },
  tell: (transfer, { sector, count }) => tellTransfer(`Read of ${sectors(count)} from ${sector}`, transfer),
})

export const writeBlocks = operation({
  summary: 'Has a guest write whole sectors of its disk; says what it took',
  rest: { method: 'POST', path: `${path}/write` },
  words: 'block write',
  input: inPlatform({ vm: Identifier, sector: Count(LAST_SECTOR), data: HexBytes }),
  output: TransferView,
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, { platform, vm, sector, data }) {
    const bytes = hexToBytes(data)
    return transferView(
      yield* command(context, platform, ({ disks }) => disks.write(vm, sector, bytes)),
      true,
    )
  },
  tell: (transfer, { sector, data }) =>
    tellTransfer(`Write of ${sectors(data.length / 1024)} from ${sector}`, transfer),
})

const QueuePlace = { id: Type.Integer(), size: Type.Integer(), head: Type.Integer(), tail: Type.Integer() }
const ControllerView = Fields(
  {
    function: Type.String(),
    controllerId: Type.Integer({ description: 'CNTLID; 0 is the primary controller' }),
    ready: Type.Boolean({ description: 'CSTS.RDY' }),
    online: Type.Boolean({ description: 'Secondary controllers: the Online state' }),
    queueResources: Type.Integer({ description: 'Queue pairs, the admin queues included' }),
    interruptResources: Type.Integer(),
    submissionQueues: Type.Array(Fields({ ...QueuePlace, completionQueue: Type.Integer() })),
    completionQueues: Type.Array(Fields({ ...QueuePlace, phase: Type.Integer(), vector: Type.Integer() })),
    completed: Type.Integer({ description: 'Commands' }),
    counters: ControllerRequests,
  },
  { $id: 'NvmeController' },
)

export const nvmeControllers = operation({
  summary: 'Lists the NVMe controllers of a function’s chip with their queues, once something has used it',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/functions/{function}/controllers' },
  words: 'block controllers',
  input: inPlatform({ function: Identifier }),
  output: Type.Array(ControllerView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof ControllerView>) => item.controllerId,
    columns: ['function', 'controllerId', 'ready', 'online', 'queueResources', 'completed'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const { address } = functionOf(platform, input.function)
      return platform.disks.controllers(address).map(view => ({
        ...view,
        submissionQueues: [...view.submissionQueues],
        completionQueues: [...view.completionQueues],
      }))
    }),
})
