/** The tables that a running kernel wrote, dumped page by page, and what a walk of them should find. */
import { join } from 'node:path'
import { z } from 'zod'
import { NorthbridgeError, parseDocument } from '../core/index.ts'
import { isFile, readText } from './files.ts'

const hex = z.string().regex(/^0x[0-9a-f]{1,16}$/i, 'must be a hexadecimal string like 0x1000')
const count = z.int().min(0)

/** Captures grow: what is not known here is left alone. */
const pages = z.looseObject({
  page_size: z.literal(4096),
  pages: z.record(hex, z.base64()),
  zero_pages: z.array(hex),
})

const context = z.looseObject({
  rid: hex,
  entry: hex,
  raw: z.array(hex),
  present: z.boolean(),
  fpd: z.boolean(),
  tt: count.optional(),
  aw: count.optional(),
  did: count.optional(),
  ptr: hex.optional(),
  pdts: count.optional(),
  pasid_dir: hex.optional(),
  rid_pasid: count.optional(),
  domain: z.string().optional(),
  pasids: z
    .array(
      z.looseObject({
        entry: hex,
        raw: z.array(hex),
        present: z.boolean(),
        pasid: count,
        pgtt: count,
        aw: count,
        did: count,
        ssptptr: hex,
        fsptptr: hex,
        domain: z.string().optional(),
      }),
    )
    .optional(),
})

const mapping = z.tuple([hex, hex, hex, z.enum(['r', 'w', 'rw']), count])

const translation = z.looseObject({
  rid: hex,
  iova: hex,
  access: z.enum(['r', 'w']),
  phys: hex.optional(),
  fault: z.string().optional(),
  passthrough: z.boolean().optional(),
})

const irte = z.looseObject({
  index: count,
  present: z.boolean(),
  fpd: z.boolean(),
  dm: count,
  rh: count,
  tm: count,
  dlm: count,
  im: count,
  vector: count,
  dst: count,
  sid: count,
  sq: count,
  svt: count,
})

const msi = z.looseObject({
  bdf: z.string(),
  rid: hex,
  address: hex,
  data: hex,
  expect: z.looseObject({
    kind: z.string(),
    index: count.optional(),
    vector: count,
    dest: count,
    dm: count,
    rh: count,
    tm: count,
    dlm: count,
    svt: count.optional(),
  }),
})

const expectations = z.looseObject({
  mode: z.enum(['legacy', 'scalable']),
  registers: z.record(z.string(), hex),
  contexts: z.array(context),
  domains: z.record(z.string(), z.looseObject({ levels: count, mappings: z.array(mapping) })),
  translations: z.array(translation),
  irt: z.looseObject({ base: hex, entries: count, eim: z.boolean() }).optional(),
  irtes: z.array(irte),
  msi: z.array(msi),
})

export type LinuxExpectations = z.output<typeof expectations>
export type LinuxContext = LinuxExpectations['contexts'][number]
export type LinuxIrte = LinuxExpectations['irtes'][number]
export type LinuxMsi = LinuxExpectations['msi'][number]

export interface LinuxTables {
  /** Physical address of the unit's registers. */
  readonly base: number
  readonly pages: ReadonlyMap<number, Uint8Array>
  readonly expect: LinuxExpectations
}

const PAGES_FILE = 'vtd-pages.json'
const EXPECT_FILE = 'vtd-expect.json'
const DEFAULT_BASE = 0xfed9_0000
const LIMITS = { depth: 32, values: 4_000_000, textLength: 2 ** 22 }

/** Reads a capture's tables; a string says why there are none. Throws for files that are not what they should be. */
export function readLinuxTables(folder: string): LinuxTables | string {
  const files = [PAGES_FILE, EXPECT_FILE].map(name =>
    [`${name}.gz`, name].map(file => join(folder, file)).find(isFile),
  )
  const [pagesFile, expectFile] = files
  if (pagesFile === undefined || expectFile === undefined) {
    const missing = [PAGES_FILE, EXPECT_FILE].filter((_, i) => files[i] === undefined)
    return `no ${missing.map(name => `${name}.gz`).join(' and no ')}`
  }
  const dump = parseDocument(pages, parseJson(pagesFile), pagesFile, LIMITS)
  const content = new Map<number, Uint8Array>()
  for (const [address, text] of Object.entries(dump.pages)) {
    content.set(Number(address), new Uint8Array(Buffer.from(text, 'base64')))
  }
  return {
    base: baseOf(folder),
    pages: content,
    expect: parseDocument(expectations, parseJson(expectFile), expectFile, LIMITS),
  }
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readText(path))
  } catch (error) {
    if (error instanceof NorthbridgeError) throw error
    throw new NorthbridgeError('malformedInput', `${path} is not JSON: ${(error as Error).message}`)
  }
}

/** `address=` of the first unit in `iommu-units.txt`. */
function baseOf(folder: string): number {
  const path = join(folder, 'iommu-units.txt')
  const address = isFile(path) ? /^address=([0-9a-f]+)$/m.exec(readText(path))?.[1] : undefined
  return address === undefined ? DEFAULT_BASE : Number.parseInt(address, 16)
}
