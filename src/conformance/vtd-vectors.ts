/**
 * Programs of the format `vtd-vector-1`: what software wrote, what functions did, and what a remapping unit was seen to
 * do about it. One program a line, or a JSON array of them.
 */
import { z } from 'zod'
import { NorthbridgeError, parseDocument } from '../core/index.ts'

export const FORMAT = 'vtd-vector-1'

const hex = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/i, 'must be a hexadecimal string of up to 64 bits, like 0x1000')
const bytes = z.string().regex(/^(?:[0-9a-f]{2})*$/i, 'must be pairs of hexadecimal digits without prefix')
const count = z.int().min(0)
const sourceId = z.int().min(0).max(0xffff)

const memoryChange = z.strictObject({ addr: hex, bytes })
const event = z.strictObject({ address: hex, data: hex })
const faultRecord = z.tuple([hex, hex])
const quirk = z.array(z.string()).min(1)
const quadword = z.strictObject({ addr: hex, u64: hex })
const reasons = z.array(hex).min(1)

const dmaFault = z.strictObject({
  reason: count,
  sourceId,
  address: hex,
  type: z.string(),
  pasidPresent: count,
  pasid: count,
  execute: count,
  privileged: count,
})

const dmaPart = z.strictObject({
  addr: hex,
  len: z.int().min(1).max(4096),
  outcome: z.enum(['ok', 'fault']),
  pa: hex.optional(),
  data: bytes.optional(),
  note: z.string().optional(),
})

const dmaExpectation = z.strictObject({
  outcome: z.enum(['ok', 'fault', 'partial']),
  parts: z.array(dmaPart).min(1),
  memory: z.array(memoryChange).optional(),
  fsts: hex,
  frcd: faultRecord.optional(),
  newFault: dmaFault.optional(),
  events: z.array(event).optional(),
})

const dmaSpecification = z.strictObject({
  parts: z
    .array(
      z.strictObject({
        addr: hex,
        outcome: z.enum(['ok', 'fault']),
        reasons: reasons.optional(),
        pa: hex.optional(),
        len: count.optional(),
        data: bytes.optional(),
      }),
    )
    .optional(),
  reasons: reasons.optional(),
  memory: z.array(quadword).optional(),
  address: hex.optional(),
  fsts: hex.optional(),
})

const interrupt = z.strictObject({
  destination: count,
  destinationMode: z.enum(['physical', 'logical']),
  deliveryMode: count,
  vector: count,
  trigger: z.enum(['edge', 'level']),
})

const interruptFault = z.strictObject({ reason: count, sourceId, interruptIndex: count })

const msiExpectation = z.strictObject({
  outcome: z.enum(['delivered', 'blocked']),
  interrupt: interrupt.optional(),
  remapped: event.optional(),
  fsts: hex,
  frcd: faultRecord.optional(),
  newFault: interruptFault.optional(),
  events: z.array(event).optional(),
})

const note = { note: z.string().optional() }
const tags = { ...note, quirk: quirk.optional(), implementationDefined: z.boolean().optional() }
const registerAt = { reg: z.string(), offset: hex, width: z.literal([32, 64]) }

const step = z.discriminatedUnion('op', [
  z
    .strictObject({
      op: z.literal('mem.write'),
      addr: hex,
      u64s: z.array(hex).optional(),
      bytes: bytes.optional(),
      ...note,
    })
    .refine(({ u64s, bytes }) => (u64s === undefined) !== (bytes === undefined), {
      message: 'must have either u64s or bytes',
    }),
  z.strictObject({ op: z.literal('mem.fill'), addr: hex, len: count, seed: hex, ...note }),
  z.strictObject({ op: z.literal('mem.expect'), addr: hex, bytes, ...note }),
  z.strictObject({
    op: z.literal('reg.write'),
    ...registerAt,
    value: hex,
    expect: z
      .strictObject({ memory: z.array(memoryChange).optional(), events: z.array(event).optional() })
      .optional(),
    spec: z.strictObject({ memory: z.array(quadword).optional(), fsts: hex.optional() }).optional(),
    ...tags,
  }),
  z.strictObject({
    op: z.literal('reg.read'),
    ...registerAt,
    expect: hex,
    spec: z.strictObject({ value: hex }).optional(),
    ...tags,
  }),
  z.strictObject({
    op: z.literal('dma'),
    fn: z.string(),
    dir: z.enum(['read', 'write']),
    addr: hex,
    len: z.int().min(1).max(0x10_0000),
    data: bytes.optional(),
    expect: dmaExpectation,
    spec: dmaSpecification.optional(),
    ...tags,
  }),
  z.strictObject({
    op: z.literal('msi'),
    fn: z.string(),
    addr: hex,
    data: hex,
    expect: msiExpectation,
    spec: z
      .strictObject({
        outcome: z.enum(['delivered', 'blocked']).optional(),
        reasons: reasons.optional(),
        interrupt: interrupt.optional(),
        fsts: hex.optional(),
      })
      .optional(),
    ...tags,
  }),
  z.strictObject({ op: z.literal('note'), text: z.string() }),
  /** Stands for a step whose `op` is not known. */
  z.strictObject({ op: z.literal('unknown'), name: z.string() }),
])

/** Programs, units and functions may come with more words about themselves; steps may not: they would be ignored. */
const program = z.looseObject({
  id: z.string(),
  format: z.literal(FORMAT),
  profile: z.string(),
  title: z.string().optional(),
  unit: z.looseObject({
    base: hex,
    haw: z.int().min(32).max(64),
    cap: hex,
    ecap: hex,
    version: hex,
  }),
  functions: z.array(
    z.looseObject({
      name: z.string(),
      bdf: z.string(),
      sourceId,
      path: z.string(),
    }),
  ),
  steps: z.array(step),
})

export type VectorProgram = z.output<typeof program>
export type VectorFunction = VectorProgram['functions'][number]
export type VectorStep = VectorProgram['steps'][number]
export type StepOf<Op extends VectorStep['op']> = Extract<VectorStep, { op: Op }>
export type TaggedStep = StepOf<'reg.write' | 'reg.read' | 'dma' | 'msi'>

/** A program of a file, or why there is none. */
export type ParsedProgram =
  | { readonly id: string; readonly program: VectorProgram }
  | { readonly id: string; readonly problem: string }

const OPS = new Set(step.options.map(option => option.shape.op.value as string))
const LIMITS = { depth: 32, values: 4_000_000, textLength: 2 ** 22 }

/** Every program of a file. One that is not as the format wants it does not keep the others from being parsed. */
export function parseVectors(text: string, name: string): ParsedProgram[] {
  if (text.trimStart().startsWith('[')) {
    const documents: unknown = parseJson(text, name)
    return (documents as unknown[]).map((document, i) => parseProgram(document, `${name}:[${i}]`))
  }
  const lines = text.split('\n')
  if (lines.length > 1 && lines[0]!.trim() === '{') return [parseProgram(parseJson(text, name), name)]
  return lines.flatMap((line, i) => {
    if (line.trim() === '') return []
    const place = `${name}:${i + 1}`
    try {
      return [parseProgram(parseJson(line, place), place)]
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      return [{ id: place, problem: error.message }]
    }
  })
}

function parseJson(text: string, place: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new NorthbridgeError('malformedInput', `${place}: is not JSON: ${(error as Error).message}`)
  }
}

function parseProgram(document: unknown, place: string): ParsedProgram {
  const id = (document as { id?: unknown } | null)?.id
  const name = typeof id === 'string' ? id : place
  try {
    return { id: name, program: parseDocument(program, withUnknownSteps(document), place, LIMITS) }
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    return { id: name, problem: error.message }
  }
}

/** A step of a later format fails when it is reached, not before. */
function withUnknownSteps(document: unknown): unknown {
  const steps = (document as { steps?: unknown } | null)?.steps
  if (!Array.isArray(steps)) return document
  const known = steps.map((entry: unknown) => {
    const op = (entry as { op?: unknown } | null)?.op
    return typeof op === 'string' && (op === 'unknown' || !OPS.has(op)) ? { op: 'unknown', name: op } : entry
  })
  return { ...(document as object), steps: known }
}
