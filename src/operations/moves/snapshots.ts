/** Virtual machines as they were: kept, gone back to, copied, taken elsewhere. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  captureVm,
  checkVmDocument,
  cloneVm as clone,
  decodeText,
  encodeText,
  placeVm,
  type SimulatedPlatform,
  type VmDocument,
} from '../../system/index.ts'
import type { OperationContext, SnapshotEntry } from '../context.ts'
import { Mac, stationMac } from '../network/schemas.ts'
import { now, operation } from '../operation.ts'
import { Count, Fields, Identifier, inPlatform, Name, Nullable } from '../schemas.ts'
import { command, VmView, vmView } from '../vms.ts'

const SnapshotView = Fields(
  {
    name: Type.String(),
    vm: Type.String(),
    platform: Nullable(Type.String({ description: 'Where it was taken' })),
    vcpus: Count(64),
    memoryMiB: Count(2 ** 40),
    clockNs: Type.Number({ description: 'What the guest’s clock showed' }),
    memoryPages: Count(2 ** 40),
    diskPages: Count(2 ** 40),
    networkDevices: Count(31),
    digest: Type.String(),
  },
  { $id: 'Snapshot', description: 'A virtual machine as it was; pages of zeros are not kept' },
)

const view = ({ name, platform, document }: SnapshotEntry): Static<typeof SnapshotView> => ({
  name,
  vm: document.machine.name,
  platform,
  vcpus: document.machine.vcpus.length,
  memoryMiB: document.machine.memoryMiB,
  clockNs: document.machine.clock,
  memoryPages: document.memory.pages.length,
  diskPages: document.medium?.pages.length ?? 0,
  networkDevices: document.network.length,
  digest: document.hash,
})

const Switches = Type.Record(Type.String(), Type.String(), {
  description: 'Switches of this platform for those of the document; default: those of the same names',
})

const path = '/v1/snapshots'
const ofVm = '/v1/platforms/{platform}/vms/{vm}'
/** What making a machine of a document may end with. */
const PLACING = [
  'notFound',
  'poweredOff',
  'nameTaken',
  'outOfMemory',
  'outOfResources',
  'unsupported',
  'invalidArgument',
] as const

export const snapshots = operation({
  summary: 'Lists the snapshots of virtual machines',
  rest: { method: 'GET', path },
  words: 'snapshots list',
  input: Fields({}),
  output: Type.Array(SnapshotView),
  errors: [],
  list: {
    key: (item: Static<typeof SnapshotView>) => item.name,
    columns: ['name', 'vm', 'platform', 'vcpus', 'memoryMiB', 'memoryPages'],
  },
  run: context => now(() => context.snapshots.entries().map(([, entry]) => view(entry))),
})

export const snapshot = operation({
  summary: 'Shows a snapshot',
  rest: { method: 'GET', path: `${path}/{snapshot}` },
  words: 'snapshots get',
  input: Fields({ snapshot: Identifier }),
  output: SnapshotView,
  errors: ['notFound'],
  run: (context, input) => now(() => view(context.snapshots.get(input.snapshot))),
})

export const takeSnapshot = operation({
  summary:
    'Keeps a virtual machine as it is now: memory, processors, devices, and a disk in the host’s memory',
  rest: { method: 'POST', path: `${ofVm}/snapshots`, status: 201, location: `${path}/{name}` },
  words: 'vms snapshot',
  kept: { asState: true },
  input: inPlatform({ vm: Identifier, name: Name }),
  output: SnapshotView,
  errors: ['notFound', 'poweredOff', 'nameTaken', 'limitExceeded', 'notMigratable'],
  *run(context, { platform, vm, name }) {
    context.snapshots.reserve(name)
    try {
      const document = yield* command(context, platform, running => captureVm(running, vm))
      const entry = { name, platform, document }
      context.snapshots.set(name, entry)
      return view(entry)
    } catch (error) {
      context.snapshots.release(name)
      throw error
    }
  },
  tell: ({ name, vm, memoryPages }) => `Snapshot "${name}" of "${vm}": ${memoryPages} pages of memory.`,
})

export const deleteSnapshot = operation({
  summary: 'Forgets a snapshot',
  rest: { method: 'DELETE', path: `${path}/{snapshot}`, status: 204 },
  words: 'snapshots delete',
  input: Fields({ snapshot: Identifier }),
  output: Type.Null(),
  errors: ['notFound'],
  run: (context, input) =>
    now(() => {
      context.snapshots.delete(input.snapshot)
      return null
    }),
})

/** Has the machine of a document go on unless it is to stay paused. */
function* goOn(running: SimulatedPlatform, vm: string, paused: boolean): Software<Static<typeof VmView>> {
  const { hypervisor } = running
  if (!paused) yield* hypervisor.moves.resume(vm)
  running.networking.announce(vm)
  return vmView(hypervisor.vm(vm))
}

const Paused = Type.Optional(Type.Boolean({ description: 'It stays paused; default false' }))

export const rewindVm = operation({
  summary: 'Puts a virtual machine back to what it was in a snapshot of it',
  rest: { method: 'POST', path: `${ofVm}/rewind` },
  words: 'vms rewind',
  atomic: true,
  kept: { asState: true },
  input: inPlatform({ vm: Identifier, snapshot: Identifier, paused: Paused }),
  output: VmView,
  errors: [...PLACING],
  *run(context, { platform, vm, snapshot: name, paused = false }) {
    const { document } = context.snapshots.get(name)
    if (document.machine.name !== vm) {
      const message = `snapshot "${name}" is of "${document.machine.name}"`
      throw new NorthbridgeError('invalidArgument', message, { issues: [{ path: '/snapshot', message }] })
    }
    return yield* command(context, platform, function* (running) {
      yield* running.hypervisor.deleteVm(vm)
      yield* placeVm(running, document, { functions: ownFunctions(document) })
      return yield* goOn(running, vm, paused)
    })
  },
  tell: (_output, { vm, snapshot: name }) => `"${vm}" is as it was in snapshot "${name}".`,
})

/** Those that the machine had. */
const ownFunctions = ({ machine }: VmDocument): Record<string, string> =>
  Object.fromEntries(machine.functions.map(({ address }) => [address, address]))

export const placeSnapshot = operation({
  summary: 'Makes a virtual machine of a snapshot, on this platform or any other',
  rest: {
    method: 'POST',
    path: `${path}/{snapshot}/place`,
    status: 201,
    location: '/v1/platforms/{platform}/vms/{name}',
  },
  words: 'snapshots place',
  atomic: true,
  kept: { asState: true },
  input: inPlatform({
    snapshot: Identifier,
    name: Type.Optional(Name),
    switches: Type.Optional(Switches),
    functions: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Functions of this platform for assigned ones of the document',
      }),
    ),
    paused: Paused,
  }),
  output: VmView,
  errors: [...PLACING, 'notMigratable'],
  *run(context, { platform, snapshot: from, name, switches, functions, paused = false }) {
    const { document } = context.snapshots.get(from)
    const vm = name ?? document.machine.name
    return yield* command(context, platform, function* (running) {
      yield* placeVm(running, document, {
        name: vm,
        ...(switches && { switches }),
        ...(functions && { functions }),
      })
      return yield* goOn(running, vm, paused)
    })
  },
  tell: ({ name }, { snapshot: from, platform }) =>
    `"${name}" goes on, on "${platform}", where "${from}" was.`,
})

export const cloneVm = operation({
  summary:
    'Makes a second virtual machine of one that is, or was: it goes on from there, with addresses of its own',
  rest: {
    method: 'POST',
    path: `${ofVm}/clone`,
    status: 201,
    location: '/v1/platforms/{platform}/vms/{name}',
  },
  words: 'vms clone',
  atomic: true,
  kept: { asState: true },
  input: inPlatform({
    vm: Identifier,
    name: Name,
    snapshot: Type.Optional(Identifier),
    macs: Type.Optional(
      Type.Array(Mac, {
        description: 'Of its network devices, in the order of their slots; default: made of the name',
      }),
    ),
    switches: Type.Optional(Switches),
  }),
  output: VmView,
  errors: [...PLACING, 'notMigratable'],
  *run(context, { platform, vm, name, snapshot: from, macs, switches }) {
    const options = {
      name,
      ...(macs && { macs: macs.map((mac, i) => stationMac(mac, `macs/${i}`)) }),
      ...(switches && { switches }),
    }
    return yield* command(context, platform, function* (running) {
      const document = yield* documentOf(context, running, vm, from)
      checkAddresses(document, macs)
      yield* clone(running, document, options)
      return vmView(running.hypervisor.vm(name))
    })
  },
  tell: ({ name }, { vm }) => `"${name}" is a clone of "${vm}".`,
})

/** The snapshot of a machine, or what it is now. */
function* documentOf(
  context: OperationContext,
  running: SimulatedPlatform,
  vm: string,
  from: string | undefined,
): Software<VmDocument> {
  return from === undefined ? yield* captureVm(running, vm) : context.snapshots.get(from).document
}

function checkAddresses({ network }: VmDocument, macs: readonly string[] | undefined): void {
  if (macs === undefined || macs.length === network.length) return
  const message = `must be ${network.length}, one for each network device`
  throw new NorthbridgeError('invalidArgument', `macs ${message}`, { issues: [{ path: '/macs', message }] })
}

export const exportSnapshot = operation({
  summary: 'Gives a snapshot as a document, which any server takes',
  rest: { method: 'GET', path: `${path}/{snapshot}/document` },
  words: 'snapshots export',
  input: Fields({ snapshot: Identifier }),
  output: Fields({ document: Type.String({ description: 'JSON text' }) }, { $id: 'SnapshotDocument' }),
  errors: ['notFound'],
  run: (context, input) =>
    now(() => ({
      document: encodeText(
        context.snapshots.get(input.snapshot).document as unknown as Parameters<typeof encodeText>[0],
      ),
    })),
})

export const importSnapshot = operation({
  summary: 'Keeps a snapshot that was given as a document',
  rest: { method: 'POST', path, status: 201, location: `${path}/{name}` },
  words: 'snapshots import',
  input: Fields({ name: Name, document: Type.String({ description: 'JSON text, as it was exported' }) }),
  output: SnapshotView,
  errors: ['nameTaken', 'limitExceeded', 'malformedInput', 'invalidDocument'],
  run: (context, { name, document: text }) =>
    now(() => {
      const entry = { name, platform: null, document: checkVmDocument(decodeText(text)) }
      context.snapshots.reserve(name)
      context.snapshots.set(name, entry)
      return view(entry)
    }),
  tell: ({ name, vm }) => `Snapshot "${name}" of "${vm}" was imported.`,
})
