/** Operations on assignment policies: what a system would decide on running platforms, why, and doing it. */
import { type Static, Type } from '@sinclair/typebox'
import {
  driftOf,
  inventoryOf,
  kernelRefusalOf,
  nearestMiss,
  type PlacementRequest,
  type PolicyHost,
  planFleet,
  readPolicy,
} from '../../policy/index.ts'
import type { OperationContext } from '../context.ts'
import { now, operation } from '../operation.ts'
import { poweredPlatform } from '../platforms.ts'
import { Fields, inPlatform, Nullable, Words } from '../schemas.ts'
import {
  CandidateView,
  candidateView,
  JudgedPolicyInput,
  MachineInput,
  OutcomeView,
  PlanView,
  Platforms,
  PolicyInput,
  planView,
  RequestInput,
  Requests,
  refusalView,
  Tenants,
} from './schemas.ts'
import { columns, tellCandidates, tellOutcomes, tellPlan } from './tell.ts'

export { applyPolicy } from './apply.ts'

/** A running platform as policies see it. Throws `notFound`, `poweredOff`. */
export const hostOf = (
  context: OperationContext,
  id: string,
  tenants: Readonly<Record<string, string>> = {},
): PolicyHost =>
  inventoryOf(poweredPlatform(context, id).host, id, { tenants: new Map(Object.entries(tenants)) })

const ERRORS = ['notFound', 'poweredOff', 'invalidArgument', 'invalidDocument', 'malformedInput'] as const

export const planPolicy = operation({
  summary: 'Plans which functions of which platforms machines would get, and says why others would not do',
  asks: true,
  rest: { method: 'POST', path: '/v1/policies/plans' },
  words: 'policies plan',
  input: Fields({
    platforms: Platforms,
    policy: PolicyInput,
    requests: Requests,
    order: Type.Optional(Words('pack', 'spread')),
    tenants: Tenants,
  }),
  output: PlanView,
  errors: ERRORS,
  run: (context, { platforms, policy: { system, files }, requests, order = 'pack', tenants }) =>
    now(() => {
      const hosts = platforms.map(id => hostOf(context, id, tenants))
      return planView(system, planFleet(hosts, readPolicy(system, files), requests, { hosts: order }))
    }),
  tell: tellPlan,
})

const Explanation = Fields(
  {
    ...OutcomeView.properties,
    need: Nullable(Type.String({ description: 'The need that could not be met' })),
    nearestMiss: Nullable(CandidateView),
    candidates: Type.Array(CandidateView),
  },
  { $id: 'PolicyExplanation' },
)

export const explainPolicy = operation({
  summary: 'Explains what a policy decides for one machine on one platform, function by function',
  asks: true,
  rest: { method: 'POST', path: '/v1/platforms/{platform}/policies/explanations' },
  words: 'policies explain',
  input: inPlatform({ policy: PolicyInput, request: RequestInput, tenants: Tenants }),
  output: Explanation,
  errors: ERRORS,
  run: (context, { platform, policy: { system, files }, request, tenants }) =>
    now(() => {
      const host = hostOf(context, platform, tenants)
      const placement = readPolicy(system, files).place(host, request)
      const considered = placement.granted
        ? placement.grants.flatMap(grant => grant.considered)
        : placement.considered
      const miss = placement.granted ? undefined : nearestMiss(considered)
      return {
        ...outcomeOf(system, host, request, placement),
        need: placement.granted ? null : (placement.need?.resource ?? null),
        nearestMiss: miss === undefined ? null : candidateView(miss),
        candidates: considered.map(candidateView),
      }
    }),
  tell: ({ granted, devices, refusal, nearestMiss: miss, candidates, kernelRefuses }, { request }) =>
    [
      granted
        ? `${request.vm} gets ${devices.join(' ')}.`
        : `${request.vm} is refused: ${refusal!.errorClass}: ${refusal!.text}`,
      ...(miss?.refusal === undefined ? [] : [`Nearest: ${miss.refusal.text}`]),
      ...kernelRefuses.map(({ text }) => `But the kernel refuses: ${text}`),
      ...(candidates.length > 0 ? tellCandidates(candidates) : []),
    ].join('\n'),
})

function outcomeOf(
  system: string,
  host: PolicyHost,
  request: PlacementRequest,
  placement: ReturnType<ReturnType<typeof readPolicy>['place']>,
): Static<typeof OutcomeView> {
  const devices = placement.granted ? placement.grants.flatMap(grant => grant.devices) : []
  return {
    system,
    granted: placement.granted,
    devices,
    refusal: placement.granted ? null : refusalView(placement.refusal),
    kernelRefuses: devices
      .flatMap(address => kernelRefusalOf(host, request.vm, address) ?? [])
      .map(refusalView),
  }
}

export const comparePolicies = operation({
  summary: 'Asks several systems for the same machine on the same platform, side by side',
  asks: true,
  rest: { method: 'POST', path: '/v1/platforms/{platform}/policies/comparisons' },
  words: 'policies compare',
  input: inPlatform({
    machine: MachineInput,
    policies: Type.Array(JudgedPolicyInput, { minItems: 1, maxItems: 32 }),
    tenants: Tenants,
  }),
  output: Fields({ outcomes: Type.Array(OutcomeView) }),
  errors: ERRORS,
  run: (context, { platform, machine, policies, tenants }) =>
    now(() => {
      const host = hostOf(context, platform, tenants)
      return {
        outcomes: policies.map(({ system, files, needs }) => {
          const request = { ...machine, needs }
          return outcomeOf(system, host, request, readPolicy(system, files).place(host, request))
        }),
      }
    }),
  tell: ({ outcomes }) => tellOutcomes(outcomes),
})

const DriftView = Fields({
  perturbation: Type.String(),
  vm: Type.String(),
  before: Nullable(Type.Array(Type.String())),
  after: Nullable(Type.Array(Type.String(), { description: 'By the addresses that they had before' })),
  reason: Type.Optional(Type.String()),
})

export const driftPolicy = operation({
  summary: 'Reports which machines would get other functions if buses were renumbered or cards swapped slots',
  asks: true,
  rest: { method: 'POST', path: '/v1/platforms/{platform}/policies/drifts' },
  words: 'policies drift',
  input: inPlatform({ policy: PolicyInput, requests: Requests, tenants: Tenants }),
  output: Fields({ system: Type.String(), drifts: Type.Array(DriftView) }),
  errors: ERRORS,
  run: (context, { platform, policy: { system, files }, requests, tenants }) =>
    now(() => ({
      system,
      drifts: driftOf(hostOf(context, platform, tenants), readPolicy(system, files), requests).map(
        ({ before, after, ...rest }) => ({
          ...rest,
          before: before === undefined ? null : [...before],
          after: after === undefined ? null : [...after],
        }),
      ),
    })),
  tell: ({ drifts }) =>
    drifts.length === 0
      ? 'No machine gets other functions.'
      : columns(
          ['perturbation', 'vm', 'before', 'after'],
          drifts.map(({ perturbation, vm, before, after, reason }) => [
            perturbation,
            vm,
            before?.join(' ') ?? 'refused',
            after?.join(' ') ?? `refused: ${reason}`,
          ]),
        ).join('\n'),
})
