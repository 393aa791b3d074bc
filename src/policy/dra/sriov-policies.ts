/**
 * `SriovResourcePolicy` and `DeviceAttributes`: which VFs the SR-IOV driver publishes on which nodes, with which extra
 * attributes. Source: k8snetworkplumbingwg/dra-driver-sriov pkg/controller/resourcepolicycontroller.go.
 */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  type AttributeValue,
  linkTypeName,
  type PublishedDevice,
  RESERVED_ATTRIBUTES,
  SRIOV_DRIVER,
} from './devices.ts'

const texts = z.array(z.string()).default([])

const filterSchema = z.object({
  vendors: texts,
  devices: texts,
  pciAddresses: texts,
  pfNames: texts,
  pfPciAddresses: texts,
  linkType: z.string().default(''),
  /** Accepted and ignored, as upstream. */
  drivers: texts,
})

const requirementSchema = z.object({
  key: z.string(),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
  values: texts,
})

const labelSelectorSchema = z.object({
  matchLabels: z.record(z.string(), z.string()).default({}),
  matchExpressions: z.array(requirementSchema).default([]),
})

const policySpecSchema = z.object({
  nodeSelector: z
    .object({
      nodeSelectorTerms: z.array(z.object({ matchExpressions: z.array(requirementSchema).default([]) })),
    })
    .optional(),
  configs: z.array(
    z.object({
      deviceAttributesSelector: labelSelectorSchema.optional(),
      resourceFilters: z.array(filterSchema).default([]),
    }),
  ),
})

export type ResourceFilter = z.output<typeof filterSchema>
type Requirement = z.output<typeof requirementSchema>
export type NodeSelectorTerm = { readonly matchExpressions: readonly Requirement[] }
export type SriovResourcePolicy = z.output<typeof policySpecSchema> & { readonly name: string }

export interface DeviceAttributes {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly attributes: Readonly<Record<string, AttributeValue>>
}

type Labels = Readonly<Record<string, string>>

/** The `spec` of a manifest. Throws `invalidDocument`. */
export const parseSriovResourcePolicy = (name: string, spec: unknown): SriovResourcePolicy => ({
  name,
  ...parseDocument(policySpecSchema, spec, `SriovResourcePolicy ${name}`),
})

/** Terms are alternatives; none at all selects every node. */
export const selectsNode = (labels: Labels, terms: readonly NodeSelectorTerm[]): boolean =>
  terms.length === 0 ||
  terms.some(({ matchExpressions }) => matchExpressions.every(each => meets(labels, each)))

function meets(labels: Labels, { key, operator, values }: Requirement): boolean {
  const value = labels[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}

/** Filters are alternatives; none at all matches every device. */
export const matchesFilters = (device: PublishedDevice, filters: readonly ResourceFilter[]): boolean =>
  filters.length === 0 || filters.some(filter => matchesFilter(device, filter))

const FILTERED = [
  ['vendors', 'vendor'],
  ['devices', 'deviceID'],
  ['pciAddresses', 'pciAddress'],
  ['pfNames', 'PFName'],
  ['pfPciAddresses', 'pfPciAddress'],
] as const

/** Fields must all hold; a device without the attribute does not match a field that asks for it. */
function matchesFilter({ attributes }: PublishedDevice, filter: ResourceFilter): boolean {
  for (const [field, attribute] of FILTERED) {
    const wanted = filter[field]
    if (wanted.length > 0 && !wanted.includes(String(attributes[`${SRIOV_DRIVER}/${attribute}`])))
      return false
  }
  return filter.linkType === '' || attributes[`${SRIOV_DRIVER}/linkType`] === linkTypeName(filter.linkType)
}

/** First match wins, policies by name; without any policy nothing is published. */
export function publishedDevices(
  devices: readonly PublishedDevice[],
  policies: readonly SriovResourcePolicy[],
  extra: readonly DeviceAttributes[],
  nodeLabels: Labels = {},
): PublishedDevice[] {
  const configs = policies
    .filter(({ nodeSelector }) => selectsNode(nodeLabels, nodeSelector?.nodeSelectorTerms ?? []))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(policy => policy.configs)
  return devices.flatMap(device => {
    const config = configs.find(({ resourceFilters }) => matchesFilters(device, resourceFilters))
    if (config === undefined) return []
    const added = attributesFor(config.deviceAttributesSelector, extra)
    return [{ ...device, attributes: { ...added, ...device.attributes } }]
  })
}

/** Of all selected objects; of one key given twice, the one of the last object by name. */
function attributesFor(
  selector: SriovResourcePolicy['configs'][number]['deviceAttributesSelector'],
  extra: readonly DeviceAttributes[],
): Readonly<Record<string, AttributeValue>> {
  if (selector === undefined) return {}
  const { matchLabels, matchExpressions } = selector
  const selected = extra
    .filter(
      ({ labels }) =>
        Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
        matchExpressions.every(each => meets(labels, each)),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const merged = Object.assign({}, ...selected.map(({ attributes }) => attributes)) as Record<
    string,
    AttributeValue
  >
  return Object.fromEntries(Object.entries(merged).filter(([key]) => !RESERVED_ATTRIBUTES.has(key)))
}
