/**
 * What is asked of functions that virtual machines have: to be let go, by a guest that may take its time or refuse; to be
 * reset; and what their errors come to. How functions come and go otherwise is in `device-plugging.ts`.
 */
import { NorthbridgeError } from '../core/index.ts'
import { type Engine, type Software, sleep } from '../engine/index.ts'
import type { FunctionUsers, HotResetMember, ResetMethod } from '../host/index.ts'
import { type DevicePlugging, deviceOf } from './device-plugging.ts'
import { EJECTION_STATUS } from './formats/virtual-board.ts'
import type { MachineTable } from './machine-table.ts'

/** How long a guest has to let go of a function whose card is about to be taken out: ten seconds. */
const PATIENCE = 10_000_000_000

/** What came of asking a guest for a function. */
export interface RemovalAnswer {
  /**
   * `ejected`: the function is the host's again. `refused`: the guest keeps it. `pending`: the guest has not answered in
   * time; it is still asked, and the function goes whenever it does.
   */
  readonly answer: 'ejected' | 'refused' | 'pending'
  /** ACPI's name of the reason of a refusal. */
  readonly reason?: keyof typeof EJECTION_STATUS | 'other'
}

/** How a function was reset, and what was reset with it. */
export interface DeviceReset {
  readonly method: ResetMethod | 'hot'
  readonly functions: readonly string[]
}

export interface RequestHost {
  readonly engine: Engine
  readonly machines: MachineTable
  readonly plugging: DevicePlugging
  settle(): Software
  /** Runs virtual processors that were woken, and nothing else. */
  settleGuests(): Software
}

export class DeviceRequests implements FunctionUsers {
  readonly #host: RequestHost

  constructor(host: RequestHost) {
    this.#host = host
  }

  /**
   * Asks the guest to let go of a function, and waits so many nanoseconds for it. Throws `notFound`; `alreadyDone` while it
   * is being asked.
   */
  *requestRemoval(vm: string, address: string, patience: number): Software<RemovalAnswer> {
    const machine = this.#host.machines.find(vm)
    const device = deviceOf(machine, address)
    if (machine.bus.isAskedFor(device.slot))
      throw new NorthbridgeError('alreadyDone', `the guest of ${vm} has been asked for ${address} already`)
    machine.bus.requestRemoval(device.slot)
    yield* this.#host.settle()
    if (patience > 0 && machine.bus.isAskedFor(device.slot)) {
      yield* sleep(this.#host.engine, patience)
      yield* this.#host.settle()
    }
    if (!machine.assigned.includes(device)) return { answer: 'ejected' }
    const status = machine.bus.refusalOf(device.slot)
    return status === 0 ? { answer: 'pending' } : { answer: 'refused', reason: reasonOf(status) }
  }

  /** Takes back what guests have ejected in their own time. Returns whether there was anything. */
  *takeEjected(): Software<boolean> {
    let any = false
    for (const machine of this.#host.machines.all) {
      for (const slot of machine.bus.ejected) {
        any = true
        yield* this.#host.plugging.clear(machine, slot)
      }
    }
    return any
  }

  /**
   * Resets a function under its guest, which finds it as after power-on: by the function's own methods, or with its bus if
   * everything there is this machine's. Throws `notFound`, `resetUnavailable`.
   */
  *reset(vm: string, address: string): Software<DeviceReset> {
    const machine = this.#host.machines.find(vm)
    const { assigned } = deviceOf(machine, address)
    let method: DeviceReset['method'] = 'hot'
    let hit = [address]
    if (assigned.function.resetMethods.length > 0) {
      method = yield* assigned.reset()
    } else {
      hit = assigned.hotResetMembers().map(member => member.function)
      yield* assigned.hotReset()
    }
    for (const one of hit) yield* this.#afterReset(one)
    yield* this.#host.settle()
    return { method, functions: hit }
  }

  /** What would be reset with a function if its bus were. Throws `notFound`. */
  hotResetMembers(vm: string, address: string): readonly HotResetMember[] {
    return deviceOf(this.#host.machines.find(vm), address).assigned.hotResetMembers()
  }

  *#afterReset(address: string): Software {
    const found = this.#host.machines.holderOf(address)
    if (found === undefined) return
    yield* found.device.forget()
    found.machine.bus.reportError(found.device.slot, true)
  }

  // What the kernel tells.

  *surrender(address: string, when: 'soon' | 'gone'): Software {
    const found = this.#host.machines.holderOf(address)
    if (found === undefined) return
    const { machine, device } = found
    if (when === 'soon') {
      machine.bus.requestRemoval(device.slot)
      yield* this.#host.settleGuests()
      if (machine.bus.isAskedFor(device.slot)) {
        yield* sleep(this.#host.engine, PATIENCE)
        yield* this.#host.settleGuests()
      }
    }
    yield* this.#host.plugging.takeBack(machine, device)
  }

  *failed(address: string, wasReset: boolean): Software {
    if (wasReset) return yield* this.#afterReset(address)
    const found = this.#host.machines.holderOf(address)
    found?.machine.bus.reportError(found.device.slot, false)
  }
}

function reasonOf(status: number): keyof typeof EJECTION_STATUS | 'other' {
  for (const [name, value] of Object.entries(EJECTION_STATUS))
    if (value === status) return name as keyof typeof EJECTION_STATUS
  return 'other'
}
