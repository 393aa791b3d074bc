/** Random virtual machines on random network devices, who may hear whom among them, and frames of every kind. */
import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { drive, type Software, within } from '../../src/engine/index.ts'
import { GuestKernel, isNetworkDriver, type NetworkDriver } from '../../src/guest/index.ts'
import type { InputOf, OperationId } from '../../src/operations/index.ts'
import { execute, installation } from '../../src/operations/index.ts'
import type { SimulatedPlatform } from '../../src/system/index.ts'
import { ControllerBook } from './controller-book.ts'

export const PORTS = ['0000:01:00.0', '0000:01:00.1'] as const
const P = { platform: 'p' } as const
export const STRANGER = '02:00:00:00:00:77'
const BROADCAST = 'ff:ff:ff:ff:ff:ff'
const GROUP = '01:00:5e:00:00:05'
const NATIVE = 1
const FIRST_WIRE = -1
const VLANS = [undefined, undefined, 10, 20] as const

export interface Machine {
  readonly model: 'emulated' | 'paravirtual' | 'vmdq' | 'sriov'
  readonly vlan: number | undefined
  readonly ringEntries: number
  readonly spoofCheck: boolean
}

export interface World {
  readonly machines: readonly Machine[]
  /** Whether one more machine has the whole second adapter; else it is the second uplink of the switch. */
  readonly direct: boolean
}

export interface Happening {
  /** Number of a machine; -1: the wire of the first port; any other: that of the second. */
  readonly from: number
  /** Number of a machine, or nobody in particular. */
  readonly to: number | 'stranger' | 'broadcast' | 'group'
  readonly forged: boolean
  readonly vlan: number | undefined
  /** Instead: from a wire with the tag that the receiver expects, from a machine without. */
  readonly fitting: boolean
  readonly length: number
  /** So many frames at once, before anybody can look. */
  readonly burst: number
}

export const world: fc.Arbitrary<World> = fc.record({
  machines: fc.array(
    fc.record({
      model: fc.constantFrom('emulated', 'paravirtual', 'vmdq', 'sriov'),
      vlan: fc.constantFrom(...VLANS),
      ringEntries: fc.constantFrom(8, 16, 64),
      spoofCheck: fc.boolean(),
    }),
    { minLength: 2, maxLength: 4 },
  ),
  direct: fc.boolean(),
})

export const happening: fc.Arbitrary<Happening> = fc.record({
  from: fc.constantFrom(-1, -1, -1, -2, 0, 1, 2, 3),
  to: fc.oneof(
    { weight: 5, arbitrary: fc.nat(4) },
    { weight: 2, arbitrary: fc.constantFrom('stranger', 'broadcast', 'group') },
  ),
  forged: fc.constantFrom(false, false, false, false, true),
  vlan: fc.constantFrom(...VLANS),
  fitting: fc.constantFrom(true, true, true, false),
  length: fc.constantFrom(60, 61, 400, 1514, 14, 1515, 9000),
  burst: fc.constantFrom(1, 1, 1, 1, 3, 80),
})

interface Device {
  readonly vm: string
  readonly slot: number
  readonly mac: string
  readonly model: Machine['model'] | 'direct'
  readonly vlan: number | undefined
  readonly spoofCheck: boolean
  /** Addresses that it has pretended to have, where nobody checks: a learning switch believes it. */
  readonly claimed: Set<string>
}

export class NetworkWorld {
  readonly platform: SimulatedPlatform
  readonly devices: Device[] = []
  readonly books: readonly ControllerBook[]
  readonly direct: boolean
  readonly #context = installation()
  /** Addresses that somebody has pretended to have: a learning switch looks for them there. */
  readonly #stolen = new Set<string>()
  /** Frames that came out of each port, as who is outside hears them. */
  readonly heard = [0, 0]

  constructor({ machines, direct }: World) {
    this.direct = direct
    this.call('createPlatform', { topology: 'one-socket-82576', name: 'p' })
    this.platform = this.#context.platforms.get('p').running
    const functions = machines.filter(({ model }) => model === 'sriov').length
    if (functions > 0) this.call('setNumVfs', { ...P, function: PORTS[0], numVfs: functions })
    const uplinks = direct ? [PORTS[0]] : [...PORTS]
    this.call('createSwitch', { ...P, name: 'vs0', uplinks })
    let vf = 0
    for (const [i, machine] of machines.entries())
      this.#add(i, machine, machine.model === 'sriov' ? vf++ : -1)
    if (direct) {
      const { mac, slot } = this.#device(machines.length, { model: 'direct', function: PORTS[1] }, 16)
      this.devices.push({ ...UNCHECKED, vm: `vm${machines.length}`, slot, mac, claimed: new Set() })
    }
    for (const [i, address] of PORTS.entries()) {
      const { partner } = this.platform.hardware.network.portOf(this.platform.functionAt(address))
      partner.listener = () => void this.heard[i]!++
    }
    this.books = this.platform.hardware.network.ports.map(port => new ControllerBook(port))
  }

  #add(i: number, machine: Machine, vf: number): void {
    const { model, vlan, ringEntries, spoofCheck } = machine
    const fn = vf >= 0 ? this.platform.host.find(PORTS[0]).virtualFunctions[vf]! : PORTS[0]
    const where = model === 'emulated' || model === 'paravirtual' ? { switch: 'vs0' } : { function: fn }
    const { mac, slot } = this.#device(i, { model, ...where, ...(vlan && { vlan }) }, ringEntries)
    this.devices.push({ vm: `vm${i}`, slot, mac, model, vlan, spoofCheck, claimed: new Set() })
    if (vf >= 0) this.call('setVf', { ...P, function: PORTS[0], vf, spoofCheck })
  }

  #device(
    i: number,
    given: Pick<InputOf<'addNetworkDevice'>, 'model' | 'vlan' | 'switch' | 'function'>,
    ringEntries: number,
  ) {
    const vm = `vm${i}`
    this.call('createVm', { ...P, name: vm, vcpus: 1, memoryMiB: 2 })
    return this.call('addNetworkDevice', { ...P, vm, mac: `02:00:00:00:00:a${i}`, ringEntries, ...given })
  }

  call<Id extends OperationId>(id: Id, input: InputOf<Id>) {
    return drive(execute(this.#context, id, input), () => false)
  }

  run<Result>(software: Software<Result>): Result {
    return drive(within(this.platform.engine, software), () => false)
  }

  driver({ vm, slot }: Device): NetworkDriver {
    return this.platform.hypervisor.lookAtGuest(vm, 0, kernel => {
      const driver = kernel instanceof GuestKernel ? kernel.driver(slot) : undefined
      assert.ok(isNetworkDriver(driver))
      return driver
    })
  }

  /** Sends what is to be sent; returns how often each device received it. */
  happens(one: Happening): readonly number[] {
    for (const device of this.devices) this.driver(device).takeFrames()
    const frame = this.#frame(one)
    if (one.forged) this.#stolen.add(this.source(one))
    const sender = this.devices[one.from]
    if (sender !== undefined) {
      if (one.forged && isSwitched(sender)) sender.claimed.add(this.source(one))
      for (let i = 0; i < one.burst; i++) {
        this.run(this.platform.hypervisor.runGuest(sender.vm, 0, () => this.driver(sender).send(frame)))
      }
    } else {
      const fn = this.platform.functionAt(PORTS[one.from === FIRST_WIRE ? 0 : 1])
      const port = this.platform.wires.port(fn)
      for (let i = 0; i < one.burst; i++) this.platform.wires.send(port, frame)
      this.run(this.platform.hypervisor.settle())
    }
    return this.devices.map(device => this.driver(device).takeFrames().length)
  }

  /** Who a frame says it is from. */
  source({ from, forged }: Happening): string {
    const sender = this.devices[from]
    if (!forged) return sender?.mac ?? STRANGER
    return this.devices[(from + 3) % this.devices.length]!.mac
  }

  destination({ to }: Happening): string {
    if (to === 'stranger') return STRANGER
    if (to === 'broadcast') return BROADCAST
    if (to === 'group') return GROUP
    return this.devices[to % this.devices.length]!.mac
  }

  #frame(one: Happening): Uint8Array {
    const bytes = new Uint8Array(one.length).map((_, i) => i)
    const { mac } = { mac: (text: string) => text.split(':').map(part => Number.parseInt(part, 16)) }
    bytes.set(mac(this.destination(one)))
    bytes.set(mac(this.source(one)), 6)
    const tag = this.tagOf(one)
    const type =
      tag === undefined || one.length < 18 ? [0x88, 0xb5] : [0x81, 0x00, tag >>> 8, tag & 0xff, 0x88, 0xb5]
    bytes.set(type.slice(0, one.length - 12), 12)
    return bytes
  }

  /** Only who has no port VLAN chooses tags: from a port of one VLAN a frame with a tag goes nowhere. */
  tagOf({ from, to, vlan, fitting, length }: Happening): number | undefined {
    if (length < 18) return undefined
    if (!fitting) return vlan
    const receiver = typeof to === 'number' ? this.devices[to % this.devices.length] : undefined
    return this.devices[from] === undefined ? receiver?.vlan : undefined
  }

  /** The VLAN of a frame on a wire; undefined: it goes nowhere. */
  wireVlan(one: Happening): number | undefined {
    const sender = this.devices[one.from]
    const tag = this.tagOf(one)
    if (sender === undefined || sender.model === 'direct') return tag ?? NATIVE
    const switched = sender.model === 'emulated' || sender.model === 'paravirtual'
    if (switched) return tag === undefined ? (sender.vlan ?? NATIVE) : undefined
    return sender.vlan ?? tag ?? NATIVE
  }

  /** Whether rules of address, VLAN, pool and source allow a device to receive a frame. */
  mayHear(device: Device, one: Happening): boolean {
    const sender = this.devices[one.from]
    if (sender === device) return false
    if (sender?.model === 'sriov' && sender.spoofCheck && this.source(one) !== sender.mac) return false
    // The second adapter of the machine is a world of its own, unless it is an uplink of the switch.
    const inside = device.model === 'direct'
    const second = sender === undefined ? one.from !== FIRST_WIRE : sender.model === 'direct'
    if (this.direct && inside !== second) return false
    const to = this.destination(one)
    const group = (Number.parseInt(to.slice(0, 2), 16) & 1) === 1
    if (!group && to !== device.mac && !device.claimed.has(to)) return false
    return device.model === 'direct' || this.wireVlan(one) === (device.vlan ?? NATIVE)
  }

  /** Whether nothing stands in the way: then it has to arrive. */
  mustHear(device: Device, one: Happening): boolean {
    const sender = this.devices[one.from]
    if (!this.mayHear(device, one) || one.burst > 1 || one.length < 60 || one.length > 1514) return false
    if (one.forged || this.#stolen.has(device.mac)) return false
    if (this.destination(one) !== device.mac) return false
    if (sender === undefined) {
      // A device without VLAN expects no tag, and a switch hears its first uplink alone.
      const plain = device.vlan !== undefined || this.tagOf(one) === undefined
      return plain && (one.from === FIRST_WIRE) === (device.model !== 'direct')
    }
    return isSwitched(sender) && isSwitched(device)
  }
}

const UNCHECKED = { model: 'direct', vlan: undefined, spoofCheck: false } as const

const isSwitched = ({ model }: Device): boolean => model === 'emulated' || model === 'paravirtual'
