/** Worked cases of the SR-IOV network device plugin. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  type Device,
  judgeDevice,
  parseResources,
  parseSelector,
  poolsOf,
  whyNotOffered,
} from '../../policy/index.ts'
import type { Judge, Outcome } from './worked-case.ts'

const deviceSchema = z.object({
  address: z.string().optional(),
  vendor: z.string().optional(),
  device: z.string().optional(),
  driver: z.string().nullable().optional(),
  class: z.string().optional(),
  pf: z.string().optional(),
  pf_address: z.string().optional(),
  vf_index: z.int().optional(),
  link_type: z.string().optional(),
  ddp: z.string().optional(),
  pkey: z.string().optional(),
  rdma: z.boolean().optional(),
  vdpa: z.string().nullable().optional(),
  aux: z.string().optional(),
  acpi_index: z.string().optional(),
  default_route: z.boolean().optional(),
  sriov_numvfs: z.int().optional(),
  sriov_totalvfs: z.int().optional(),
})

/** Cases leave out that a device is a network function, which is all that the plugin looks at. */
const NETWORK_CLASS = '020000'

function deviceOf(raw: unknown, index: number): Device {
  const given = parseDocument(deviceSchema, raw, `devices/${index}`)
  const given_class = given.class === undefined ? NETWORK_CLASS : given.class.replace(/^0x/, '')
  return {
    address: given.address ?? `device ${index}`,
    role: given.vf_index !== undefined && given.vf_index >= 0 ? 'VF' : 'endpoint',
    classCode: given_class,
    ...present({
      vendorId: given.vendor,
      productId: given.device,
      driver: given.driver,
      parent: given.pf_address,
      vfIndex: given.vf_index,
      auxiliaryType: given.aux,
      acpiIndex: given.acpi_index,
    }),
    ...(given.sriov_numvfs === undefined
      ? {}
      : { sriov: { numVfs: given.sriov_numvfs, totalVfs: given.sriov_totalvfs ?? given.sriov_numvfs } }),
    network: present({
      physicalFunctionName: given.pf,
      linkType: given.link_type,
      ddpProfile: given.ddp,
      partitionKey: given.pkey,
      rdma: given.rdma,
      vdpaType: given.vdpa === 'virtio' || given.vdpa === 'vhost' ? given.vdpa : undefined,
      defaultRoute: given.default_route,
    }),
  }
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

const present = <T extends object>(properties: T): Present<T> =>
  Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as Present<T>

export const judgeDevicePlugin: Judge = ({ devices: raw, policy, request, expected }): Outcome => {
  const devices = raw.map(deviceOf)
  switch (request['op']) {
    case 'validate': {
      const resources = parseResources(policy)
      return { decision: 'valid-policy', selectorObjs: resources.map(({ selectors }) => selectors.length) }
    }
    case 'init-servers': {
      const pools = poolsOf(parseResources(policy), devices)
      const taken = pools
        .flatMap(({ considered }) => considered)
        .filter(({ refusal }) => refusal?.errorClass === 'already-allocated')
      return {
        decision: 'match',
        assignment: Object.fromEntries(
          pools
            // A resource without devices gets no server; cases list it, with nothing, or do not.
            .filter(
              ({ resource, devices: pool }) => pool.length > 0 || listed(expected, resource.resourceName),
            )
            .map(({ resource, devices: pool }) => [
              resource.resourceName,
              pool.map(({ address }) => address),
            ]),
        ),
        ...(taken.length > 0 ? { warning: 'already-allocated' } : {}),
      }
    }
    default: {
      const selector = parseSelector(policy['selectors'] ?? {})
      const indexes = devices.flatMap((device, index) =>
        (request['op'] === 'filter' || whyNotOffered(device) === undefined) &&
        judgeDevice(device, selector).refusal === undefined
          ? [index]
          : [],
      )
      return {
        decision: 'match',
        selected_index: indexes,
        selected: shown(indexes, raw, expected['selected']),
      }
    }
  }
}

const listed = ({ assignment }: Readonly<Record<string, unknown>>, name: string): boolean =>
  typeof assignment === 'object' && assignment !== null && name in assignment

/** Selected devices as the case names them: by address, or by the properties it gave. */
function shown(
  indexes: readonly number[],
  raw: readonly Readonly<Record<string, unknown>>[],
  like: unknown,
): unknown {
  const byAddress = Array.isArray(like) && typeof like[0] === 'string'
  return indexes.map(index => (byAddress ? raw[index]!['address'] : raw[index]))
}
