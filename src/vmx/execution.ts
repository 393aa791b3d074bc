/**
 * What each operation does: its privilege and mode checks, the VM exits it may cause in a guest, and its effect
 * otherwise, in the order that the specification gives them.
 */
import type { Core } from './core.ts'
import { cpuid } from './cpuid.ts'
import { vmExit } from './exits.ts'
import { PRIMARY } from './formats/controls.ts'
import {
  ACTIVITY,
  EVENT_TYPE,
  INTERRUPTIBILITY,
  interruptionInformation,
  ioQualification,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { INSTRUCTION_ERROR } from './formats/instruction-errors.ts'
import { EXCEPTION, FEATURE_CONTROL, RFLAGS } from './formats/msrs.ts'
import type { Operation } from './formats/operations.ts'
import { ioExits, msrExits } from './io-and-msr-exits.ts'
import { MemoryAccess } from './memory-access.ts'
import { readMsr, writeMsr } from './msr-access.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'
import {
  FAIL_INVALID,
  invept,
  SUCCEED,
  vmclear,
  vmlaunchOrResume,
  vmptrld,
  vmptrst,
  vmread,
  vmwrite,
  vmxoff,
  vmxon,
} from './vmx-instructions.ts'

const PRIMARY_FIELD = slot('primaryProcessorBasedControls')
const EXCEPTION_BITMAP = slot('exceptionBitmap')
const INSTRUCTION_ERROR_FIELD = slot('instructionError')
const { blockingBySti, blockingByMovSs, blockingByNmi } = INTERRUPTIBILITY

/** Bytes of each operation's usual encoding: how far it moves RIP, and the VM-exit instruction length. */
const LENGTH = {
  cpuid: 2,
  hlt: 1,
  pause: 2,
  sti: 1,
  cli: 1,
  iret: 2,
  movSs: 2,
  in: 1,
  out: 1,
  rdmsr: 2,
  wrmsr: 2,
  read: 3,
  write: 3,
  fetch: 0,
  vmcall: 3,
  vmxon: 4,
  vmclear: 4,
  vmptrld: 3,
  vmxoff: 3,
  vmlaunch: 3,
  vmresume: 3,
  vmptrst: 3,
  vmread: 3,
  vmwrite: 3,
  invept: 5,
} as const satisfies Record<Operation['op'], number>

const ARITHMETIC_FLAGS = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF

export class Execution {
  readonly #core: Core
  readonly #memory: MemoryAccess

  constructor(core: Core) {
    this.#core = core
    this.#memory = new MemoryAccess(core)
  }

  run(operation: Operation): void {
    const core = this.#core
    switch (operation.op) {
      case 'read':
        if (this.#memory.read(operation.address, operation.width)) {
          core.result.setValue(this.#memory.value[0]! | 0, this.#memory.value[1]! | 0)
          this.#complete(LENGTH.read)
        } else this.#eptExit()
        break
      case 'write':
        this.#memory.value[0] = operation.value[0]
        this.#memory.value[1] = operation.value[1]
        if (this.#memory.write(operation.address, operation.width)) this.#complete(LENGTH.write)
        else this.#eptExit()
        break
      case 'fetch':
        if (this.#memory.fetch(operation.address)) this.#complete(LENGTH.fetch)
        else this.#eptExit()
        break
      case 'in':
      case 'out':
        this.#portAccess(operation)
        break
      case 'rdmsr':
      case 'wrmsr':
        this.#msrAccess(operation)
        break
      case 'cpuid':
        if (core.nonRoot) {
          this.#instructionExit(EXIT_REASON.cpuid, LENGTH.cpuid)
          break
        }
        cpuid(core, operation.leaf, operation.subleaf ?? 0)
        this.#complete(LENGTH.cpuid)
        break
      case 'hlt':
        this.#halt()
        break
      case 'pause':
        if (this.#guestHas(PRIMARY.pauseExiting)) this.#instructionExit(EXIT_REASON.pause, LENGTH.pause)
        else this.#complete(LENGTH.pause)
        break
      case 'sti':
      case 'cli':
        this.#setInterruptFlag(operation.op === 'sti')
        break
      case 'iret':
        core.registers[REGISTER.interruptibility]! &= ~blockingByNmi
        if (operation.interruptFlag === false) core.registers[REGISTER.rflags]! &= ~RFLAGS.IF
        else core.registers[REGISTER.rflags]! |= RFLAGS.IF
        this.#complete(LENGTH.iret)
        break
      case 'movSs':
        this.#complete(LENGTH.movSs)
        core.registers[REGISTER.interruptibility]! |= blockingByMovSs
        break
      case 'vmcall':
        this.#vmcall()
        break
      case 'vmxon':
        this.#vmxon(operation.address)
        break
      default:
        this.#vmxInstruction(operation)
    }
  }

  /** The operation is over: RIP moves on, and blocking by an earlier STI or MOV SS ends. */
  #complete(length: number): void {
    const { registers } = this.#core
    const rip = registers[REGISTER.rip]! + length
    registers[REGISTER.rip] = rip
    if (rip > 0xffff_ffff) registers[REGISTER.rip + 1]!++
    registers[REGISTER.interruptibility]! &= ~(blockingBySti | blockingByMovSs)
    registers[REGISTER.rflags]! &= ~RFLAGS.RF
  }

  #guestHas(control: number): boolean {
    const core = this.#core
    return core.nonRoot && (core.vmcs[PRIMARY_FIELD]! & control) !== 0
  }

  /** A fault-like exit whose cause is the operation: RIP stays on it. */
  #instructionExit(reason: number, length: number): void {
    this.#core.exit.instructionLength = length
    vmExit(this.#core, reason)
  }

  #eptExit(): void {
    const core = this.#core
    const { exit } = core
    exit.qualification[0] = core.ept.faultQualification
    exit.address[0] = this.#memory.faultAddress
    exit.address[1] = this.#memory.faultAddress / 2 ** 32
    exit.hasAddress = true
    exit.resume = true
    vmExit(core, core.ept.faultReason)
  }

  /**
   * An exception of the operation. The exception bitmap may turn it into a VM exit; else the program's handler runs. It
   * is taken through a trap gate, so RFLAGS.IF stays as it is.
   */
  #raise(vector: number, errorCode = -1): void {
    const core = this.#core
    const hasErrorCode = errorCode >= 0
    if (core.nonRoot && (core.vmcs[EXCEPTION_BITMAP]! & (1 << vector)) !== 0) {
      core.exit.interruption = interruptionInformation(EVENT_TYPE.hardwareException, vector, hasErrorCode)
      core.exit.errorCode = hasErrorCode ? errorCode : 0
      core.exit.resume = true
      vmExit(core, EXIT_REASON.exceptionOrNmi)
      return
    }
    core.result.outcome = 'exception'
    core.result.vector = vector
    core.result.error = hasErrorCode ? errorCode : 0
  }

  /** I/O and the interrupt flag belong to privilege levels up to IOPL. */
  #ioPrivileged(): boolean {
    const core = this.#core
    return core.currentPrivilegeLevel <= (core.registers[REGISTER.rflags]! & RFLAGS.IOPL) >>> 12
  }

  #halt(): void {
    const core = this.#core
    if (core.currentPrivilegeLevel > 0) this.#raise(EXCEPTION.GP, 0)
    else if (this.#guestHas(PRIMARY.hltExiting)) this.#instructionExit(EXIT_REASON.hlt, LENGTH.hlt)
    else {
      this.#complete(LENGTH.hlt)
      core.registers[REGISTER.activity] = ACTIVITY.hlt
      core.result.outcome = 'halted'
    }
  }

  /** STI holds interrupts off until after the next operation, if they were off before. */
  #setInterruptFlag(on: boolean): void {
    const { registers } = this.#core
    if (!this.#ioPrivileged()) {
      this.#raise(EXCEPTION.GP, 0)
      return
    }
    const wasOn = (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0
    this.#complete(LENGTH.sti)
    if (on) registers[REGISTER.rflags]! |= RFLAGS.IF
    else registers[REGISTER.rflags]! &= ~RFLAGS.IF
    if (on && !wasOn) registers[REGISTER.interruptibility]! |= blockingBySti
  }

  #portAccess(operation: Extract<Operation, { op: 'in' | 'out' }>): void {
    const core = this.#core
    const { port, width } = operation
    if (!this.#ioPrivileged()) {
      this.#raise(EXCEPTION.GP, 0)
      return
    }
    if (core.nonRoot && ioExits(core, port, width)) {
      core.exit.qualification[0] = ioQualification(port, width, operation.op === 'in')
      this.#instructionExit(EXIT_REASON.ioInstruction, LENGTH.in)
      return
    }
    if (operation.op === 'in') core.result.setValue(core.ports.in(port, width), 0)
    else core.ports.out(port, width, operation.value)
    this.#complete(LENGTH.in)
  }

  #msrAccess(operation: Extract<Operation, { op: 'rdmsr' | 'wrmsr' }>): void {
    const core = this.#core
    const write = operation.op === 'wrmsr'
    const msr = operation.msr >>> 0
    if (core.currentPrivilegeLevel > 0) {
      this.#raise(EXCEPTION.GP, 0)
      return
    }
    if (core.nonRoot && msrExits(core, msr, write)) {
      this.#instructionExit(write ? EXIT_REASON.wrmsr : EXIT_REASON.rdmsr, LENGTH.rdmsr)
      return
    }
    if (!(write ? writeMsr(core, msr, operation.value[0], operation.value[1]) : readMsr(core, msr))) {
      this.#raise(EXCEPTION.GP, 0)
      return
    }
    if (!write) core.result.setValue(core.msrValue[0]! | 0, core.msrValue[1]! | 0)
    this.#complete(LENGTH.rdmsr)
  }

  /** In a guest a hypercall, before any other check; with no SMM monitor, a failure in root operation. */
  #vmcall(): void {
    const core = this.#core
    if (core.nonRoot) this.#instructionExit(EXIT_REASON.vmcall, LENGTH.vmcall)
    else if (!core.vmxOn) this.#raise(EXCEPTION.UD)
    else this.#conclude(INSTRUCTION_ERROR.vmcallInRoot, LENGTH.vmcall)
  }

  #vmxon(address: number): void {
    const core = this.#core
    const { lock, vmxOutsideSmx } = FEATURE_CONTROL
    const required = lock | vmxOutsideSmx
    if (core.nonRoot) this.#instructionExit(EXIT_REASON.vmxon, LENGTH.vmxon)
    else if (!core.vmxOn && (core.featureControl & required) !== required) this.#raise(EXCEPTION.GP, 0)
    else this.#conclude(vmxon(core, address), LENGTH.vmxon)
  }

  #vmxInstruction(operation: VmxInstruction): void {
    const core = this.#core
    const length = LENGTH[operation.op]
    if (!core.vmxOn) this.#raise(EXCEPTION.UD)
    else if (core.nonRoot) this.#instructionExit(EXIT_REASON[operation.op], length)
    else this.#conclude(this.#inRoot(operation), length)
  }

  #inRoot(operation: VmxInstruction): number {
    const core = this.#core
    switch (operation.op) {
      case 'vmread':
        return vmread(core, operation)
      case 'vmwrite':
        return vmwrite(core, operation)
      case 'vmresume':
      case 'vmlaunch':
        return vmlaunchOrResume(core, operation.op === 'vmlaunch')
      case 'vmptrld':
        return vmptrld(core, operation.address)
      case 'vmptrst':
        return vmptrst(core)
      case 'vmclear':
        return vmclear(core, operation.address)
      case 'vmxoff':
        return vmxoff(core)
      case 'invept':
        return invept(core, operation)
    }
  }

  /**
   * "Conventions": VMsucceed, VMfailInvalid, VMfailValid. A VM entry that got as far as the guest, or came back from it
   * by a late failure, has replaced the registers and concludes nothing.
   */
  #conclude(error: number, length: number): void {
    const core = this.#core
    const { registers, result } = core
    if (core.nonRoot || result.outcome !== 'done') return
    registers[REGISTER.rflags]! &= ~ARITHMETIC_FLAGS
    if (error !== SUCCEED) {
      const valid = error !== FAIL_INVALID && core.currentPointer >= 0
      registers[REGISTER.rflags]! |= valid ? RFLAGS.ZF : RFLAGS.CF
      result.outcome = valid ? 'vmFailValid' : 'vmFailInvalid'
      if (valid) {
        core.vmcs[INSTRUCTION_ERROR_FIELD] = error
        result.error = error
      }
    }
    this.#complete(length)
  }
}

type VmxInstruction = Extract<
  Operation,
  {
    op:
      | 'vmclear'
      | 'vmptrld'
      | 'vmxoff'
      | 'vmlaunch'
      | 'vmresume'
      | 'vmptrst'
      | 'vmread'
      | 'vmwrite'
      | 'invept'
  }
>
