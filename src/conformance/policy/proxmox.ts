/** Worked cases of Proxmox VE. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  chooseHostPci,
  type Device,
  deviceAt,
  guestAddresses,
  type HostPci,
  type MappedPath,
  type Mapping,
  MOST_HOSTPCI,
  type PolicyHost,
  parseMachine,
  parseMappedPath,
  type Refusal,
  resolveHostPci,
} from '../../policy/index.ts'
import type { Judge, Outcome } from './worked-case.ts'

const deviceSchema = z.object({
  address: z.string(),
  id: z.string().optional(),
  subsystem_id: z.string().optional(),
  iommu_group: z.int().optional(),
})
const mappingSchema = z.union([
  z.array(z.string()),
  z.object({ mdev: z.literal(1).optional(), paths: z.array(z.string()) }),
])
const policySchema = z.object({
  machine: z.string().default('q35'),
  mapping: z.record(z.string(), mappingSchema).default({}),
  reserved: z.array(z.string()).default([]),
})
const requestSchema = z.record(z.string().regex(/^hostpci(?:\d|1[0-5])$/), z.string())

const deny = ({ errorClass }: Refusal): Outcome => ({ decision: 'deny', errorClass })

export const judgeProxmox: Judge = ({ devices, policy, request }): Outcome => {
  const host = hostOf(devices)
  const { machine: machineLine, mapping, reserved } = parseDocument(policySchema, policy, 'policy')
  const lines = parseDocument(requestSchema, request, 'request')
  const mappings = new Map(
    Object.entries(mapping).map(([name, value]) => [name, mappingOf(name, value, host)]),
  )
  const machine = parseMachine(machineLine)
  if ('refusal' in machine) return deny(machine.refusal)
  const resolved: HostPci[] = []
  for (let index = 0; index < MOST_HOSTPCI; index++) {
    const key = `hostpci${index}`
    const line = lines[key]
    if (line === undefined) continue
    const ruling = resolveHostPci(key, line, machine.result, mappings, host)
    if ('refusal' in ruling) return deny(ruling.refusal)
    resolved.push(ruling.result)
  }
  const chosen = chooseHostPci(resolved, new Set(reserved))
  if ('refusal' in chosen) return deny(chosen.refusal)
  return {
    decision: 'allow',
    ...Object.fromEntries(chosen.result),
    guest: guestAddresses(resolved, chosen.result),
  }
}

function hostOf(devices: readonly unknown[]): PolicyHost {
  return {
    name: 'localhost',
    devices: devices.map((raw, index): Device => {
      const { address, id, subsystem_id, iommu_group } = parseDocument(deviceSchema, raw, `devices/${index}`)
      const [vendorId, productId] = id?.split(':') ?? []
      const [subsystemVendorId, subsystemId] = subsystem_id?.split(':') ?? []
      return {
        address,
        role: 'endpoint',
        ...(vendorId === undefined ? {} : { vendorId, productId: productId! }),
        ...(subsystemId === undefined ? {} : { subsystemVendorId: subsystemVendorId!, subsystemId }),
        ...(iommu_group === undefined ? {} : { iommuGroup: iommu_group }),
      }
    }),
    numaNodes: [],
    isolatedInterrupts: true,
    users: new Map(),
  }
}

/** A bare path is short for an entry that expects what is there. */
function mappingOf(name: string, value: z.output<typeof mappingSchema>, host: PolicyHost): Mapping {
  const paths = Array.isArray(value) ? value : value.paths
  return {
    name,
    mdev: !Array.isArray(value) && value.mdev === 1,
    entries: paths.map((path): MappedPath => {
      const [first, ...rest] = path.split(',')
      if (rest.length > 0) return parseMappedPath(`path=${path}`, `mapping ${name}`)
      const device = deviceAt(host, first!)
      return {
        paths: [first!],
        ...(device?.vendorId === undefined ? {} : { id: `${device.vendorId}:${device.productId}` }),
        ...(device?.iommuGroup == null ? {} : { iommuGroup: device.iommuGroup }),
      }
    }),
  }
}
