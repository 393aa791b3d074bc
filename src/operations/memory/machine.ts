/** Operations on the memory of one virtual machine whose memory is paged. */
import { type Static, Type } from '@sinclair/typebox'
import { WORKING_SET_CONTENTS } from '../../guest/index.ts'
import type { VmMemoryView as View } from '../../hypervisor/index.ts'
import { FIRST_PROGRAM_MIB, useMemory as use } from '../../system/index.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, Identifier, inPlatform, Words } from '../schemas.ts'
import { command } from '../vms.ts'
import { MemorySettings, VmMemoryView } from './schemas.ts'

const path = '/v1/platforms/{platform}/vms/{vm}/host-memory'
const Mebibytes = Count(2 ** 30)

export const memoryView = (view: View): Static<typeof VmMemoryView> => ({
  ...view,
  balloon: view.balloon && { ...view.balloon },
  pinnedBy: [...view.pinnedBy],
  counters: { ...view.counters },
})

export const tellMemory = (view: Static<typeof VmMemoryView>): string => {
  const parts = [
    ['resident', view.resident],
    ['shared', view.shared],
    ['swapped', view.swapped],
    ['ballooned', view.ballooned],
  ] as const
  const told = parts.map(([name, pages]) => `${mebibytes(pages)} ${name}`).join(', ')
  const pinned = view.pinnedBy.length === 0 ? '' : `; pinned by ${view.pinnedBy.join(', ')}`
  return `"${view.vm}" has ${view.memoryMiB} MiB (${view.backing}): ${told}${pinned}.`
}

export const mebibytes = (pages: number): string => `${(pages / 256).toFixed(1)} MiB`

export const vmMemory = operation({
  summary: 'Shows what stands behind the memory of a virtual machine',
  rest: { method: 'GET', path },
  words: 'memory get',
  input: inPlatform({ vm: Identifier }),
  output: VmMemoryView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, vm }) =>
    now(() => memoryView(poweredPlatform(context, platform).hypervisor.memory.view(vm))),
  tell: tellMemory,
})

export const setVmMemory = operation({
  summary: 'Sets shares, reservation and limit of host memory of a virtual machine',
  rest: { method: 'PUT', path },
  words: 'memory set',
  input: inPlatform({ vm: Identifier, ...MemorySettings }),
  output: VmMemoryView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'memoryPinned', 'outOfMemory'],
  run: (context, { platform, vm, ...settings }) =>
    now(() => memoryView(poweredPlatform(context, platform).hypervisor.memory.set(vm, settings))),
  tell: ({ vm, shares, reservationMiB, limitMiB }) =>
    `"${vm}" has ${shares} shares of memory, keeps ${reservationMiB} MiB and gets at most ${limitMiB} MiB.`,
})

export const setBalloon = operation({
  summary: 'Asks the guest of a virtual machine for a part of its memory',
  rest: { method: 'PUT', path: `${path}/balloon` },
  words: 'memory balloon',
  input: inPlatform({ vm: Identifier, mebibytes: Mebibytes }),
  output: VmMemoryView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'memoryPinned'],
  *run(context, { platform, vm, mebibytes: size }) {
    return memoryView(
      yield* command(context, platform, ({ hypervisor }) => hypervisor.memory.setBalloon(vm, size)),
    )
  },
  tell: ({ vm, balloon, ballooned }, { mebibytes: size }) =>
    `"${vm}" was asked for ${size} MiB and gave ${mebibytes(balloon?.actual ?? 0)}; ${mebibytes(ballooned)} of that are the host's.`,
})

export const swapOut = operation({
  summary: 'Swaps out memory that a virtual machine did not use lately',
  rest: { method: 'POST', path: `${path}/swap-out` },
  words: 'memory swap-out',
  input: inPlatform({ vm: Identifier, mebibytes: Mebibytes }),
  output: VmMemoryView,
  errors: ['notFound', 'poweredOff', 'memoryPinned'],
  run: (context, { platform, vm, mebibytes: size }) =>
    now(() => memoryView(poweredPlatform(context, platform).hypervisor.memory.swapOut(vm, size))),
  tell: tellMemory,
})

export const collapseMemory = operation({
  summary: 'Puts small pages of a virtual machine together into pages of 2 MiB',
  rest: { method: 'POST', path: `${path}/collapse` },
  words: 'memory collapse',
  input: inPlatform({ vm: Identifier }),
  output: VmMemoryView,
  errors: ['notFound', 'poweredOff', 'memoryPinned'],
  run: (context, { platform, vm }) =>
    now(() => memoryView(poweredPlatform(context, platform).hypervisor.memory.collapse(vm))),
  tell: ({ vm, largePages, counters }) =>
    `"${vm}" has ${largePages} pages of 2 MiB; ${counters.collapsed} were put together, ${counters.broken} taken apart so far.`,
})

export const useMemory = operation({
  summary: 'Has the guest of a virtual machine use memory: a program writes, or reads, a word of each page',
  rest: { method: 'POST', path: `${path}/use` },
  words: 'memory use',
  atomic: true,
  input: inPlatform({
    vm: Identifier,
    mebibytes: Count(2 ** 20, 1),
    firstMiB: Type.Optional(Count(2 ** 30, FIRST_PROGRAM_MIB)),
    release: Type.Optional(
      Type.Boolean({
        description: 'The program ends: a balloon may have its memory, as that of a file cache',
      }),
    ),
    contents: Type.Optional(Words('read', ...WORKING_SET_CONTENTS)),
  }),
  output: Fields(
    {
      pages: Count(2 ** 40),
      held: Type.Integer({ description: 'Pages that hold what an earlier use wrote' }),
      faults: Type.Integer({ description: 'VM exits that brought memory' }),
    },
    { $id: 'MemoryUsed' },
  ),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'unsupported', 'outOfMemory'],
  *run(context, { platform, contents = 'own', firstMiB = FIRST_PROGRAM_MIB, ...rest }) {
    const what = contents === 'read' ? {} : { contents }
    return yield* command(context, platform, ({ hypervisor }) =>
      use(hypervisor, { ...rest, firstMiB, ...what }),
    )
  },
  tell: ({ pages, held, faults }, { vm, contents = 'own' }) =>
    contents === 'read'
      ? `"${vm}" read ${pages} pages, ${held} of which hold what it wrote, with ${faults} faults.`
      : `"${vm}" wrote ${pages} pages with ${faults} faults.`,
})
