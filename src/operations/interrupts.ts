/** Operations on interrupts: raising one, following one, and looking at local APICs by name. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { type TraceEvent, within } from '../engine/index.ts'
import type { InterruptJourney, SimulatedPlatform } from '../system/index.ts'
import { functionOf } from './functions.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Facts, Fields, Hex, Identifier, inPlatform, Words } from './schemas.ts'

const Vectors = Type.Array(Count(255))
const LocalVector = Fields({ entry: Hex, masked: Type.Boolean() })
const LOCAL_VECTORS = Type.Record(Type.String(), LocalVector, {
  description: 'Local vector table: cmci, timer, thermal, performance, lint0, lint1, error',
})

const LocalApicView = Fields(
  {
    apicId: Count(0xffff_ffff),
    mode: Words('disabled', 'xAPIC', 'x2APIC'),
    enabled: Type.Boolean({ description: 'Globally, and by the spurious-interrupt vector register' }),
    taskPriority: Count(255),
    processorPriority: Count(255),
    requested: Vectors,
    inService: Vectors,
    levelTriggered: Vectors,
    logicalId: Hex,
    spuriousVector: Count(255),
    errorStatus: Hex,
    timer: Fields({ initialCount: Count(0xffff_ffff), currentCount: Count(0xffff_ffff) }),
    localVectors: LOCAL_VECTORS,
  },
  { $id: 'LocalApic' },
)

const VirtualApicView = Fields(
  {
    apicId: Count(0xffff_ffff),
    mode: Words('disabled', 'xAPIC', 'x2APIC'),
    enabled: Type.Boolean(),
    taskPriority: Count(255),
    processorPriority: Count(255),
    requested: Vectors,
    posted: Type.Array(Count(255), { description: 'In the posted-interrupt descriptor, not taken yet' }),
    inService: Vectors,
    logicalId: Hex,
    spuriousVector: Count(255),
    errorStatus: Hex,
    localVectors: LOCAL_VECTORS,
  },
  { $id: 'VirtualApic' },
)

const list = (vectors: readonly number[]): string => vectors.join(', ') || 'none'

const describe = (view: {
  readonly mode: string
  readonly enabled: boolean
  readonly taskPriority: number
  readonly processorPriority: number
  readonly requested: readonly number[]
  readonly inService: readonly number[]
}): string =>
  `${view.mode}, ${view.enabled ? 'enabled' : 'software-disabled'}; task priority ${view.taskPriority}, processor ` +
  `priority ${view.processorPriority}; requested: ${list(view.requested)}; in service: ${list(view.inService)}`

export const localApic = operation({
  summary: 'Shows the local APIC of a logical processor by name',
  rest: { method: 'GET', path: '/v1/platforms/{platform}/processors/{processor}/apic' },
  words: 'processors apic',
  input: inPlatform({ processor: Count(Number.MAX_SAFE_INTEGER) }),
  output: LocalApicView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) =>
    now(() => {
      const { hardware } = poweredPlatform(context, input.platform)
      const processor = hardware.processors[input.processor]
      if (processor === undefined) {
        throw new NorthbridgeError('notFound', `there is no logical processor ${input.processor}`)
      }
      const view = processor.apic.view()
      return {
        ...view,
        requested: [...view.requested],
        inService: [...view.inService],
        levelTriggered: [...view.levelTriggered],
      }
    }),
  tell: (view, input) => `Local APIC ${view.apicId} of processor ${input.processor}: ${describe(view)}.`,
})

const vcpuPath = '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}'
const vcpuInput = { vm: Identifier, vcpu: Count(Number.MAX_SAFE_INTEGER) }

export const virtualApic = operation({
  summary: 'Shows the local APIC of a virtual processor by name',
  rest: { method: 'GET', path: `${vcpuPath}/apic` },
  words: 'vcpus apic',
  input: inPlatform(vcpuInput),
  output: VirtualApicView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) =>
    now(() => {
      const view = poweredPlatform(context, input.platform).hypervisor.virtualApic(input.vm, input.vcpu)
      return {
        ...view,
        requested: [...view.requested],
        posted: [...view.posted],
        inService: [...view.inService],
      }
    }),
  tell: (view, input) =>
    `Virtual APIC ${view.apicId} of "${input.vm}": ${describe(view)}; posted: ${list(view.posted)}.`,
})

export const interruptVcpu = operation({
  summary: 'Raises a vector in the local APIC of a virtual processor, as a device of the hypervisor would',
  rest: { method: 'POST', path: `${vcpuPath}/interrupt` },
  words: 'vcpus interrupt',
  input: inPlatform({ ...vcpuInput, vector: Count(255) }),
  output: Fields(
    { accepted: Type.Boolean(), pending: Vectors, inService: Vectors },
    { $id: 'VcpuInterrupt' },
  ),
  errors: ['notFound', 'poweredOff'],
  *run(context, { platform, vm, vcpu, vector }) {
    const { hypervisor, engine } = poweredPlatform(context, platform)
    const accepted = yield* within(engine, hypervisor.interruptVcpu(vm, vcpu, vector))
    const { pending, inService } = hypervisor.vcpu(vm, vcpu)
    return { accepted, pending: [...pending], inService: [...inService] }
  },
  tell: ({ accepted, pending }, { vm, vcpu, vector }) =>
    `Virtual processor ${vcpu} of "${vm}" ${accepted ? 'accepted' : 'did not accept'} vector ${vector}; pending: ${list(pending)}.`,
})

export const moveVcpu = operation({
  summary: 'Pins a virtual processor to another logical processor; posted interrupts follow it',
  rest: { method: 'PUT', path: `${vcpuPath}/processor` },
  words: 'vcpus move',
  input: inPlatform({ ...vcpuInput, processor: Count(65_535) }),
  output: Fields(
    {
      processor: Count(65_535),
      notificationDestination: Type.Optional(Hex),
    },
    { $id: 'VcpuPlacement' },
  ),
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'unsupported'],
  *run(context, input) {
    const { hypervisor, engine } = poweredPlatform(context, input.platform)
    const moved = yield* within(engine, hypervisor.moveVcpu(input.vm, input.vcpu, input.processor))
    return {
      processor: moved.processor,
      ...(moved.notification && {
        notificationDestination: `0x${moved.notification.destination.toString(16)}`,
      }),
    }
  },
  tell: ({ processor, notificationDestination }, { vm, vcpu }) =>
    `Virtual processor ${vcpu} of "${vm}" is pinned to processor ${processor}${notificationDestination === undefined ? '' : `, where its notifications go too (NDST ${notificationDestination})`}.`,
})

const StepView = Fields({
  number: Count(Number.MAX_SAFE_INTEGER, 1),
  step: Type.String({ description: 'What happened, in one word' }),
  message: Type.String({ description: 'The same for people' }),
  detail: Facts,
})

const JourneyView = Fields(
  {
    outcome: Words('handled', 'pending', 'notSent'),
    posted: Type.Boolean({ description: 'Whether a posted-interrupt descriptor took it' }),
    vm: Type.Optional(Type.String()),
    vcpu: Type.Optional(Type.Integer()),
    guestVector: Type.Optional(Count(255)),
    exits: Type.Array(Type.String(), {
      description: 'VM exits from the message to the end of the guest’s handler, by reason',
    }),
    steps: Type.Array(StepView),
  },
  { $id: 'InterruptJourney' },
)

/** Steps that are no step of an interrupt: a VM entry or exit on its way. */
const stepOf = ({ kind, detail }: TraceEvent): string =>
  typeof detail['step'] === 'string' ? detail['step'] : kind

function journeyView({ signal, route, events }: InterruptJourney): Static<typeof JourneyView> {
  const posted = events.some(event => stepOf(event) === 'posted')
  const handled = events.findIndex(
    event =>
      stepOf(event) === 'handled' &&
      route !== undefined &&
      event.detail['vm'] === route.vm &&
      event.detail['vector'] === route.guestVector,
  )
  const until = handled < 0 ? events : events.slice(0, handled + 1)
  return {
    outcome: signal !== 'sent' ? 'notSent' : handled >= 0 ? 'handled' : 'pending',
    posted,
    ...(route && { vm: route.vm, vcpu: route.vcpu, guestVector: route.guestVector }),
    exits: until.filter(isOfProcessor('vmExit')).map(({ detail }) => String(detail['name'])),
    steps: until.filter(isStep).map((event, i) => ({
      number: i + 1,
      step: stepOf(event),
      message: event.message,
      detail: { ...event.detail },
    })),
  }
}

/** The processor's own events of exits and entries come at the moment; those of the hypervisor, after its answer. */
const isOfProcessor =
  (kind: TraceEvent['kind']) =>
  (event: TraceEvent): boolean =>
    event.kind === kind && event.detail['vm'] === undefined

const isStep = (event: TraceEvent): boolean =>
  event.kind === 'interrupt' || isOfProcessor('vmExit')(event) || isOfProcessor('vmEntry')(event)

export const traceInterrupt = operation({
  summary:
    'Has a function signal a vector and shows every step to the handler of the guest, which runs meanwhile, sleeps, or is preempted',
  rest: { method: 'POST', path: '/v1/platforms/{platform}/functions/{function}/interrupt/trace' },
  words: 'interrupts trace',
  atomic: true,
  input: inPlatform({
    function: Identifier,
    vector: Count(2047),
    guest: Type.Optional(Words('running', 'blocked', 'preempted')),
  }),
  output: JourneyView,
  errors: ['notFound', 'poweredOff', 'invalidArgument', 'unsupported'],
  *run(context, input) {
    const platform: SimulatedPlatform = poweredPlatform(context, input.platform)
    const fn = functionOf(platform, input.function)
    const journey = platform.follow(fn.address, input.vector, input.guest ?? 'blocked')
    return journeyView(yield* within(platform.engine, journey))
  },
  tell: ({ outcome, steps, exits }, input) =>
    [
      ...steps.map(({ number, message }) => `${number}. ${message}`),
      `${input.function} vector ${input.vector}: ${outcome}, VM exits: ${exits.join(', ') || 'none'}.`,
    ].join('\n'),
})
