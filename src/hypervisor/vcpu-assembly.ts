/** Makes a virtual processor of its parts: VMCS, local APIC, and VMX where the guest finds it. */
import type { ApicPages } from './apic-pages.ts'
import { PageRegisters } from './apic-registers.ts'
import type { VcpuBoard } from './exit-handling.ts'
import type { ExtendedPageTable } from './extended-page-table.ts'
import type { GuestMemory } from './guest-memory.ts'
import type { HostProcessor } from './host-processor.ts'
import type { MachineContext } from './machine-state.ts'
import { GuestWords } from './nested/guest-words.ts'
import { NestedExits } from './nested/nested-exits.ts'
import { NestedVmx } from './nested/nested-vmx.ts'
import type { InterruptDelivery } from './types.ts'
import { Vcpu } from './vcpu.ts'
import type { SavedVcpu } from './vcpu-options.ts'
import { type InterruptCommand, VirtualApic } from './virtual-apic.ts'
import { VirtualizedInterrupts } from './virtualized-interrupts.ts'
import { Vmcs } from './vmcs.ts'

/** The virtual machine around it. */
export interface VcpuSurroundings {
  readonly context: MachineContext
  readonly machine: VcpuBoard & {
    readonly name: string
    readonly memory: GuestMemory
    readonly interrupts: InterruptDelivery
    readonly nested: boolean
    readonly vmcsShadowing: boolean
  }
  readonly ept: ExtendedPageTable
  /** Unless the hypervisor emulates the local APICs. */
  readonly apicPages: ApicPages | undefined
  /** Interrupt commands of its local APIC. */
  send(command: InterruptCommand): void
  leaveXapic(): void
}

/**
 * Takes a logical processor and what the parts need. Throws `outOfMemory`, `unsupported`, having taken nothing.
 *
 * @param saved one that has taken them already
 */
export function makeVcpu(
  around: VcpuSurroundings,
  number: number,
  processor: HostProcessor,
  saved?: SavedVcpu,
): Vcpu {
  const { context, machine, ept } = around
  if (saved === undefined) processor.retain()
  let vmcs: Vmcs | undefined
  let vmx: NestedVmx | undefined
  try {
    vmcs = new Vmcs(processor, context.pages, saved?.vmcs)
    if (saved === undefined) vmcs.initialize(ept.pointer)
    const { name, vmcsShadowing } = machine
    const { engine } = context
    const interrupts = localApic(around, number, processor, vmcs, saved)
    if (machine.nested) {
      const memory = new GuestWords(context.machine, machine.memory)
      const parts = { vmcs01: vmcs, ept01: ept, memory, vmcsShadowing }
      vmx = new NestedVmx(context, { processor, number, ...parts }, saved?.nested?.vmx)
    }
    const vcpu = new Vcpu({ name, number, processor, vmcs, board: machine, engine, ...interrupts })
    if (vmx !== undefined) vcpu.nest(new NestedExits(vmx, vcpu, machine))
    return vcpu
  } catch (error) {
    vmx?.free()
    vmcs?.free()
    processor.release()
    throw error
  }
}

/** Its local APIC, emulated or virtualized. */
function localApic(
  { context: { machine: port, host }, machine, apicPages: pages, send, leaveXapic }: VcpuSurroundings,
  number: number,
  processor: HostProcessor,
  vmcs: Vmcs,
  saved?: SavedVcpu,
): { apic: VirtualApic; virtualized: VirtualizedInterrupts | undefined } {
  if (pages === undefined) {
    return { apic: new VirtualApic(number, send, undefined, saved?.apic), virtualized: undefined }
  }
  const virtualApicPage = saved?.virtualized?.page ?? pages.virtualApicPage()
  const descriptor = machine.interrupts === 'posted' ? pages.descriptor(number) : undefined
  const registers = new PageRegisters(port, virtualApicPage)
  const apic = new VirtualApic(number, send, { registers, descriptor }, saved?.apic)
  const virtualized = new VirtualizedInterrupts(
    {
      vmcs,
      apic,
      virtualApicPage,
      accessPage: pages.accessPage,
      msrBitmaps: pages.msrBitmaps,
      ...(descriptor && { posted: { descriptor, host: host.posting } }),
      leaveXapic,
    },
    processor.number,
    saved?.virtualized ?? undefined,
  )
  return { apic, virtualized }
}
