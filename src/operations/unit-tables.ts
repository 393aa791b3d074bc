/** Operations that show what remapping units hold and walk: caches, and tables in memory. */
import { type Static, Type } from '@sinclair/typebox'
import { formatAddress64, parseAddress64 } from '../core/index.ts'
import { ApertureUnit } from '../gart/index.ts'
import { tableEntries } from '../vtd/index.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Facts, Fields, FunctionAddress, Hex, Identifier, inPlatform, Words } from './schemas.ts'
import { sourceIn, translatingUnit } from './unit-names.ts'

const path = '/v1/platforms/{platform}/remapping-units/{unit}'
const index = Count(Number.MAX_SAFE_INTEGER)

const CacheEntryView = Fields(
  {
    index,
    cache: Type.String({ description: 'Which cache holds the entry' }),
    entry: Facts,
  },
  { $id: 'CacheEntry', description: 'An entry of a cache, which memory may contradict by now' },
)

export const caches = operation({
  summary: 'Lists what the caches of a remapping unit hold, every field by name',
  rest: { method: 'GET', path: `${path}/caches` },
  words: 'units caches',
  input: inPlatform({ unit: Identifier }),
  output: Type.Array(CacheEntryView),
  errors: ['notFound', 'poweredOff'],
  list: {
    key: (item: Static<typeof CacheEntryView>) => item.index,
    columns: ['index', 'cache', 'entry'],
  },
  run: (context, { platform, unit: id }) =>
    now(() => {
      const unit = translatingUnit(poweredPlatform(context, platform), id)
      const held: Readonly<Record<string, readonly object[]>> =
        unit instanceof ApertureUnit
          ? {
              translations: unit.translations().map(({ page, hostPage }) => ({
                address: formatAddress64({ page, offset: 0 }),
                physicalAddress: formatAddress64({ page: hostPage, offset: 0 }),
              })),
            }
          : { ...unit.caches() }
      return Object.entries(held)
        .flatMap(([cache, entries]) => entries.map(entry => ({ cache, entry: { ...entry } })))
        .map((entry, position) => ({ index: position, ...entry }))
    }),
})

const TableEntryView = Fields(
  {
    index,
    table: Words('root', 'context', 'pasidDirectory', 'pasid', 'firstStage', 'secondStage', 'aperture'),
    address: Type.String({ description: 'Physical address of the entry' }),
    raw: Type.String(),
    present: Type.Boolean(),
    fields: Facts,
    level: Type.Optional(Count(5, 1)),
    input: Type.Optional(Hex),
    size: Type.Optional(
      Type.Integer({ minimum: 4096, description: 'Bytes of input addresses that it covers' }),
    ),
  },
  { $id: 'TableEntry' },
)

/** Entries of one answer at most, before paging; `address` leads on. */
const MOST_ENTRIES = 10_000

export const tables = operation({
  summary:
    'Lists the entries that a remapping unit would walk for a requester, as they are in memory: at most 10,000 from an address on',
  rest: { method: 'GET', path: `${path}/tables` },
  words: 'units tables',
  input: inPlatform({
    unit: Identifier,
    source: FunctionAddress,
    pasid: Type.Optional(Count(2 ** 20 - 1)),
    address: Type.Optional(Hex),
  }),
  output: Type.Array(TableEntryView),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  list: {
    key: (item: Static<typeof TableEntryView>) => item.index,
    columns: ['index', 'table', 'level', 'input', 'size', 'address', 'raw'],
  },
  run: (context, input) =>
    now(() => {
      const platform = poweredPlatform(context, input.platform)
      const unit = translatingUnit(platform, input.unit)
      const sourceId = sourceIn(platform, input.unit, input.source)
      const { page: fromPage } = parseAddress64(input.address ?? '0x0')
      const entries =
        unit instanceof ApertureUnit
          ? unit.tableEntries(fromPage)
          : tableEntries(platform.hardware.memory, {
              ...unit.rootTable,
              sourceId,
              pasid: input.pasid,
              fromPage,
            })
      const shown: Static<typeof TableEntryView>[] = []
      for (const entry of entries) {
        if (shown.length === MOST_ENTRIES) break
        shown.push({ index: shown.length, ...entry, fields: { ...entry.fields } })
      }
      return shown
    }),
})
