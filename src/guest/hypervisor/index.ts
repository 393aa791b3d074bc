export {
  type GuestExit,
  GuestHypervisor,
  type GuestHypervisorOptions,
  guestHypervisor,
} from './guest-hypervisor.ts'
export type { GuestMapping } from './guest-tables.ts'
export type { PageRange } from './layout.ts'
