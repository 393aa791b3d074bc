/** A function in a topology document whose configuration space was read from a real machine. */
import { z } from 'zod'
import { enableTimeSchema, registerOverridesSchema, resetTimeSchema } from '../devices/index.ts'

const hexBytes = z
  .string()
  .max(8192)
  .regex(/^(?:[0-9a-f]{2})*$/i, 'must be an even number of hexadecimal digits')

const barSchema = z
  .strictObject({
    index: z.int().min(0).max(5),
    kind: z.enum(['memory32', 'memory64', 'io']),
    prefetchable: z.boolean().default(false),
    sizeBytes: z
      .number()
      .min(4)
      .max(2 ** 46)
      .refine(size => Number.isInteger(Math.log2(size)), 'must be a power of two'),
  })
  .describe('A base address register; a 64-bit one also takes the next index')

const routingStep = z.strictObject({
  offset: z.int().min(0).max(0xffff),
  stride: z.int().min(0).max(0xffff),
})

const word = z.string().regex(/^0x[0-9a-f]{1,8}$/i, 'must be at most 32 bits in hexadecimal, like "0xff00"')

export const importedSchema = z
  .strictObject({
    name: z.string().min(1).max(128).describe('What to call it, e.g. the capture and address it came from'),
    kind: z.enum(['hostBridge', 'rootPort', 'upstreamPort', 'downstreamPort', 'bridge', 'endpoint']),
    image: hexBytes.describe('Config space from offset 0; trailing zeros may be left out'),
    configSizeBytes: z.union([z.literal(256), z.literal(4096)]),
    overrides: registerOverridesSchema.optional(),
    keepsStateInD3: z
      .boolean()
      .optional()
      .describe('Whether it keeps its registers from D3hot to D0 though No_Soft_Reset is clear'),
    resetTimeNs: resetTimeSchema.optional(),
    hotPlugRegisters: z
      .array(word)
      .max(256)
      .optional()
      .describe('Working registers of its standard hot-plug controller, as the SHPC capability shows them'),
    bars: z.array(barSchema).max(6).default([]),
    registerModel: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,63}$/)
      .optional()
      .describe('Device model behind its registers; without, they are plain storage'),
    internalPeerToPeer: z
      .boolean()
      .optional()
      .describe('Whether functions of its device reach each other past the port above; default true'),
    romSizeBytes: z
      .number()
      .min(0)
      .max(2 ** 24)
      .refine(
        size => size === 0 || (size >= 2048 && Number.isInteger(Math.log2(size))),
        'must be 0, or a power of two of 2048 or more',
      )
      .default(0),
    sriov: z
      .strictObject({
        ari: routingStep.describe('First VF Offset and VF Stride with ARI Capable Hierarchy set'),
        nonAri: routingStep,
        bars: z.array(barSchema).max(6).default([]).describe('Sizes are of one VF'),
        image: hexBytes.describe('Config space of a VF after reset'),
        overrides: registerOverridesSchema.optional(),
        enableTimeNs: enableTimeSchema.optional(),
      })
      .optional(),
  })
  .describe('A function whose config space was read from a real machine')

export type ImportedFunction = z.output<typeof importedSchema>
