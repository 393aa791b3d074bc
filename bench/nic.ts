/**
 * Prices of frames in the network controllers: nanoseconds from the wire into a buffer, from a buffer to the wire, and from
 * one pool to another, and the same with frames for many pools in turn; then bytes allocated per frame.
 */
import { measure, report } from './measure.ts'
import { allWays, heapPerFrame } from './nic/ways.ts'

const ways = allWays()
report(measure(ways))
for (const [name, bytes] of heapPerFrame(ways, 20_000)) {
  console.log(`${name}: ${bytes.toFixed(2)} bytes allocated per frame`)
}
