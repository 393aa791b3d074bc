/** Namespaces of NVMe controllers: which there are, who is attached to them, and what they are kept in. */
import { type Static, Type } from '@sinclair/typebox'
import type { NamespaceView as Namespace } from '../system/index.ts'
import { functionOf } from './functions.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, FunctionAddress, Identifier, inPlatform, Name, Nullable } from './schemas.ts'
import { command } from './vms.ts'

const MOST_BLOCKS = 2 ** 40
const MOST_ID = 64

const NamespaceView = Fields(
  {
    id: Type.Integer({ description: 'NSID' }),
    blocks: Type.Integer(),
    blockSize: Type.Integer(),
    shared: Type.Boolean({ description: 'Several controllers may be attached at a time' }),
    functions: Type.Array(Type.String(), { description: 'Functions whose controllers are attached' }),
    file: Nullable(Type.String({ description: 'What its blocks are kept in; null: memory' })),
  },
  { $id: 'NvmeNamespace' },
)

const view = (namespace: Namespace): Static<typeof NamespaceView> => ({
  ...namespace,
  functions: [...namespace.functions],
})

const path = '/v1/platforms/{platform}/functions/{function}/namespaces'
const Nsid = Count(MOST_ID, 1)
/** What makes or changes a namespace, besides what is wrong with its input. */
const MANAGEMENT = ['notFound', 'poweredOff', 'invalidArgument', 'functionInUse', 'unsupported'] as const

export const nvmeNamespaces = operation({
  summary: 'Lists the namespaces of a function’s chip, once something has used it',
  rest: { method: 'GET', path },
  words: 'namespaces list',
  input: inPlatform({ function: Identifier }),
  output: Type.Array(NamespaceView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof NamespaceView>) => item.id,
    columns: ['id', 'blocks', 'blockSize', 'shared', 'functions', 'file'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const { address } = functionOf(platform, input.function)
      return platform.disks.namespaces.list(address).map(view)
    }),
})

export const createNamespace = operation({
  summary: 'Has the host’s driver make a namespace of what is left of the medium; nobody is attached to it',
  rest: { method: 'POST', path, status: 201, location: `${path}/{id}` },
  words: 'namespaces create',
  atomic: true,
  input: inPlatform({
    function: Identifier,
    blocks: Count(MOST_BLOCKS, 1),
    blockSize: Type.Optional(Type.Union([Type.Literal(512), Type.Literal(4096)])),
    private: Type.Optional(Type.Boolean({ description: 'One controller may be attached at a time' })),
  }),
  output: NamespaceView,
  errors: [...MANAGEMENT, 'outOfMemory', 'outOfResources'],
  *run(context, { platform, function: address, blocks, blockSize = 512, private: own = false }) {
    return view(
      yield* command(context, platform, machine =>
        machine.disks.namespaces.create({
          function: functionOf(machine, address).address,
          blocks,
          blockSize,
          shared: !own,
        }),
      ),
    )
  },
  tell: ({ id, blocks, blockSize }, input) =>
    `${input.function} has namespace ${id} of ${blocks} blocks of ${blockSize} bytes.`,
})

export const deleteNamespace = operation({
  summary: 'Has the host’s driver delete a namespace; what was on it is lost',
  rest: { method: 'DELETE', path: `${path}/{namespace}`, status: 204 },
  words: 'namespaces delete',
  atomic: true,
  input: inPlatform({ function: Identifier, namespace: Nsid }),
  output: Type.Null(),
  errors: [...MANAGEMENT, 'outOfMemory', 'outOfResources'],
  *run(context, { platform, function: address, namespace }) {
    yield* command(context, platform, machine =>
      machine.disks.namespaces.delete(functionOf(machine, address).address, namespace),
    )
    return null
  },
  tell: (_output, input) => `Namespace ${input.namespace} of ${input.function} is gone.`,
})

const attachment = inPlatform({ function: Identifier, namespace: Nsid, to: FunctionAddress })

export const attachNamespace = operation({
  summary: 'Has the host’s driver attach a namespace to the controller of a function',
  rest: { method: 'PUT', path: `${path}/{namespace}/controllers/{to}` },
  words: 'namespaces attach',
  atomic: true,
  input: attachment,
  output: NamespaceView,
  errors: [...MANAGEMENT, 'outOfMemory', 'outOfResources'],
  *run(context, { platform, function: address, namespace, to }) {
    return view(
      yield* command(context, platform, machine =>
        machine.disks.namespaces.setAttached(
          functionOf(machine, address).address,
          namespace,
          functionOf(machine, to).address,
          true,
        ),
      ),
    )
  },
  tell: (_output, { namespace, to }) => `Namespace ${namespace} is attached to ${to}.`,
})

export const detachNamespace = operation({
  summary: 'Has the host’s driver detach a namespace from the controller of a function',
  rest: { method: 'DELETE', path: `${path}/{namespace}/controllers/{to}` },
  words: 'namespaces detach',
  atomic: true,
  input: attachment,
  output: NamespaceView,
  errors: [...MANAGEMENT, 'outOfMemory', 'outOfResources'],
  *run(context, { platform, function: address, namespace, to }) {
    return view(
      yield* command(context, platform, machine =>
        machine.disks.namespaces.setAttached(
          functionOf(machine, address).address,
          namespace,
          functionOf(machine, to).address,
          false,
        ),
      ),
    )
  },
  tell: (_output, { namespace, to }) => `Namespace ${namespace} is not attached to ${to} any more.`,
})

export const putNamespaceOnFile = operation({
  summary:
    'Puts a file in the place of a namespace’s medium: what is in the file is on the disk, and stays there',
  rest: { method: 'PUT', path: `${path}/{namespace}/file` },
  words: 'namespaces file',
  atomic: true,
  input: inPlatform({ function: Identifier, namespace: Nsid, file: Name }),
  output: NamespaceView,
  errors: [...MANAGEMENT, 'outOfMemory', 'outOfResources'],
  *run(context, { platform, function: address, namespace, file }) {
    return view(
      yield* command(context, platform, machine =>
        machine.disks.namespaces.putOnFile(functionOf(machine, address).address, namespace, file),
      ),
    )
  },
  tell: ({ id, file }, input) => `Namespace ${id} of ${input.function} is on the file ${file}.`,
})
