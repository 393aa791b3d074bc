/** Machines whose guests have a network device each, of one I/O model, and frames to and from them: what is measured. */
import { Engine, type Software } from '../../src/engine/index.ts'
import { GuestKernel, isNetworkDriver, type NetworkDriver } from '../../src/guest/index.ts'
import { createNorthbridge, type InputOf } from '../../src/index.ts'
import { Frame, type LinkPartner } from '../../src/net/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { heapOf } from '../heap.ts'

export type Model = InputOf<'addNetworkDevice'>['model']
export const MODELS: readonly Model[] = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct']
const PORTS = ['0000:01:00.0', '0000:01:00.1'] as const
const BURST = 8
const OUTSIDE = [2, 0, 0, 0, 0, 9]
/** Frames to an interrupt: the difference between the two is what a frame costs. */
const FEW = 4
const MANY = 28

const document = createNorthbridge().topology({ name: 'one-socket-82576' })

function frameFor(driver: NetworkDriver): Frame {
  const bytes = new Uint8Array(60)
  bytes.set(driver.mac)
  bytes.set(OUTSIDE, 6)
  bytes.set([0x88, 0xb5], 12)
  return Frame.of(bytes)
}

/** A machine whose guests have one device each, their drivers counting frames instead of keeping them. */
export class NetworkBench {
  readonly model: Model
  readonly #platform: SimulatedPlatform
  readonly #drivers: readonly NetworkDriver[]
  readonly #frames: readonly Frame[]

  /** @param guests at most two of the direct model: the card has two ports. */
  constructor(model: Model, guests = 1) {
    this.model = model
    const creation = SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' })
    this.#platform = new Engine().run(creation)
    const { networking, host } = this.#platform
    if (model === 'sriov') this.#run(host.setNumVfs(PORTS[0], guests))
    if (this.#switched) this.#run(networking.createSwitch({ name: 'vs0', uplinks: [PORTS[0]] }))
    this.#drivers = Array.from({ length: guests }, (_, i) => this.#addGuest(i))
    this.#frames = this.#drivers.map(frameFor)
    this.#platform.engine.trace.enabled = false
    const outward = this.#frames[0]!.toBytes()
    outward.set(OUTSIDE)
    outward.set(this.#drivers[0]!.mac, 6)
    for (let i = 0; i < BURST; i++) this.#inGuest('vm0', () => this.#drivers[0]!.send(outward))
  }

  get #switched(): boolean {
    return this.model === 'emulated' || this.model === 'paravirtual'
  }

  #run<Result>(software: Software<Result>): Result {
    return this.#platform.engine.run(software)
  }

  #inGuest<Result>(vm: string, code: (kernel: GuestKernel) => Software<Result>): Result {
    const inKernel = (software: unknown): Software<Result> => {
      if (!(software instanceof GuestKernel)) throw new Error('a guest runs its kernel')
      return code(software)
    }
    return this.#run(this.#platform.hypervisor.runGuest(vm, 0, inKernel)).result
  }

  #addGuest(i: number): NetworkDriver {
    const { hypervisor, networking } = this.#platform
    const vm = `vm${i}`
    this.#run(hypervisor.createVm({ name: vm, vcpus: 1, memoryMiB: 4 }))
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 0xa0 + i)
    const where = this.#switched ? { switch: 'vs0' } : { function: this.#functionOf(i) }
    const { slot } = this.#run(networking.addDevice({ vm, model: this.model, mac, ...where }))
    const driver = this.#inGuest(vm, kernel => kernel.open(slot, { mac }))
    if (!isNetworkDriver(driver)) throw new Error('the device has no network driver')
    driver.keepsFrames = false
    return driver
  }

  #functionOf(i: number): string {
    if (this.model === 'direct') return PORTS[i]!
    return this.model === 'sriov' ? this.#platform.host.find(PORTS[0]).virtualFunctions[i]! : PORTS[0]
  }

  #partnerOf(i: number): LinkPartner {
    const port = this.model === 'direct' ? PORTS[i]! : PORTS[0]
    return this.#platform.hardware.network.portOf(this.#platform.functionAt(port)).partner
  }

  /** Frames that the guests have received. */
  get received(): number {
    return this.#drivers.reduce((sum, { counters }) => sum + counters.received, 0)
  }

  /** A frame for each guest in turn, taken before the next comes. */
  receive(count: number): void {
    const { hypervisor } = this.#platform
    const partners = this.#drivers.map((_, i) => this.#partnerOf(i))
    for (let i = 0; i < count; i++) {
      const guest = i % this.#drivers.length
      partners[guest]!.send(this.#frames[guest]!)
      this.#run(hypervisor.settle())
    }
  }

  /** As many frames as are given, before the first guest takes any. */
  receiveAtOnce(count: number, burst: number): void {
    const partner = this.#partnerOf(0)
    for (let done = 0; done < count; done += burst) {
      for (let i = 0; i < burst; i++) partner.send(this.#frames[0]!)
      this.#run(this.#platform.hypervisor.settle())
    }
  }

  /** Eight frames of the first guest to a doorbell. */
  send(count: number): void {
    for (let sent = 0; sent < count; sent += BURST) {
      this.#inGuest('vm0', () => this.#drivers[0]!.resend(BURST))
    }
  }

  /** Code that is not compiled yet puts numbers on the heap: that of frames, and that of interrupts. */
  warmUp(interrupts: number): void {
    this.receiveAtOnce(interrupts * MANY, MANY)
    this.receiveAtOnce(interrupts * FEW, FEW)
  }

  /** Bytes allocated by a frame, and by an interrupt of its guest with the exits that come with it. */
  heap(): { readonly frame: number; readonly interrupt: number } {
    const few = this.#heapAt(FEW)
    const many = this.#heapAt(MANY)
    const frame = (many - few) / (MANY - FEW)
    return { frame, interrupt: few - frame * FEW }
  }

  #heapAt(burst: number): number {
    return heapOf(count => this.receiveAtOnce(count * burst, burst), 20).allocated
  }
}
