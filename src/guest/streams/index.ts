export { guestImage } from './image.ts'
export { AT, GUEST_PAGES, KERNEL_STACK_TOP, SELECTOR } from './layout.ts'
export { Player, type Step } from './player.ts'
export { runSelfCheck, SELF_CHECKS, type SelfCheckResult, selfChecksFor } from './self-checks.ts'
export { streamOf } from './stream.ts'
export {
  parseWorkload,
  type Workload,
  type WorkloadDocument,
  workloadJsonSchema,
} from './workload.ts'
