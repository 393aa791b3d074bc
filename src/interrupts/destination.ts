/** "Determining IPI Destination": whether a message names a local APIC. */
import type { InterruptMessage } from './message.ts'

export const BROADCAST_8 = 0xff
export const BROADCAST_32 = 0xffff_ffff

/** The 8-bit destination 0xFF of a message in xAPIC format reaches every local APIC, in x2APIC mode too. */
export const isBroadcast = ({ destination, extended }: InterruptMessage): boolean =>
  destination === (extended ? BROADCAST_32 : BROADCAST_8)

/** Logical destination in xAPIC mode: flat if DFR bits 31:28 are 1, else by cluster, of which 15 means all. */
export function matchesLogical(destination: number, ldr: number, dfr: number): boolean {
  const own = ldr >>> 24
  if (dfr >>> 28 === 0xf) return (destination & own) !== 0
  const cluster = (destination >>> 4) & 0xf
  return (cluster === 0xf || cluster === own >>> 4) && (destination & own & 0xf) !== 0
}

/** Logical destination in x2APIC mode: the same cluster (31:16) and a common bit (15:0). */
export const matchesCluster = (destination: number, ldr: number): boolean =>
  destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0

/** Whether a message names a local APIC in the mode given. */
export function names(
  message: InterruptMessage,
  x2apic: boolean,
  apicId: number,
  ldr: number,
  dfr: number,
): boolean {
  if (isBroadcast(message)) return true
  const { destination } = message
  if (!message.logical) return destination === (x2apic ? apicId : apicId & 0xff)
  return x2apic ? matchesCluster(destination, ldr) : matchesLogical(destination, ldr, dfr)
}

/** The logical identifier that x2APIC mode derives. */
export const x2apicLdr = (apicId: number): number => ((apicId >>> 4) << 16) | (1 << (apicId & 0xf))
