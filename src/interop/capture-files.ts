/** The files of a capture: a folder with dumps of a running Linux machine, or one file of lspci output. */
import { readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { NorthbridgeError } from '../core/index.ts'

export interface CaptureFiles {
  /** Last part of the path, without extensions. */
  readonly name: string
  /** Output of lspci with bytes. */
  readonly dump: string
  /** Output of `lspci -v`, if it is a file of its own. */
  readonly details: string | undefined
  /** ACPI tables by signature. */
  readonly tables: ReadonlyMap<string, Uint8Array>
  /** Text files by name without extension: `iommu-units`, `cmdline`, `iomem`, `uname`. */
  readonly texts: ReadonlyMap<string, string>
  /** `topology.json`, what the maker of the capture says about it. */
  readonly about: Readonly<Record<string, unknown>>
}

const TABLES = ['DMAR', 'IVRS', 'MCFG', 'APIC', 'SRAT'] as const
const TEXTS = ['iommu-units', 'cmdline', 'iomem', 'uname'] as const
/** Larger files are not dumps of a machine. */
const MOST_BYTES = 2 ** 27

/** Throws `notFound` if there is no dump, `malformedInput` if a file cannot be unpacked. */
export function readCaptureFiles(path: string): CaptureFiles {
  const name = basename(path).replace(/\.(?:txt|gz|lspci|dump)/g, '')
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory()
  if (isFolder === undefined) throw new NorthbridgeError('notFound', `there is no file or folder ${path}`)
  if (!isFolder) {
    const dump = textOf(read(path)!)
    return { name, dump, details: undefined, tables: new Map(), texts: new Map(), about: {} }
  }
  const text = (file: string): string | undefined => {
    const bytes = read(join(path, `${file}.txt`)) ?? read(join(path, `${file}.txt.gz`))
    return bytes && textOf(bytes)
  }
  const dump = text('lspci-xxxx')
  if (dump === undefined)
    throw new NorthbridgeError('notFound', `${path} holds no lspci-xxxx.txt or lspci-xxxx.txt.gz`)
  const tables = new Map<string, Uint8Array>()
  for (const signature of TABLES) {
    const bytes = read(join(path, 'acpi', `${signature}.bin`))
    if (bytes !== undefined) tables.set(signature, bytes)
  }
  const texts = new Map<string, string>()
  for (const file of TEXTS) {
    const content = text(file)
    if (content !== undefined) texts.set(file, content)
  }
  return {
    name,
    dump,
    details: text('lspci-vvv'),
    tables,
    texts,
    about: aboutOf(read(join(path, 'topology.json'))),
  }
}

/** The text of a file, unpacked if it is packed. Throws `notFound`, `malformedInput`. */
export function readPlainFile(path: string): string {
  const bytes = read(path)
  if (bytes === undefined) throw new NorthbridgeError('notFound', `there is no file ${path}`)
  return textOf(bytes)
}

function read(path: string): Uint8Array | undefined {
  const status = statSync(path, { throwIfNoEntry: false })
  if (status === undefined || status.isDirectory()) return undefined
  if (status.size > MOST_BYTES)
    throw new NorthbridgeError('malformedInput', `${path} is larger than ${MOST_BYTES} bytes`)
  const bytes = new Uint8Array(readFileSync(path))
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: MOST_BYTES }))
  } catch (error) {
    throw new NorthbridgeError('malformedInput', `${path} cannot be unpacked: ${(error as Error).message}`)
  }
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8')

function aboutOf(bytes: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  if (bytes === undefined) return {}
  try {
    const about: unknown = JSON.parse(textOf(bytes))
    return typeof about === 'object' && about !== null ? (about as Record<string, unknown>) : {}
  } catch {
    throw new NorthbridgeError('malformedInput', 'topology.json is not JSON')
  }
}
