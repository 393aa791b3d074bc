/** Every MSR of a guest with VMX, and of the guest in it: of whichever of the two runs. */
import { MSR } from '../../vmx/formats/msrs.ts'
import type { ExitedVcpu, VcpuBoard } from '../exit-handling.ts'
import { readVirtualMsr, writeVirtualMsr } from '../msrs.ts'
import type { VirtualMsrs } from './msr-areas.ts'
import { isVmcsMsr, readVmcsMsr, writeVmcsMsr } from './nested-msrs.ts'
import type { NestedVmx } from './nested-vmx.ts'

export const msrsOf = (vmx: NestedVmx, vcpu: ExitedVcpu, board: VcpuBoard): VirtualMsrs => ({
  read: msr => {
    if (msr === MSR.IA32_FEATURE_CONTROL) return [vmx.featureControl.value, 0]
    if (isVmcsMsr(msr)) return readVmcsMsr(msr, vmx.active)
    return vmx.capability(msr) ?? readVirtualMsr(msr, vcpu.apic, board.now)
  },
  write: (msr, value) => {
    if (msr === MSR.IA32_FEATURE_CONTROL) return vmx.featureControl.write(value)
    if (isVmcsMsr(msr)) return writeVmcsMsr(msr, value, vmx.active)
    return writeVirtualMsr(msr, value, vcpu.apic)
  },
})
