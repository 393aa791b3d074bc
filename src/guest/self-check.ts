/** Checks that a guest makes of its own machine, through the guest port alone. */
import type { Software } from '../engine/index.ts'
import type { GuestPort } from './guest-port.ts'
import { interruptCountAddress } from './kernel.ts'

/** Writes a pattern that names each address over `length` bytes (both multiples of 8), then reads it all back. */
export function* checkMemory(port: GuestPort, base: number, length: number): Software<number | undefined> {
  const end = base + length
  for (let address = base; address < end; address += 8) {
    yield* port.execute({ op: 'write', address, width: 8, value: pattern(address) })
  }
  for (let address = base; address < end; address += 8) {
    const { low, high } = yield* port.execute({ op: 'read', address, width: 8 })
    const [expectedLow, expectedHigh] = pattern(address)
    if (low !== expectedLow || high !== expectedHigh) return address
  }
  return undefined
}

const pattern = (address: number): readonly [number, number] => [
  address >>> 0,
  ~Math.floor(address / 2 ** 32) >>> 0,
]

/** How often a virtual processor took a vector. */
export function* interruptCount(port: GuestPort, vcpu: number, vector: number): Software<number> {
  const address = interruptCountAddress(vcpu, vector)
  return (yield* port.execute({ op: 'read', address, width: 4 })).low
}
