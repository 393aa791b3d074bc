/** Operations that move a platform between installations: its documents, what was done to it, and its state, in one file. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { type Static, Type } from '@sinclair/typebox'
import { digest, NorthbridgeError, type Saved, savedFromText, savedToText, VERSION } from '../core/index.ts'
import { readTopology } from '../platform/index.ts'
import type { PastCommand } from './history.ts'
import { operation } from './operation.ts'
import { CommandView, commandView, put } from './past.ts'
import { PlatformView } from './platforms.ts'
import { Count, Fields, inPlatform, Name, Words } from './schemas.ts'
import { TopologyDocument } from './topologies.ts'

/** Bytes that a state may have as text: a small file must not fill the memory of a server. */
const LARGEST_STATE = 256 * 2 ** 20

const PlatformArchive = Fields(
  {
    format: Words('northbridge-platform'),
    formatVersion: Count(1, 1),
    northbridge: Type.String({ description: 'Version that wrote it' }),
    name: Name,
    topology: TopologyDocument,
    seed: Count(2 ** 32 - 1),
    commands: Type.Array(CommandView, {
      description: 'What had been done to it, as far back as it was kept',
    }),
    state: Type.String({
      pattern: '^[A-Za-z0-9+/]*={0,2}$',
      description: 'As it stood then: JSON, compressed with zstd, as base64',
    }),
    stateHash: Type.String(),
    digest: Type.String({ description: 'Of everything else in the file' }),
  },
  { $id: 'PlatformArchive' },
)

type Archive = Static<typeof PlatformArchive>

const digestOf = ({ digest: _, ...contents }: Archive): string => digest(contents as unknown as Saved)

export const archivePlatform = operation({
  summary: 'Gives a platform with its history as one document that another installation can import',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/archive' },
  words: 'platforms archive',
  input: inPlatform({}),
  output: PlatformArchive,
  errors: ['notFound', 'stateUnavailable', 'storeFailed'],
  *run(context, { platform }) {
    const { running } = context.platforms.get(platform)
    if (running.usesFiles) throw refusal(platform, 'its disks are on files, which stay where they are')
    const past = yield* context.history.commands(platform)
    const text = savedToText(running.save())
    if (text.length > LARGEST_STATE)
      throw refusal(platform, `its state is longer than ${LARGEST_STATE} bytes`)
    const archive: Archive = {
      format: 'northbridge-platform',
      formatVersion: 1,
      northbridge: VERSION,
      name: platform,
      topology: running.topology,
      seed: running.seed,
      commands: past.map(commandView),
      state: zstdCompressSync(text).toString('base64'),
      stateHash: running.stateHash(),
      digest: '',
    }
    // As it is read again: what JSON leaves out is no part of it.
    const written = JSON.parse(JSON.stringify(archive)) as Archive
    return { ...written, digest: digestOf(written) }
  },
  tell: archive => JSON.stringify(archive),
})

const refusal = (platform: string, reason: string): NorthbridgeError =>
  new NorthbridgeError('stateUnavailable', `"${platform}" cannot be put into a file: ${reason}`)

export const importPlatform = operation({
  summary: 'Makes a platform of what another installation has written of one, with its history',
  rest: { method: 'POST', path: '/v1/platforms/imports', status: 201, location: '/v1/platforms/{id}' },
  words: 'platforms import',
  input: Fields({ archive: PlatformArchive, name: Type.Optional(Name) }),
  output: PlatformView,
  errors: ['invalidDocument', 'topologyConflict', 'nameTaken', 'limitExceeded'],
  kept: {
    makes: true,
    asState: true,
    input: ({ archive }, { id }) => ({ name: id, from: archive.name, digest: archive.digest }),
    earlier: ({ archive, name }) => archive.commands.map(command => renamed(command, archive.name, name)),
  },
  *run(context, { archive, name = archive.name }) {
    if (digestOf(archive) !== archive.digest) throw damaged('its digest is another one')
    const topology = yield* readTopology(archive.topology)
    const state = stateOf(archive)
    context.platforms.reserve(name)
    try {
      const platform = yield* put(context, name, topology, state)
      const found = context.platforms.get(name).running.stateHash()
      if (found !== archive.stateHash) throw damaged('it comes to another state')
      return platform
    } catch (error) {
      context.platforms.release(name)
      throw error
    }
  },
  tell: ({ id }) => `Platform "${id}" goes on here.`,
})

const damaged = (reason: string): NorthbridgeError =>
  new NorthbridgeError('invalidDocument', `the archive is damaged: ${reason}`)

function stateOf({ state }: Archive): Saved {
  let text: string
  try {
    const bytes = Buffer.from(state, 'base64')
    text = zstdDecompressSync(bytes, { maxOutputLength: LARGEST_STATE }).toString()
  } catch (error) {
    throw damaged(`its state cannot be unpacked (${(error as Error).message})`)
  }
  return savedFromText(text)
}

/** A command of a platform that has another name now. */
function renamed(
  { input, timeNs, lastEvent, ...command }: Static<typeof CommandView>,
  from: string,
  to = from,
): PastCommand {
  const { platform, name } = input
  return {
    ...command,
    input: {
      ...input,
      ...(platform === from && { platform: to }),
      ...(command.operation === 'createPlatform' && name === from && { name: to }),
    },
    after: { timeNs, told: lastEvent },
  }
}
