/**
 * Prices of frames in the network controllers: nanoseconds from the wire into a buffer, from a buffer to the wire, and from
 * one pool to another, and the same with frames for many pools in turn; then what each queue more costs, and bytes allocated
 * per frame.
 */
import { measure, report } from './measure.ts'
import { allWays, heapPerFrame } from './nic/ways.ts'

const ways = allWays()
const times = measure(ways)
report(times)
for (const many of ways.filter(({ queues }) => queues > 1)) {
  const one = ways.find(way => way.sheet === many.sheet && way.length === many.length && way.queues === 1)!
  const added = (times.get(many.name)! - times.get(one.name)!) / (many.queues - one.queues)
  console.log(`${many.sheet}: ${added.toFixed(1)} ns more for a frame by each queue added`)
}
for (const [name, bytes] of heapPerFrame(ways, 20_000)) {
  console.log(`${name}: ${bytes.toFixed(2)} bytes allocated per frame`)
}
