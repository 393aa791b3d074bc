/** What a virtual machine may be asked to be. */
import { NorthbridgeError } from '../core/index.ts'
import { MAXIMUM_MEMORY_MIB, MAXIMUM_VCPUS } from './formats/virtual-board.ts'
import { GUEST_PROGRAMS, INTERRUPT_DELIVERY, type VmOptions } from './types.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const MINIMUM_MEMORY_MIB = 2

/** Throws `invalidArgument`. */
export function checkOptions(options: VmOptions): void {
  const { name, vcpus, memoryMiB, interrupts, nested, vmcsShadowing, program } = options
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
  if (vmcsShadowing === true && nested !== true) refuse('vmcsShadowing', 'false where guests find no VMX')
}
