/** What a virtual machine may be asked to be. */
import { NorthbridgeError } from '../core/index.ts'
import { MAXIMUM_MEMORY_MIB, MAXIMUM_VCPUS } from './formats/virtual-board.ts'
import { VIRTUAL_UNIT_MODES } from './formats/virtual-unit.ts'
import { checkSettings, defaultSettings } from './memory/memory-settings.ts'
import { GUEST_PROGRAMS, HUGE_PAGES, INTERRUPT_DELIVERY, MEMORY_BACKINGS, type VmOptions } from './types.ts'

const MODES: readonly string[] = VIRTUAL_UNIT_MODES
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const MINIMUM_MEMORY_MIB = 2

/** Throws `invalidArgument`. */
export function checkOptions(options: VmOptions): void {
  const { name, vcpus, memoryMiB, interrupts, nested, vmcsShadowing, program, viommu } = options
  const refuse = (field: string, rule: string): never => {
    throw new NorthbridgeError('invalidArgument', `${field} must be ${rule}`, {
      issues: [{ path: `/${field}`, message: `must be ${rule}` }],
    })
  }
  if (typeof name !== 'string' || !NAME.test(name)) {
    refuse('name', 'letters, digits, ".", "_" and "-", at most 63, starting with a letter or digit')
  }
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAXIMUM_VCPUS) {
    refuse('vcpus', `a whole number from 1 to ${MAXIMUM_VCPUS}`)
  }
  if (!Number.isInteger(memoryMiB) || memoryMiB < MINIMUM_MEMORY_MIB || memoryMiB > MAXIMUM_MEMORY_MIB) {
    refuse('memoryMiB', `a whole number from ${MINIMUM_MEMORY_MIB} to ${MAXIMUM_MEMORY_MIB}`)
  }
  if (interrupts !== undefined && !INTERRUPT_DELIVERY.includes(interrupts)) {
    refuse('interrupts', `one of ${INTERRUPT_DELIVERY.join(', ')}`)
  }
  if (nested === true && (interrupts ?? 'emulated') !== 'emulated') {
    refuse('interrupts', 'emulated where guests find VMX')
  }
  if (program !== undefined && !GUEST_PROGRAMS.includes(program)) {
    refuse('program', `one of ${GUEST_PROGRAMS.join(', ')}`)
  }
  if (program === 'hypervisor' && nested !== true) refuse('program', 'kernel where guests find no VMX')
  if (viommu !== undefined && !MODES.includes(viommu.mode))
    refuse('viommu', `one of ${VIRTUAL_UNIT_MODES.join(', ')}`)
  checkMemory(options, refuse)
  if (vmcsShadowing === true && nested !== true) refuse('vmcsShadowing', 'false where guests find no VMX')
}

function checkMemory(
  { backing = 'fixed', hugePages = '2MiB', memoryMiB, memorySettings, nested }: VmOptions,
  refuse: (field: string, rule: string) => never,
): void {
  if (!MEMORY_BACKINGS.includes(backing)) refuse('backing', `one of ${MEMORY_BACKINGS.join(', ')}`)
  if (!HUGE_PAGES.includes(hugePages)) refuse('hugePages', `one of ${HUGE_PAGES.join(', ')}`)
  if (hugePages === '1GiB' && memoryMiB % 1024 !== 0) {
    refuse('memoryMiB', 'a multiple of 1024 for pages of 1 GiB')
  }
  if (backing === 'fixed') {
    if (memorySettings !== undefined) refuse('memorySettings', 'absent where memory is not paged')
    return
  }
  // Tables of L2 would have to follow each page that comes or goes.
  if (nested === true) refuse('backing', 'fixed where guests find VMX')
  if (hugePages === '1GiB') refuse('hugePages', 'none or 2MiB where memory is paged')
  checkSettings({ ...defaultSettings(memoryMiB), ...memorySettings }, memoryMiB)
}
