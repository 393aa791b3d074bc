/** VMRUN, VMLOAD, VMSAVE, STGI, CLGI, INVLPGA, VMMCALL. */
import { pageOf } from '../../core/index.ts'
import { complete, privileged } from '../completion.ts'
import type { Core } from '../core.ts'
import { raise } from '../exceptions.ts'
import { EFER_SVME } from '../formats/amd-v.ts'
import { EXCEPTION } from '../formats/msrs.ts'
import { LENGTH } from '../formats/operation-lengths.ts'
import type { OperationOf } from '../formats/operations.ts'
import { REGISTER } from '../registers.ts'
import { transferHidden, vmrun } from './world-switch.ts'

type SvmOperation =
  | OperationOf<'vmrun' | 'vmload' | 'vmsave'>
  | OperationOf<'stgi' | 'clgi' | 'vmmcall'>
  | OperationOf<'invlpga'>

export function svmInstruction(core: Core, operation: SvmOperation): void {
  const { op } = operation
  // VMMCALL that nobody intercepts is no instruction; the others need EFER.SVME, then CPL 0.
  const enabled = (core.registers[REGISTER.efer]! & EFER_SVME) !== 0
  if (!enabled || op === 'vmmcall' || !core.protectedMode) {
    raise(core, EXCEPTION.UD)
    return
  }
  if (!privileged(core)) return
  switch (operation.op) {
    case 'vmrun':
    case 'vmload':
    case 'vmsave':
      if (!isVmcb(core, operation.address)) {
        raise(core, EXCEPTION.GP, 0)
        return
      }
      if (operation.op === 'vmrun') {
        vmrun(core, operation.address)
        return
      }
      transferHidden(core, pageOf(operation.address), operation.op === 'vmload')
      break
    case 'stgi':
    case 'clgi':
      core.svm.globalInterrupts = operation.op === 'stgi'
      break
    case 'invlpga': {
      const page = operation.address[1] * 2 ** 20 + (operation.address[0] >>> 12)
      core.linear.invalidatePage(page, operation.asid)
    }
  }
  complete(core, LENGTH[op])
}

/** Page-aligned, in memory. */
const isVmcb = (core: Core, address: number): boolean =>
  address % 4096 === 0 && core.memory.words(pageOf(address)) !== undefined
