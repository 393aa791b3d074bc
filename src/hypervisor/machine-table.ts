/** The virtual machines of a hypervisor: found by name, by the function that they have, or because something woke them. */
import { NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import type { BlockedRequest } from '../host/index.ts'
import type { InterruptRoute } from './types.ts'
import type { Vcpu } from './vcpu.ts'
import type { VirtualFunction } from './virtual-function.ts'
import type { Machine } from './virtual-machine.ts'

export class MachineTable {
  readonly #machines = new Map<string, Machine>()

  /** In the order of creation. */
  get all(): readonly Machine[] {
    return [...this.#machines.values()]
  }

  get size(): number {
    return this.#machines.size
  }

  has(name: string): boolean {
    return this.#machines.has(name)
  }

  add(machine: Machine): void {
    this.#machines.set(machine.name, machine)
  }

  remove(machine: Machine): void {
    this.#machines.delete(machine.name)
  }

  /** Throws `notFound`. */
  find(name: string): Machine {
    const machine = this.#machines.get(name)
    if (machine === undefined) throw new NorthbridgeError('notFound', `there is no virtual machine ${name}`)
    return machine
  }

  /** Throws `notFound`. */
  vcpu(vm: string, number: number): Vcpu {
    const vcpu = this.find(vm).vcpus[number]
    if (vcpu === undefined) throw new NorthbridgeError('notFound', `${vm} has no virtual processor ${number}`)
    return vcpu
  }

  /** A virtual processor to run something on. Throws `notFound`, `vmPaused`. */
  runnable(vm: string, number: number): Vcpu {
    if (this.find(vm).paused)
      throw new NorthbridgeError('vmPaused', `${vm} is paused: nothing runs on its virtual processors`)
    return this.vcpu(vm, number)
  }

  /** The first virtual processor that sleeps no more. */
  get woken(): Vcpu | undefined {
    for (const { vcpus, paused } of this.#machines.values()) {
      if (!paused) for (const vcpu of vcpus) if (vcpu.wakes) return vcpu
    }
    return undefined
  }

  /** Runs every virtual processor that sleeps no more, until none is left. */
  *wakeAll(): Software {
    for (let woken = this.woken; woken !== undefined; woken = this.woken) yield* woken.wake()
  }

  /** Wakes who sleeps on a processor and was posted something. */
  wakeUp(processor: number): void {
    for (const { vcpus } of this.#machines.values())
      for (const vcpu of vcpus) if (vcpu.processor.number === processor) vcpu.wakeUp()
  }

  /** A unit of the host's has blocked a request, perhaps of a function behind a guest's unit. */
  readonly blocked = (request: BlockedRequest): void => {
    for (const { unit } of this.#machines.values()) unit?.blocked(request)
  }

  /** The machine that has a function of the host, and the function in it. */
  holderOf(address: string): { readonly machine: Machine; readonly device: VirtualFunction } | undefined {
    for (const machine of this.#machines.values()) {
      const device = machine.assigned.find(({ assigned }) => assigned.function.address === address)
      if (device !== undefined) return { machine, device }
    }
    return undefined
  }

  /** Where vector `index` of an assigned function arrives now; undefined if it is masked or reaches no guest. */
  routeOf(address: string, index: number): InterruptRoute | undefined {
    const holder = this.holderOf(address)
    const vector = holder?.device.vector(index)
    if (holder === undefined || vector === undefined || vector.masked || vector.vcpu === null)
      return undefined
    return { vm: holder.machine.name, vcpu: vector.vcpu, guestVector: vector.guestVector }
  }
}
