/** How many pages the virtual processors of a machine need for the processors' structures. */
import type { HostProcessor } from './host-processor.ts'
import { NESTED_PAGES } from './nested/nested-vmx.ts'
import type { VmOptions } from './types.ts'

/**
 * Known before any of them is made, so that a virtual machine can be refused before a processor executes anything.
 * @param processors one for each virtual processor
 */
export function vcpuPages(options: VmOptions, processors: readonly HostProcessor[]): number {
  const { nested = false, vmcsShadowing = false, interrupts = 'emulated' } = options
  const switchedOn = new Set(processors.filter(({ inUse }) => !inUse))
  const vmcs = 1
  const apicPage = interrupts === 'emulated' ? 0 : 1
  const ofNested = nested ? NESTED_PAGES.always + (vmcsShadowing ? NESTED_PAGES.shadowing : 0) : 0
  const descriptors = interrupts === 'posted' ? 1 : 0
  return switchedOn.size + descriptors + processors.length * (vmcs + apicPage + ofNested)
}
