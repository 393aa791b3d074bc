/**
 * The architectural operations of an operation-level core. A program is a list of these instead of instruction
 * bytes; each has exactly the faults, exits and side effects that the architecture gives it. General registers and
 * the stack belong to the program: an operation carries the values that its instruction would take from them.
 */

/** A 64-bit value as two unsigned words: `[low, high]`. */
export type Word64 = readonly [low: number, high: number]
export type Width = 1 | 2 | 4 | 8

export type Operation =
  | { readonly op: 'cpuid'; readonly leaf: number; readonly subleaf?: number }
  | { readonly op: 'hlt' | 'pause' | 'sti' | 'cli' }
  /** `interruptFlag`: RFLAGS.IF in the popped image, set unless given as false. */
  | { readonly op: 'iret'; readonly interruptFlag?: boolean }
  /** Loads SS, which holds interrupts off until after the next operation. */
  | { readonly op: 'movSs' }
  | { readonly op: 'in'; readonly port: number; readonly width: 1 | 2 | 4 }
  | { readonly op: 'out'; readonly port: number; readonly width: 1 | 2 | 4; readonly value: number }
  | { readonly op: 'rdmsr'; readonly msr: number }
  | { readonly op: 'wrmsr'; readonly msr: number; readonly value: Word64 }
  /** Memory by physical address (guest-physical in non-root mode): paging of the program itself is off. */
  | { readonly op: 'read'; readonly address: number; readonly width: Width }
  | { readonly op: 'write'; readonly address: number; readonly width: Width; readonly value: Word64 }
  /** An instruction fetch from an address: what a jump there does first. */
  | { readonly op: 'fetch'; readonly address: number }
  | { readonly op: 'vmcall'; readonly number: number; readonly argument?: number }
  | { readonly op: 'vmxon'; readonly address: number }
  | { readonly op: 'vmclear' | 'vmptrld'; readonly address: number }
  | { readonly op: 'vmxoff' | 'vmlaunch' | 'vmresume' | 'vmptrst' }
  | { readonly op: 'vmread'; readonly field: number }
  | { readonly op: 'vmwrite'; readonly field: number; readonly value: Word64 }
  /** Type 1 single-context, 2 all-context; `eptp` only for type 1. */
  | { readonly op: 'invept'; readonly type: number; readonly eptp?: Word64 }

/** How an operation ended. */
export type Outcome =
  /** It completed; the processor is in the same mode. VMLAUNCH and VMRESUME: now in non-root mode. */
  | 'done'
  /** It (or an event before it) caused a VM exit: now in root mode, and the VMCS says why. */
  | 'vmExit'
  /** VMfailInvalid, or VMfailValid with the number in `error` and in the VM-instruction error field. */
  | 'vmFailInvalid'
  | 'vmFailValid'
  /** It raised an exception that no VM exit took: `vector`, and `error` as error code. */
  | 'exception'
  /** HLT completed: the processor sleeps until an interrupt. Operations offered meanwhile are not executed. */
  | 'halted'
  /** A VMX abort shut the processor down: nothing is executed until reset. */
  | 'shutdown'

/** A record that each processor reuses: read it before the next `execute`. */
export interface OperationResult {
  readonly outcome: Outcome
  /** Result value: of IN, RDMSR, read, VMREAD, VMPTRST. */
  readonly low: number
  readonly high: number
  /** CPUID only: EAX, EBX, ECX, EDX. */
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
  /** Exception vector; or, after VMLAUNCH or VMRESUME that injected an event, the vector whose handler now runs; else -1. */
  readonly vector: number
  /** VM-instruction error number, or exception error code. */
  readonly error: number
}
