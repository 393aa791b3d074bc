/** What user space and the kernel hold: containers, and everything that is taken. */
import { type Static, Type } from '@sinclair/typebox'
import { strayResources, takeStock } from '../../system/index.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Count, Fields, inPlatform } from '../schemas.ts'

const Amount = Count(Number.MAX_SAFE_INTEGER)

const ContainerView = Fields(
  {
    owner: Type.String({ description: 'The virtual machine' }),
    name: Type.String(),
    groups: Type.Array(Type.Integer(), { description: 'IOMMU groups that share the address space' }),
    domains: Type.Array(Type.Integer(), {
      description: 'Translation domains that hold it: one, or one for each kind of unit',
    }),
    mappings: Amount,
    pages: Type.Integer({ description: 'Of 4 KiB, that are mapped' }),
    tracksDirty: Type.Boolean(),
  },
  { $id: 'Container', description: 'An I/O address space of user space, which groups share' },
)

export const containers = operation({
  summary: 'Lists the VFIO containers of a platform: the I/O address spaces of virtual machines',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/containers' },
  words: 'containers list',
  input: inPlatform({}),
  output: Type.Array(ContainerView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: ({ owner, name }: Static<typeof ContainerView>) => `${owner}/${name}`,
    columns: ['owner', 'name', 'groups', 'domains', 'pages'],
  },
  run: (context, { platform }) =>
    now(() =>
      poweredPlatform(context, platform)
        .host.vfio.containers()
        .map(({ owner, name, groups, domains, mappings, tracksDirty }) => ({
          owner,
          name,
          groups: [...groups],
          domains: [...domains],
          mappings: mappings.length,
          pages: mappings.reduce((sum, { pages }) => sum + pages, 0),
          tracksDirty,
        }))
        .sort((a, b) => (`${a.owner}/${a.name}` < `${b.owner}/${b.name}` ? -1 : 1)),
    ),
})

export const resources = operation({
  summary: 'Counts what the software of a platform has taken, and names what is taken and held by nobody',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/resources' },
  words: 'platforms resources',
  input: inPlatform({}),
  output: Fields(
    {
      inUse: Type.Record(Type.String(), Amount),
      strays: Type.Array(Fields({ resource: Type.String(), what: Type.String() })),
    },
    { $id: 'Resources' },
  ),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform }) =>
    now(() => {
      const running = poweredPlatform(context, platform)
      return {
        inUse: { ...takeStock(running) },
        strays: strayResources(running).map(stray => ({ ...stray })),
      }
    }),
  tell: ({ inUse, strays }) =>
    [
      ...Object.entries(inUse).map(([resource, count]) => `${resource}: ${count}`),
      strays.length === 0
        ? 'Everything that is taken is held by somebody.'
        : strays.map(({ resource, what }) => `stray ${resource}: ${what}`).join('\n'),
    ].join('\n'),
})
