/**
 * Pausing virtual machines, and taking them elsewhere: the image of one is taken on a host, and another machine, there or
 * on any other host, goes on with it.
 */
import { NorthbridgeError, type PageNumber } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import type { MigrationState } from '../../host/index.ts'
import type { GuestMemory } from '../guest-memory.ts'
import type { GuestImage, GuestProgram, VmOptions } from '../types.ts'
import type { Machine } from '../virtual-machine.ts'
import type { Arrivals } from './arrivals.ts'
import type { DirtyLog, DirtyTracking } from './dirty-log.ts'
import type { FunctionImage } from './function-image.ts'
import type { MachineImage, Obstacle } from './machine-image.ts'
import { type MemoryImage, pagesOf, readMemoryImage, writeMemoryImage } from './memory-image.ts'
import { imageOf, obstaclesOf } from './take-image.ts'

/** What it needs of its hypervisor. */
export interface MovesHost {
  readonly engine: Engine
  /** Throws `notFound`. */
  find(name: string): Machine
  /** A machine that has everything but anybody running in it. Throws as `Hypervisor.createVm`. */
  make(options: VmOptions): Machine
  program(name: GuestProgram): GuestImage
  adopt(machine: Machine, image: FunctionImage, address: string): Software
  /** Puts back those devices of a machine that are the hypervisor's own business. */
  replugOwn(machine: Machine): void
  settle(): Software
}

export class MachineMoves {
  readonly #host: MovesHost

  constructor(host: MovesHost) {
    this.#host = host
  }

  /** Keeps a machine's virtual processors from running. Throws `notFound`, `alreadyDone`. */
  pause(vm: string): void {
    this.#setPaused(this.#host.find(vm), true)
  }

  /** Lets them run again: what waited for them is taken. Throws `notFound`, `alreadyDone`. */
  *resume(vm: string): Software {
    const machine = this.#host.find(vm)
    this.#setPaused(machine, false)
    // Devices that came with it stand still until it runs.
    for (const { migration } of machine.assigned) if (migration?.state === 'STOP') migration.set('RUNNING')
    yield* this.#host.settle()
  }

  #setPaused(machine: Machine, paused: boolean): void {
    const { name } = machine
    const state = paused ? 'paused' : 'running'
    if (machine.paused === paused) throw new NorthbridgeError('alreadyDone', `${name} is ${state}`)
    machine.paused = paused
    this.#host.engine.trace.emit('vm', `${name} is ${state}`, { vm: name, state })
  }

  /** Throws `notFound`. */
  isPaused(vm: string): boolean {
    return this.#host.find(vm).paused
  }

  /** What keeps a machine on its host. Throws `notFound`. */
  obstacles(vm: string): Obstacle[] {
    return obstaclesOf(this.#host.find(vm))
  }

  /** Devices of the hypervisor's making that others put into a machine. Throws `notFound`. */
  emulated(vm: string): { readonly slot: number; readonly kind: string; readonly guestAddress: string }[] {
    const { emulated, space } = this.#host.find(vm)
    return emulated
      .filter(({ device: { kind } }) => space.paged === undefined || kind !== 'virtio-balloon')
      .map(({ slot, device: { kind }, guestAddress }) => ({ slot, kind, guestAddress }))
  }

  /** Everything of a machine but its memory, without anything of this host. Throws `notFound`, `notMigratable`. */
  image(vm: string): MachineImage {
    return imageOf(this.#host.find(vm))
  }

  /** What a machine's memory holds. Throws `notFound`. */
  *memory(vm: string): Software<MemoryImage> {
    return yield* readMemoryImage(this.#host.find(vm).memory)
  }

  /**
   * A machine, paused, with memory of zeros and nobody in it, for one that is to come from elsewhere. Throws as
   * `Hypervisor.createVm`.
   */
  prepare(image: MachineImage, name = image.name): void {
    const { memorySettings, ...rest } = image
    const paging = memorySettings === null ? {} : { memorySettings }
    const machine = this.#host.make({ ...rest, ...paging, name, vcpus: image.vcpus.length })
    machine.memory.zero()
    machine.paused = true
  }

  /**
   * A prepared machine gets functions of this host for those that it had. Throws `invalidArgument` if one is not named, what
   * attaching throws, `notMigratable` for a device of another kind.
   */
  *adoptFunctions(
    { functions }: MachineImage,
    addresses: Readonly<Record<string, string>>,
    name: string,
  ): Software {
    for (const image of functions) {
      const address = addresses[image.address]
      if (address === undefined) throw unnamed(image.address)
      yield* this.#host.adopt(this.#host.find(name), image, address)
    }
  }

  /** Every assigned function of a machine goes to a state of its migration. Throws `notFound`, `invalidArgument`. */
  setFunctions(vm: string, state: MigrationState): void {
    for (const { migration } of this.#host.find(vm).assigned) migration?.set(state)
  }

  /** A prepared machine goes on where an image was taken; its slots wait for the makers of their devices. */
  enter(image: MachineImage, name = image.name): void {
    const machine = this.#host.find(name)
    machine.adopt(image, this.#host.program(machine.program))
    this.#host.replugOwn(machine)
  }

  /** Fills memory of zeros. Throws `notFound`; `invalidDocument`, with nothing written. */
  *fill(vm: string, image: MemoryImage): Software {
    yield* writeMemoryImage(this.#host.find(vm).memory, image)
  }

  // Copying memory while it is used.

  /** Throws `notFound`. */
  guestMemory(vm: string): GuestMemory {
    return this.#host.find(vm).memory
  }

  /** Pages of a machine's memory, ascending. Throws `notFound`. */
  guestPages(vm: string): Iterable<PageNumber> {
    return pagesOf(this.guestMemory(vm))
  }

  /** Finds out which pages change from now on. Throws `notFound`, `unsupported`, `outOfMemory`, `alreadyDone`. */
  startLog(vm: string, tracking: DirtyTracking): DirtyLog {
    return this.#host.find(vm).startLog(tracking)
  }

  endLog(vm: string): void {
    this.#host.find(vm).space.endLog()
  }

  /** Parts of a machine's memory come while it runs. Throws `outOfMemory`. */
  awaitPages(vm: string, arrivals: Arrivals): void {
    this.#host.find(vm).space.expectPages(arrivals)
  }

  pageCame(vm: string, page: PageNumber): void {
    this.#host.find(vm).space.came(page)
  }

  allCame(vm: string): void {
    this.#host.find(vm).space.complete()
  }
}

function unnamed(address: string): NorthbridgeError {
  const message = `names no function for ${address}`
  return new NorthbridgeError('invalidArgument', `functions ${message}`, {
    issues: [{ path: '/functions', message }],
  })
}
