/** How devices come to virtual machines and leave them: functions of the host, and devices of the hypervisor's making. */
import { devfn, NorthbridgeError, PAGE_SIZE } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { AssignedFunction } from '../host/index.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import { EmulatedFunction } from './emulated-function.ts'
import type { MachineContext } from './machine-state.ts'
import { adoptFunction, type FunctionImage } from './moves/function-image.ts'
import type { AttachedDevice } from './types.ts'
import { VirtualFunction } from './virtual-function.ts'
import type { Machine } from './virtual-machine.ts'

/** What is told of a device that has left a slot of its virtual machine, by whatever way. */
export type RemovalListener = (vm: string, slot: number) => Software

/** What it needs of its hypervisor. */
export interface PluggingHost {
  readonly context: MachineContext
  settle(): Software
}

export interface DeviceOptions {
  /** The VF token. */
  readonly token?: string | undefined
  /** Whether a function that cannot be reset is refused. Default false. */
  readonly resetRequired?: boolean | undefined
  /** Of its requests in the guest, where that is not its place on the virtual bus. */
  readonly requesterId?: number | undefined
}

export class DevicePlugging {
  readonly #host: PluggingHost
  readonly #listeners: RemovalListener[] = []

  constructor(host: PluggingHost) {
    this.#host = host
  }

  onRemoval(listener: RemovalListener): void {
    this.#listeners.push(listener)
  }

  *#left(machine: Machine, slot: number): Software {
    for (const listener of this.#listeners) yield* listener(machine.name, slot)
  }

  *attach(machine: Machine, address: string, options: DeviceOptions = {}): Software<AttachedDevice> {
    const device = yield* this.#take(machine, freeSlot(machine), address, options)
    machine.bus.insert(device.slot, device)
    yield* this.#host.settle()
    return device.view()
  }

  /** A function takes the place of the one that a machine had on the host that it comes from; its guest is told nothing. */
  *adopt(machine: Machine, image: FunctionImage, address: string): Software {
    const device = yield* this.#take(machine, image.slot, address, {})
    machine.bus.restore(image.slot, device)
    yield* adoptFunction(device, image)
  }

  *#take(
    machine: Machine,
    slot: number,
    address: string,
    { token, resetRequired, requesterId }: DeviceOptions,
  ): Software<VirtualFunction> {
    const { host, machine: port } = this.#host.context
    const { name } = machine
    // Behind a unit of the guest's each function has an address space of its own.
    const container = machine.unit === undefined ? name : address
    const assigned = yield* host.vfio.attach(address, name, { container, token, resetRequired })
    try {
      machine.space.hold(address)
      if (machine.unit === undefined) yield* mapMemory(machine, assigned)
      else yield* machine.unit.attach(assigned, requesterId ?? devfn(slot, 0))
    } catch (error) {
      machine.space.letGo(address)
      yield* assigned.release()
      throw error
    }
    const around = machine.unit?.hostOf(assigned, machine) ?? machine
    const device = new VirtualFunction(assigned, slot, port, around)
    const { guestAddress } = device
    this.#tell(`${name}: ${assigned.function.address} appears as ${guestAddress}`, {
      vm: name,
      function: assigned.function.address,
      guestAddress,
    })
    return device
  }

  *detach(machine: Machine, address: string): Software {
    const device = deviceOf(machine, address)
    machine.bus.requestRemoval(device.slot)
    yield* this.#host.settle()
    if (machine.assigned.includes(device)) {
      yield* this.takeBack(machine, device)
      yield* this.#host.settle()
    }
  }

  /** The guest has ejected a slot: its function leaves. */
  *clear(machine: Machine, slot: number): Software {
    const device = machine.bus.devices.find(one => one.slot === slot)
    if (device instanceof VirtualFunction) yield* this.takeBack(machine, device)
    else if (device instanceof EmulatedFunction) yield* this.#withdraw(machine, device)
  }

  /** Takes a function back, whether the guest has let go of it or not. */
  *takeBack(machine: Machine, device: VirtualFunction): Software {
    const { name } = machine
    const { address } = device.assigned.function
    const { guestAddress, slot } = device
    const ejected = machine.bus.remove(slot)
    this.#tell(`${name}: ${address} leaves ${guestAddress}${ejected ? '' : ', not ejected by the guest'}`, {
      vm: name,
      function: address,
      guestAddress,
      ejected,
    })
    yield* device.unplug()
    machine.unit?.detach(device.assigned)
    yield* device.assigned.release()
    machine.space.letGo(address)
    yield* this.#left(machine, slot)
  }

  *plug(machine: Machine, device: EmulatedDevice): Software<number> {
    const { name } = machine
    const slot = freeSlot(machine)
    const fn = new EmulatedFunction(device, slot, machine)
    const { guestAddress } = fn
    this.#tell(`${name}: an emulated ${device.kind} appears as ${guestAddress}`, {
      vm: name,
      device: device.kind,
      guestAddress,
    })
    machine.bus.insert(slot, fn)
    yield* this.#host.settle()
    return slot
  }

  *unplug(machine: Machine, slot: number): Software {
    const { name } = machine
    const fn = machine.emulated.find(device => device.slot === slot)
    if (fn === undefined)
      throw new NorthbridgeError('notFound', `${name} has no emulated device in slot ${slot}`)
    machine.bus.requestRemoval(slot)
    yield* this.#host.settle()
    if (machine.emulated.includes(fn)) {
      yield* this.#withdraw(machine, fn)
      yield* this.#host.settle()
    }
  }

  *#withdraw(machine: Machine, fn: EmulatedFunction): Software {
    const { name } = machine
    const { guestAddress, device, slot } = fn
    const ejected = machine.bus.remove(slot)
    this.#tell(
      `${name}: the emulated ${device.kind} leaves ${guestAddress}${ejected ? '' : ', not ejected by the guest'}`,
      { vm: name, device: device.kind, guestAddress, ejected },
    )
    yield* fn.unplug()
    yield* this.#left(machine, slot)
  }

  /** Takes everything out of a machine that ends: its guest is not asked. */
  *removeAll(machine: Machine): Software {
    for (const device of machine.assigned) yield* this.takeBack(machine, device)
    for (const device of machine.emulated) {
      yield* device.unplug()
      yield* this.#left(machine, device.slot)
    }
  }

  #tell(what: string, detail: Parameters<MachineContext['engine']['trace']['emit']>[2]): void {
    this.#host.context.engine.trace.emit('vm', what, detail)
  }
}

function freeSlot(machine: Machine): number {
  const slot = machine.bus.freeSlot
  if (slot < 0) throw new NorthbridgeError('outOfResources', `${machine.name} has no free slot`)
  return slot
}

/** The function that a machine has. Throws `notFound`. */
export function deviceOf(machine: Machine, address: string): VirtualFunction {
  const device = machine.assigned.find(({ assigned }) => assigned.function.address === address)
  if (device !== undefined) return device
  throw new NorthbridgeError('notFound', `${address} is not attached to ${machine.name}`)
}

/** Lets a function reach the machine's memory where the guest finds it, and nothing else. */
function* mapMemory(machine: Machine, assigned: AssignedFunction): Software {
  for (const { guestPage, hostPage, pages } of machine.memory.runs) {
    yield* assigned.map(guestPage * PAGE_SIZE, hostPage, pages, { read: true, write: true })
  }
}
