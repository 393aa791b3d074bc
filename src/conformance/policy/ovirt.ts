/** Worked cases of oVirt. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  addHostDevice,
  type MdevCard,
  type PolicyHost,
  placeMdev,
  type SchedulableVf,
  scheduleVfs,
  type VfsConfiguration,
} from '../../policy/index.ts'
import type { Judge, Outcome, WorkedCase } from './worked-case.ts'

/** Network and label of vNICs whose case does not name them. */
const NETWORK = 'network'
const LABEL = 'label'

const vfSchema = z.object({
  free: z.boolean().default(true),
  sharesIommuGroup: z.boolean().default(false),
  directlyAttached: z.boolean().default(false),
})
const pfSchema = z.object({
  pf: z.string(),
  numVfs: z.int().optional(),
  allNetworksAllowed: z.boolean().default(false),
  networkListed: z.boolean().default(false),
  labelListed: z.boolean().default(false),
  networks: z.array(z.string()).default([]),
  labels: z.array(z.string()).default([]),
  freeVf: z.boolean().optional(),
  vfSharesIommuGroup: z.boolean().default(false),
  vfDirectlyAttached: z.boolean().default(false),
  vfs: z.array(vfSchema).optional(),
})
const vnicSchema = z.object({
  name: z.string(),
  network: z.string().default(NETWORK),
  label: z.string().default(LABEL),
  passthrough: z.boolean().default(true),
  plugged: z.boolean().default(true),
})

export const judgeOvirt: Judge = workedCase => {
  const { request } = workedCase
  if ('mdevs' in request) return placeMdevs(workedCase)
  if ('addVmHostDevice' in request) return addDevice(workedCase)
  return schedule(workedCase)
}

function schedule({ devices, request }: WorkedCase): Outcome {
  const configurations = devices.map((raw, index): VfsConfiguration => {
    const given = parseDocument(pfSchema, raw, `devices/${index}`)
    return {
      physicalFunction: given.pf,
      allNetworksAllowed: given.allNetworksAllowed,
      networks: given.networkListed ? [...given.networks, NETWORK] : given.networks,
      labels: given.labelListed ? [...given.labels, LABEL] : given.labels,
      vfs: vfsOf(given),
    }
  })
  const vnics = parseDocument(z.array(vnicSchema), request['vnics'], 'vnics').map(({ label, ...vnic }) => ({
    ...vnic,
    networkLabel: label,
  }))
  const found = scheduleVfs(vnics, configurations)
  if (!('refusal' in found)) return { decision: 'allow' }
  return { decision: 'deny', errorClass: found.refusal.errorClass, problem_vnics: found.problemVnics }
}

/** A case lists its VFs, or tells of the one that matters; a PF of which only networks are told has a free one. */
function vfsOf({
  pf,
  vfs,
  numVfs = 1,
  freeVf,
  vfSharesIommuGroup,
  vfDirectlyAttached,
}: z.output<typeof pfSchema>): SchedulableVf[] {
  if (vfs !== undefined) {
    return vfs.map(({ free, sharesIommuGroup, directlyAttached }, index) => ({
      address: `${pf}/${index}`,
      free,
      sharesGroup: sharesIommuGroup,
      directlyAttached,
    }))
  }
  if (numVfs === 0) return []
  const free = freeVf ?? true
  return [{ address: `${pf}/0`, free, sharesGroup: vfSharesIommuGroup, directlyAttached: vfDirectlyAttached }]
}

const cardSchema = z.object({
  card: z.string(),
  mdev_types: z.array(z.string()),
  vendor: z.string().default('0x10de'),
})
const placementSchema = z.object({ placement: z.enum(['compact', 'separate']) })

function placeMdevs({ devices, policy, request }: WorkedCase): Outcome {
  const { placement } = parseDocument(placementSchema, policy, 'policy')
  const cards = devices.map((raw, index): MdevCard => {
    const { card, mdev_types, vendor } = parseDocument(cardSchema, raw, `devices/${index}`)
    return { name: card, types: mdev_types, mixesTypes: vendor !== '0x10de', instances: [] }
  })
  for (const [type, name] of parseDocument(
    z.array(z.tuple([z.string(), z.string()])),
    request['mdevs'],
    'mdevs',
  )) {
    const chosen = placeMdev(type, placement, cards)
    if ('errorClass' in chosen) return { decision: 'deny', errorClass: chosen.errorClass }
    cards[cards.indexOf(chosen)] = { ...chosen, instances: [...chosen.instances, { type, name }] }
  }
  return { decision: 'allow', cards: cards.map(({ instances }) => instances.map(({ name }) => name)) }
}

const functionSchema = z.object({ address: z.string(), iommu_group: z.int().optional() })
const machineSchema = z.object({ vm: z.object({ status: z.string(), pinned_hosts: z.int() }) })

function addDevice({ devices, policy, request }: WorkedCase): Outcome {
  const { vm } = parseDocument(machineSchema, policy, 'policy')
  const host: PolicyHost = {
    name: 'host',
    numaNodes: [],
    isolatedInterrupts: true,
    users: new Map(),
    devices: devices.map((raw, index) => {
      const { address, iommu_group } = parseDocument(functionSchema, raw, `devices/${index}`)
      return { address, role: 'endpoint', ...(iommu_group === undefined ? {} : { iommuGroup: iommu_group }) }
    }),
  }
  const address = parseDocument(z.string(), request['addVmHostDevice'], 'addVmHostDevice')
  const answer = addHostDevice(address, { status: vm.status, pinnedHosts: vm.pinned_hosts }, host)
  if ('refusal' in answer) return { decision: 'deny', errorClass: answer.refusal.errorClass }
  return {
    decision: 'allow',
    added: answer.added.map(each => (each.placeholder ? `${each.address} (placeholder)` : each.address)),
  }
}
