/** `SriovNetworkNodePolicy`. Source: k8snetworkplumbingwg/sriov-network-operator api/v1/sriovnetworknodepolicy_types.go. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'

const texts = z.array(z.string()).default([])

const nicSelectorSchema = z.strictObject({
  vendor: z.string().default(''),
  deviceID: z.string().default(''),
  rootDevices: texts,
  pfNames: texts,
  netFilter: z.string().default(''),
})

const specSchema = z.object({
  resourceName: z.string(),
  nodeSelector: z.record(z.string(), z.string()).default({}),
  priority: z.int().min(0).max(99).default(99),
  mtu: z.int().min(1).optional(),
  numVfs: z.int().min(0),
  nicSelector: nicSelectorSchema,
  deviceType: z.enum(['netdevice', 'vfio-pci', '']).default(''),
  isRdma: z.boolean().default(false),
  needVhostNet: z.boolean().default(false),
  linkType: z.string().default(''),
  eSwitchMode: z.string().default(''),
  vdpaType: z.string().default(''),
  excludeTopology: z.boolean().default(false),
  externallyManaged: z.boolean().default(false),
  bridge: z.record(z.string(), z.unknown()).default({}),
})

const manifestSchema = z.object({
  kind: z.literal('SriovNetworkNodePolicy'),
  metadata: z.object({ name: z.string() }),
  spec: specSchema,
})

export type NicSelector = z.output<typeof nicSelectorSchema>
export type NodePolicy = z.output<typeof specSchema> & { readonly name: string }

/** A Kubernetes manifest. Throws `invalidDocument` naming the field. */
export function parseNodePolicy(value: unknown): NodePolicy {
  const { metadata, spec } = parseDocument(manifestSchema, value, 'SriovNetworkNodePolicy')
  return { name: metadata.name, ...spec }
}

export const isEmptySelector = ({
  vendor,
  deviceID,
  rootDevices,
  pfNames,
  netFilter,
}: NicSelector): boolean =>
  vendor === '' && deviceID === '' && rootDevices.length === 0 && pfNames.length === 0 && netFilter === ''

/** VFs of a PF by index, both ends included. */
export interface VfRange {
  readonly first: number
  readonly last: number
}

/** No range was given: all VFs of the policy. Two of these on one PF overlap. */
export const EVERY_VF: VfRange = { first: -1, last: -1 }

/** A `pfNames` item: `name` or `name#2-5`. The range is undefined if it cannot be read. */
export function parsePfName(item: string): { readonly name: string; readonly range: VfRange | undefined } {
  const [name = '', range = ''] = item.split('#')
  return { name, range: range === '' ? EVERY_VF : parseVfRange(range) }
}

export function parseVfRange(text: string): VfRange | undefined {
  const [, first, last] = /^([+-]?\d+)-([+-]?\d+)/.exec(text) ?? []
  return first === undefined ? undefined : { first: Number(first), last: Number(last) }
}
