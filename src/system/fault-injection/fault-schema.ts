/** Documents that say what is to break: one fault, or a plan of faults, written out or made from a seed. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import { CORRECTABLE, UNCORRECTABLE } from '../../pcie/index.ts'

/** A year of virtual time. */
const LONGEST = 31_536_000_000_000_000

const functionAddress = z
  .string()
  .regex(
    /^([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]$/,
    'must be a function address like "0000:03:10.1"',
  )
const hexAddress = z.string().regex(/^0x[0-9a-fA-F]{1,16}$/, 'must be hexadecimal text like "0x1000"')
const nanoseconds = z.int().min(0).max(LONGEST)
const times = z.int().min(1).max(1_000_000)
const unit = z.string().min(1).max(64).describe('A remapping unit by its id')
const change = z.enum(['flip', 'set', 'clear']).default('flip')
/** Of an entry, bit 0 first; a PASID table entry is the longest. */
const bit = z.int().min(0).max(511)
const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1)

const TABLES = ['root', 'context', 'pasidDirectory', 'pasid', 'firstStage', 'secondStage'] as const

export const faultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('memoryBit'),
    physicalAddress: hexAddress.describe('Of a dword in memory'),
    bit,
    change,
  }),
  z.strictObject({
    kind: z.literal('tableBit'),
    function: functionAddress.describe('Whose tables'),
    table: z.enum(TABLES),
    address: hexAddress.default('0x0').describe('Input address that the entry covers'),
    level: z.int().min(1).max(5).optional().describe('Of a paging entry; default: the leaf'),
    pasid: z
      .int()
      .min(0)
      .max(2 ** 20 - 1)
      .optional(),
    bit,
    change,
  }),
  z.strictObject({
    kind: z.literal('interruptEntryBit'),
    function: functionAddress,
    vector: z.int().min(0).max(2047),
    bit: z.int().min(0).max(127),
    change,
  }),
  z.strictObject({
    kind: z.literal('randomTableBit'),
    seed: seed.describe('Chooses one present entry of the tables of the function, and one of its bits'),
    function: functionAddress,
  }),
  z.strictObject({ kind: z.literal('lostCompletion'), unit, times: times.default(1) }),
  z.strictObject({
    kind: z.literal('lateCompletion'),
    unit,
    delayNs: nanoseconds.min(1),
    times: times.default(1),
  }),
  z.strictObject({
    kind: z.literal('silentDeviceTlb'),
    function: functionAddress.describe('Does not answer invalidations of its device-TLB'),
    delayNs: nanoseconds.min(1).optional().describe('Answers so late instead of never'),
    times: times.default(1),
  }),
  z.strictObject({
    kind: z.literal('linkDown'),
    function: functionAddress.describe('The port above the link'),
    durationNs: nanoseconds.min(1).optional().describe('Default: until `links set` makes it whole'),
  }),
  z.strictObject({ kind: z.literal('surpriseRemoval'), function: functionAddress.describe('The port') }),
  z.strictObject({
    kind: z.literal('stuckDma'),
    function: functionAddress,
    times: times.optional().describe('Reads that get no completion; default: until a reset'),
    timesOut: z.boolean().default(true).describe('false: it has no completion timeout and waits for ever'),
  }),
  z.strictObject({
    kind: z.literal('poisonedCompletion'),
    function: functionAddress,
    times: times.default(1),
  }),
  z.strictObject({
    kind: z.literal('failedReset'),
    function: functionAddress,
    durationNs: nanoseconds.min(1).optional().describe('Default: until another kind of reset'),
    answers: z.enum(['retry', 'nothing']).default('retry').describe('Request Retry Status, or nobody at all'),
    times: times.default(1),
  }),
  z.strictObject({
    kind: z.literal('interruptStorm'),
    function: functionAddress,
    vector: z.int().min(0).max(2047),
    messages: z.int().min(1).max(1_000_000),
    intervalNs: nanoseconds.min(1).default(10_000),
  }),
  z.strictObject({
    kind: z.literal('detectedError'),
    function: functionAddress,
    error: z.enum([...Object.keys(UNCORRECTABLE), ...Object.keys(CORRECTABLE)] as [string, ...string[]]),
  }),
])

export type Fault = z.output<typeof faultSchema>
export type FaultKind = Fault['kind']

export const FAULT_KINDS: readonly FaultKind[] = faultSchema.options.map(({ shape }) => shape.kind.value)

const after = z.strictObject({
  operation: z.string().min(1).max(64).describe('Name of an operation, e.g. `dma`'),
  with: z.record(z.string(), z.unknown()).default({}).describe('Fields that its input must have'),
  times: times.default(1).describe('Once it has succeeded so often'),
})

const scriptedSchema = z.strictObject({
  faults: z
    .array(
      z
        .strictObject({
          at: nanoseconds.optional().describe('Virtual time from the start of the plan'),
          after: after.optional(),
          fault: faultSchema,
        })
        .refine(entry => (entry.at === undefined) !== (entry.after === undefined), 'needs `at` or `after`'),
    )
    .min(1)
    .max(10_000),
})

/** Kinds that a plan made from a seed may have: the rest needs more than a target. */
export const RANDOM_KINDS = [
  'randomTableBit',
  'lostCompletion',
  'lateCompletion',
  'silentDeviceTlb',
  'linkDown',
  'surpriseRemoval',
  'stuckDma',
  'poisonedCompletion',
  'failedReset',
  'interruptStorm',
] as const
export type RandomKind = (typeof RANDOM_KINDS)[number]

const rate = z.number().min(0).max(1_000_000)

const seededSchema = z.strictObject({
  seed,
  durationNs: nanoseconds.min(1),
  rates: z
    .partialRecord(z.enum(RANDOM_KINDS), rate)
    .describe('Faults of each kind per second of virtual time'),
  targets: z
    .array(functionAddress)
    .max(65_536)
    .optional()
    .describe('Functions, and ports for links; default: all that are there'),
})

export const faultPlanSchema = z
  .union([scriptedSchema, seededSchema])
  .describe('What breaks when: written out, or made from a seed')
export type FaultPlan = z.output<typeof faultPlanSchema>
export type SeededPlan = z.output<typeof seededSchema>
export type PlannedFault = z.output<typeof scriptedSchema>['faults'][number]

/** Throws `invalidDocument`. */
export const parseFault = (document: unknown): Fault => parseDocument(faultSchema, document, 'fault')

/** Throws `invalidDocument`, by the rules of the form that the document has. */
export function parseFaultPlan(document: unknown): FaultPlan {
  const seeded = typeof document === 'object' && document !== null && 'seed' in document
  return parseDocument(seeded ? seededSchema : scriptedSchema, document, 'fault plan')
}

const schemaOf = (schema: z.ZodType) => z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' })
export const faultJsonSchema = () => schemaOf(faultSchema)
export const faultPlanJsonSchema = () => schemaOf(faultPlanSchema)
