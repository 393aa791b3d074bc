/**
 * Which devices a selector picks: all of its fields must hold. Source: k8snetworkplumbingwg/sriov-network-device-plugin
 * pkg/resources/deviceSelectors.go and pkg/netdevice/netDeviceProvider.go, whose order this is.
 */
import type { Device, Refusal } from '../model/index.ts'
import type { Resource, Selector } from './configuration.ts'

interface Rule {
  readonly field: keyof Selector
  /** Undefined if the selector says nothing about it. */
  holds(device: Device, selector: Selector): boolean | undefined
}

const oneOf = (field: keyof Selector, property: (device: Device) => string | null | undefined): Rule => ({
  field,
  holds(device, selector) {
    const wanted = selector[field] as readonly string[]
    return wanted.length === 0 ? undefined : wanted.includes(property(device) ?? '')
  },
})

/** `name`, `name#3` or `name#0,3-5,7` with VF indexes. A PF itself has index -1. */
const indexed = (
  field: 'pfNames' | 'rootDevices',
  property: (device: Device) => string | undefined,
): Rule => ({
  field,
  holds(device, selector) {
    const wanted = selector[field]
    if (wanted.length === 0) return undefined
    const name = property(device)
    if (name === undefined || name === '') return false
    const found = wanted.find(item => item.split('#')[0]!.toLowerCase() === name.toLowerCase())
    return found !== undefined && selectsIndex(found, device.vfIndex ?? -1)
  },
})

const RULES: readonly Rule[] = [
  oneOf('vendors', ({ vendorId }) => vendorId),
  oneOf('devices', ({ productId }) => productId),
  oneOf('drivers', ({ driver }) => driver),
  oneOf('pciAddresses', ({ address }) => address),
  oneOf('acpiIndexes', ({ acpiIndex }) => acpiIndex),
  oneOf('auxTypes', ({ auxiliaryType }) => auxiliaryType),
  indexed('pfNames', ({ network }) => network?.physicalFunctionName),
  indexed('rootDevices', ({ parent }) => parent),
  oneOf('linkTypes', ({ network }) => network?.linkType),
  oneOf('ddpProfiles', ({ network }) => network?.ddpProfile),
  oneOf('pKeys', ({ network }) => network?.partitionKey),
  {
    field: 'isRdma',
    holds: ({ network }, { isRdma }) => (isRdma ? network?.rdma === true : undefined),
  },
  {
    field: 'vdpaType',
    holds: ({ network }, { vdpaType }) => (vdpaType === '' ? undefined : network?.vdpaType === vdpaType),
  },
]

/** What the plugin reads of a selector for each type of device; the rest of its fields says nothing there. */
const FIELDS: Readonly<Record<Resource['deviceType'], readonly (keyof Selector)[]>> = {
  netDevice: RULES.map(({ field }) => field).filter(field => field !== 'auxTypes'),
  '': RULES.map(({ field }) => field).filter(field => field !== 'auxTypes'),
  accelerator: ['vendors', 'devices', 'drivers', 'pciAddresses'],
  auxNetDevice: [
    'vendors',
    'devices',
    'drivers',
    'auxTypes',
    'pfNames',
    'rootDevices',
    'linkTypes',
    'isRdma',
  ],
}

/** A range that cannot be read selects nothing from there on, as upstream. */
function selectsIndex(item: string, index: number): boolean {
  const [, ranges, ...more] = item.split('#')
  if (ranges === undefined) return true
  if (more.length > 0) return false
  for (const range of ranges.split(',')) {
    const bounds = range.split('-')
    if (bounds.length > 2 || bounds.some(bound => !/^[+-]?\d+$/.test(bound))) return false
    const [first, last = first] = bounds.map(Number)
    if (index >= first! && index <= last!) return true
  }
  return false
}

/** The first field that does not hold and how many did before it. Without a type every field counts. */
export function judgeDevice(
  device: Device,
  selector: Selector,
  deviceType?: Resource['deviceType'],
): { readonly passed: number; readonly refusal?: Refusal } {
  let passed = 0
  for (const { field, holds } of RULES) {
    if (deviceType !== undefined && !FIELDS[deviceType].includes(field)) continue
    const verdict = holds(device, selector)
    if (verdict === false) {
      const wanted = JSON.stringify(selector[field])
      const text = `${device.address} does not match ${field} ${wanted}`
      return { passed, refusal: { errorClass: 'not-selected', text, device: device.address } }
    }
    if (verdict) passed++
  }
  return { passed }
}
