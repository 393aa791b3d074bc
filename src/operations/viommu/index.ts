/** Operations on the remapping unit of a guest: what its kernel does with it, and what the host makes of that. */
import { type Static, Type } from '@sinclair/typebox'
import { formatRequesterId, hex, parseAddress64, parsePhysical, type RequesterId } from '../../core/index.ts'
import type { GuestRun } from '../../hypervisor/index.ts'
import { VIRTUAL_UNIT_MODES } from '../../hypervisor/index.ts'
import { GuestRemapping, wholePage } from '../../system/index.ts'
import { faultReasonName } from '../faults.ts'
import { functionOf } from '../functions.ts'
import { invalid } from '../judge.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, Hex, Identifier, inPlatform, Words } from '../schemas.ts'
import { exitsByHandler } from '../storage.ts'
import { command } from '../vms.ts'

const MOST = Number.MAX_SAFE_INTEGER
const MOST_PAGES = 2 ** 18

const FaultView = Fields({
  reason: Type.String({ description: 'Fault reason code of the specification' }),
  name: Type.String(),
  source: Type.String({ description: 'Requester id in the guest' }),
  address: Type.String(),
  access: Words('read', 'write'),
})

const UnitView = Fields(
  {
    mode: Words(...VIRTUAL_UNIT_MODES),
    base: Hex,
    translates: Type.Boolean({ description: 'GSTS.TES of the guest’s unit' }),
    remapsInterrupts: Type.Boolean({ description: 'GSTS.IRES' }),
    functions: Type.Array(
      Fields({
        function: Type.String({ description: 'Address on the host' }),
        source: Type.String({ description: 'Requester id in the guest' }),
        mappings: Count(MOST),
        pages: Type.Integer({ description: 'Mapped in the host’s tables for this function' }),
      }),
    ),
    registers: Type.Array(Fields({ name: Type.String(), value: Type.String() })),
    records: Type.Array(FaultView, { description: 'Fault records that the guest has not cleared yet' }),
    faults: Type.Array(FaultView, { description: 'Faults that the guest’s kernel has read, oldest first' }),
    counters: Fields({
      registerReads: Count(MOST),
      registerWrites: Count(MOST),
      followed: Type.Integer({ description: 'How often the host’s tables followed the guest’s' }),
      faults: Type.Integer({ description: 'Faults of functions that the guest’s unit recorded' }),
      withheldFaults: Type.Integer({ description: 'Faults that are no business of the guest’s unit' }),
      blockedInterrupts: Type.Integer({ description: 'Interrupt requests that the guest’s unit blocked' }),
    }),
  },
  { $id: 'GuestRemappingUnit' },
)

const GuestWork = {
  exits: Type.Integer({ description: 'VM exits of the guest’s kernel, idle loop included' }),
  exitsByHandler: Type.Record(Type.String(), Type.Integer()),
}

const workOf = ({ exits }: GuestRun<unknown>) => ({
  exits: exits.length,
  exitsByHandler: exitsByHandler(exits),
})

const tellWork = ({ exits, exitsByHandler: by }: { exits: number; exitsByHandler: Record<string, number> }) =>
  `${counted(exits, 'exit')} (${Object.entries(by)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')})`

const counted = (count: number, what: string): string =>
  `${count} ${what}${count === 1 ? '' : what.endsWith('s') ? 'es' : 's'}`

const faultView = (reason: number, source: string, address: string, write: boolean) => ({
  reason: hex(reason, 2),
  name: faultReasonName(reason),
  source,
  address,
  access: write ? ('write' as const) : ('read' as const),
})

function unitView(remapping: GuestRemapping): Static<typeof UnitView> {
  const { mode, base, translates, remapsInterrupts, functions, registers, faultRecords, counters } =
    remapping.unit
  return {
    mode,
    base: hex(base),
    translates,
    remapsInterrupts,
    functions: functions.map(({ address, sourceId, mappings, pages }) => ({
      function: address,
      source: formatRequesterId(sourceId as RequesterId),
      mappings,
      pages,
    })),
    registers: registers.map(({ name, value }) => ({ name, value })),
    records: faultRecords.map(({ reason, source, address, access }) =>
      faultView(Number(reason), source, address, access === 'write'),
    ),
    faults: remapping.faults.map(({ reason, source, address, write }) =>
      faultView(reason, source, address, write),
    ),
    counters: { ...counters },
  }
}

const path = '/v1/platforms/{platform}/vms/{vm}/viommu'

export const viommu = operation({
  summary: 'Shows the remapping unit of a guest: registers, faults, and what the host maps for it',
  rest: { method: 'GET', path },
  words: 'viommu get',
  input: inPlatform({ vm: Identifier }),
  output: UnitView,
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, vm }) =>
    now(() => unitView(new GuestRemapping(poweredPlatform(context, platform).hypervisor, vm))),
  tell: ({ mode, translates, functions, faults, counters }, { vm }) => {
    const reached = functions.map(({ source, mappings, pages }) => {
      const what = `${counted(mappings, 'mapping')}, ${counted(pages, 'page')}`
      return `${source} (${what})`
    })
    const last = faults.at(-1)
    const newest = last && `, the newest of ${last.source} at ${last.address}: ${last.reason}, ${last.name}`
    return [
      `The unit of "${vm}" (${mode}) ${translates ? 'translates' : 'does not translate'}.`,
      `In the host’s tables: ${reached.join(', ') || 'no function'}.`,
      `${counted(counters.registerReads + counters.registerWrites, 'register access')} exited.`,
      `Its kernel has read ${counted(faults.length, 'fault')}${newest ?? ''}.`,
    ].join(' ')
  },
})

export const setViommu = operation({
  summary: 'Has the kernel of a guest use its remapping unit, or let it be',
  rest: { method: 'PUT', path: `${path}/translation` },
  words: 'viommu set',
  atomic: true,
  input: inPlatform({ vm: Identifier, enabled: Type.Boolean() }),
  output: Fields({ enabled: Type.Boolean(), ...GuestWork }, { $id: 'GuestRemappingUse' }),
  errors: ['notFound', 'poweredOff', 'alreadyDone', 'unsupported', 'vmPaused'],
  *run(context, { platform, vm, enabled }) {
    const work = yield* command(context, platform, ({ hypervisor }) =>
      new GuestRemapping(hypervisor, vm).use(enabled),
    )
    return { enabled, ...workOf(work) }
  },
  tell: ({ enabled, ...work }, { vm }) =>
    `The kernel of "${vm}" ${enabled ? 'translates by its remapping unit' : 'lets its remapping unit be'} now: ${tellWork(work)}.`,
})

const Mapping = {
  vm: Identifier,
  function: Identifier,
  address: Hex,
  told: Type.Optional(
    Type.Boolean({
      title: 'false: the guest’s driver forgets to tell its unit, a mistake that guest kernels make',
    }),
  ),
}

const MappingView = Fields(
  {
    function: Type.String(),
    address: Type.String({ description: 'I/O virtual address of the guest' }),
    pages: Count(MOST_PAGES),
    mappings: Type.Integer({ description: 'In the host’s tables for this function, afterwards' }),
    ...GuestWork,
  },
  { $id: 'GuestMapping' },
)

/** Throws `invalidArgument` unless a range of whole pages below 2^48 is meant. */
function pagesAt(text: string, pages: number): number {
  const { page, offset } = parseAddress64(text)
  if (offset === 0 && page + pages <= 2 ** 36) return page
  throw invalid([{ path: '/address', message: 'must be a multiple of 4096, and the range end below 2^48' }])
}

const mappingView = (
  remapping: GuestRemapping,
  address: string,
  input: { readonly address: string; readonly pages?: number },
  work: GuestRun<unknown>,
): Static<typeof MappingView> => ({
  function: address,
  address: input.address,
  pages: input.pages ?? 1,
  mappings: remapping.unit.functions.find(fn => fn.address === address)?.mappings ?? 0,
  ...workOf(work),
})

export const mapViommu = operation({
  summary: 'Has the kernel of a guest map guest memory for a function behind its remapping unit',
  rest: { method: 'POST', path: `${path}/mappings`, status: 201 },
  words: 'viommu map',
  atomic: true,
  input: inPlatform({
    ...Mapping,
    guestAddress: Hex,
    pages: Type.Optional(Count(MOST_PAGES, 1)),
    access: Type.Optional(Words('read', 'write', 'readWrite')),
  }),
  output: MappingView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'outOfMemory', 'vmPaused'],
  *run(context, input) {
    const { pages = 1, access = 'readWrite', told = true } = input
    const page = pagesAt(input.address, pages)
    const frame = wholePage(parsePhysical(input.guestAddress), 'guestAddress')
    const rights = { read: access !== 'write', write: access !== 'read' }
    return yield* command(context, input.platform, function* (platform) {
      const remapping = new GuestRemapping(platform.hypervisor, input.vm)
      const { address } = functionOf(platform, input.function)
      const work = yield* remapping.map({ function: address, page, pages, told }, frame, rights)
      return mappingView(remapping, address, input, work)
    })
  },
  tell: (mapping, { vm, guestAddress }) =>
    `"${vm}" maps ${mapping.pages === 1 ? 'a page' : `${mapping.pages} pages`} at ${guestAddress} for ${mapping.function} at ${mapping.address}: ${tellWork(mapping)}; the host has ${counted(mapping.mappings, 'mapping')} for it.`,
})

export const unmapViommu = operation({
  summary: 'Has the kernel of a guest take back what it mapped for a function behind its remapping unit',
  rest: { method: 'DELETE', path: `${path}/mappings/{function}/{address}` },
  words: 'viommu unmap',
  input: inPlatform({ ...Mapping, pages: Type.Optional(Count(MOST_PAGES, 1)) }),
  output: MappingView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'vmPaused'],
  *run(context, input) {
    const { pages = 1, told = true } = input
    const page = pagesAt(input.address, pages)
    return yield* command(context, input.platform, function* (platform) {
      const remapping = new GuestRemapping(platform.hypervisor, input.vm)
      const { address } = functionOf(platform, input.function)
      const work = yield* remapping.unmap({ function: address, page, pages, told })
      return mappingView(remapping, address, input, work)
    })
  },
  tell: (mapping, { vm }) =>
    `"${vm}" unmaps ${mapping.pages === 1 ? 'a page' : `${mapping.pages} pages`} at ${mapping.address} of ${mapping.function}: ${tellWork(mapping)}; the host has ${counted(mapping.mappings, 'mapping')} for it.`,
})
