/**
 * Frames per second of one process under each of the five I/O models: from the wire into a guest that counts them, and
 * from a guest to the wire, eight frames to a doorbell. Then what more virtual machines cost, and what is allocated: by a
 * frame, and by an interrupt and the exits that come with it.
 */
import { VirtualSwitch } from '../src/hypervisor/net/virtual-switch.ts'
import { Frame } from '../src/net/index.ts'
import { heapOf } from './heap.ts'
import { type Contestant, measure, report } from './measure.ts'
import { MODELS, NetworkBench } from './network/models.ts'

const FRAMES = 256
/** Interrupts before the heap is looked at. */
const WARM_UP = 3000

const machines = MODELS.map(model => new NetworkBench(model))
const contestants: readonly Contestant[] = machines.flatMap(machine => [
  { name: `${machine.model}: wire to guest`, count: FRAMES, run: count => machine.receive(count) },
  { name: `${machine.model}: guest to wire`, count: FRAMES, run: count => machine.send(count) },
])
report(measure(contestants, 5))

console.log('\nmore virtual machines, a frame for each in turn')
const crowds = MODELS.flatMap(model =>
  (model === 'direct' ? [1, 2] : [1, 3, 6]).map(guests => {
    const machine = new NetworkBench(model, guests)
    const run = (count: number): void => machine.receive(count)
    return { model, guests, name: `${model}: guests ${guests}`, count: FRAMES, run }
  }),
)
const times = measure(crowds, 5)
report(times)
for (const model of MODELS) {
  const ofModel = crowds.filter(one => one.model === model)
  const [alone, most] = [ofModel[0]!, ofModel.at(-1)!]
  const added = (times.get(most.name)! - times.get(alone.name)!) / (most.guests - alone.guests)
  console.log(`${model}: ${(added / 1000).toFixed(2)} µs more for a frame by each virtual machine added`)
}

console.log('\nbytes allocated')
for (const machine of machines) {
  machine.warmUp(WARM_UP)
  const { frame, interrupt } = machine.heap()
  console.log(
    `${machine.model}: ${frame.toFixed(0)} by a frame, ${(interrupt / 1024).toFixed(1)} KiB by an interrupt of its guest`,
  )
}

// The switch alone, and what it allocates.
const network = new VirtualSwitch({ name: 'vs0', clock: { now: 0 } })
const client = { deliver: () => undefined }
const ports = [1, 2, 3].map(n => network.addPort({ name: `p${n}`, kind: 'vm' }, client))
const frames = [1, 2].map(n => {
  const bytes = new Uint8Array(60)
  bytes.set([2, 0, 0, 0, 0, 3 - n])
  bytes.set([2, 0, 0, 0, 0, n], 6)
  return Frame.of(bytes)
})
const pass = (count: number): void => {
  for (let i = 0; i < count; i++) network.receive(ports[i & 1]!, frames[i & 1]!)
}
report(measure([{ name: 'virtual switch: known address', count: 200_000, run: pass }], 5))
console.log(`bytes allocated by a frame in the switch: ${heapOf(pass, 100_000).allocated.toFixed(2)}`)
