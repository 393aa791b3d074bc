/**
 * The topology document: a server on paper. People write it by hand, importers write it from captures; what the
 * schema cannot say about one field alone is in `topology-rules.ts`.
 *
 * Addresses are `0x…` text, bus numbers and counts are numbers, sizes carry their unit in the name.
 */
import { z } from 'zod'
import { CAP, ECAP } from '../vtd/formats/registers.ts'
import { importedSchema } from './imported-function-schema.ts'

/** More of these than any server has: the limits keep a hostile document from costing more than an error message. */
export const TOPOLOGY_LIMITS = {
  hostBridges: 256,
  /** Siblings on one bus: 32 devices of 8 functions, or 256 functions with ARI. */
  siblings: 256,
  remappingUnits: 64,
  processors: 1024,
  numaNodes: 64,
  functions: 65_536,
} as const

const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,13}$/, 'must be an address of at most 52 bits in hexadecimal, like "0xfed90000"')
const name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'must be 1 to 64 lower-case letters, digits, ".", "_" or "-", beginning with a letter or digit',
  )
const slot = z
  .string()
  .regex(/^[01]?[0-9a-f]\.[0-7]$/, 'must be device (hexadecimal, 0 to 1f) and function (0 to 7), like "1f.2"')
const addressRange = z.strictObject({
  base: address.describe('First byte'),
  limit: address.describe('Last byte'),
})
const id16 = z.string().regex(/^0x[0-9a-f]{4}$/i, 'must be 16 bits in hexadecimal, like "0x8086"')
const segment = z.int().min(0).max(0xffff)
const bus = z.int().min(0).max(255)
/** Proximity domain; -1 where the firmware declares none. */
const numaNode = z
  .int()
  .min(-1)
  .max(TOPOLOGY_LIMITS.numaNodes - 1)

const fieldNames = <Name extends string>(fields: Readonly<Record<Name, unknown>>): Name[] =>
  Object.keys(fields) as Name[]

const acsBit = z.enum(['SV', 'TB', 'RR', 'CR', 'UF', 'DT'])

const nodeSchema = z.strictObject({
  at: slot.describe('Device and function number on the bus above, like "1f.2"'),
  model: name.optional().describe('Name of a data sheet in devices/'),
  imported: importedSchema.optional(),
  functionOfModel: z
    .int()
    .min(0)
    .max(255)
    .optional()
    .describe(
      'Which function of the data sheet this is; default: the one with the function number of `at`, or else the first',
    ),
  acs: z
    .array(acsBit)
    .max(6)
    .optional()
    .describe('Overrides the bits of the ACS capability; [] removes the capability'),
  remappingUnit: name
    .nullable()
    .optional()
    .describe('Functions of a root bus only: the unit this one is wired to, null for none'),
  numVfs: z.int().min(0).max(0xffff).optional().describe('Virtual functions that the host enables at boot'),
  bus: z
    .strictObject({ secondary: bus, subordinate: bus })
    .optional()
    .describe('Bridges only: bus numbers that the firmware must give out'),
  reservedBuses: z
    .int()
    .min(0)
    .max(255)
    .optional()
    .describe('Bridges only: bus numbers to keep free below for hot-plug'),
  reservedWindows: z
    .strictObject({
      ioBytes: z.int().min(0).max(0x1_0000).optional(),
      memoryBytes: z
        .int()
        .min(0)
        .max(2 ** 32)
        .optional(),
      prefetchableBytes: z
        .int()
        .min(0)
        .max(2 ** 44)
        .optional(),
    })
    .optional()
    .describe(
      'Bridges only: what each window must hold at least, for hot-plug; default: 2 MiB of each kind of memory below a hot-plug slot where nothing else needs a window',
    ),
  windows: z
    .strictObject({
      io: addressRange.nullable().optional().describe('null: closed, whatever is below'),
      memory: addressRange.optional(),
      prefetchable: addressRange.optional(),
    })
    .optional()
    .describe('Bridges only: windows that the firmware must program'),
  barAddresses: z
    .partialRecord(z.enum(['0', '1', '2', '3', '4', '5', 'rom']), address)
    .optional()
    .describe('Addresses that the firmware must program, by BAR index'),
  subsystem: z
    .strictObject({ vendor: id16, device: id16 })
    .optional()
    .describe('Overrides the subsystem ids'),
  get devices(): z.ZodOptional<z.ZodArray<typeof nodeSchema>> {
    return z
      .array(nodeSchema)
      .max(TOPOLOGY_LIMITS.siblings)
      .optional()
      .describe('Bridges only: the functions on the secondary bus')
  },
})

/** Fields of CAP and ECAP by the specification's names, in their encodings: `{ "SAGAW": 2, "MGAW": 38 }`. */
const capabilitiesSchema = z
  .partialRecord(
    z.enum([...fieldNames(CAP.f), ...fieldNames(ECAP.f)]),
    z
      .int()
      .min(0)
      .max(2 ** 16),
  )
  .describe('Fields of CAP and ECAP that differ from those of a server chipset, in their encodings')

const remappingUnitSchema = z.strictObject({
  id: name,
  segment: segment.default(0),
  includeAll: z
    .boolean()
    .default(false)
    .describe('Serves every function of the segment that is not wired to another unit'),
  registerBase: address.optional().describe('Register page, in 0xfed10000 to 0xfedfffff'),
  numaNode: numaNode.default(-1),
  capabilities: capabilitiesSchema.optional(),
  completionLatencyNs: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe('Time that each register command and queued invalidation takes; none by default'),
})

const functionPaths = z
  .array(
    z
      .string()
      .regex(
        /^[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?:\/[01][0-9a-f]\.[0-7]){0,30}$/,
        'must be a path from a root bus, like "00:1c.0/00.0"',
      ),
  )
  .min(1)
  .max(64)

const slotOnBus = z
  .string()
  .regex(/^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/, 'must be bus, device and function, like "00:15.0"')

const atsPortsSchema = z
  .strictObject({
    segment: segment.default(0),
    allPorts: z.boolean().default(false).describe('Every root port of the segment'),
    functions: functionPaths.optional().describe('Root ports, if not all of the segment'),
  })
  .refine(entry => entry.allPorts !== (entry.functions !== undefined), 'names either all ports or some')

const integratedCachesSchema = z.strictObject({
  segment: segment.default(0),
  required: z.boolean().default(false).describe('Whether the functions need their device-TLB enabled'),
  functions: functionPaths.describe('Functions of root buses with a device-TLB'),
})

const namespaceDeviceSchema = z
  .strictObject({
    unit: name.describe('The unit that its requests reach'),
    number: z.int().min(1).max(255).describe('Unique among these devices'),
    path: z
      .string()
      .max(255)
      .regex(
        /^\\[A-Z_][A-Z0-9_]{0,3}(?:\.[A-Z_][A-Z0-9_]{0,3})*$/,
        'must be an ACPI path, like "\\_SB.PCI0.I2C0"',
      ),
    requesterId: slotOnBus.describe('What its requests carry, like "00:15.0"'),
  })
  .describe('A device that is no PCI function, only in the ACPI namespace (ANDD)')

const iommuSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('intel-vtd'),
    interruptRemapping: z.boolean().default(true).describe('Whether the firmware offers interrupt remapping'),
    units: z.array(remappingUnitSchema).min(1).max(TOPOLOGY_LIMITS.remappingUnits),
    atsPorts: z
      .array(atsPortsSchema)
      .max(TOPOLOGY_LIMITS.hostBridges)
      .default([])
      .describe('ATSRs: root ports below which device-TLBs may be used'),
    integratedCaches: z
      .array(integratedCachesSchema)
      .max(TOPOLOGY_LIMITS.hostBridges)
      .default([])
      .describe('SATCs: functions of the root complex with a device-TLB'),
    namespaceDevices: z.array(namespaceDeviceSchema).max(64).default([]),
  }),
  z
    .strictObject({
      kind: z.literal('gart'),
      id: name.default('gart'),
      registerBase: address.optional().describe('Register page, in 0xfed10000 to 0xfedfffff'),
    })
    .describe('An aperture with one table for all requesters: it translates, but isolates nobody'),
  z.strictObject({ kind: z.literal('amd') }).describe('Present, but not modelled: nothing can be assigned'),
  z.strictObject({ kind: z.literal('none') }),
])

const hostBridgeSchema = z.strictObject({
  segment: segment.default(0),
  bus: bus.default(0).describe('Number of the root bus'),
  lastBus: bus
    .optional()
    .describe('Last bus number below this host bridge; default: up to the next host bridge of the segment'),
  numaNode: numaNode.default(-1),
  remappingUnit: name
    .nullable()
    .optional()
    .describe("The unit its functions are wired to, null for none; default: the segment's include-all unit"),
  peerToPeer: z
    .enum(['none', 'withinHostBridge', 'everywhere'])
    .default('everywhere')
    .describe('Where the root complex passes translated requests between functions on'),
  nativeHotplug: z
    .boolean()
    .default(true)
    .describe('Whether firmware leaves hot-plug slots to the kernel (_OSC); else nobody serves them'),
  directPeerToPeer: z
    .boolean()
    .default(false)
    .describe('Root ports that ACS does not redirect pass requests to each other before any translation'),
  devices: z.array(nodeSchema).max(TOPOLOGY_LIMITS.siblings).default([]),
})

const reservedMemorySchema = z.strictObject({
  segment: segment.default(0),
  base: address.describe('First byte, a multiple of 4 KiB'),
  limit: address.describe('Last byte'),
  functions: functionPaths.describe('Functions whose traffic to this memory must always pass'),
})

const wireSchema = z.strictObject({
  segment: segment.default(0),
  functions: functionPaths.length(2).describe('The two network ports'),
})

export const topologySchema = z.strictObject({
  $schema: z.string().max(512).optional().describe('For editors'),
  name,
  description: z.string().max(4096).default('').describe('What this machine shows'),
  hostAddressWidth: z.int().min(36).max(52).default(46).describe('Width of physical addresses in bits'),
  processors: z
    .array(
      z.strictObject({
        numaNode: numaNode.default(-1),
        logicalProcessors: z.int().min(1).max(TOPOLOGY_LIMITS.processors),
      }),
    )
    .min(1)
    .max(64)
    .default([{ numaNode: -1, logicalProcessors: 2 }])
    .describe('Sockets'),
  memory: z
    .array(
      z.strictObject({
        numaNode: numaNode.default(-1),
        sizeMiB: z
          .int()
          .min(16)
          .max(2 ** 30),
      }),
    )
    .min(1)
    .max(TOPOLOGY_LIMITS.numaNodes)
    .default([{ numaNode: -1, sizeMiB: 4096 }])
    .describe('RAM by proximity domain, lowest addresses first'),
  iommu: iommuSchema,
  reservedMemory: z.array(reservedMemorySchema).max(64).default([]).describe('RMRRs'),
  hpet: z.boolean().optional().describe('Whether the board has a high precision event timer, at 0xfed00000'),
  wires: z
    .array(wireSchema)
    .max(64)
    .optional()
    .describe(
      'Network ports that are connected to each other; all others are connected to the outside world',
    ),
  hostBridges: z.array(hostBridgeSchema).min(1).max(TOPOLOGY_LIMITS.hostBridges),
  firmware: z
    .strictObject({
      resizableBars: z
        .enum(['asIs', 'largestThatFits'])
        .default('asIs')
        .describe(
          'Size that resizable BARs get: the one after reset, or the largest for which there is room',
        ),
    })
    .optional()
    .describe('Choices of the firmware'),
  host: z
    .strictObject({
      commandLine: z.string().max(2048).default('intel_iommu=on'),
      kernel: z
        .enum(['6.1', '7.2', '7.2+bus-isolation'])
        .default('6.1')
        .describe(
          'Whose rules for groups and VFIO apply; 7.2+bus-isolation groups as the 2025 rework would that was not merged',
        ),
      drivers: z
        .record(
          z
            .string()
            .regex(
              /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/,
              'must be a function address like "0000:01:00.0"',
            ),
          z.string().min(1).max(64).nullable(),
        )
        .optional()
        .describe(
          'Drivers that functions get at boot, null for none; default: what the kernel has for their ids',
        ),
    })
    .default({ commandLine: 'intel_iommu=on', kernel: '6.1' }),
})

/** A topology as people and importers write it: what has a default may be left out. */
export type TopologyDocument = z.input<typeof topologySchema>
/** A topology that keeps every rule, defaults filled in. It is a {@link TopologyDocument} too. */
export type Topology = z.output<typeof topologySchema>
export type TopologyNode = z.output<typeof nodeSchema>
export type TopologyNodeDocument = z.input<typeof nodeSchema>
export type TopologyHostBridge = Topology['hostBridges'][number]
export type TopologyRemappingUnit = z.output<typeof remappingUnitSchema>
export type AcsBit = z.output<typeof acsBit>

/** JSON Schema of topology documents, for editors and for the HTTP contract. */
export const topologyJsonSchema = () => ({
  ...z.toJSONSchema(topologySchema, { io: 'input', target: 'draft-2020-12' }),
  title: 'Northbridge topology',
})
