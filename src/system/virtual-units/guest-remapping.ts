/** What users have a guest's kernel do with its remapping unit. */
import {
  assert,
  devfnOf,
  NorthbridgeError,
  PAGE_SIZE,
  type PageNumber,
  type RequesterId,
} from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { type GuestFault, GuestKernel, type RemappingDriver } from '../../guest/index.ts'
import type { GuestRun, Hypervisor, VirtualUnitView } from '../../hypervisor/index.ts'

export interface GuestMapping {
  /** A function behind the unit, as the host addresses it. */
  readonly function: string
  /** I/O virtual page. */
  readonly page: PageNumber
  readonly pages: number
  /** Whether the guest's driver tells its unit of the change. */
  readonly told: boolean
}

export class GuestRemapping {
  readonly #hypervisor: Hypervisor
  readonly #vm: string

  /** Throws `notFound` unless there is such a machine and it has a remapping unit. */
  constructor(hypervisor: Hypervisor, vm: string) {
    this.#hypervisor = hypervisor
    this.#vm = vm
    hypervisor.remappingUnit(vm)
  }

  get unit(): VirtualUnitView {
    return this.#hypervisor.remappingUnit(this.#vm).view()
  }

  /** Faults that the guest's kernel has read, oldest first; none while it does not use the unit. */
  get faults(): readonly GuestFault[] {
    return this.#hypervisor.lookAtGuest(this.#vm, 0, software => kernelOf(software).remapping?.faults ?? [])
  }

  /** Has the kernel use the unit, or let it be. Throws `alreadyDone` if it does so already. */
  *use(on: boolean): Software<GuestRun<void>> {
    const used = this.#hypervisor.lookAtGuest(
      this.#vm,
      0,
      software => kernelOf(software).remapping !== undefined,
    )
    if (used === on) {
      const what = on ? 'is in use' : 'is not in use'
      throw new NorthbridgeError('alreadyDone', `the remapping unit of ${this.#vm} ${what}`)
    }
    return yield* this.#run(function* (kernel) {
      if (on) yield* kernel.startRemapping()
      else yield* kernel.stopRemapping()
    })
  }

  /** Throws `notFound`; `invalidArgument` where something is mapped already; `outOfMemory`. */
  *map(
    { function: fn, page, pages, told }: GuestMapping,
    frame: PageNumber,
    rights: { readonly read: boolean; readonly write: boolean },
  ): Software<GuestRun<void>> {
    const slot = this.#slotOf(fn)
    return yield* this.#use(driver => driver.map(slot, page, frame, pages, rights, told))
  }

  /** Returns the number of leaves that were cleared. Throws `notFound`. */
  *unmap({ function: fn, page, pages, told }: GuestMapping): Software<GuestRun<number>> {
    const slot = this.#slotOf(fn)
    return yield* this.#use(driver => driver.unmap(slot, page, pages, told))
  }

  *#use<Result>(code: (driver: RemappingDriver) => Software<Result>): Software<GuestRun<Result>> {
    return yield* this.#run(kernel => {
      if (kernel.remapping === undefined)
        throw new NorthbridgeError('notFound', `the kernel of ${this.#vm} does not use its remapping unit`)
      return code(kernel.remapping)
    })
  }

  *#run<Result>(code: (kernel: GuestKernel) => Software<Result>): Software<GuestRun<Result>> {
    return yield* this.#hypervisor.runGuest(this.#vm, 0, software => code(kernelOf(software)))
  }

  /** The slot in which the guest finds a function. */
  #slotOf(address: string): number {
    const sourceId = this.#hypervisor.remappingUnit(this.#vm).sourceIdOf(address)
    if (sourceId === undefined)
      throw new NorthbridgeError('notFound', `${address} is not attached to ${this.#vm}`)
    return devfnOf(sourceId as RequesterId) >>> 3
  }
}

/** Guest-physical bytes to pages. Throws `invalidArgument` unless whole pages are meant. */
export function wholePage(address: number, what: string): PageNumber {
  if (address % PAGE_SIZE === 0) return address / PAGE_SIZE
  throw new NorthbridgeError('invalidArgument', `${what} must be a multiple of 4096`)
}

function kernelOf(software: unknown): GuestKernel {
  assert(software instanceof GuestKernel, 'machines with a remapping unit run a kernel')
  return software
}
