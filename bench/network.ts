/**
 * Frames per second of one process under each of the five I/O models: from the wire into a guest that counts them, and
 * from a guest to the wire, eight frames to a doorbell. Then what more virtual machines cost, and what is allocated: by a
 * frame, and by an interrupt and the exits that come with it.
 */
import { Engine, type Software } from '../src/engine/index.ts'
import { GuestKernel, isNetworkDriver, type NetworkDriver } from '../src/guest/index.ts'
import { VirtualSwitch } from '../src/hypervisor/net/virtual-switch.ts'
import { createNorthbridge, type InputOf } from '../src/index.ts'
import { Frame } from '../src/net/index.ts'
import { parseTopology } from '../src/platform/index.ts'
import { SimulatedPlatform } from '../src/system/index.ts'
import { heapOf } from './heap.ts'
import { type Contestant, measure, report } from './measure.ts'

type Model = InputOf<'addNetworkDevice'>['model']
const MODELS: readonly Model[] = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct']
const PF = '0000:01:00.0'
const BURST = 8
const FRAMES = 256
const OUTSIDE = [2, 0, 0, 0, 0, 9]
/** Frames to an interrupt: the difference between the two is what a frame costs. */
const FEW = 4
const MANY = 28
const WARM_UP = 20_000

const document = createNorthbridge().topology({ name: 'one-socket-82576' })

function frameFor(driver: NetworkDriver): Frame {
  const bytes = new Uint8Array(60)
  bytes.set(driver.mac)
  bytes.set(OUTSIDE, 6)
  bytes.set([0x88, 0xb5], 12)
  return Frame.of(bytes)
}

/** A machine whose guests have one device each, their drivers counting frames instead of keeping them. */
function machine(model: Model, guests = 1) {
  const engine = new Engine()
  const platform = engine.run(SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }))
  const run = <Result>(software: Software<Result>): Result => platform.engine.run(software)
  const { hypervisor, networking, host } = platform
  if (model === 'sriov') run(host.setNumVfs(PF, guests))
  const switched = model === 'emulated' || model === 'paravirtual'
  if (switched) run(networking.createSwitch({ name: 'vs0', uplinks: [PF] }))
  const inGuest = <Result>(vm: string, code: (kernel: GuestKernel) => Software<Result>): Result =>
    run(
      hypervisor.runGuest(vm, 0, software => {
        if (!(software instanceof GuestKernel)) throw new Error('a guest runs its kernel')
        return code(software)
      }),
    ).result
  const drivers = Array.from({ length: guests }, (_, i) => {
    const vm = `vm${i}`
    run(hypervisor.createVm({ name: vm, vcpus: 1, memoryMiB: 4 }))
    const fn = model === 'sriov' ? host.find(PF).virtualFunctions[i]! : PF
    const where = switched ? { switch: 'vs0' } : { function: fn }
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 0xa0 + i)
    const { slot } = run(networking.addDevice({ vm, model, mac, ...where }))
    const driver = inGuest(vm, kernel => kernel.open(slot, { mac }))
    if (!isNetworkDriver(driver)) throw new Error('the device has no network driver')
    driver.keepsFrames = false
    return driver
  })
  platform.engine.trace.enabled = false
  const frames = drivers.map(frameFor)
  const { partner } = platform.hardware.network.portOf(platform.functionAt(PF))
  const outward = frames[0]!.toBytes()
  outward.set(OUTSIDE)
  outward.set(drivers[0]!.mac, 6)
  for (let i = 0; i < BURST; i++) inGuest('vm0', () => drivers[0]!.send(outward))
  return {
    receive(count: number) {
      for (let i = 0; i < count; i++) {
        partner.send(frames[i % guests]!)
        run(hypervisor.settle())
      }
    },
    /** As many frames as are given before anybody takes them. */
    receiveAtOnce(count: number, burst: number) {
      for (let done = 0; done < count; done += burst) {
        for (let i = 0; i < burst; i++) partner.send(frames[0]!)
        run(hypervisor.settle())
      }
    },
    send(count: number) {
      for (let sent = 0; sent < count; sent += BURST) inGuest('vm0', () => drivers[0]!.resend(BURST))
    },
  }
}

const machines = MODELS.map(model => ({ model, ...machine(model) }))
const contestants: readonly Contestant[] = machines.flatMap(({ model, receive, send }) => [
  { name: `${model}: wire to guest`, count: FRAMES, run: receive },
  { name: `${model}: guest to wire`, count: FRAMES, run: send },
])
report(measure(contestants, 5))

console.log('\nmore virtual machines, a frame for each in turn')
const crowds = (['paravirtual', 'vmdq', 'sriov'] as const).flatMap(model =>
  [1, 3, 6].map(guests => ({
    name: `${model}: ${guests} guests`,
    count: FRAMES,
    run: machine(model, guests).receive,
  })),
)
report(measure(crowds, 5))

console.log('\nbytes allocated')
for (const { model, receiveAtOnce } of machines) {
  // Code that is not compiled yet puts numbers on the heap.
  receiveAtOnce(WARM_UP, MANY)
  const [few, many] = [FEW, MANY].map(
    burst => heapOf(count => receiveAtOnce(count * burst, burst), 20).allocated,
  )
  const frame = (many! - few!) / (MANY - FEW)
  console.log(
    `${model}: ${frame.toFixed(0)} by a frame, ${((few! - frame * FEW) / 1024).toFixed(1)} KiB by an interrupt of its guest`,
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
