/** The experiment document: a topology, then operations with what is expected of them. */
import { z } from 'zod'

const variable = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9]{0,31}$/,
    'must be a name of 1 to 32 letters and digits, beginning with a letter',
  )
const pointer = z
  .string()
  .regex(/^(?:\/.*)?$/, 'must be a JSON pointer into the result, like "/virtualFunctions/0"')

const stepSchema = z
  .strictObject({
    say: z.string().max(4096).optional().describe('What a reader should know before this step'),
    do: z.string().max(64).optional().describe('Name of an operation, e.g. `setNumVfs`'),
    with: z
      .record(z.string(), z.unknown())
      .optional()
      .describe(
        'Its input, without the platform; `$` and a name in braces stand for a saved value, and with `platform` in ' +
          'them for the platform of the story',
      ),
    find: z
      .unknown()
      .optional()
      .describe('Of a list: goes on with the first item that contains this, instead of the whole list'),
    expect: z
      .unknown()
      .optional()
      .describe(
        'What the result must contain. Objects may have more fields, arrays are compared whole. ' +
          '`{$contains: x}`, `{$not: x}`, `{$length: n}` say less or more.',
      ),
    refused: z
      .strictObject({
        code: z.string().max(64),
        message: z.string().max(4096).optional().describe('Text that the message must contain'),
        details: z.unknown().optional().describe('What the facts of the error must contain'),
      })
      .optional()
      .describe('The operation must be refused with this error'),
    save: z
      .record(variable, pointer)
      .optional()
      .describe('Values of the result to keep under a name for later steps'),
  })
  .refine(step => step.say !== undefined || step.do !== undefined, 'must say or do something')
  .refine(
    step =>
      step.do !== undefined ||
      !(step.with || step.refused || step.save || step.expect !== undefined || step.find !== undefined),
    'with, find, expect, refused and save need an operation to do',
  )
  .refine(
    step =>
      step.refused === undefined || !(step.save || step.expect !== undefined || step.find !== undefined),
    'a refused operation has no result to find in, to expect or to save',
  )

export const experimentSchema = z.strictObject({
  $schema: z.string().max(512).optional().describe('For editors'),
  title: z.string().min(1).max(200),
  about: z.string().max(8192).default('').describe('What is shown, for people'),
  topology: z
    .union([z.string().min(1).max(512), z.record(z.string(), z.unknown())])
    .describe(
      'Name of a shipped topology, path of a document (relative to this one), or the document itself',
    ),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(1),
  steps: z.array(stepSchema).min(1).max(10_000),
})

export type Experiment = z.output<typeof experimentSchema>
export type ExperimentStep = Experiment['steps'][number]

/** JSON Schema of documents that are told as stories, for editors. */
export const storyJsonSchema = () => ({
  ...z.toJSONSchema(experimentSchema, { io: 'input', target: 'draft-2020-12' }),
  title: 'A story: steps with what is expected of them',
})
