/** Operations on memory that drivers of the host share with their functions. */
import { type Static, Type } from '@sinclair/typebox'
import { hex, parsePhysical } from '../core/index.ts'
import { within } from '../engine/index.ts'
import type { DmaBuffer } from '../host/index.ts'
import { functionOf } from './functions.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Fields, Hex, Identifier, inPlatform, Words } from './schemas.ts'

/** 64 MiB. */
const MOST_PAGES = 16_384

const BufferView = Fields(
  {
    function: Type.String(),
    address: Type.String({ description: 'Where the function reaches it (I/O virtual address)' }),
    physicalAddress: Type.String(),
    pages: Count(MOST_PAGES, 1),
    access: Words('read', 'write', 'readWrite'),
  },
  { $id: 'Buffer' },
)

const viewOf = (
  address: string,
  { address: ioAddress, hostPage, pages, read, write }: DmaBuffer,
): Static<typeof BufferView> => ({
  function: address,
  address: hex(ioAddress),
  physicalAddress: hex(hostPage * 4096),
  pages,
  access: read && write ? 'readWrite' : read ? 'read' : 'write',
})

const path = '/v1/platforms/{platform}/functions/{function}/buffers'

export const buffers = operation({
  summary: 'Lists the memory that a driver of the host shares with a function',
  rest: { method: 'GET', path },
  words: 'buffers list',
  input: inPlatform({ function: Identifier }),
  output: Type.Array(BufferView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof BufferView>) => Number.parseInt(item.address, 16),
    columns: ['function', 'address', 'physicalAddress', 'pages', 'access'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const { address } = functionOf(platform, input.function)
      return platform.host.buffers(address).map(buffer => viewOf(address, buffer))
    }),
})

export const allocateBuffer = operation({
  summary: 'Has the driver of a function allocate memory and make it reachable for the function',
  rest: { method: 'POST', path, status: 201, location: `${path}/{address}` },
  words: 'buffers allocate',
  atomic: true,
  input: inPlatform({
    function: Identifier,
    pages: Count(MOST_PAGES, 1),
    access: Type.Optional(Words('read', 'write', 'readWrite')),
  }),
  output: BufferView,
  errors: ['notFound', 'poweredOff', 'functionInUse', 'outOfMemory', 'outOfResources'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const { address } = functionOf(platform, input.function)
    const { pages, access = 'readWrite' } = input
    const rights = { read: access !== 'write', write: access !== 'read' }
    const buffer = yield* within(platform.engine, platform.host.allocateBuffer(address, pages, rights))
    return viewOf(address, buffer)
  },
  tell: ({ function: fn, address, physicalAddress, pages }) =>
    `${fn} reaches ${pages === 1 ? 'a page' : `${pages} pages`} of memory at ${physicalAddress} by address ${address}.`,
})

export const freeBuffer = operation({
  summary: 'Has the driver of a function take memory back; in deferred mode units forget it later',
  rest: { method: 'DELETE', path: `${path}/{address}`, status: 204 },
  words: 'buffers free',
  input: inPlatform({ function: Identifier, address: Hex }),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'functionInUse'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    const { address } = functionOf(platform, input.function)
    yield* within(
      platform.engine,
      platform.host.freeBuffer(address, parsePhysical(input.address, 'the address of a buffer')),
    )
    return null
  },
  tell: (_output, input) => `${input.function} gave back its buffer at ${input.address}.`,
})

export const flushBuffers = operation({
  summary: 'Makes every unit forget the memory that drivers took back in deferred mode',
  rest: { method: 'DELETE', path: '/v1/platforms/{platform}/deferred-unmaps', status: 204 },
  words: 'buffers flush',
  input: inPlatform({}),
  output: Type.Null(),
  errors: ['notFound', 'poweredOff'],
  *run(context, input) {
    const platform = poweredPlatform(context, input.platform)
    yield* within(platform.engine, platform.host.flushDeferred())
    return null
  },
  tell: () => 'No unit knows memory that was taken back.',
})
