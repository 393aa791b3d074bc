/** What changes between kernel versions, as a choice of data: never an `if` in the middle. */
import { BUS_RULES } from './grouping/bus-rules.ts'
import type { GroupingRules } from './grouping/groups.ts'
import { PATH_RULES } from './grouping/path-rules.ts'
import type { PortServiceRules } from './pci/port-services.ts'
import type { KernelVersion } from './types.ts'
import type { ReservedMemoryErrno } from './vfio/rules.ts'

export interface KernelRules {
  /** How groups are made. The partitions recorded under 6.1 and 7.2 are the same for every machine booted with both. */
  readonly grouping: GroupingRules
  /**
   * What `pci=` says of access control: `clear` redirection bits of what the kernel chose, or `set` bits over what
   * firmware left, dropping what the kernel chose (6.11 and later; then there is `pci=config_acs` too).
   */
  readonly accessControlParameters: 'clear' | 'set'
  /** Since 6.2 the error service is for root ports and event collectors alone. */
  readonly portServices: PortServiceRules
  /** What taking a device with a required identity mapping ends with; the core's own rule is of 6.6. */
  readonly reservedMemoryErrno: ReservedMemoryErrno
}

const LINUX_7_2: KernelRules = {
  grouping: PATH_RULES,
  accessControlParameters: 'set',
  portServices: { errorServiceOnSwitches: false },
  reservedMemoryErrno: 'EINVAL',
}

export const KERNEL_RULES: Readonly<Record<KernelVersion, KernelRules>> = {
  '6.1': {
    grouping: PATH_RULES,
    accessControlParameters: 'clear',
    portServices: { errorServiceOnSwitches: true },
    reservedMemoryErrno: 'EPERM',
  },
  '7.2': LINUX_7_2,
  '7.2+bus-isolation': { ...LINUX_7_2, grouping: BUS_RULES },
}
