/**
 * What each operation does: its privilege and mode checks, the VM exits it may cause in a guest, and its effect
 * otherwise, in the order that the specification gives them. One switch; families of operations have files of their own.
 */
import { svmInstruction } from './amd-v/instructions.ts'
import { complete } from './completion.ts'
import { clts, lmsw, movDr, movFromCr, movToCr, smsw } from './control-registers.ts'
import type { Core } from './core.ts'
import { segmentAccess, tableAccess } from './descriptor-tables.ts'
import { raise } from './exceptions.ts'
import { iret, jumpFar, movSs, popf, pushf, setInterruptFlag, sysenter, sysexit } from './flag-operations.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { Operation } from './formats/operations.ts'
import { iretFrame, movToSp } from './interrupt-return.ts'
import { portAccess, stringPortAccess } from './io-operations.ts'
import { linearAccess, physicalAccess } from './memory-operations.ts'
import { rdmsr, wrmsr } from './msr-operations.ts'
import { segmentOperation } from './segment-operations.ts'
import { softwareExceptionOf, softwareInterruptOf, taskSwitch } from './software-events.ts'
import {
  cpuid,
  getsec,
  hlt,
  invalidateCaches,
  invlpg,
  invpcid,
  rsm,
  supervisorState,
  xsetbv,
} from './system-operations.ts'
import { monitor, mwait, pause, random, rdpid, rdpmc, rdtsc, rdtscp, userWait } from './time-operations.ts'
import { enableVmx, vmcall, vmfunc, vmxInstruction } from './vmx-operations.ts'

export function run(core: Core, operation: Operation): void {
  switch (operation.op) {
    case 'read':
    case 'write':
    case 'fetch':
      physicalAccess(core, operation)
      break
    case 'readLinear':
    case 'writeLinear':
    case 'fetchLinear':
      linearAccess(core, operation)
      break
    case 'nop':
      complete(core, LENGTH.nop)
      break
    case 'in':
    case 'out':
      portAccess(core, operation)
      break
    case 'ins':
    case 'outs':
      stringPortAccess(core, operation)
      break
    case 'rdmsr':
      rdmsr(core, operation)
      break
    case 'wrmsr':
      wrmsr(core, operation)
      break
    case 'cpuid':
      cpuid(core, operation)
      break
    case 'hlt':
      hlt(core)
      break
    case 'pause':
      pause(core)
      break
    case 'sti':
    case 'cli':
      setInterruptFlag(core, operation.op === 'sti')
      break
    case 'iret':
      iret(core, operation)
      break
    case 'movSs':
      movSs(core)
      break
    case 'pushf':
      pushf(core)
      break
    case 'popf':
      popf(core, operation)
      break
    case 'sysenter':
      sysenter(core)
      break
    case 'sysexit':
      sysexit(core, operation)
      break
    default:
      runRarer(core, operation)
  }
}

type Common =
  | 'read'
  | 'write'
  | 'fetch'
  | 'readLinear'
  | 'writeLinear'
  | 'fetchLinear'
  | 'nop'
  | 'in'
  | 'out'
  | 'ins'
  | 'outs'
  | 'rdmsr'
  | 'wrmsr'
  | 'cpuid'
  | 'hlt'
  | 'pause'
  | 'sti'
  | 'cli'
  | 'iret'
  | 'movSs'
  | 'pushf'
  | 'popf'
  | 'sysenter'
  | 'sysexit'

function runRarer(core: Core, operation: Exclude<Operation, { op: Common }>): void {
  switch (operation.op) {
    case 'movToCr':
      movToCr(core, operation)
      break
    case 'movFromCr':
      movFromCr(core, operation)
      break
    case 'clts':
      clts(core)
      break
    case 'smsw':
      smsw(core)
      break
    case 'lmsw':
      lmsw(core, operation)
      break
    case 'movToDr':
    case 'movFromDr':
      movDr(core, operation)
      break
    case 'rdtsc':
      rdtsc(core)
      break
    case 'rdtscp':
      rdtscp(core)
      break
    case 'rdpid':
      rdpid(core)
      break
    case 'rdpmc':
      rdpmc(core, operation)
      break
    case 'invd':
    case 'wbinvd':
      invalidateCaches(core, operation)
      break
    case 'invlpg':
      invlpg(core, operation)
      break
    case 'invpcid':
      invpcid(core, operation)
      break
    case 'xsetbv':
      xsetbv(core, operation)
      break
    case 'xsaves':
    case 'xrstors':
      supervisorState(core, operation)
      break
    case 'monitor':
      monitor(core, operation)
      break
    case 'mwait':
      mwait(core, operation)
      break
    case 'umwait':
    case 'tpause':
      userWait(core, operation)
      break
    case 'lgdt':
    case 'lidt':
    case 'sgdt':
    case 'sidt':
      tableAccess(core, operation)
      break
    case 'lldt':
    case 'ltr':
    case 'sldt':
    case 'str':
      segmentAccess(core, operation)
      break
    case 'rdrand':
    case 'rdseed':
      random(core, operation)
      break
    case 'getsec':
      getsec(core, operation)
      break
    case 'rsm':
      rsm(core)
      break
    case 'int':
      softwareInterruptOf(core, operation)
      break
    case 'int3':
    case 'into':
    case 'int1':
    case 'ud2':
      softwareExceptionOf(core, operation)
      break
    case 'fault':
      raise(core, operation.vector, operation.error ?? -1)
      break
    case 'jumpFar':
      jumpFar(core, operation)
      break
    case 'loadSegment':
    case 'storeSegment':
    case 'lar':
    case 'lsl':
    case 'verr':
    case 'verw':
    case 'arpl':
    case 'callFar':
    case 'retFar':
      segmentOperation(core, operation)
      break
    case 'iretFrame':
      iretFrame(core, operation)
      break
    case 'movToSp':
      movToSp(core, operation)
      break
    case 'taskSwitch':
      taskSwitch(core, operation)
      break
    case 'vmrun':
    case 'vmload':
    case 'vmsave':
    case 'stgi':
    case 'clgi':
    case 'vmmcall':
    case 'invlpga':
      svmInstruction(core, operation)
      break
    case 'vmcall':
      vmcall(core)
      break
    case 'vmxon':
      enableVmx(core, operation)
      break
    case 'vmfunc':
      vmfunc(core, operation)
      break
    default:
      vmxInstruction(core, operation)
  }
}
