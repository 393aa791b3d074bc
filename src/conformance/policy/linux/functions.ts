/** Functions of grouping cases, as the kernel would find them. What a case leaves out is inferred from bus numbers. */
import { z } from 'zod'
import { parseDocument, parseFunctionAddress } from '../../../core/index.ts'
import type { GroupingFunction } from '../../../host/grouping/grouping-function.ts'
import { identityUnderQuirk } from '../../../host/grouping/quirks.ts'
import { ACS_BIT, PORT_TYPE } from '../../../pcie/formats/index.ts'
import { unknownShape } from '../worked-case.ts'

const acsBits = z
  .array(z.enum(Object.keys(ACS_BIT) as [keyof typeof ACS_BIT]))
  .nullable()
  .default(null)
const id = z.string().regex(/^(?:0x)?[0-9a-fA-F]{4}$/)

const functionSchema = z.looseObject({
  address: z.string(),
  type: z.string().default('endpoint'),
  below: z.string().optional(),
  multifunction: z.boolean().optional(),
  acs_cap: acsBits,
  acs_ctrl: acsBits,
  quirk: z.string().nullable().optional(),
  dma_alias: z.union([z.string(), z.array(z.string())]).default([]),
  vendor: id.optional(),
  device: id.optional(),
})

type Given = z.output<typeof functionSchema>

export interface CaseFunction {
  /** The address as the case writes it. */
  readonly name: string
  readonly fn: GroupingFunction
}

/** Type of the PCI Express capability (-1: none) and whether it is a bridge. */
const TYPES: Readonly<Record<string, readonly [type: number, bridge: boolean]>> = {
  'root-port': [PORT_TYPE.rootPort, true],
  'upstream-port': [PORT_TYPE.upstreamPort, true],
  'downstream-port': [PORT_TYPE.downstreamPort, true],
  'pcie-to-pci-bridge': [PORT_TYPE.pcieToPciBridge, true],
  'pcie-pci-bridge': [PORT_TYPE.pcieToPciBridge, true],
  'pci-to-pcie-bridge': [PORT_TYPE.pciToPcieBridge, true],
  'pci-bridge': [-1, true],
  'pci-to-pci-bridge': [-1, true],
  bridge: [-1, true],
  'conventional-pci': [-1, false],
  conventional: [-1, false],
  pci: [-1, false],
  endpoint: [PORT_TYPE.endpoint, false],
  'legacy-endpoint': [PORT_TYPE.legacyEndpoint, false],
  'integrated-endpoint': [PORT_TYPE.integratedEndpoint, false],
  'root-complex-endpoint': [PORT_TYPE.integratedEndpoint, false],
  rciep: [PORT_TYPE.integratedEndpoint, false],
  rcec: [PORT_TYPE.eventCollector, false],
  'event-collector': [PORT_TYPE.eventCollector, false],
  PF: [PORT_TYPE.endpoint, false],
  VF: [PORT_TYPE.endpoint, false],
}

interface Draft {
  readonly given: Given
  readonly segment: number
  readonly rid: number
  readonly bridge: boolean
  readonly expressType: number
  above?: Draft
  secondaryBus: number
}

export function functionsOf(devices: readonly unknown[]): CaseFunction[] {
  const drafts = devices.map((raw, index) => draftOf(parseDocument(functionSchema, raw, `devices/${index}`)))
  connect(drafts)
  const made = new Map<Draft, GroupingFunction>()
  const make = (draft: Draft): GroupingFunction => {
    const known = made.get(draft)
    if (known !== undefined) return known
    const fn = functionOf(draft, drafts, make)
    made.set(draft, fn)
    return fn
  }
  return drafts.map(draft => ({ name: draft.given.address, fn: make(draft) }))
}

function draftOf(given: Given): Draft {
  const [expressType, bridge] = TYPES[given.type] ?? unknownShape(`${given.address} has type ${given.type}`)
  return { given, ...parseFunctionAddress(given.address), expressType, bridge, secondaryBus: 0 }
}

/** Who is below whom: as the case says, else as an enumeration depth first would have numbered the buses. */
function connect(drafts: readonly Draft[]): void {
  const bridgeOf = new Map<number, Draft>()
  for (const draft of drafts) {
    const { below } = draft.given
    const bridge = below === undefined ? undefined : drafts.find(({ given }) => given.address === below)
    if (below !== undefined && bridge === undefined) unknownShape(`${below} is below nothing that is listed`)
    if (bridge !== undefined) adopt(bridge, busOf(draft), bridgeOf)
  }
  for (const bus of [...new Set(drafts.map(busOf))].sort((a, b) => a - b)) {
    if (bridgeOf.has(bus)) continue
    const free = drafts
      .filter(draft => draft.bridge && draft.secondaryBus === 0 && busOf(draft) < bus)
      .sort((a, b) => busOf(b) - busOf(a) || a.rid - b.rid)
    if (free[0] !== undefined) adopt(free[0], bus, bridgeOf)
  }
  for (const draft of drafts) {
    const above = bridgeOf.get(busOf(draft))
    if (above !== undefined) draft.above = above
  }
}

const busOf = ({ segment, rid }: Pick<Draft, 'segment' | 'rid'>): number => segment * 256 + (rid >>> 8)

function adopt(bridge: Draft, bus: number, bridgeOf: Map<number, Draft>): void {
  bridge.secondaryBus = bus & 0xff
  bridgeOf.set(bus, bridge)
}

const bitsOf = (names: readonly (keyof typeof ACS_BIT)[]): number =>
  names.reduce((bits, name) => bits | ACS_BIT[name], 0)

function functionOf(
  draft: Draft,
  drafts: readonly Draft[],
  make: (draft: Draft) => GroupingFunction,
): GroupingFunction {
  const { given, segment, rid, bridge, expressType, above, secondaryBus } = draft
  const virtual = given.type === 'VF'
  const mates = drafts.filter(
    other => other !== draft && other.given.type !== 'VF' && busOf(other) === busOf(draft),
  )
  const pf = virtual
    ? mates.findLast(({ given: { type }, rid: other }) => type === 'PF' && other < rid)
    : undefined
  const identity = given.quirk == null ? undefined : identityUnderQuirk(given.quirk, expressType)
  if (given.quirk != null && identity === undefined)
    unknownShape(`there is no quirk ${given.quirk} for its type`)
  return {
    address: given.address,
    segment,
    rid,
    vendorId: numberOf(given.vendor) ?? identity?.vendorId ?? 0,
    deviceId: numberOf(given.device) ?? identity?.deviceId ?? 0,
    expressType,
    bridge,
    multifunction: given.multifunction ?? (!virtual && mates.some(mate => mate.rid >>> 3 === rid >>> 3)),
    acs:
      given.acs_cap === null
        ? undefined
        : { capability: bitsOf(given.acs_cap), control: bitsOf(given.acs_ctrl ?? []) },
    above: above === undefined ? undefined : make(above),
    secondaryBus,
    quirkAliases: [given.dma_alias].flat().map(alias => parseFunctionAddress(alias).rid),
    physical: pf === undefined ? undefined : make(pf),
    // The conditions that a vouched-for device depends on hold, or the case would not name the quirk.
    ...(identity === undefined ? {} : { peerDecodesDisabled: true, besideAmdIommu: true }),
  }
}

const numberOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number.parseInt(text.replace(/^0x/, ''), 16)
