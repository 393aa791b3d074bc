/**
 * The architectural operations of an operation-level core. A program is a list of these instead of instruction
 * bytes; each has exactly the faults, exits and side effects that the architecture gives it. General registers belong to
 * the program: an operation carries the values that its instruction would take from them, and, where a VM exit tells
 * them, the names of the registers and the form of the memory operand.
 */

/** A 64-bit value as two unsigned words: `[low, high]`. */
export type Word64 = readonly [low: number, high: number]
export type Width = 1 | 2 | 4 | 8
/** 0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, 8 to 15 R8 to R15. */
export type RegisterCode = number

/** The data-segment registers. */
export type SegmentName = 'es' | 'ss' | 'ds' | 'fs' | 'gs'

/** The memory operand of an instruction, as VM-exit instruction information tells it. */
export interface MemoryOperand {
  /** 0 ES, 1 CS, 2 SS, 3 DS (the usual one), 4 FS, 5 GS. */
  readonly segment?: number
  readonly base?: RegisterCode
  readonly index?: RegisterCode
  /** Logarithm of the factor of the index register. */
  readonly scale?: number
  /** 0: 16 bits, 1: 32, 2: 64 (the usual one). */
  readonly addressSize?: number
  readonly displacement?: Word64
}

/** What VM-exit instruction information says beside the operation itself; none of it changes what is executed. */
export interface Encoded {
  readonly operand?: MemoryOperand
  /** The register operand, in whose place the instruction could name memory. */
  readonly register?: RegisterCode
  /** The other register operand: the INVEPT type, the VMREAD encoding. */
  readonly register2?: RegisterCode
}

/** An access to memory by linear address, through the paging that the control registers ask for. */
interface LinearAccess {
  readonly address: Word64
  readonly width: Width
}

export type Operation =
  | { readonly op: 'cpuid'; readonly leaf: number; readonly subleaf?: number }
  | { readonly op: 'hlt' | 'pause' | 'sti' | 'cli' }
  /** `interruptFlag`: RFLAGS.IF in the popped image, set unless given as false. */
  | { readonly op: 'iret'; readonly interruptFlag?: boolean }
  /** Loads SS, which holds interrupts off until after the next operation. */
  | { readonly op: 'movSs' }
  /** A far jump to a flat code segment of the same privilege level: 64 bits only in IA-32e mode. */
  | { readonly op: 'jumpFar'; readonly bits: 16 | 32 | 64 }
  /** Anything that neither faults nor exits: a jump, an addition. */
  | { readonly op: 'nop' }
  | { readonly op: 'in'; readonly port: number; readonly width: 1 | 2 | 4; readonly immediate?: boolean }
  | {
      readonly op: 'out'
      readonly port: number
      readonly width: 1 | 2 | 4
      readonly value: number
      readonly immediate?: boolean
    }
  /** One iteration of a string instruction; `rep`: with that prefix. `address` is the linear one of the memory operand. */
  | ({
      readonly op: 'ins' | 'outs'
      readonly port: number
      readonly width: 1 | 2 | 4
      readonly address: Word64
      readonly rep?: boolean
    } & Encoded)
  | { readonly op: 'rdmsr'; readonly msr: number }
  | { readonly op: 'wrmsr'; readonly msr: number; readonly value: Word64 }
  /** Memory by physical address (guest-physical in non-root mode): paging of the program itself is off. */
  | { readonly op: 'read'; readonly address: number; readonly width: Width }
  | { readonly op: 'write'; readonly address: number; readonly width: Width; readonly value: Word64 }
  /** An instruction fetch from an address: what a jump there does first. */
  | { readonly op: 'fetch'; readonly address: number }
  | ({ readonly op: 'readLinear' } & LinearAccess)
  | ({ readonly op: 'writeLinear'; readonly value: Word64 } & LinearAccess)
  | { readonly op: 'fetchLinear'; readonly address: Word64 }
  | ({
      readonly op: 'movToCr'
      readonly cr: 0 | 2 | 3 | 4 | 8
      readonly value: Word64
    } & Encoded)
  | ({ readonly op: 'movFromCr'; readonly cr: 0 | 2 | 3 | 4 | 8 } & Encoded)
  | { readonly op: 'clts' | 'smsw' }
  /** `source`: 16 bits; `address`: where they come from, if from memory. */
  | {
      readonly op: 'lmsw'
      readonly source: number
      readonly address?: Word64
      readonly register?: RegisterCode
    }
  | ({ readonly op: 'movToDr'; readonly dr: number; readonly value: Word64 } & Encoded)
  | ({ readonly op: 'movFromDr'; readonly dr: number } & Encoded)
  | { readonly op: 'rdtsc' | 'rdtscp' | 'rdpid' | 'rsm' }
  | { readonly op: 'invd' | 'wbinvd' }
  | { readonly op: 'rdpmc'; readonly counter: number }
  | { readonly op: 'getsec'; readonly leaf: number }
  | { readonly op: 'invlpg'; readonly address: Word64 }
  | ({
      readonly op: 'invpcid'
      readonly type: number
      readonly pcid: number
      readonly address?: Word64
    } & Encoded)
  | { readonly op: 'xsetbv'; readonly index: number; readonly value: Word64 }
  | ({ readonly op: 'xsaves' | 'xrstors'; readonly mask: Word64 } & Encoded)
  | { readonly op: 'monitor'; readonly address: Word64 }
  | { readonly op: 'mwait'; readonly extensions?: number }
  | { readonly op: 'umwait' | 'tpause'; readonly register?: RegisterCode }
  | ({ readonly op: 'lgdt' | 'lidt'; readonly base: Word64; readonly limit: number } & Encoded)
  | ({ readonly op: 'sgdt' | 'sidt' } & Encoded)
  | ({ readonly op: 'sldt' | 'str' } & Encoded)
  | ({ readonly op: 'lldt' | 'ltr'; readonly selector: number } & Encoded)
  | { readonly op: 'pushf' }
  | { readonly op: 'popf'; readonly flags: number }
  | { readonly op: 'sysenter' }
  | { readonly op: 'sysexit'; readonly rip: Word64; readonly rsp: Word64 }
  /** MOV to a segment register, POP to one, LSS: the selector, with the checks of a protected-mode load. */
  | { readonly op: 'loadSegment'; readonly segment: SegmentName; readonly selector: number }
  /** MOV from a segment register, PUSH of one: the selector in `low`. */
  | { readonly op: 'storeSegment'; readonly segment: SegmentName | 'cs' }
  /** `high` is ZF; `low` is what LAR and LSL yield. */
  | { readonly op: 'lar' | 'lsl' | 'verr' | 'verw'; readonly selector: number }
  /** `high` is ZF, `low` the adjusted selector. */
  | { readonly op: 'arpl'; readonly selector: number; readonly source: number }
  /** A far CALL to a code segment: the selector that it pushes is in `low`. */
  | { readonly op: 'callFar'; readonly selector: number }
  /** A far RET: `selector` as popped, and, if that names an outer privilege level, SS and RSP as popped. */
  | {
      readonly op: 'retFar'
      readonly selector: number
      readonly stack?: { readonly selector: number; readonly rsp: Word64 }
    }
  /** IRET with the frame taken from the stack in memory, after `pop` bytes (an error code) were popped by the program. */
  | { readonly op: 'iretFrame'; readonly pop?: number }
  /** MOV to RSP. */
  | { readonly op: 'movToSp'; readonly value: Word64 }
  /** INT n. */
  | { readonly op: 'int'; readonly vector: number }
  /** INT3, INTO with RFLAGS.OF set, INT1, UD2. */
  | { readonly op: 'int3' | 'into' | 'int1' | 'ud2' }
  /** An instruction that ends in a fault for a reason outside this core: a division by zero, BOUND, the x87 unit, alignment. */
  | { readonly op: 'fault'; readonly vector: number; readonly error?: number }
  | { readonly op: 'rdrand' | 'rdseed'; readonly width?: 2 | 4 | 8; readonly register?: RegisterCode }
  /** `source`: 0 CALL, 1 IRET, 2 JMP, 3 a task gate of the IDT. */
  | { readonly op: 'taskSwitch'; readonly selector: number; readonly source: 0 | 1 | 2 | 3 }
  | { readonly op: 'vmcall'; readonly number: number; readonly argument?: number }
  /** AMD-V: physical addresses of VMCBs. */
  | { readonly op: 'vmrun' | 'vmload' | 'vmsave'; readonly address: number }
  | { readonly op: 'stgi' | 'clgi' | 'vmmcall' }
  | { readonly op: 'invlpga'; readonly address: Word64; readonly asid: number }
  | { readonly op: 'vmfunc'; readonly function: number; readonly index: number }
  | ({ readonly op: 'vmxon'; readonly address: number } & Encoded)
  | ({ readonly op: 'vmclear' | 'vmptrld'; readonly address: number } & Encoded)
  | ({ readonly op: 'vmptrst' } & Encoded)
  | { readonly op: 'vmxoff' | 'vmlaunch' | 'vmresume' }
  | ({ readonly op: 'vmread'; readonly field: number } & Encoded)
  | ({ readonly op: 'vmwrite'; readonly field: number; readonly value: Word64 } & Encoded)
  /** Type 1 single-context, 2 all-context; `eptp` only for type 1. */
  | ({ readonly op: 'invept'; readonly type: number; readonly eptp?: Word64 } & Encoded)
  /** `vpid`: bits 63:0 of the descriptor, of which 63:16 must be 0. */
  | ({
      readonly op: 'invvpid'
      readonly type: number
      readonly vpid?: Word64
      readonly address?: Word64
    } & Encoded)

/** The forms that some operations have. */
export type OperationOf<Name extends Operation['op']> = Operation extends infer Form
  ? Form extends { readonly op: infer Op }
    ? Extract<Op, Name> extends never
      ? never
      : Form
    : never
  : never

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
  /** "Virtual-Interrupt Delivery" came first: `vector`, whose handler now runs. The operation is not executed. */
  | 'interrupted'
  /** HLT completed: the processor sleeps until an interrupt. Operations offered meanwhile are not executed. */
  | 'halted'
  /** A VMX abort or a triple fault shut the processor down: nothing is executed until reset. */
  | 'shutdown'

/** A record that each processor reuses: read it before the next `execute`. */
export interface OperationResult {
  readonly outcome: Outcome
  /** Result value: of IN, RDMSR, reads of memory and registers, VMREAD, VMPTRST; of SGDT and SIDT the base. */
  readonly low: number
  readonly high: number
  /** CPUID: EAX, EBX, ECX, EDX. RDTSCP: ECX is IA32_TSC_AUX. SGDT, SIDT: ECX is the limit. */
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
  /** Exception vector; or, after VMLAUNCH or VMRESUME that injected an event, the vector whose handler now runs; else -1. */
  readonly vector: number
  /** VM-instruction error number, or exception error code. */
  readonly error: number
}
