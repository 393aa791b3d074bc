/**
 * The registers of a deprivileged guest's processor as the guest believes them to be, kept in software; and what the
 * operations on them do.
 */
import { CR0, CR4, MSR, RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { PAGING_CR0, pagingCr4 } from './processor-boot.ts'
import type { GuestStart, OutcomeRecord, TechniqueHost } from './technique.ts'
import type { VirtualBoard } from './virtual-board.ts'

/** Operations that fault at any level but 0. */
const PRIVILEGED: readonly Operation['op'][] = [
  'lgdt',
  'lidt',
  'lldt',
  'ltr',
  'movToCr',
  'movFromCr',
  'movToDr',
  'movFromDr',
  'clts',
  'lmsw',
  'invd',
  'wbinvd',
  'invlpg',
  'rdmsr',
  'wrmsr',
  'hlt',
  'sysexit',
]
/** Operations that fault above IOPL. */
const IO_SENSITIVE: readonly Operation['op'][] = ['cli', 'sti', 'in', 'out']

export const isPrivileged = ({ op }: Operation): boolean => PRIVILEGED.includes(op)
export const isIoSensitive = ({ op }: Operation): boolean => IO_SENSITIVE.includes(op)

export class VirtualCpu {
  cr0: number = PAGING_CR0
  cr2 = 0
  cr3: number
  cr4: number
  gdt: { readonly base: number; readonly limit: number }
  idt: { readonly base: number; readonly limit: number }
  ldtr = 0
  task: number
  taskBase: number
  interruptFlag = false
  ioPrivilege = 0
  /** After STI and MOV SS, until the next operation is over. */
  blocked = false
  halted = false
  readonly debug = new Uint32Array(8)
  readonly #sysenter = new Map<number, number>([
    [MSR.IA32_SYSENTER_CS, 0],
    [MSR.IA32_SYSENTER_ESP, 0],
    [MSR.IA32_SYSENTER_EIP, 0],
  ])

  constructor(host: TechniqueHost, start: GuestStart) {
    this.cr3 = start.cr3
    this.cr4 = pagingCr4(host.bits)
    this.gdt = start.gdt
    this.idt = start.idt
    this.task = start.task
    this.taskBase = start.taskBase
  }

  get sysenterCs(): number {
    return this.#sysenter.get(MSR.IA32_SYSENTER_CS)!
  }
  get sysenterEsp(): number {
    return this.#sysenter.get(MSR.IA32_SYSENTER_ESP)!
  }
  get sysenterEip(): number {
    return this.#sysenter.get(MSR.IA32_SYSENTER_EIP)!
  }

  /** Flags as the guest would push them: interrupt flag and IOPL are its own, the rest is the processor's. */
  flags(real: number): number {
    const kept = real & ~(RFLAGS.IF | RFLAGS.IOPL | RFLAGS.TF)
    return kept | (this.interruptFlag ? RFLAGS.IF : 0) | (this.ioPrivilege << 12)
  }

  setFlags(value: number): void {
    this.interruptFlag = (value & RFLAGS.IF) !== 0
    this.ioPrivilege = (value & RFLAGS.IOPL) >>> 12
  }

  setInterruptFlag(on: boolean): void {
    this.blocked = on && !this.interruptFlag
    this.interruptFlag = on
  }

  /** A register that is the guest's own and needs nothing else; undefined: not one of these operations; false: #GP(0). */
  emulate(
    operation: Operation,
    board: VirtualBoard,
    outcome: OutcomeRecord,
  ): OutcomeRecord | false | undefined {
    switch (operation.op) {
      case 'cli':
      case 'sti':
        this.setInterruptFlag(operation.op === 'sti')
        return outcome.done()
      case 'lgdt':
        this.gdt = { base: operation.base[0], limit: operation.limit }
        return outcome.done()
      case 'lidt':
        this.idt = { base: operation.base[0], limit: operation.limit }
        return outcome.done()
      case 'lldt':
        this.ldtr = operation.selector
        return outcome.done()
      case 'movFromCr':
        return outcome.done(this.#readControl(operation.cr, board))
      case 'movToCr':
        return this.#writeControl(operation, board) ? outcome.done() : false
      case 'clts':
        this.cr0 = (this.cr0 & ~CR0.TS) >>> 0
        return outcome.done()
      case 'lmsw': {
        const bits = CR0.MP | CR0.EM | CR0.TS
        this.cr0 = ((this.cr0 & ~bits) | (operation.source & bits)) >>> 0
        return outcome.done()
      }
      case 'movToDr':
        this.debug[operation.dr] = operation.value[0]
        return outcome.done()
      case 'movFromDr':
        return outcome.done(this.debug[operation.dr])
      case 'rdmsr':
      case 'wrmsr': {
        if (!this.#sysenter.has(operation.msr)) return false
        if (operation.op === 'rdmsr') return outcome.done(this.#sysenter.get(operation.msr))
        this.#sysenter.set(operation.msr, operation.value[0])
        return outcome.done()
      }
      case 'invd':
      case 'wbinvd':
        return outcome.done()
    }
    return undefined
  }

  #readControl(cr: number, board: VirtualBoard): number {
    switch (cr) {
      case 0:
        return this.cr0
      case 2:
        return this.cr2
      case 3:
        return this.cr3
      case 4:
        return this.cr4
      default:
        return board.taskPriorityClass
    }
  }

  /** CR3 is the caller's. False: #GP(0). */
  #writeControl({ cr, value }: Extract<Operation, { op: 'movToCr' }>, board: VirtualBoard): boolean {
    const low = value[0] >>> 0
    switch (cr) {
      case 0:
        // Paging and protection stay on: this guest has left real mode for good.
        if ((~low & (CR0.PG | CR0.PE)) !== 0) return false
        this.cr0 = (low | CR0.ET) >>> 0
        return true
      case 2:
        this.cr2 = low
        return true
      case 4:
        if ((low & CR4.VMXE) !== 0) return false
        this.cr4 = low
        return true
      case 8:
        board.taskPriorityClass = low & 0xf
        return true
    }
    return true
  }
}

/** Whether an exception pushes an error code. */
export const pushesError = (vector: number): boolean => [8, 10, 11, 12, 13, 14, 17].includes(vector)

/** What STR, SLDT, SGDT, SIDT and SMSW would yield on the guest's own processor. */
export function readOwnTables(
  operation: Operation,
  cpu: VirtualCpu,
  outcome: OutcomeRecord,
): OutcomeRecord | undefined {
  const table = (of: { base: number; limit: number }): OutcomeRecord => {
    outcome.done(of.base)
    outcome.ecx = of.limit
    return outcome
  }
  switch (operation.op) {
    case 'sgdt':
      return table(cpu.gdt)
    case 'sidt':
      return table(cpu.idt)
    case 'sldt':
      return outcome.done(cpu.ldtr)
    case 'str':
      return outcome.done(cpu.task)
    case 'smsw':
      return outcome.done(cpu.cr0)
  }
  return undefined
}
