/** Operations on VMCS fields by name, and programs on a lone processor. */
import { type Static, Type } from '@sinclair/typebox'
import { type ProgramRun, runProgram } from '../conformance/index.ts'
import { NorthbridgeError, parsePhysical } from '../core/index.ts'
import { VMCS, type VmcsFieldName, vmcsFieldType } from '../vmx/formats/vmcs.ts'
import { ProcessorOperation, processorStream, wordOf } from './guest-stream.ts'
import { now, operation } from './operation.ts'
import { poweredPlatform } from './platforms.ts'
import { Count, Facts, Fields, Hex, Identifier, inPlatform, Words } from './schemas.ts'

const path = '/v1/platforms/{platform}/vms/{vm}/vcpus/{vcpu}/vmcs'
const FieldName = Type.String({ pattern: '^[a-z][A-Za-z0-9]*$', title: 'the name of a VMCS field' })
const Values = Type.Record(FieldName, Hex)

const isField = (name: string): name is VmcsFieldName => Object.hasOwn(VMCS, name)

function fieldNamed(name: string): VmcsFieldName {
  if (isField(name)) return name
  throw new NorthbridgeError('invalidArgument', `${name} is no field of the VMCS`)
}

function dwordAddress(text: string): number {
  const address = parsePhysical(text, 'address')
  if (address % 4 === 0) return address
  throw new NorthbridgeError('invalidArgument', `address ${text} is not a multiple of 4`)
}

export const vmcs = operation({
  summary: "Reads a virtual processor's VMCS, every field by name or one",
  rest: { method: 'GET', path },
  words: 'vcpus vmcs',
  input: inPlatform({
    vm: Identifier,
    vcpu: Count(Number.MAX_SAFE_INTEGER),
    field: Type.Optional(FieldName),
  }),
  output: Fields({ fields: Values }, { $id: 'Vmcs' }),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, { platform, vm, vcpu, field }) =>
    now(() => {
      const powered = poweredPlatform(context, platform)
      powered.hypervisor.vm(vm)
      const fields = powered.vmcs(vm, vcpu)
      if (field === undefined) return { fields }
      const value = fields[fieldNamed(field)]
      if (value === undefined) {
        throw new NorthbridgeError('invalidArgument', `this processor has no field ${field}`)
      }
      return { fields: { [field]: value } }
    }),
  tell: ({ fields }) =>
    Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
})

/** Guest-state fields that the hypervisor sees to itself. */
const KEPT: readonly VmcsFieldName[] = [
  'guestActivityState',
  'vmcsLinkPointer',
  'guestInterruptStatus',
  'pmlIndex',
]

export const writeVmcs = operation({
  summary:
    "Writes a guest-state field of a virtual processor's VMCS; a value that VM entry would refuse is refused",
  rest: { method: 'PUT', path },
  words: 'vcpus write-vmcs',
  input: inPlatform({ vm: Identifier, vcpu: Count(Number.MAX_SAFE_INTEGER), field: FieldName, value: Hex }),
  output: Fields({ field: FieldName, value: Hex }, { $id: 'VmcsWrite' }),
  errors: ['notFound', 'poweredOff', 'invalidArgument'],
  run: (context, input) =>
    now(() => {
      const powered = poweredPlatform(context, input.platform)
      powered.hypervisor.vm(input.vm)
      powered.hypervisor.vcpu(input.vm, input.vcpu)
      const field = fieldNamed(input.field)
      if (vmcsFieldType(VMCS[field]) !== 'guestState' || KEPT.includes(field)) {
        throw new NorthbridgeError(
          'invalidArgument',
          `${field} belongs to the hypervisor: only guest state may be written`,
        )
      }
      powered.writeVmcs(input.vm, input.vcpu, field, wordOf(input.value))
      return { field, value: powered.vmcs(input.vm, input.vcpu)[field]! }
    }),
  tell: ({ field, value }, input) =>
    `${field} of virtual processor ${input.vcpu} of "${input.vm}" is ${value}.`,
})

const Step = Fields({
  outcome: Words(
    'done',
    'vmExit',
    'vmFailInvalid',
    'vmFailValid',
    'exception',
    'interrupted',
    'halted',
    'shutdown',
  ),
  value: Hex,
  vector: Type.Optional(Count(255)),
  error: Type.Optional(Fields({ number: Count(31), meaning: Type.String() })),
  exit: Type.Optional(
    Fields({
      reason: Type.String(),
      code: Count(65_535),
      entryFailure: Type.Boolean(),
      qualification: Facts,
      instructionLength: Count(15),
      interruption: Type.Optional(Facts),
      vectoring: Type.Optional(Facts),
      guestRip: Hex,
    }),
  ),
})

function told(step: Static<typeof Step>, op: string): string {
  const { outcome, exit, error, vector, value } = step
  if (exit !== undefined) {
    const facts = Object.entries(exit.qualification).map(([name, fact]) => ` ${name}=${fact}`)
    return `${op}: ${exit.entryFailure ? 'VM entry fails' : 'VM exit'}: ${exit.reason}${facts.join('')}`
  }
  if (error !== undefined) return `${op}: VMfailValid ${error.number}: ${error.meaning}`
  return `${op}: ${outcome}${vector === undefined ? ` ${value}` : ` vector ${vector}`}`
}

const view = ({ steps, vmcs: fields, brokenEntryRules }: ProgramRun): Static<typeof Run> => ({
  steps: steps.map(step => ({ ...step })),
  vmcs: { ...fields },
  brokenEntryRules: brokenEntryRules.map(rule => ({ ...rule })),
})

const Run = Fields(
  {
    steps: Type.Array(Step),
    vmcs: Values,
    brokenEntryRules: Type.Array(Fields({ id: Type.String(), states: Type.String() })),
  },
  { $id: 'ProcessorRun' },
)

export const runProcessor = operation({
  summary:
    'Executes operations on a lone processor in VMX root operation with a ready 64-bit guest, exit by exit',
  asks: true,
  rest: { method: 'POST', path: '/v1/processors/run' },
  words: 'processors run',
  input: Fields({
    operations: Type.Array(ProcessorOperation, { maxItems: 10_000 }),
    fields: Type.Optional(Values),
    memory: Type.Optional(
      Type.Array(
        Fields(
          { address: Hex, words: Type.Array(Hex, { maxItems: 1024 }) },
          { description: 'Dwords of host memory' },
        ),
        { maxItems: 1024 },
      ),
    ),
    throughIdt: Type.Optional(
      Type.Boolean({
        description: "Events of the guest go through its IDT in memory; else they are the program's",
      }),
    ),
  }),
  output: Run,
  errors: ['invalidArgument'],
  run: (_, { operations, fields = {}, memory = [], throughIdt = false }) =>
    now(() => {
      const writable = Object.entries(fields).map(([name, value]) => {
        const field = fieldNamed(name)
        if (vmcsFieldType(VMCS[field]) === 'exitInformation') {
          throw new NorthbridgeError('invalidArgument', `${name} is read-only`)
        }
        return [field, wordOf(value)] as const
      })
      return view(
        runProgram({
          fields: writable,
          memory: memory.map(({ address, words }) => ({
            address: dwordAddress(address),
            words: words.map(word => wordOf(word)[0]),
          })),
          operations: processorStream(operations),
          throughIdt,
        }),
      )
    }),
  tell: ({ steps }, { operations }) =>
    steps.map((step, i) => told(step, (operations[i] as { op: string }).op)).join('\n'),
})
