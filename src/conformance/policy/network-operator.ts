/** Worked cases of the SR-IOV network operator: partial policies, of which each case shows the part it is about. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  applyPolicy,
  type NodeInterface,
  type NodePolicy,
  parseNodePolicy,
  refuseBeside,
  refuseForNode,
  refuseResourceName,
  refuseStatically,
  type VfGroup,
  type WantedInterface,
} from '../../policy/index.ts'
import type { Judge, Outcome } from './worked-case.ts'

const interfaceSchema = z.object({
  name: z.string(),
  altNames: z.array(z.string()).default([]),
  address: z.string().default(''),
  vendor: z.string().default(''),
  deviceID: z.string().default(''),
  mtu: z.int().default(0),
  numVfs: z.int().default(0),
  totalVfs: z.int().default(0),
  linkType: z.string().default(''),
  netFilter: z.string().default(''),
})
const partialPolicySchema = z.looseObject({ name: z.string().default('policy') })
const specSchema = z.object({
  name: z.string(),
  numVfs: z.int(),
  mtu: z.int().default(0),
  vfGroups: z.array(z.record(z.string(), z.unknown())),
})
const policySchema = z.object({
  policy: partialPolicySchema,
  existing: partialPolicySchema.optional(),
  equalPriority: z.boolean().default(false),
  existingSpec: z.array(specSchema).default([]),
  devMode: z.boolean().default(false),
})

const FILLED = { resourceName: 'resource', numVfs: 1, nicSelector: {} }

function policyOf({ name, ...spec }: z.output<typeof partialPolicySchema>): NodePolicy {
  return parseNodePolicy({ kind: 'SriovNetworkNodePolicy', metadata: { name }, spec: { ...FILLED, ...spec } })
}

export const judgeNetworkOperator: Judge = ({ devices, policy, request }): Outcome => {
  const given = parseDocument(policySchema, policy, 'policy')
  const interfaces = devices.map((raw, index): NodeInterface => {
    const { address, ...nic } = parseDocument(interfaceSchema, raw, `devices/${index}`)
    return { ...nic, pciAddress: address || nic.name }
  })
  const current = policyOf(given.policy)
  if (request['op'] === 'apply') return applied(given, current, interfaces)
  const refusal =
    given.existing !== undefined
      ? refuseBeside(current, policyOf(given.existing), interfaces)
      : 'nicSelector' in given.policy
        ? (refuseStatically(current, { devMode: given.devMode }) ?? refuseForNode(current, interfaces))
        : refuseResourceName(current.resourceName)
  if (refusal === undefined) return { decision: 'valid-policy' }
  const { errorClass, maximum } = refusal
  return { decision: 'invalid-policy', errorClass, ...(maximum === undefined ? {} : { maximum }) }
}

function applied(
  { existingSpec, equalPriority }: z.output<typeof policySchema>,
  current: NodePolicy,
  interfaces: readonly NodeInterface[],
): Outcome {
  const before = existingSpec.map(
    ({ name, numVfs, mtu, vfGroups }): WantedInterface => ({
      pciAddress: interfaces.find(nic => nic.name === name)?.pciAddress ?? name,
      name,
      numVfs,
      mtu,
      linkType: '',
      eSwitchMode: '',
      externallyManaged: false,
      vfGroups: vfGroups as unknown as readonly VfGroup[],
    }),
  )
  const after = applyPolicy(current, interfaces, before, equalPriority)
  return { decision: 'applied', interfaces: after.length === 0 ? null : after.map(shown) }
}

const shown = ({
  name,
  numVfs,
  vfGroups,
  mtu,
  linkType,
  eSwitchMode,
  externallyManaged,
}: WantedInterface): object => ({
  name,
  numVfs,
  vfGroups,
  ...(mtu > 0 ? { mtu } : {}),
  ...(linkType === '' ? {} : { linkType }),
  ...(eSwitchMode === '' ? {} : { eSwitchMode }),
  ...(externallyManaged ? { externallyManaged } : {}),
})
