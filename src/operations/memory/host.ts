/** Operations on the memory of the host as virtual machines share it. */
import { Type } from '@sinclair/typebox'
import { SHARING_SCOPES } from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../../system/index.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, inPlatform, Words } from '../schemas.ts'
import { command } from '../vms.ts'
import { mebibytes, memoryView } from './machine.ts'
import { HostMemoryView } from './schemas.ts'

const path = '/v1/platforms/{platform}/host-memory'
const Pages = Count(2 ** 40)

const hostView = ({ hypervisor }: SimulatedPlatform) => ({
  ...hypervisor.memory.hostView,
  machines: hypervisor.memory
    .views()
    .map(memoryView)
    .sort((a, b) => (a.vm < b.vm ? -1 : 1)),
})

export const hostMemory = operation({
  summary: 'Shows how virtual machines share the memory of the host',
  rest: { method: 'GET', path },
  words: 'memory host',
  input: inPlatform({}),
  output: HostMemoryView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform }) => now(() => hostView(poweredPlatform(context, platform))),
  tell: ({ totalPages, freePages, sharedPages, sharedBy, machines }) => {
    const granted = machines.reduce((sum, { memoryMiB }) => sum + memoryMiB, 0)
    const columns = machines.map(
      ({ vm, memoryMiB, resident, shared, swapped, ballooned }) =>
        `${vm}: ${memoryMiB} MiB, ${mebibytes(resident)} resident, ${mebibytes(shared)} shared, ${mebibytes(swapped)} swapped, ${mebibytes(ballooned)} ballooned`,
    )
    return [
      `${mebibytes(freePages)} of ${mebibytes(totalPages)} are free; ${machines.length} virtual machines were granted ${granted} MiB; ${sharedBy} pages share ${sharedPages}.`,
      ...columns,
    ].join('\n')
  },
})

export const setSharing = operation({
  summary: 'Says whose pages may be shared with whose',
  rest: { method: 'PUT', path: `${path}/sharing` },
  words: 'memory sharing',
  input: inPlatform({
    scope: Type.Unsafe<(typeof SHARING_SCOPES)[number]>({
      ...Words(...SHARING_SCOPES),
      description: 'Nobody’s, pages within one virtual machine, or all on the host',
    }),
  }),
  output: Fields({ sharing: Words(...SHARING_SCOPES) }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, scope }) =>
    now(() => {
      const { memory } = poweredPlatform(context, platform).hypervisor
      memory.setSharing(scope)
      return { sharing: scope }
    }),
  tell: ({ sharing }) =>
    ({
      none: 'No pages are shared from now on.',
      vm: 'Pages are shared within a virtual machine.',
      host: 'Pages are shared between all virtual machines.',
    })[sharing],
})

export const sharePages = operation({
  summary: 'Looks for pages with the same contents and keeps them once',
  rest: { method: 'POST', path: `${path}/share` },
  words: 'memory share',
  input: inPlatform({
    large: Type.Optional(Type.Boolean({ description: 'Takes pages of 2 MiB apart for it' })),
  }),
  output: Fields({ scanned: Pages, merged: Pages }, { $id: 'SharingReport' }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, large = false }) =>
    now(() => ({ ...poweredPlatform(context, platform).hypervisor.memory.share(large) })),
  tell: ({ scanned, merged }) =>
    `${scanned} pages were compared; ${merged} need no host page of their own any more.`,
})

export const balanceMemory = operation({
  summary: 'Takes memory back where it is missed least, or gives it back, by shares and use',
  rest: { method: 'POST', path: `${path}/balance` },
  words: 'memory balance',
  input: inPlatform({}),
  output: Fields(
    {
      shortage: Type.Integer({
        description: 'Pages that were missing for the host to be at ease; negative: to spare',
      }),
      shared: Pages,
      machines: Type.Array(
        Fields({
          vm: Type.String(),
          asked: Type.Integer({ description: 'Pages that it was to lose; negative: got back' }),
          ballooned: Type.Integer(),
          swapped: Type.Integer(),
        }),
      ),
    },
    { $id: 'MemoryBalance' },
  ),
  errors: ['notFound', 'poweredOff'],
  *run(context, { platform }) {
    const { shortage, shared, machines } = yield* command(context, platform, ({ hypervisor }) =>
      hypervisor.memory.balance(),
    )
    return { shortage, shared, machines: machines.map(machine => ({ ...machine })) }
  },
  tell: ({ shortage, shared, machines }) =>
    [
      shortage > 0
        ? `${shortage} pages were missing; sharing freed ${shared}.`
        : `Nothing is missing: ${-shortage} pages are to spare.`,
      ...machines.map(({ vm, asked, ballooned, swapped }) =>
        asked > 0
          ? `${vm} lost ${ballooned + swapped} of ${asked} pages: ${ballooned} by its balloon, ${swapped} swapped out.`
          : `${vm} got ${-asked} pages back.`,
      ),
    ].join('\n'),
})
