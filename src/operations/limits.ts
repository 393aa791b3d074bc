/** How much one user of an installation may take of it. */

export interface Limits {
  readonly topologies: number
  readonly platforms: number
  /** Of all platforms together, virtual ones too. */
  readonly functions: number
  /** Virtual machines of all platforms together. */
  readonly vms: number
  /** RAM of all platforms that has been written to, and so takes memory of this process. */
  readonly memoryMiB: number
  readonly experiments: number
  readonly runningExperiments: number
}

export type LimitName = keyof Limits

export const DEFAULT_LIMITS: Limits = {
  topologies: 10_000,
  platforms: 1_000,
  functions: 250_000,
  vms: 10_000,
  memoryMiB: 8_192,
  experiments: 200,
  runningExperiments: 50,
}

export const NO_LIMITS: Limits = {
  topologies: Number.POSITIVE_INFINITY,
  platforms: Number.POSITIVE_INFINITY,
  functions: Number.POSITIVE_INFINITY,
  vms: Number.POSITIVE_INFINITY,
  memoryMiB: Number.POSITIVE_INFINITY,
  experiments: Number.POSITIVE_INFINITY,
  runningExperiments: Number.POSITIVE_INFINITY,
}
