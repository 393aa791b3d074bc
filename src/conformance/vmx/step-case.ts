/** Rows as data: what a case sets up, what the processor executes, what must come out. */
import { hex, hex64 } from '../../core/index.ts'
import { EXIT_REASON, type ExitReasonName, exitReasonName } from '../../vmx/formats/exit-reasons.ts'
import type { Operation, OperationResult, Outcome, Word64 } from '../../vmx/formats/operations.ts'
import type { VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { ProcessorCapabilities } from '../../vmx/index.ts'
import type { ProcessorCase } from './case.ts'
import { VmxMachine } from './machine.ts'

/** A VM exit as a row expects it: the fields it names. Bit 31 of the reason is `entryFailure`. */
export interface ExpectedExit {
  readonly exit: ExitReasonName
  readonly entryFailure?: true
  readonly qualification?: number | Word64
  readonly length?: number
  readonly interruption?: number
  readonly errorCode?: number
  readonly vectoring?: number
  readonly information?: number
  readonly linear?: number
  readonly physical?: number
}

export interface ExpectedResult {
  readonly outcome: Exclude<Outcome, 'vmExit'>
  readonly error?: number
  readonly vector?: number
  readonly low?: number
  readonly high?: number
  readonly ecx?: number
}

export type Expectation = ExpectedExit | ExpectedResult

export type Step =
  | { readonly set: VmcsFieldName; readonly to: number | Word64 }
  /** Dwords in host memory. */
  | { readonly memory: number; readonly words: readonly number[] }
  | { readonly run: Operation; readonly expect: Expectation }
  /** VMLAUNCH or VMRESUME, as the launch state asks. */
  | { readonly enter: Expectation }
  | { readonly message: number; readonly vector: number }
  | { readonly advance: number }
  | { readonly holds: VmcsFieldName; readonly value: number | Word64 }
  | { readonly memoryHolds: number; readonly words: readonly number[] }
  /** The processor takes an event through its IDT: the vector, or -1. */
  | { readonly takes: number }

export interface Row {
  readonly id: string
  /** Name of the test in x86/vmx_tests.c or x86/vmx.c. */
  readonly source: string
  readonly states: string
  readonly steps: readonly Step[]
  readonly capabilities?: Partial<ProcessorCapabilities>
}

const DONE: ExpectedResult = { outcome: 'done' }

// Steps, in short.
export const set = (name: VmcsFieldName, to: number | Word64): Step => ({ set: name, to })
export const memory = (address: number, ...words: readonly number[]): Step => ({ memory: address, words })
export const run = (operation: Operation, expect: Expectation = DONE): Step => ({ run: operation, expect })
export const enter = (expect: Expectation = DONE): Step => ({ enter: expect })
export const holds = (name: VmcsFieldName, value: number | Word64): Step => ({ holds: name, value })
export const memoryHolds = (address: number, ...words: readonly number[]): Step => ({
  memoryHolds: address,
  words,
})
export const fails = (error: number): ExpectedResult => ({ outcome: 'vmFailValid', error })
export const faults = (vector: number, error = 0): ExpectedResult => ({ outcome: 'exception', vector, error })
/** A late failure of a VM entry. */
export const entryFails = (qualification: number): ExpectedExit => ({
  exit: 'entryFailureGuestState',
  entryFailure: true,
  qualification,
})

/** A row whose entry ends as told; the steps before it are its setting. */
export const entryRow = (
  id: string,
  source: string,
  states: string,
  setting: readonly Step[],
  expect: Expectation,
  capabilities?: Partial<ProcessorCapabilities>,
): Row => ({ id, source, states, steps: [...setting, enter(expect)], ...(capabilities && { capabilities }) })

/** A row whose guest executes one operation, which ends as told. */
export const guestRow = (
  id: string,
  source: string,
  states: string,
  setting: readonly Step[],
  operation: Operation,
  expect: Expectation,
  capabilities?: Partial<ProcessorCapabilities>,
): Row => ({
  id,
  source,
  states,
  steps: [...setting, enter(), run(operation, expect)],
  ...(capabilities && { capabilities }),
})

/** Tests of x86/vmx.c; the others are in x86/vmx_tests.c. */
const IN_VMX_C: readonly string[] = [
  'test_vmxon',
  'test_vmxon_bad_cr',
  'test_vmx_feature_control',
  'test_vmx_caps',
  'test_vmclear',
  'test_vmclear_flushing',
  'test_vmptrld',
  'test_vmptrst',
  'test_vmcs_lifecycle',
  'test_vmwrite_vmread',
  'test_vmread_flags_touch',
  'test_vmcs_high',
]

export const compile = (row: Row): ProcessorCase => ({
  id: row.id,
  source: `x86/${IN_VMX_C.includes(row.source) ? 'vmx.c' : 'vmx_tests.c'} ${row.source}`,
  states: row.states,
  run: () => runRow(row, new VmxMachine(row.capabilities)),
})

/** What a row needs of a machine. */
export type RowMachine = Pick<VmxMachine, 'set' | 'get' | 'run' | 'enter' | 'send' | 'advance'> & {
  readonly map: Pick<VmxMachine['map'], 'readDword' | 'writeDword'>
  readonly cpu: Pick<VmxMachine['cpu'], 'takeInterrupt'>
}

/** Carries a row's steps out; what was different, or `undefined`. */
export function runRow({ steps }: Row, machine: RowMachine): string | undefined {
  for (const [index, step] of steps.entries()) {
    const problem = carryOut(machine, step)
    if (problem !== undefined) return `step ${index + 1}: ${problem}`
  }
  return undefined
}

const same = (got: Word64, expected: number | Word64): boolean => {
  const [low, high] = typeof expected === 'number' ? [expected, 0] : expected
  return got[0] === low >>> 0 && got[1] === high >>> 0
}
const tell = (value: number | Word64): string =>
  typeof value === 'number' ? hex(value) : hex64(value[0], value[1])

/** What was different, or `undefined`. */
function carryOut(machine: RowMachine, step: Step): string | undefined {
  if ('set' in step) machine.set(step.set, step.to)
  else if ('memory' in step) {
    for (const [i, word] of step.words.entries()) machine.map.writeDword(step.memory + i * 4, word)
  } else if ('run' in step) return judge(machine, machine.run(step.run), step.expect, step.run.op)
  else if ('enter' in step) return judge(machine, machine.enter(), step.enter, 'VM entry')
  else if ('message' in step) machine.send(step.message, step.vector)
  else if ('advance' in step) machine.advance(step.advance)
  else if ('holds' in step) {
    const got = machine.get(step.holds)
    if (!same(got, step.value)) return `${step.holds} is ${tell(got)}, not ${tell(step.value)}`
  } else if ('memoryHolds' in step) {
    for (const [i, word] of step.words.entries()) {
      const got = machine.map.readDword(step.memoryHolds + i * 4)
      if (got !== word >>> 0)
        return `memory at ${hex(step.memoryHolds + i * 4)} is ${hex(got)}, not ${hex(word)}`
    }
  } else {
    const got = machine.cpu.takeInterrupt()
    if (got !== step.takes) return `vector ${got} is taken, not ${step.takes}`
  }
  return undefined
}

const RESULT_KEYS = ['error', 'vector', 'low', 'high', 'ecx'] as const

function judge(
  machine: RowMachine,
  result: OperationResult,
  expected: Expectation,
  what: string,
): string | undefined {
  const { outcome } = result
  if ('exit' in expected) {
    if (outcome !== 'vmExit')
      return `${what} ends with ${outcome} (vector ${result.vector}, error ${result.error}), not a VM exit`
    return judgeExit(machine, expected)
  }
  if (outcome !== expected.outcome) {
    const reason = outcome === 'vmExit' ? ` (${exitReasonName(machine.get('exitReason')[0])})` : ''
    const failure = outcome === 'vmFailValid' ? ` ${result.error}` : ''
    return `${what} ends with ${outcome}${reason}${failure}, not ${expected.outcome}`
  }
  for (const key of RESULT_KEYS) {
    const value = expected[key]
    if (value !== undefined && result[key] !== value >>> 0 && result[key] !== value) {
      return `${what}: ${key} is ${hex(result[key] >>> 0)}, not ${hex(value >>> 0)}`
    }
  }
  return undefined
}

const EXIT_FIELDS = {
  qualification: 'exitQualification',
  length: 'exitInstructionLength',
  interruption: 'exitInterruptionInformation',
  errorCode: 'exitInterruptionErrorCode',
  vectoring: 'idtVectoringInformation',
  information: 'exitInstructionInformation',
  linear: 'guestLinearAddress',
  physical: 'guestPhysicalAddress',
} as const satisfies Record<string, VmcsFieldName>

function judgeExit(machine: RowMachine, expected: ExpectedExit): string | undefined {
  const reason = machine.get('exitReason')[0]
  const wanted = (EXIT_REASON[expected.exit] | (expected.entryFailure ? 0x8000_0000 : 0)) >>> 0
  if (reason !== wanted)
    return `the exit reason is ${hex(reason)} (${exitReasonName(reason)}), not ${hex(wanted)}`
  for (const [key, name] of Object.entries(EXIT_FIELDS)) {
    const value = expected[key as keyof typeof EXIT_FIELDS]
    if (value === undefined) continue
    const got = machine.get(name)
    if (!same(got, value)) return `${name} is ${tell(got)}, not ${tell(value)}`
  }
  return undefined
}
