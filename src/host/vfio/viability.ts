/** Whether a function may be given to a virtual machine, by the rules of VFIO; every refusal says what stands in the way. */
import { NorthbridgeError } from '../../core/index.ts'
import { VFIO_DENY_LIST } from '../driver-table.ts'
import type { Iommu } from '../iommu/iommu.ts'
import type { GroupState } from '../iommu/iommu-state.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { GroupReason, Owner } from '../types.ts'
import {
  interruptsSuffice,
  isReservedMemoryRelaxable,
  type ReservedMemoryErrno,
  usesKernelDma,
} from './rules.ts'
import { VFIO_DRIVER } from './vf-token.ts'

export interface AssignmentRules {
  readonly allowUnsafeInterrupts: boolean
  readonly reservedMemoryErrno: ReservedMemoryErrno
}

/** Throws the refusal, or returns the function's group. */
export function checkAssignable(
  fn: HostPciFunction,
  owner: string,
  iommu: Iommu,
  { allowUnsafeInterrupts, reservedMemoryErrno }: AssignmentRules,
): GroupState {
  checkFunction(fn)
  const state = iommu.stateOf(fn)
  const untranslated = iommu.whyNotTranslated(fn)
  if (untranslated !== undefined || state === undefined) {
    throw new NorthbridgeError('noRemapping', `${fn.address} cannot be assigned: ${untranslated}`, {
      function: fn.address,
      errno: 'EINVAL',
    })
  }
  if (!interruptsSuffice(iommu.interruptUnitOf(fn) !== undefined, allowUnsafeInterrupts)) {
    throw new NorthbridgeError(
      'noInterruptRemapping',
      `${fn.address} cannot be assigned: without interrupt remapping its guest could send any interrupt to the host (the kernel parameter vfio_iommu_type1.allow_unsafe_interrupts=1 accepts that)`,
      { function: fn.address, errno: 'EPERM' },
    )
  }
  checkGroup(fn, owner, state)
  checkReservedMemory(fn, state, iommu, reservedMemoryErrno)
  return state
}

/** What is wrong with the function itself. */
function checkFunction(fn: HostPciFunction): void {
  if (fn.owner.kind === 'vm') {
    throw new NorthbridgeError(
      'functionInUse',
      `${fn.address} is assigned to virtual machine "${fn.owner.name}"`,
      { function: fn.address, owner: fn.owner, errno: 'EBUSY' },
    )
  }
  const refuse = (reason: string, errno: string): never => {
    throw new NorthbridgeError('functionNotAssignable', `${fn.address} cannot be assigned: ${reason}`, {
      function: fn.address,
      errno,
    })
  }
  if (fn.bridge) refuse('it is a bridge (header type 1)', 'EINVAL')
  if (fn.kind === 'hostBridge') refuse('it is a host bridge', 'EINVAL')
  const vfs = fn.virtuals.length
  // vfio-pci does not bind to such a function; one that it has already may have been given VFs.
  if (vfs > 0 && fn.driver !== VFIO_DRIVER)
    refuse(`it is a physical function with ${vfs} virtual functions enabled`, 'EBUSY')
  if (VFIO_DENY_LIST.some(([vendor, device]) => vendor === fn.vendorId && device === fn.deviceId)) {
    refuse('vfio-pci refuses this device, which does not isolate its users', 'EINVAL')
  }
}

/** A member of a group that user space must not have beside it. */
interface Mate {
  readonly function: string
  readonly owner: Owner
  /** What joins the two in one group. */
  readonly lackedBy?: string | undefined
  readonly missing?: readonly string[] | undefined
  readonly why: string
}

/** DMA ownership: no other member's driver may use DMA through the kernel, no other machine may own the group. */
function checkGroup(fn: HostPciFunction, owner: string, state: GroupState): void {
  const { group } = state
  const mates = group.members
    .filter(member => member !== fn && isInTheWay(member, owner))
    .map((member): Mate => {
      const joint = jointOf(fn, member, group.why)
      return {
        function: member.address,
        owner: member.owner,
        lackedBy: joint?.lackedBy,
        missing: joint?.missing,
        why: joint?.text ?? 'they are in one group',
      }
    })
  const [first] = mates
  if (first !== undefined) {
    const held =
      first.owner.kind === 'vm'
        ? `is assigned to virtual machine "${first.owner.name}"`
        : `belongs to host driver ${(first.owner as { name: string }).name}`
    const more = mates.length > 1 ? ` (and ${mates.length - 1} more)` : ''
    throw new NorthbridgeError(
      'groupNotViable',
      `${fn.address} cannot be assigned: ${first.function} in the same IOMMU group ${group.id} ${held}${more}; ${first.why}`,
      { function: fn.address, group: group.id, mates, errno: 'EPERM' },
    )
  }
  if (state.user !== undefined && state.user !== owner) {
    throw new NorthbridgeError(
      'groupNotViable',
      `${fn.address} cannot be assigned: virtual machine "${state.user}" owns IOMMU group ${group.id}`,
      { function: fn.address, group: group.id, mates: [], errno: 'EBUSY' },
    )
  }
}

function isInTheWay(member: HostPciFunction, owner: string): boolean {
  if (member.owner.kind === 'vm') return member.owner.name !== owner
  return usesKernelDma(member.driver)
}

/** The reason why the two share a group: that of whichever did not found it, the function's own first. */
function jointOf(
  fn: HostPciFunction,
  mate: HostPciFunction,
  why: readonly GroupReason[],
): GroupReason | undefined {
  const reasons = [fn, mate].map(({ address }) => why.find(reason => reason.function === address))
  return (
    reasons.find(reason => reason?.missing !== undefined) ??
    reasons.find(reason => reason?.rule !== 'founder')
  )
}

/** "RMRR": firmware or device needs memory that a guest's domain would not map. */
function checkReservedMemory(
  fn: HostPciFunction,
  { group }: GroupState,
  iommu: Iommu,
  errno: ReservedMemoryErrno,
): void {
  for (const member of group.members) {
    if (isReservedMemoryRelaxable(member.classCode)) continue
    if (iommu.reservedMemory(member).length === 0) continue
    throw new NorthbridgeError(
      'functionNotAssignable',
      `${fn.address} cannot be assigned: firmware reserves memory (RMRR) that ${member.address} must always reach`,
      { function: fn.address, reservedBy: member.address, errno },
    )
  }
}
