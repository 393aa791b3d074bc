/**
 * The configuration file of the SR-IOV network device plugin. Source: k8snetworkplumbingwg/sriov-network-device-plugin
 * README, pkg/types/types.go, cmd/sriovdp/manager.go (readConfig, validConfigs).
 */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import { refusePolicy } from '../model/index.ts'

const texts = z.array(z.string()).default([])

const selectorSchema = z.object({
  vendors: texts,
  devices: texts,
  drivers: texts,
  pciAddresses: texts,
  acpiIndexes: texts,
  pfNames: texts,
  rootDevices: texts,
  linkTypes: texts,
  ddpProfiles: texts,
  pKeys: texts,
  auxTypes: texts,
  isRdma: z.boolean().default(false),
  vdpaType: z.string().default(''),
  needVhostNet: z.boolean().default(false),
})

const resourceSchema = z.object({
  resourceName: z.string(),
  resourcePrefix: z.string().default(''),
  deviceType: z.enum(['netDevice', 'accelerator', 'auxNetDevice', '']).default(''),
  excludeTopology: z.boolean().default(false),
  selectors: z
    .union([selectorSchema, z.array(selectorSchema)])
    .default([])
    .transform(value => (Array.isArray(value) ? value : [value])),
  additionalInfo: z.record(z.string(), z.record(z.string(), z.string())).default({}),
})

const configurationSchema = z.object({ resourceList: z.array(resourceSchema) })

export type Selector = z.output<typeof selectorSchema>
export type Resource = z.output<typeof resourceSchema>

/** Throws `invalidDocument` naming the field. */
export const parseSelector = (value: unknown): Selector => parseDocument(selectorSchema, value, 'selectors')

/** Prefix of resources that name none. */
export const DEFAULT_PREFIX = 'intel.com'

export const fullName = ({ resourcePrefix, resourceName }: Resource, prefix = DEFAULT_PREFIX): string =>
  `${resourcePrefix || prefix}/${resourceName}`

/** Throws `invalidDocument`: the plugin would not start with it. */
export function parseResources(value: unknown, prefix = DEFAULT_PREFIX): readonly Resource[] {
  const { resourceList } = parseDocument(configurationSchema, value, 'config.json')
  const names = new Set<string>()
  for (const [index, resource] of resourceList.entries()) {
    const field = `resourceList/${index}/resourceName`
    const name = fullName(resource, prefix)
    if (!/^[A-Za-z0-9_-]+$/.test(resource.resourceName))
      refuse(
        'invalid-resource-name',
        field,
        `resource name "${resource.resourceName}" has other than A-Z a-z 0-9 _ -`,
      )
    if (names.has(name)) refuse('duplicate-resource-name', field, `resource ${name} is there already`)
    names.add(name)
    if (resource.deviceType === 'auxNetDevice') refuseAuxiliaryTypes(resource, index)
    const conflict = resource.selectors.findIndex(({ isRdma, vdpaType }) => isRdma && vdpaType !== '')
    if (conflict >= 0 && (resource.deviceType === 'netDevice' || resource.deviceType === ''))
      refuse(
        'rdma-and-vdpa',
        `resourceList/${index}/selectors/${conflict}`,
        'isRdma and vdpaType exclude each other',
      )
  }
  return resourceList
}

/** The plugin knows subfunctions alone. */
function refuseAuxiliaryTypes({ selectors }: Resource, index: number): void {
  for (const [at, { auxTypes }] of selectors.entries()) {
    const field = `resourceList/${index}/selectors/${at}/auxTypes`
    if (auxTypes.length === 0) refuse('auxTypes-missing', field, 'an auxNetDevice needs auxTypes')
    const other = auxTypes.find(type => type !== 'sf')
    if (other !== undefined) refuse('auxTypes-not-supported', field, `"${other}" is not sf`)
  }
}

const refuse = (errorClass: string, field: string, text: string): never =>
  refusePolicy(`${field}: ${text}`, { errorClass, field })
