/**
 * The sheet of a QEMU device model: its configuration space at power-on, as data. Sheets are files in `devices/qemu/`,
 * by the name that `-device` takes. What a property of the device changes is in `device-properties.ts`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { NorthbridgeError, packageFile, parseDocument } from '../../core/index.ts'

const FOLDER = packageFile('devices/qemu/')

const hexText = (digits: number) => z.string().regex(new RegExp(`^0x[0-9a-fA-F]{1,${digits}}$`))
const bytes = z.string().regex(/^(?:[0-9a-f]{2})*$/)

const barSchema = z.strictObject({
  index: z.int().min(0).max(5),
  kind: z.enum(['memory32', 'memory64', 'io']),
  prefetchable: z.boolean().default(false),
  sizeBytes: z
    .int()
    .min(4)
    .refine(size => Number.isInteger(Math.log2(size))),
})

const headerSchema = z.strictObject({
  vendorId: hexText(4),
  deviceId: hexText(4),
  revision: hexText(2),
  classCode: hexText(6),
  subsystem: z.strictObject({ vendorId: hexText(4), id: hexText(4) }).optional(),
  interruptPin: z.int().min(0).max(4).default(0),
})

/** A capability: its bytes behind identifier and link. Trailing zeros are left out. */
const capabilitySchema = z.strictObject({
  id: hexText(2),
  name: z.string(),
  at: hexText(2).optional().describe('Left out: the first free place, as QEMU allocates'),
  size: z.int().min(2).max(256),
  bytes,
  only: z.enum(['express', 'conventional']).optional().describe('Only behind such a bus'),
})

const extendedSchema = z.strictObject({
  id: hexText(4),
  name: z.string(),
  version: z.int().min(1).max(15),
  at: hexText(3),
  bytes,
})

const overrideSchema = z.strictObject({
  offset: hexText(3),
  readWrite: hexText(8).optional(),
  clearable: hexText(8).optional(),
  readOnly: hexText(8).optional(),
})

const functionFields = {
  header: headerSchema,
  bars: z.array(barSchema).default([]),
  capabilities: z
    .array(capabilitySchema)
    .default([])
    .describe('In the order in which QEMU adds them: each new one becomes the head of the list'),
  extendedCapabilities: z.array(extendedSchema).default([]).describe('In the order of the list'),
  bytes: z.record(hexText(3), bytes).default({}).describe('Other bytes that are not 0 at power-on'),
  writeMasks: z
    .array(overrideSchema)
    .default([])
    .describe('Registers whose access follows from no rule of write-masks.ts'),
}

export const deviceSheetSchema = z.strictObject({
  model: z.string(),
  aliases: z.array(z.string()).default([]),
  title: z.string(),
  source: z.string(),
  kind: z.enum(['hostBridge', 'rootPort', 'upstreamPort', 'downstreamPort', 'bridge', 'endpoint']),
  express: z
    .enum(['always', 'never', 'onExpressBus'])
    .describe('Whether it is a PCI Express function; some models are one only behind an express bus'),
  ...functionFields,
  romSizeBytes: z.int().min(0).default(0),
  deviceErrors: z.boolean().default(false).describe('Device Control has the error reporting enables'),
  linkControl: z.boolean().default(false).describe('Link Control has its clock bits'),
  properties: z
    .enum(['none', 'network', 'vmxnet3', 'port', 'bridge', 'nvme', 'igb', 'virtio', 'xhci', 'vga', 'ivshmem'])
    .default('none')
    .describe('Which properties change configuration space'),
  virtio: z
    .strictObject({
      id: z.int().min(1).max(63).describe('Virtio device type'),
      transitionalId: hexText(4).optional(),
      vectors: z.union([z.int().min(0), z.enum(['queuePairs', 'queues'])]),
      legacyIoBytes: z.int().default(32),
      modernOnly: z.boolean().default(false),
    })
    .optional(),
  registerModel: z.string().optional().describe('Device model behind its registers'),
  hotAddedBytes: z
    .record(hexText(3), bytes)
    .default({})
    .describe('Bytes that only the reset of the machine clears: a device added while it runs has them'),
  widths: z
    .record(hexText(3), z.int().min(1).max(4))
    .default({})
    .describe('Bytes of registers that no specification of PCI names'),
  virtualFunction: z.strictObject({ routing: z.tuple([z.int(), z.int()]), ...functionFields }).optional(),
})

export type DeviceSheet = z.output<typeof deviceSheetSchema>
export type SheetFunction = Pick<
  DeviceSheet,
  'header' | 'bars' | 'capabilities' | 'extendedCapabilities' | 'bytes' | 'writeMasks'
>
export type SheetBar = z.output<typeof barSchema>

let sheets: ReadonlyMap<string, DeviceSheet> | undefined

/** Every sheet by model name and alias. Read once. */
export function deviceSheets(): ReadonlyMap<string, DeviceSheet> {
  if (sheets !== undefined) return sheets
  const folder = fileURLToPath(FOLDER)
  const found = new Map<string, DeviceSheet>()
  for (const file of existsSync(folder) ? readdirSync(folder).sort() : []) {
    if (!file.endsWith('.json')) continue
    const document: unknown = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
    const sheet = parseDocument(deviceSheetSchema, document, `devices/qemu/${file}`)
    for (const name of [sheet.model, ...sheet.aliases]) found.set(name, sheet)
  }
  sheets = found
  return found
}

/** Throws `unsupported` naming a model that has no sheet. */
export function deviceSheet(model: string): DeviceSheet {
  const sheet = deviceSheets().get(model)
  if (sheet === undefined) {
    throw new NorthbridgeError('unsupported', `QEMU's device model "${model}" is not known`, {
      known: [...deviceSheets().keys()].sort(),
    })
  }
  return sheet
}
