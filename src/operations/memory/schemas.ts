/** What is said and shown of the memory of virtual machines. */
import { Type } from '@sinclair/typebox'
import { SHARING_SCOPES } from '../../hypervisor/index.ts'
import { Count, Fields, Nullable, Words } from '../schemas.ts'

const Pages = Count(2 ** 40)
export const MostShares = 1_000_000

export const MemorySettings = {
  shares: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MostShares,
      description: 'Weight when there is too little memory; default 10 for each MiB',
    }),
  ),
  reservationMiB: Type.Optional(Count(2 ** 30)),
  limitMiB: Type.Optional(Count(2 ** 30, 1)),
}

export const VmMemoryView = Fields(
  {
    vm: Type.String(),
    memoryMiB: Pages,
    backing: Words('fixed', 'paged'),
    resident: Type.Integer({ description: 'Host pages of 4 KiB that are its own' }),
    largePages: Type.Integer({ description: 'Pages of 2 MiB that make up a part of them' }),
    shared: Type.Integer({ description: 'Pages whose host page stands for others too' }),
    swapped: Pages,
    ballooned: Type.Integer({ description: 'Pages that the guest gave back and has not used since' }),
    balloon: Nullable(Fields({ wanted: Pages, actual: Pages, driven: Type.Boolean() })),
    active: Type.Number({ description: 'Part of the resident pages that was used lately' }),
    pinnedBy: Type.Array(Type.String(), { description: 'Who may reach all of it at any moment' }),
    shares: Count(MostShares),
    reservationMiB: Pages,
    limitMiB: Pages,
    counters: Fields({
      populated: Pages,
      swappedOut: Pages,
      swappedIn: Pages,
      merged: Pages,
      copied: Pages,
      broken: Pages,
      collapsed: Pages,
    }),
  },
  { $id: 'VmMemory' },
)

export const HostMemoryView = Fields(
  {
    totalPages: Pages,
    freePages: Pages,
    unreservedPages: Type.Integer({
      description: 'Free, or to be had from virtual machines, and promised to nobody',
    }),
    sharedPages: Type.Integer({ description: 'Host pages that stand for several guest pages' }),
    sharedBy: Type.Integer({ description: 'Guest pages that they stand for' }),
    sharing: Words(...SHARING_SCOPES),
    machines: Type.Array(VmMemoryView),
  },
  { $id: 'HostMemory' },
)
