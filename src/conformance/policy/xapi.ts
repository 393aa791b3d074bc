/** Worked cases of XenServer's toolstack. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  type PhysicalInterface,
  type Refusal,
  refuseBootDevice,
  refuseNetworks,
  refuseSriovCapacity,
  refuseSriovNetwork,
  refuseVirtualGpu,
  refuseWithoutIommu,
  type SriovNetwork,
} from '../../policy/index.ts'
import type { Judge, Outcome, WorkedCase } from './worked-case.ts'

/** Cases about one device leave the others' properties out: they are as the rule at hand needs them. */
const interfaceSchema = z.object({
  managed: z.boolean().default(true),
  kind: z.string().default('physical'),
  sriov: z.string().optional(),
  capabilities: z.array(z.string()).default([]),
  pci: z.string().default(''),
  network: z.string().optional(),
  network_has: z.string().default(''),
})

const KINDS: readonly (readonly [RegExp, PhysicalInterface['kind']])[] = [
  [/^physical/, 'physical'],
  [/bond/, 'bond'],
  [/vlan/, 'vlan'],
  [/tunnel/, 'tunnel'],
  [/sriov|sr-iov|logical/, 'sriov-logical'],
]

const outcomeOf = (refusal: Refusal | undefined): Outcome =>
  refusal === undefined ? { decision: 'allow' } : { decision: 'deny', errorClass: refusal.errorClass }

export const judgeXapi: Judge = workedCase => {
  const { devices, request } = workedCase
  if ('vgpu' in request) return runVirtualGpu(workedCase)
  switch (request['op']) {
    case 'assert_host_has_iommu': {
      const { chipset_info } = parseDocument(hostSchema, devices[0], 'devices/0')
      return outcomeOf(refuseWithoutIommu(chipset_info['iommu'] === 'true'))
    }
    case 'PCI.disable_dom0_access': {
      const { address, ...facts } = parseDocument(bootDeviceSchema, devices[0], 'devices/0')
      return outcomeOf(refuseBootDevice(address, Object.values(facts).includes(true)))
    }
    case 'assert_can_see_networks':
      return outcomeOf(canSeeNetworks(workedCase))
    case 'assert_netsriov_available':
      return outcomeOf(hasCapacity(workedCase))
    default:
      return outcomeOf(createNetwork(workedCase))
  }
}

const hostSchema = z.object({ chipset_info: z.record(z.string(), z.string()) })
const bootDeviceSchema = z.looseObject({ address: z.string().default('the device') })

function createNetwork({ devices, policy, request }: WorkedCase): Refusal | undefined {
  const given = parseDocument(interfaceSchema, devices[0], 'devices/0')
  const pif: PhysicalInterface = {
    name: 'PIF',
    managed: given.managed,
    kind: KINDS.find(([pattern]) => pattern.test(given.kind.toLowerCase()))?.[1] ?? 'physical',
    sriovEnabled: given.sriov === 'enabled',
    sriovCapable: given.capabilities.includes('sriov'),
    pciId: given.pci,
  }
  const target = parseDocument(
    z.string(),
    request['network'] ?? policy['network'] ?? given.network ?? 'N',
    'network',
  )
  const network: SriovNetwork = {
    name: target,
    ...(given.network === target ? { localInterface: pif.name } : {}),
    others: othersOn(given.network_has, given.pci),
  }
  return refuseSriovNetwork(pif, network)
}

function othersOn(text: string, own: string): SriovNetwork['others'] {
  if (text === '') return 'none'
  if (/\bsame\b/i.test(text)) return { pciId: own }
  if (/non-?\s?sr-?iov|plain/i.test(text)) return 'plain'
  return { pciId: /[0-9a-f]+:[0-9a-f]+/i.exec(text)?.[0] ?? text }
}

const networksSchema = z.looseObject({ networks: z.array(z.string()).default([]) })
const countSchema = z.union([z.int(), z.array(z.unknown()).transform(list => list.length)])

function canSeeNetworks({ devices, request }: WorkedCase): Refusal | undefined {
  const present = devices.flatMap(raw => parseDocument(networksSchema, raw, 'devices').networks)
  const required = parseDocument(z.array(z.string()), request['networks'] ?? ['sriov-network'], 'networks')
  return refuseNetworks(required, present)
}

const capacitySchema = z.looseObject({ network: z.string().default('N'), idle_vfs: z.int().default(0) })

function hasCapacity({ devices, request }: WorkedCase): Refusal | undefined {
  const listed = devices.map((raw, index) => parseDocument(capacitySchema, raw, `devices/${index}`))
  const idle = new Map(listed.map(({ network, idle_vfs }) => [network, idle_vfs]))
  const count = parseDocument(countSchema, request['vifs'] ?? 1, 'vifs')
  return refuseSriovCapacity(new Map(listed.map(({ network }) => [network, count])), idle)
}

const gpuSchema = z.object({
  pgpu: z.string(),
  types: z.record(z.string(), z.int()),
  enabled: z.array(z.string()).optional(),
  enabled_types: z.array(z.string()).optional(),
  disabled: z.array(z.string()).default([]),
  disabled_types: z.array(z.string()).default([]),
  exclusive_type: z.boolean().default(true),
})
const residentSchema = z.object({
  resident: z
    .union([
      z.array(z.string()),
      // How many of each.
      z
        .record(z.string(), z.int())
        .transform(counts => Object.entries(counts).flatMap(([type, n]) => Array<string>(n).fill(type))),
    ])
    .default([]),
})

function runVirtualGpu({ devices, policy, request }: WorkedCase): Outcome {
  const given = parseDocument(gpuSchema, devices[0], 'devices/0')
  const { pgpu, types, exclusive_type } = given
  const disabled = [...given.disabled, ...given.disabled_types]
  const { resident } = parseDocument(residentSchema, policy, 'policy')
  const enabled =
    given.enabled ?? given.enabled_types ?? Object.keys(types).filter(type => !disabled.includes(type))
  const type = parseDocument(z.string(), request['vgpu'], 'vgpu')
  return outcomeOf(
    refuseVirtualGpu(type, {
      name: pgpu,
      supported: types,
      enabled,
      exclusiveType: exclusive_type,
      resident,
    }),
  )
}
