/** A virtual machine's claim on host memory. */
import { NorthbridgeError, PAGE_SIZE } from '../../core/index.ts'

/** What an administrator says of the memory of a virtual machine. */
export interface MemorySettings {
  /** Weight against other machines when there is too little memory. */
  readonly shares: number
  /** MiB that it keeps whatever happens. */
  readonly reservationMiB: number
  /** MiB of host memory that it gets at most. */
  readonly limitMiB: number
}

export const PAGES_PER_MIB = 2 ** 20 / PAGE_SIZE
export const MOST_MEMORY_SHARES = 1_000_000
/** Shares of a MiB, unless something else is said: a machine's weight is its size. */
const SHARES_PER_MIB = 10

export const defaultSettings = (memoryMiB: number): MemorySettings => ({
  shares: memoryMiB * SHARES_PER_MIB,
  reservationMiB: 0,
  limitMiB: memoryMiB,
})

/** Throws `invalidArgument`. */
export function checkSettings({ shares, reservationMiB, limitMiB }: MemorySettings, memoryMiB: number): void {
  const refuse = (field: string, rule: string): never => {
    throw new NorthbridgeError('invalidArgument', `${field} must be ${rule}`, {
      issues: [{ path: `/${field}`, message: `must be ${rule}` }],
    })
  }
  if (!Number.isInteger(shares) || shares < 1 || shares > MOST_MEMORY_SHARES) {
    refuse('shares', `a whole number from 1 to ${MOST_MEMORY_SHARES}`)
  }
  if (!Number.isInteger(reservationMiB) || reservationMiB < 0 || reservationMiB > memoryMiB) {
    refuse('reservationMiB', `a whole number from 0 to the ${memoryMiB} MiB of the machine`)
  }
  if (!Number.isInteger(limitMiB) || limitMiB < Math.max(1, reservationMiB) || limitMiB > memoryMiB) {
    refuse('limitMiB', `a whole number from its reservation to the ${memoryMiB} MiB of the machine`)
  }
}
