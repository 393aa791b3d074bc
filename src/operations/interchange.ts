/** Operations that exchange machines with other tools, as text and files in JSON. */
import { Type } from '@sinclair/typebox'
import { EXPORT_FORMATS, exportMachine, importText, TEXT_FORMATS } from '../interop/index.ts'
import { readTopology } from '../platform/index.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Fields, inPlatform, Name, Words } from './schemas.ts'
import { summary, TopologySummary } from './topologies.ts'

const ExportedFile = Fields(
  {
    path: Type.String({ description: 'Below the folder of the export' }),
    text: Type.Optional(Type.String()),
    base64: Type.Optional(Type.String({ description: 'Contents that are no text' })),
    link: Type.Optional(Type.String({ description: 'Of a symbolic link: where it leads' })),
  },
  { $id: 'ExportedFile' },
)

const namesOf = <Format extends string>(formats: Readonly<Record<Format, unknown>>): Format[] =>
  Object.keys(formats) as Format[]

export const exportPlatform = operation({
  summary: 'Writes a platform that is on in a format that other tools read',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/exports/{format}' },
  words: 'platforms export',
  input: inPlatform({ format: Words(...namesOf(EXPORT_FORMATS)) }),
  output: Fields({ format: Type.String(), files: Type.Array(ExportedFile) }),
  errors: ['notFound', 'poweredOff'],
  run: (context, { platform, format }) =>
    now(() => ({
      format,
      files: exportMachine(format, poweredPlatform(context, platform)).map(file =>
        'bytes' in file ? { path: file.path, base64: Buffer.from(file.bytes).toString('base64') } : file,
      ),
    })),
  tell: ({ files }) =>
    files.length === 1 && files[0]!.text !== undefined
      ? files[0]!.text.trimEnd()
      : files.map(({ path }) => path).join('\n'),
})

export const importTopology = operation({
  summary: 'Stores a topology made of what another tool wrote of a machine',
  rest: { method: 'POST', path: '/v1/topologies/imports', status: 201, location: '/v1/topologies/{name}' },
  words: 'topologies import',
  input: Fields({
    name: Name,
    format: Words(...namesOf(TEXT_FORMATS)),
    text: Type.String({ description: 'Output of lspci, XML of lstopo or of virsh nodedev-dumpxml, …' }),
  }),
  output: Fields({
    name: Type.String(),
    topology: TopologySummary,
    notes: Type.Array(Type.String(), { description: 'What the text did not tell and was assumed' }),
  }),
  errors: ['malformedInput', 'invalidDocument', 'nameTaken', 'limitExceeded'],
  *run(context, { name, format, text }) {
    const imported = importText(format, name, text)
    const entry = { shipped: false, topology: yield* readTopology({ ...imported.topology, name }) }
    context.topologies.reserve(name)
    context.topologies.set(name, entry)
    return { name, topology: summary(entry), notes: [...imported.notes] }
  },
  tell: ({ name, topology, notes }) =>
    [`Topology "${name}" is stored: ${topology.functions} functions.`, ...notes].join('\n'),
})
