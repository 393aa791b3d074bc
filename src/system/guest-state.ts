/** Writes guest-state fields of a virtual processor's VMCS that the processor can still be entered with. */
import { NorthbridgeError, PAGE_SIZE } from '../core/index.ts'
import type { Hypervisor } from '../hypervisor/index.ts'
import type { Platform } from '../platform/index.ts'
import type { Word64 } from '../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../vmx/formats/vmcs.ts'

export interface GuestStateField {
  readonly vm: string
  readonly vcpu: number
  readonly name: VmcsFieldName
}

/** Throws `notFound`; `invalidArgument`, with nothing written, if VM entry would fail. */
export function writeGuestState(
  { processors }: Platform,
  hypervisor: Hypervisor,
  { vm, vcpu, name }: GuestStateField,
  value: Word64,
): void {
  const { processor, page } = hypervisor.vmcs(vm, vcpu)
  const [broken] = processors[processor]!.brokenEntryRulesWith(page * PAGE_SIZE, name, ...value)
  if (broken !== undefined) {
    const why = `${name}: VM entry would fail: ${broken.states} (${broken.id})`
    throw new NorthbridgeError('invalidArgument', why)
  }
  hypervisor.writeVmcs(vm, vcpu, VMCS[name], value)
}
