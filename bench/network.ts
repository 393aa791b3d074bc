/**
 * Frames per second of one process under each of the five I/O models: from the wire into a guest that counts them, and
 * from a guest to the wire, eight frames to a doorbell. Then bytes allocated per frame in the steady state of the switch.
 */

import { Engine, type Software } from '../src/engine/index.ts'
import { GuestKernel, isNetworkDriver, type NetworkDriver } from '../src/guest/index.ts'
import { VirtualSwitch } from '../src/hypervisor/net/virtual-switch.ts'
import { createNorthbridge, type InputOf } from '../src/index.ts'
import { Frame } from '../src/net/index.ts'
import { parseTopology } from '../src/platform/index.ts'
import { SimulatedPlatform } from '../src/system/index.ts'
import { type Contestant, measure, report } from './measure.ts'

type Model = InputOf<'addNetworkDevice'>['model']
const MODELS: readonly Model[] = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct']
const PF = '0000:01:00.0'
const BURST = 8
const FRAMES = 256
const OUTSIDE = [2, 0, 0, 0, 0, 9]

const document = createNorthbridge().topology({ name: 'one-socket-82576' })

/** A machine with one guest and one device, its driver counting frames instead of keeping them. */
function machine(model: Model) {
  const engine = new Engine()
  const platform = engine.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
  const run = <Result>(software: Software<Result>): Result => platform.engine.run(software)
  const { hypervisor, networking, host } = platform
  run(hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 16 }))
  if (model === 'sriov') run(host.setNumVfs(PF, 1))
  const switched = model === 'emulated' || model === 'paravirtual'
  if (switched) run(networking.createSwitch({ name: 'vs0', uplinks: [PF] }))
  const fn = model === 'sriov' ? host.find(PF).virtualFunctions[0]! : PF
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0xa0)
  const where = switched ? { switch: 'vs0' } : { function: fn }
  const { slot } = run(networking.addDevice({ vm: 'a', model, mac, ...where }))
  const inGuest = <Result>(code: (kernel: GuestKernel) => Software<Result>): Result =>
    run(
      hypervisor.runGuest('a', 0, software => {
        if (!(software instanceof GuestKernel)) throw new Error('a guest runs its kernel')
        return code(software)
      }),
    ).result
  const driver = inGuest(kernel => kernel.open(slot)) as NetworkDriver
  if (!isNetworkDriver(driver)) throw new Error('the device has no network driver')
  driver.keepsFrames = false
  platform.engine.trace.enabled = false
  const bytes = new Uint8Array(60)
  bytes.set(driver.mac)
  bytes.set(OUTSIDE, 6)
  bytes.set([0x88, 0xb5], 12)
  const frame = Frame.of(bytes)
  const { partner } = platform.hardware.network.portOf(platform.functionAt(PF))
  const outward = frame.toBytes()
  outward.set(OUTSIDE)
  outward.set(driver.mac, 6)
  for (let i = 0; i < BURST; i++) inGuest(() => driver.send(outward))
  return {
    receive(count: number) {
      for (let i = 0; i < count; i++) {
        partner.send(frame)
        run(hypervisor.settle())
      }
    },
    send(count: number) {
      for (let sent = 0; sent < count; sent += BURST) inGuest(() => driver.resend(BURST))
    },
  }
}

const machines = MODELS.map(model => ({ model, ...machine(model) }))
const contestants: readonly Contestant[] = machines.flatMap(({ model, receive, send }) => [
  { name: `${model}: wire to guest`, count: FRAMES, run: receive },
  { name: `${model}: guest to wire`, count: FRAMES, run: send },
])
report(measure(contestants, 5))

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
const before = process.memoryUsage().heapUsed
pass(200_000)
console.log(
  `bytes allocated per frame in the switch: ${((process.memoryUsage().heapUsed - before) / 200_000).toFixed(2)}`,
)
