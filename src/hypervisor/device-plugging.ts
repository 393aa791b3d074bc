/** How devices come to virtual machines and leave them: functions of the host, and devices of the hypervisor's making. */
import { NorthbridgeError, PAGE_SIZE } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { AssignedFunction } from '../host/index.ts'
import type { EmulatedDevice } from './emulated-device.ts'
import { EmulatedFunction } from './emulated-function.ts'
import type { MachineContext } from './machine-state.ts'
import type { AttachedDevice } from './types.ts'
import { VirtualFunction } from './virtual-function.ts'
import type { Machine } from './virtual-machine.ts'

/** What is told of a device that has left a slot of its virtual machine, by whatever way. */
export type RemovalListener = (vm: string, slot: number) => Software

/** What it needs of its hypervisor. */
export interface PluggingHost {
  readonly context: MachineContext
  readonly machines: ReadonlyMap<string, Machine>
  settle(): Software
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

  *attach(machine: Machine, address: string): Software<AttachedDevice> {
    const { host, machine: port } = this.#host.context
    const { name } = machine
    const slot = freeSlot(machine)
    const assigned = yield* host.vfio.attach(address, name)
    try {
      yield* mapMemory(machine, assigned)
    } catch (error) {
      yield* assigned.release()
      throw error
    }
    const device = new VirtualFunction(assigned, slot, port, machine)
    const { guestAddress } = device
    this.#tell(`${name}: ${assigned.function.address} appears as ${guestAddress}`, {
      vm: name,
      function: assigned.function.address,
      guestAddress,
    })
    machine.bus.insert(slot, device)
    yield* this.#host.settle()
    return device.view()
  }

  *detach(machine: Machine, address: string): Software {
    const device = assignedTo(machine, address)
    if (device === undefined) {
      throw new NorthbridgeError('notFound', `${address} is not attached to ${machine.name}`)
    }
    machine.bus.requestRemoval(device.slot)
    yield* this.#host.settle()
    yield* this.takeBack(machine, device)
    yield* this.#host.settle()
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
    yield* device.assigned.release()
    yield* this.#left(machine, slot)
  }

  /** Takes a function back that is about to leave the machine, or has left it. */
  *surrender(address: string): Software {
    for (const machine of this.#host.machines.values()) {
      const device = assignedTo(machine, address)
      if (device !== undefined) yield* this.takeBack(machine, device)
    }
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
    const ejected = machine.bus.remove(slot)
    const { guestAddress, device } = fn
    this.#tell(
      `${name}: the emulated ${device.kind} leaves ${guestAddress}${ejected ? '' : ', not ejected by the guest'}`,
      { vm: name, device: device.kind, guestAddress, ejected },
    )
    yield* fn.unplug()
    yield* this.#left(machine, slot)
    yield* this.#host.settle()
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

const assignedTo = (machine: Machine, address: string): VirtualFunction | undefined =>
  machine.assigned.find(({ assigned }) => assigned.function.address === address)

/** Lets a function reach the machine's memory where the guest finds it, and nothing else. */
function* mapMemory(machine: Machine, assigned: AssignedFunction): Software {
  for (const { guestPage, hostPage, pages } of machine.memory.runs) {
    yield* assigned.map(guestPage * PAGE_SIZE, hostPage, pages, { read: true, write: true })
  }
}
