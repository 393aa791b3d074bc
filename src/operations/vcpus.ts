/** Operations on virtual processors. */
import { type Static, Type } from '@sinclair/typebox'
import { hex, hex64 } from '../core/index.ts'
import { within } from '../engine/index.ts'
import type { GuestResult, VcpuView as Vcpu, VcpuRun } from '../hypervisor/index.ts'
import { GuestOperation, guestStream } from './guest-stream.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Facts, Fields, Hex, Identifier, inPlatform, Nullable, Words } from './schemas.ts'

const Counts = Type.Record(Type.String(), Type.Integer())

const VcpuView = Fields(
  {
    number: Count(63),
    processor: Count(65_535),
    state: Words('halted', 'running'),
    interruptsEnabled: Type.Boolean(),
    pending: Type.Array(Count(255), { description: 'Vectors requested in the virtual APIC (IRR)' }),
    inService: Type.Array(Count(255), { description: 'Vectors in service (ISR)' }),
    taskPriority: Count(255),
    processorPriority: Count(255),
    exitsByReason: Counts,
    entries: Count(Number.MAX_SAFE_INTEGER),
    injected: Type.Record(Type.String(), Type.Integer(), {
      description: 'Injected interrupts by vector, `0x…`',
    }),
    delivered: Type.Record(Type.String(), Type.Integer(), {
      description: 'Interrupts that the processor delivered without a VM exit, by vector, `0x…`',
    }),
    notification: Type.Optional(
      Fields(
        {
          descriptor: Hex,
          vector: Count(255),
          destination: Hex,
          outstanding: Type.Boolean(),
          suppressed: Type.Boolean(),
        },
        { description: 'The posted-interrupt descriptor' },
      ),
    ),
    nested: Type.Optional(
      Fields(
        {
          running: Words('l1', 'l2'),
          entries: Count(Number.MAX_SAFE_INTEGER),
          reflected: Counts,
          handled: Counts,
        },
        {
          description:
            'Where guests find VMX: who runs, entries of L2, and its VM exits by reason: those that L1 took, and those it did not learn of',
        },
      ),
    ),
  },
  { $id: 'Vcpu' },
)

const view = (vcpu: Vcpu): Static<typeof VcpuView> => ({
  number: vcpu.number,
  processor: vcpu.processor,
  state: vcpu.state,
  interruptsEnabled: vcpu.interruptsEnabled,
  pending: [...vcpu.pending],
  inService: [...vcpu.inService],
  taskPriority: vcpu.taskPriority,
  processorPriority: vcpu.processorPriority,
  exitsByReason: { ...vcpu.exitsByReason },
  entries: vcpu.entries,
  injected: { ...vcpu.injected },
  delivered: { ...vcpu.delivered },
  ...(vcpu.notification && {
    notification: {
      ...vcpu.notification,
      descriptor: hex(vcpu.notification.descriptor),
      destination: hex(vcpu.notification.destination),
    },
  }),
  ...(vcpu.nested && {
    nested: {
      ...vcpu.nested,
      reflected: { ...vcpu.nested.reflected },
      handled: { ...vcpu.nested.handled },
    },
  }),
})

const path = '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}'

export const vcpu = operation({
  summary: 'Shows a virtual processor: pending and in-service vectors, exits by reason',
  rest: { method: 'GET', path },
  words: 'vcpus get',
  input: inPlatform({ vm: Identifier, vcpu: Count(Number.MAX_SAFE_INTEGER) }),
  output: VcpuView,
  errors: ['notFound', 'poweredOff'],
  run: (context, input) =>
    now(() => {
      const { hypervisor } = poweredPlatform(context, input.platform)
      hypervisor.vm(input.vm)
      return view(hypervisor.vcpu(input.vm, input.vcpu))
    }),
  tell: ({ number, state, pending, inService, injected, delivered, exitsByReason, nested }, input) => {
    const list = (counts: Readonly<Record<string, number>>) =>
      Object.entries(counts)
        .map(([name, count]) => `${name} ${count}×`)
        .join(', ') || 'none'
    const vectors = (of: readonly number[]) => of.map(vector => hex(vector, 2)).join(', ') || 'none'
    return (
      `Virtual processor ${number} of "${input.vm}" is ${state}; pending: ${vectors(pending)}; in service: ` +
      `${vectors(inService)}; injected: ${list(injected)}${Object.keys(delivered).length > 0 ? `; delivered by the processor: ${list(delivered)}` : ''}; exits: ${list(exitsByReason)}${nested ? `; entries of L2: ${nested.entries}, its exits to L1: ${list(nested.reflected)}, not to L1: ${list(nested.handled)}` : ''}.`
    )
  },
})

const ResultView = Fields({
  outcome: Words('done', 'halted', 'exception', 'vmExit', 'vmFailValid', 'vmFailInvalid'),
  value: Type.Optional(Hex),
  registers: Type.Optional(Fields({ eax: Hex, ebx: Hex, ecx: Hex, edx: Hex })),
  vector: Type.Optional(Count(255)),
  error: Type.Optional(Hex),
})

const ExitView = Fields({
  reason: Type.String(),
  code: Count(65_535),
  qualification: Facts,
  guestPhysicalAddress: Type.Optional(Hex),
  level: Type.Optional(Count(2, 1)),
  handledBy: Type.String(),
  operation: Nullable(Type.Integer({ description: 'Index in the stream; null for the guest kernel' })),
})

const VALUED: readonly string[] = ['in', 'rdmsr', 'read', 'vmcall', 'vmread', 'vmptrst']

function resultView(result: GuestResult, op: string | undefined): Static<typeof ResultView> {
  const { outcome, low, high, vector, error } = result
  const word = (value: number) => hex(value >>> 0, 8)
  return {
    outcome,
    ...(outcome === 'exception' ? { vector, error: word(error) } : {}),
    ...(outcome === 'vmFailValid' ? { error: word(error) } : {}),
    ...(outcome === 'done' && op !== undefined && VALUED.includes(op) ? { value: hex64(low, high) } : {}),
    ...(outcome === 'done' && op === 'cpuid'
      ? {
          registers: {
            eax: word(result.eax),
            ebx: word(result.ebx),
            ecx: word(result.ecx),
            edx: word(result.edx),
          },
        }
      : {}),
  }
}

const exitView = (exit: VcpuRun['exits'][number]): Static<typeof ExitView> => ({
  ...exit,
  qualification: { ...exit.qualification },
})

export const runVcpu = operation({
  summary: 'Executes a stream of operations on a virtual processor and shows the exits taken',
  rest: { method: 'POST', path: `${path}/run` },
  words: 'vcpus run',
  input: inPlatform({
    vm: Identifier,
    vcpu: Count(Number.MAX_SAFE_INTEGER),
    operations: Type.Array(GuestOperation, { maxItems: 10_000 }),
  }),
  output: Fields({ results: Type.Array(ResultView), exits: Type.Array(ExitView) }, { $id: 'VcpuRun' }),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  *run(context, input) {
    const { hypervisor, engine } = poweredPlatform(context, input.platform)
    hypervisor.vm(input.vm)
    hypervisor.vcpu(input.vm, input.vcpu)
    const stream = guestStream(input.operations)
    const run = yield* within(engine, hypervisor.runVcpu(input.vm, input.vcpu, stream))
    return {
      results: run.results.map((result, i) => resultView(result, stream[i]?.op)),
      exits: run.exits.map(exitView),
    }
  },
  tell: ({ results, exits }, input) =>
    `${results.length} of ${input.operations.length} operations ran, with ${exits.length} VM exits: ${exits.map(exit => exit.reason).join(', ') || 'none'}.`,
})
