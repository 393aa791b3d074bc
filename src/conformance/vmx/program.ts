/** A program of operations on a lone processor with a guest that is ready to be entered: what comes of each, exit by exit. */
import { hex, hex64, NorthbridgeError } from '../../core/index.ts'
import { describeEvent, describeQualification, type Facts } from '../../vmx/formats/exit-qualification.ts'
import { ENTRY_FAILURE, exitReasonName } from '../../vmx/formats/exit-reasons.ts'
import { INSTRUCTION_ERROR_NAMES } from '../../vmx/formats/instruction-errors.ts'
import type { Operation, Outcome, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { VmxMachine } from './machine.ts'

export interface ProcessorProgram {
  /** VMCS fields that differ from those of the ready guest. */
  readonly fields: readonly (readonly [VmcsFieldName, Word64])[]
  /** Dwords of host memory: address, then words. */
  readonly memory: readonly { readonly address: number; readonly words: readonly number[] }[]
  readonly operations: readonly Operation[]
  /** Whether events of the guest go through its IDT in memory. */
  readonly throughIdt: boolean
}

export interface ProgramExit {
  readonly reason: string
  readonly code: number
  readonly entryFailure: boolean
  readonly qualification: Facts
  readonly instructionLength: number
  readonly interruption?: Facts
  readonly vectoring?: Facts
  readonly guestRip: string
}

export interface ProgramStep {
  readonly outcome: Outcome
  readonly value: string
  readonly vector?: number
  /** VM-instruction error by number and name. */
  readonly error?: { readonly number: number; readonly meaning: string }
  readonly exit?: ProgramExit
}

export interface ProgramRun {
  readonly steps: readonly ProgramStep[]
  /** Fields of the current VMCS at the end; empty if there is none. */
  readonly vmcs: Readonly<Record<string, string>>
  readonly brokenEntryRules: readonly { readonly id: string; readonly states: string }[]
}

export function runProgram({ fields, memory, operations, throughIdt }: ProcessorProgram): ProgramRun {
  const machine = new VmxMachine({ eventDelivery: throughIdt ? 'idt' : 'program' })
  for (const { address, words } of memory) {
    for (const [i, word] of words.entries()) machine.map.writeDword(address + i * 4, word)
  }
  for (const [name, value] of fields) {
    const { outcome } = machine.run({ op: 'vmwrite', field: VMCS[name], value })
    if (outcome !== 'done')
      throw new NorthbridgeError('invalidArgument', `this processor has no field ${name}`)
  }
  const steps = operations.map(operation => step(machine, operation))
  const hasVmcs = machine.cpu.view().currentVmcs !== null
  return {
    steps,
    vmcs: hasVmcs ? machine.cpu.vmcsFields() : {},
    brokenEntryRules: machine.cpu.brokenEntryRules(),
  }
}

function step(machine: VmxMachine, operation: Operation): ProgramStep {
  const { outcome, low, high, vector, error } = machine.run(operation)
  return {
    outcome,
    value: hex64(low, high),
    ...(vector >= 0 && { vector }),
    ...(outcome === 'vmFailValid' && {
      error: { number: error, meaning: INSTRUCTION_ERROR_NAMES[error] ?? 'unassigned' },
    }),
    ...(outcome === 'vmExit' && { exit: exitOf(machine) }),
  }
}

function exitOf(machine: VmxMachine): ProgramExit {
  const [reason] = machine.get('exitReason')
  const [low, high] = machine.get('exitQualification')
  const interruption = describeEvent(machine.get('exitInterruptionInformation')[0])
  const vectoring = describeEvent(machine.get('idtVectoringInformation')[0])
  return {
    reason: exitReasonName(reason) ?? hex(reason),
    code: reason & 0xffff,
    entryFailure: reason >= ENTRY_FAILURE,
    qualification: describeQualification(reason, low, high),
    instructionLength: machine.get('exitInstructionLength')[0],
    ...(interruption && { interruption }),
    ...(vectoring && { vectoring }),
    guestRip: hex64(...machine.get('guestRip')),
  }
}
