/**
 * The data sheet of a device: a document that says what its functions are, as the maker's data sheet does. Ids and
 * offsets are `0x…` text, sizes carry their unit, and every block may name where its values are from.
 */
import { z } from 'zod'
import { enableTimeSchema, registerOverridesSchema, resetTimeSchema } from './register-overrides.ts'

const hexText = (digits: number) =>
  z
    .string()
    .regex(
      new RegExp(`^0x[0-9a-fA-F]{1,${digits}}$`),
      `must be hexadecimal of at most ${digits} digits, like "0x10"`,
    )
const id16 = hexText(4)
const powerOfTwo = (least: number, most: number) =>
  z
    .int()
    .min(least)
    .max(most)
    .refine(size => Number.isInteger(Math.log2(size)), 'must be a power of two')
const source = z.string().optional().describe('A key of "sources"')

const at = hexText(2).describe('Offset in the first 256 bytes')
const extendedAt = hexText(3).describe('Offset in extended configuration space')
const place = z.strictObject({ bar: z.int().min(0).max(5), offset: hexText(8) })

const barSchema = z.strictObject({
  index: z.int().min(0).max(5),
  kind: z.enum(['memory32', 'memory64', 'io']),
  prefetchable: z.boolean().default(false),
  sizeBytes: powerOfTwo(4, 2 ** 40),
  purpose: z.string().optional(),
  source,
})

/** Each is one entry of a capability list, in the order of the links. */
const capabilitySchema = z.discriminatedUnion('capability', [
  z.strictObject({
    capability: z.literal('powerManagement'),
    at,
    states: z.array(z.enum(['D1', 'D2'])).default([]),
    pmeFrom: z.array(z.enum(['D0', 'D1', 'D2', 'D3hot', 'D3cold'])).default([]),
    noSoftReset: z.boolean().default(false),
    source,
  }),
  z.strictObject({
    capability: z.literal('msi'),
    at,
    messages: powerOfTwo(1, 32),
    address64: z.boolean(),
    perVectorMasking: z.boolean(),
    source,
  }),
  z.strictObject({
    capability: z.literal('msiX'),
    at,
    vectors: z.int().min(1).max(2048),
    table: place,
    pendingBits: place,
    source,
  }),
  z.strictObject({
    capability: z.literal('express'),
    at,
    type: z.enum([
      'endpoint',
      'legacyEndpoint',
      'rootPort',
      'upstreamPort',
      'downstreamPort',
      'pcieToPciBridge',
      'integratedEndpoint',
      'eventCollector',
    ]),
    version: z.int().min(1).max(2).default(2),
    maxPayloadBytes: powerOfTwo(128, 4096),
    functionLevelReset: z.boolean().default(false),
    extendedTag: z.boolean().default(true),
    ariForwarding: z.boolean().default(false).describe('Ports only'),
    link: z
      .strictObject({
        speedGTs: z.union([2.5, 5, 8, 16, 32, 64].map(speed => z.literal(speed))),
        width: powerOfTwo(1, 32),
      })
      .optional(),
    slotNumber: z.int().min(0).max(8191).optional(),
    hotPlug: z
      .strictObject({
        attentionButton: z.boolean().default(true),
        powerController: z.boolean().default(true),
        attentionIndicator: z.boolean().default(true),
        powerIndicator: z.boolean().default(true),
        surprise: z.boolean().default(true).describe('Cards may be pulled out without notice'),
      })
      .optional()
      .describe('Ports with a slot number only'),
    portNumber: z.int().min(0).max(255).default(0),
    source,
  }),
  z.strictObject({ capability: z.literal('subsystem'), at, vendorId: id16, id: id16, source }),
  z.strictObject({ capability: z.literal('sata'), at, source }),
  z.strictObject({
    capability: z.literal('errorReporting'),
    at: extendedAt,
    version: z.int().min(1).max(2).default(1),
    severity: hexText(8).default('0x00462030'),
    ecrc: z.boolean().default(true),
    source,
  }),
  z.strictObject({
    capability: z.literal('accessControl'),
    at: extendedAt,
    bits: z.array(z.enum(['SV', 'TB', 'RR', 'CR', 'UF', 'DT'])),
    source,
  }),
  z.strictObject({
    capability: z.literal('downstreamPortContainment'),
    at: extendedAt,
    softwareTrigger: z.boolean().default(true),
    source,
  }),
  z.strictObject({
    capability: z.literal('eventCollector'),
    at: extendedAt,
    devices: z.array(z.int().min(0).max(31)).describe('Devices of its root bus whose errors it collects'),
    source,
  }),
  z.strictObject({ capability: z.literal('ari'), at: extendedAt, source }),
  z.strictObject({
    capability: z.literal('serialNumber'),
    at: extendedAt,
    value: hexText(16),
    source,
  }),
  z.strictObject({
    capability: z.literal('ats'),
    at: extendedAt,
    queueDepth: z.int().min(1).max(32),
    pageAligned: z.boolean(),
    source,
  }),
  z.strictObject({
    capability: z.literal('pageRequests'),
    at: extendedAt,
    capacity: z.int().min(1).max(512).describe('Outstanding page requests'),
    responsePasid: z.boolean().default(true).describe('Responses carry the PASID of the request'),
    source,
  }),
  z.strictObject({
    capability: z.literal('pasid'),
    at: extendedAt,
    widthBits: z.int().min(1).max(20),
    execute: z.boolean().default(false).describe('Execute permission can be requested'),
    privileged: z.boolean().default(false).describe('Privileged mode can be requested'),
    source,
  }),
  z
    .strictObject({
      capability: z.literal('raw'),
      at: extendedAt,
      id: id16.describe('Capability ID; an extended one if it lies at 100h or above'),
      version: z.int().min(1).max(15).default(1).describe('Extended capabilities only'),
      bytes: z
        .string()
        .regex(/^(?:[0-9a-f]{2})*$/i, 'must be an even number of hexadecimal digits')
        .default('')
        .describe('What follows the header of 2 bytes, or of 4 of an extended capability'),
      source,
    })
    .describe('A capability by its bytes: what its registers do follows from its ID'),
])

const routing = z.strictObject({ offset: z.int().min(1).max(0xffff), stride: z.int().min(0).max(0xffff) })

const sriovSchema = z.strictObject({
  at: extendedAt,
  totalVfs: z.int().min(1).max(0xffff),
  ari: routing.describe('First VF Offset and VF Stride with ARI Capable Hierarchy set'),
  nonAri: routing.describe('And without it'),
  vfDeviceId: id16,
  supportedPageSizes: hexText(8).default('0x553'),
  bars: z.array(barSchema).describe('VF BARs; the size is that of one virtual function'),
  virtualFunction: z.strictObject({
    capabilities: z.array(capabilitySchema),
    overrides: registerOverridesSchema.optional(),
  }),
  enableTimeNs: enableTimeSchema.optional(),
  source,
})

const functionSchema = z.strictObject({
  title: z.string().optional(),
  kind: z.enum(['hostBridge', 'rootPort', 'upstreamPort', 'downstreamPort', 'bridge', 'endpoint']),
  vendorId: id16,
  deviceId: id16,
  revision: hexText(2),
  classCode: hexText(6).describe('Base class, sub-class and programming interface'),
  subsystem: z.strictObject({ vendorId: id16, id: id16 }).optional(),
  interruptPin: z.int().min(0).max(4),
  bars: z.array(barSchema).default([]),
  romSizeBytes: z.union([z.literal(0), powerOfTwo(2048, 2 ** 24)]).default(0),
  wideWindows: z.boolean().default(true).describe('Bridges: 64-bit prefetchable window'),
  capabilities: z.array(capabilitySchema).default([]),
  overrides: registerOverridesSchema.optional(),
  resetTimeNs: resetTimeSchema.optional(),
  vitalProductData: z
    .string()
    .regex(/^(?:[0-9a-f]{2})*$/i, 'must be an even number of hexadecimal digits')
    .max(2 ** 16)
    .optional()
    .describe('What the VPD capability reads; default: erased storage'),
  deviceTlbEntries: z
    .int()
    .min(1)
    .max(4096)
    .optional()
    .describe('Translations that the function, and each virtual one, keeps; needs "ats"'),
  sriov: sriovSchema.optional(),
  internalPeerToPeer: z
    .boolean()
    .optional()
    .describe('Whether functions of the device reach each other past the port above'),
  registerModel: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,63}$/)
    .optional()
    .describe('Device model behind its registers; without, they are plain storage'),
  source,
})

export const dataSheetSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/),
  title: z.string(),
  sources: z.record(z.string(), z.string()).describe('What the source keys stand for'),
  functions: z.array(functionSchema).min(1).max(8).describe('Function 0 first'),
  queues: z
    .strictObject({
      receive: z.int().min(0),
      transmit: z.int().min(0),
      pools: z.int().min(0).default(0),
      source,
    })
    .optional(),
  usableVfs: z
    .strictObject({ count: z.int().min(0), reason: z.string(), source })
    .optional()
    .describe('Where drivers enable fewer virtual functions than TotalVFs'),
  quirks: z
    .array(z.strictObject({ text: z.string(), source: z.string() }))
    .default([])
    .describe('What is known to be special, for people'),
  unverified: z
    .array(
      z.string().regex(/^(?:\/[A-Za-z0-9]+)+$/, 'must be a path of the sheet, like "/functions/0/bars/1"'),
    )
    .default([])
    .describe('Fields, with all below them, whose values nobody has checked against a source'),
})

export type DataSheet = z.output<typeof dataSheetSchema>
export type DataSheetFunction = DataSheet['functions'][number]
export type DataSheetCapability = z.output<typeof capabilitySchema>
export type DataSheetBar = z.output<typeof barSchema>

/** JSON Schema of data sheets, for editors. */
export const dataSheetJsonSchema = () => ({
  ...z.toJSONSchema(dataSheetSchema, { io: 'input', target: 'draft-2020-12' }),
  title: 'Northbridge device data sheet',
})
