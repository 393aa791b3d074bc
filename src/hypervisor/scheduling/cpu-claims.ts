/** What an administrator says of a virtual machine's part of the processors, and what it has had of them. */
import { NorthbridgeError } from '../../core/index.ts'

export interface CpuSettings {
  /** Weight against other machines when processors are short. */
  readonly shares: number
  /** Percent of one processor that it gets whatever happens; 150 are one and a half processors. */
  readonly reservationPercent: number
  /** Percent of one processor that it gets at most. */
  readonly limitPercent: number
  /** How much of the time each of its virtual processors has something to compute. */
  readonly loadPercent: number
}

export const MOST_CPU_SHARES = 1_000_000
/** Of a virtual processor, unless something else is said: a machine's weight is its size. */
const SHARES_PER_VCPU = 1000

export const defaultCpu = (vcpus: number): CpuSettings => ({
  shares: vcpus * SHARES_PER_VCPU,
  reservationPercent: 0,
  limitPercent: vcpus * 100,
  loadPercent: 0,
})

/** Throws `invalidArgument`. */
export function checkCpu(settings: CpuSettings, vcpus: number): void {
  const check = (field: keyof CpuSettings, low: number, high: number): void => {
    const value = settings[field]
    if (Number.isInteger(value) && value >= low && value <= high) return
    const rule = `must be a whole number from ${low} to ${high}`
    throw new NorthbridgeError('invalidArgument', `${field} ${rule}`, {
      issues: [{ path: `/${field}`, message: rule }],
    })
  }
  check('shares', 1, MOST_CPU_SHARES)
  check('limitPercent', 1, vcpus * 100)
  check('reservationPercent', 0, settings.limitPercent)
  check('loadPercent', 0, 100)
}
