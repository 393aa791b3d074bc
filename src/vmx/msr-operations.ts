/** RDMSR and WRMSR: the MSR bitmaps first, then APIC virtualization, then the processor's own registers. */
import { readVirtualX2apic, writeVirtualX2apic, X2APIC_WRITE } from './apic-virtualization.ts'
import { complete, instructionExit, privileged } from './completion.ts'
import type { Core } from './core.ts'
import { raise } from './exceptions.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { msrExits } from './io-and-msr-exits.ts'
import { readMsr, writeMsr, X2APIC_FIRST, X2APIC_LAST } from './msr-access.ts'

const isX2apic = (msr: number): boolean => msr >= X2APIC_FIRST && msr <= X2APIC_LAST

export function rdmsr(core: Core, operation: OperationOf<'rdmsr'>): void {
  if (!privileged(core)) return
  const msr = operation.msr >>> 0
  if (core.nonRoot && msrExits(core, msr, false)) {
    instructionExit(core, EXIT_REASON.rdmsr, LENGTH.rdmsr)
    return
  }
  const virtual = core.nonRoot && isX2apic(msr) && readVirtualX2apic(core, msr)
  if (!virtual && !readMsr(core, msr)) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  core.result.setValue(core.msrValue[0]! | 0, core.msrValue[1]! | 0)
  complete(core, LENGTH.rdmsr)
}

export function wrmsr(core: Core, operation: OperationOf<'wrmsr'>): void {
  if (!privileged(core)) return
  const msr = operation.msr >>> 0
  const low = operation.value[0]
  const high = operation.value[1]
  if (core.nonRoot && msrExits(core, msr, true)) {
    instructionExit(core, EXIT_REASON.wrmsr, LENGTH.wrmsr)
    return
  }
  const virtual =
    core.nonRoot && isX2apic(msr) ? writeVirtualX2apic(core, msr, low, high) : X2APIC_WRITE.notVirtualized
  const done =
    virtual === X2APIC_WRITE.notVirtualized ? writeMsr(core, msr, low, high) : virtual === X2APIC_WRITE.done
  if (done) complete(core, LENGTH.wrmsr)
  else raise(core, EXCEPTION.GP, 0)
}
