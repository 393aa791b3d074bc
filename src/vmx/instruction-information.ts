/** "VM-Exit Instruction-Information Field": operands of the instruction that exited, as its encoding names them. */
import type { Encoded, MemoryOperand } from './formats/operations.ts'

const DS = 3
const BITS_64 = 2
const REGISTER_FORM = 1 << 10
const NO_INDEX = 1 << 22
const NO_BASE = 1 << 27
/** Operand size of LGDT, LIDT, SGDT and SIDT: 32 bits; it is undefined in 64-bit mode, where this core reads 1. */
const TABLE_OPERAND_32 = 1 << 11

/** The part that all formats with a memory operand share; without one the whole is the given register's. */
function operandBits({ operand, register }: Encoded, mayBeRegister: boolean): number {
  if (operand === undefined && register !== undefined && mayBeRegister) return REGISTER_FORM | (register << 3)
  return memoryBits(operand)
}

function memoryBits(operand: MemoryOperand | undefined): number {
  if (operand === undefined) return (BITS_64 << 7) | (DS << 15) | NO_INDEX | NO_BASE
  const { scale = 0, addressSize = BITS_64, segment = DS, index, base } = operand
  return (
    scale |
    (addressSize << 7) |
    (segment << 15) |
    (index === undefined ? NO_INDEX : index << 18) |
    (base === undefined ? NO_BASE : base << 23)
  )
}

/** INVEPT, INVVPID, INVPCID: a memory operand and a register. VMCLEAR, VMPTRLD, VMPTRST, VMXON: a memory operand. */
export const memoryForm = (operation: Encoded): number =>
  memoryBits(operation.operand) | ((operation.register2 ?? 0) << 28)

/** VMREAD and VMWRITE: a register or memory operand, and the register with the encoding. */
export const vmcsAccessForm = (operation: Encoded): number =>
  operandBits(operation, true) | ((operation.register2 ?? 0) << 28)

const TABLE_IDENTITY = { sgdt: 0, sidt: 1, lgdt: 2, lidt: 3, sldt: 0, str: 1, lldt: 2, ltr: 3 } as const
type TableInstruction = keyof typeof TABLE_IDENTITY

/** LGDT, LIDT, SGDT, SIDT. */
export const descriptorTableForm = (op: TableInstruction, operation: Encoded): number =>
  memoryBits(operation.operand) | TABLE_OPERAND_32 | (TABLE_IDENTITY[op] << 28)

/** LLDT, LTR, SLDT, STR. */
export const segmentForm = (op: TableInstruction, operation: Encoded): number =>
  operandBits({ register: 0, ...operation }, true) | (TABLE_IDENTITY[op] << 28)

/** RDRAND, RDSEED: destination register and operand size; UMWAIT and TPAUSE: the source register. */
export const randomForm = (register: number, width: number): number =>
  (register << 3) | ((width === 2 ? 0 : width === 4 ? 1 : 2) << 11)

/** INS and OUTS: address size and segment. */
export const stringForm = ({ operand }: Encoded, ins: boolean): number =>
  ((operand?.addressSize ?? BITS_64) << 7) | ((ins ? 0 : (operand?.segment ?? DS)) << 15)
