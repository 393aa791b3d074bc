/** What changes between kernel versions, as a choice of data: never an `if` in the middle. */
import type { KernelVersion } from './types.ts'

export interface KernelRules {
  /**
   * What `pci=disable_acs_redir` leaves enabled at a port: everything but redirection and egress control, or nothing,
   * as recorded from real kernels.
   */
  readonly disableAcsRedirLeaves: 'others' | 'nothing'
}

/**
 * Grouping itself follows one algorithm in both: the partitions recorded under 6.1 and 7.2 are the same for every
 * machine that was booted with both.
 */
export const KERNEL_RULES: Readonly<Record<KernelVersion, KernelRules>> = {
  '6.1': { disableAcsRedirLeaves: 'others' },
  '7.2': { disableAcsRedirLeaves: 'nothing' },
}
