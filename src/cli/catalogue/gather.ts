/** Makes the catalogue of the command line out of the code. */
import type { TObject, TSchema } from '@sinclair/typebox'
import { DEFAULT_NAMESPACE, ROLES } from '../../access/index.ts'
import { TECHNIQUES } from '../../hypervisor/index.ts'
import { EXPORT_FORMATS, IMPORT_FORMATS } from '../../interop/index.ts'
import { DEFAULT_GENERATION, generations, type Operation, operationEntries } from '../../operations/index.ts'
import { ASSIGNING_SYSTEMS, filesOf } from '../../policy/index.ts'
import { QUIRK_PRESETS } from '../../vtd/index.ts'
import type { Catalogue, Choice, FlagEntry, FlagValue, OperationEntry } from './catalogue.ts'
import { namesInPath } from './catalogue.ts'

export const gatherCatalogue = (): Catalogue => ({
  operations: operationEntries().map(([id, row]) => ({ id, ...entryOf(row) })),
  importFormats: summaries(IMPORT_FORMATS),
  exportFormats: summaries(EXPORT_FORMATS),
  policySystems: ASSIGNING_SYSTEMS.map(system => [system, filesOf(system)]),
  techniques: TECHNIQUES,
  costTables: generations(),
  usualCosts: DEFAULT_GENERATION,
  quirks: QUIRK_PRESETS,
  roles: ROLES,
  usualNamespace: DEFAULT_NAMESPACE,
})

const summaries = (formats: Readonly<Record<string, { readonly summary: string }>>): readonly Choice[] =>
  Object.entries(formats).map(([name, { summary }]) => [name, summary])

function entryOf({
  words,
  summary,
  rest,
  list,
  ofInstallation,
  input,
  errors,
}: Operation): Omit<OperationEntry, 'id'> {
  const { properties, required = [] } = input as TObject
  const positional = namesInPath(rest.path)
  return {
    words,
    summary,
    rest,
    ...(list !== undefined && { list: true }),
    ...(ofInstallation && { ofInstallation }),
    flags: Object.entries(properties)
      .filter(([name]) => !positional.includes(name))
      .map(([name, schema]) => flagEntry(name, schema, required.includes(name))),
    errors,
  }
}

const flagEntry = (name: string, schema: TSchema, required: boolean): FlagEntry => ({
  name,
  about: aboutOf(schema),
  takes: takenBy(schema),
  ...(required && { required }),
})

function aboutOf(schema: TSchema): string {
  if (schema['enum'] !== undefined) return (schema['enum'] as string[]).join(', ')
  const text = schema.title ?? schema.description
  if (text !== undefined) return text
  if (schema['type'] === 'integer') return 'a number'
  return schema['type'] === 'string' ? 'text' : 'JSON, or @ and the name of a JSON or YAML file'
}

function takenBy(schema: TSchema): FlagValue {
  if (schema['type'] === 'string') return 'text'
  if (schema['type'] === 'integer') return 'number'
  return schema['anyOf'] === undefined ? 'document' : 'documentOrText'
}
