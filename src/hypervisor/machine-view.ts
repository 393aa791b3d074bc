/** What is shown of a virtual machine. */
import type { MachineMemory } from './memory/machine-memory.ts'
import type { AttachedDevice, EmulatedDeviceView, VcpuView, VirtualMachine } from './types.ts'
import type { VirtualUnit } from './viommu/virtual-unit.ts'

interface Viewed<View> {
  view(): View
}

/** What of it is looked at. */
interface ViewedMachine
  extends Pick<
    VirtualMachine,
    'name' | 'memoryMiB' | 'interrupts' | 'nested' | 'vmcsShadowing' | 'program' | 'paused'
  > {
  readonly memory: { readonly ranges: VirtualMachine['memory'] }
  readonly space: Pick<MachineMemory, 'kind' | 'hugePages'>
  readonly unit: VirtualUnit | undefined
  readonly vcpus: readonly Viewed<VcpuView>[]
  readonly assigned: readonly Viewed<AttachedDevice>[]
  readonly emulated: readonly Viewed<EmulatedDeviceView>[]
}

export function viewOf(machine: ViewedMachine): VirtualMachine {
  return {
    name: machine.name,
    memoryMiB: machine.memoryMiB,
    memory: machine.memory.ranges,
    interrupts: machine.interrupts,
    nested: machine.nested,
    vmcsShadowing: machine.vmcsShadowing,
    program: machine.program,
    paused: machine.paused,
    backing: machine.space.kind,
    hugePages: machine.space.hugePages,
    get viommu() {
      return machine.unit?.view()
    },
    vcpus: machine.vcpus.map(vcpu => vcpu.view()),
    devices: machine.assigned.map(device => device.view()),
    emulated: machine.emulated.map(device => device.view()),
  }
}
