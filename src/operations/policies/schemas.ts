/** What goes into and comes out of operations on policies. */
import { type Static, Type } from '@sinclair/typebox'
import {
  ASSIGNING_SYSTEMS,
  type Candidate,
  type FleetPlan,
  type HostRefusal,
  type Refusal,
} from '../../policy/index.ts'
import { Count, Fields, Identifier, Name, Nullable, Words } from '../schemas.ts'

const MOST_NEEDS = 64
const MOST_REQUESTS = 10_000
const MOST_PLATFORMS = 100
const MOST_FILE = 1 << 20

const Files = Type.Array(
  Fields({ name: Type.String({ maxLength: 255 }), text: Type.String({ maxLength: MOST_FILE }) }),
  { maxItems: 64, description: 'Configuration files as the system has them' },
)

export const PolicyInput = Fields(
  { system: Words(...ASSIGNING_SYSTEMS), files: Files },
  { $id: 'PolicyInput', description: 'A system that assigns devices, and its configuration' },
)

const Needs = Type.Array(
  Fields({
    resource: Type.String({
      maxLength: 1024,
      description:
        'What the system calls it: an alias, a resource, a claim, a network, a mapping, an address',
    }),
    count: Count(256, 1),
  }),
  { maxItems: MOST_NEEDS },
)

const machineFields = {
  vm: Name,
  numaNodes: Type.Optional(Type.Array(Count(30), { description: 'Of the host, on which the machine lies' })),
  tenant: Type.Optional(Name),
  numaPolicy: Type.Optional(Type.String({ maxLength: 64 })),
}

export const RequestInput = Fields(
  {
    ...machineFields,
    needs: Needs,
    host: Type.Optional(Type.String({ description: 'The only platform that will do' })),
  },
  { $id: 'AssignmentRequest' },
)

/** One machine as several systems are asked for it: each has names of its own for what is needed. */
export const MachineInput = Fields(machineFields)
export const JudgedPolicyInput = Fields({ ...PolicyInput.properties, needs: Needs })

export const Platforms = Type.Array(Identifier, { minItems: 1, maxItems: MOST_PLATFORMS, uniqueItems: true })
export const Requests = Type.Array(RequestInput, { minItems: 1, maxItems: MOST_REQUESTS })
export const Tenants = Type.Optional(
  Type.Record(Type.String(), Type.String(), {
    description: 'Whose the machines are that run already; one that is not listed is a tenant of its own',
  }),
)

const RefusalView = Fields(
  {
    errorClass: Type.String({ description: 'As the system calls the error' }),
    text: Type.String(),
    device: Type.Optional(Type.String()),
  },
  { $id: 'PolicyRefusal' },
)

export const CandidateView = Fields(
  {
    device: Type.String(),
    passed: Type.Integer({ minimum: -1, description: 'Rules it passed before that' }),
    refusal: Type.Optional(RefusalView),
  },
  { $id: 'PolicyCandidate', description: 'A device that was looked at, and the first rule that it failed' },
)

export const PlacedView = Fields(
  {
    vm: Type.String(),
    host: Type.String(),
    grants: Type.Array(Fields({ resource: Type.String(), devices: Type.Array(Type.String()) })),
    steps: Type.Array(Fields({ attach: Type.String() }), { description: 'Functions to attach, in order' }),
    disrupted: Type.Array(Fields({ device: Type.String(), text: Type.String() })),
    kernelRefuses: Type.Array(RefusalView, {
      description: 'Granted by the policy, but the kernel would not',
    }),
  },
  { $id: 'PlannedMachine' },
)

const RefusedHost = Fields({
  host: Type.String(),
  refusal: RefusalView,
  need: Type.Optional(Type.String()),
  nearestMiss: Type.Optional(CandidateView),
})

export const PlanView = Fields(
  {
    system: Type.String(),
    placed: Type.Array(PlacedView),
    refused: Type.Array(Fields({ vm: Type.String(), hosts: Type.Array(RefusedHost) })),
  },
  { $id: 'AssignmentPlan' },
)

export const OutcomeView = Fields({
  system: Type.String(),
  granted: Type.Boolean(),
  devices: Type.Array(Type.String()),
  refusal: Nullable(RefusalView),
  kernelRefuses: Type.Array(RefusalView),
})

export const refusalView = ({ errorClass, text, device }: Refusal): Static<typeof RefusalView> => ({
  errorClass,
  text,
  ...(device === undefined ? {} : { device }),
})

export const candidateView = ({ device, passed, refusal }: Candidate): Static<typeof CandidateView> => ({
  device,
  passed,
  ...(refusal === undefined ? {} : { refusal: refusalView(refusal) }),
})

const hostView = ({ host, refusal, need, nearestMiss }: HostRefusal): Static<typeof RefusedHost> => ({
  host,
  refusal: refusalView(refusal),
  ...(need === undefined ? {} : { need }),
  ...(nearestMiss === undefined ? {} : { nearestMiss: candidateView(nearestMiss) }),
})

export const placedView = (machine: FleetPlan['placed'][number]): Static<typeof PlacedView> => ({
  vm: machine.vm,
  host: machine.host,
  grants: machine.grants.map(({ need, devices }) => ({ resource: need.resource, devices: [...devices] })),
  steps: machine.steps.map(step => ({ ...step })),
  disrupted: machine.disrupted.map(each => ({ ...each })),
  kernelRefuses: machine.kernelRefuses.map(refusalView),
})

export const planView = (system: string, { placed, refused }: FleetPlan): Static<typeof PlanView> => ({
  system,
  placed: placed.map(placedView),
  refused: refused.map(({ vm, hosts }) => ({ vm, hosts: hosts.map(hostView) })),
})
