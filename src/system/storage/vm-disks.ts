/**
 * Disks of virtual machines, each under one model of input and output, and what a transfer costs. Software does the
 * work; this room plugs it together and reads the counters of the hardware beside it.
 */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import { type BusCounters, type ControllerView, NvmeSubsystem } from '../../devices/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  type BlockDriver,
  type BlockWorkload,
  BlockWorkloadRun,
  GuestKernel,
  isBlockDriver,
} from '../../guest/index.ts'
import {
  type BlockBackend,
  type DiskCounters,
  MemoryBackend,
  type Obstacle,
  restoreBackend,
  type SavedBackend,
} from '../../hypervisor/index.ts'
import { type DiskImage, diskObstacles } from './disk-image.ts'
import type { DiskHost, DiskModel, DiskOptions } from './disk-model.ts'
import {
  checkCount,
  checkWorkload,
  difference,
  invalid,
  SECTOR,
  type Transfer,
  type TransferCost,
  type WorkloadReport,
} from './disk-requests.ts'
import { HostControllers } from './host-controllers.ts'
import { NvmeNamespaces, type SavedMedium } from './nvme-namespaces.ts'
import { closeBackend, isServed, makeDevice, openBackend } from './served-disks.ts'

/** Queue pairs and vectors that the controller of a virtual function gets: admin and one of input and output. */
const SECONDARY_RESOURCES = 2

export interface VmDisk {
  readonly vm: string
  readonly model: DiskModel
  readonly function: string | undefined
  /** Where the guest finds it. */
  readonly guestAddress: string
  /** The guest's driver. */
  readonly driver: string
  readonly sectors: number
}

interface Open {
  readonly view: VmDisk
  readonly slot: number
  readonly backend: BlockBackend | undefined
  readonly counters: DiskCounters | undefined
}

type SavedDisk = {
  readonly view: {
    readonly vm: string
    readonly model: DiskModel
    readonly function: string | null
    readonly guestAddress: string
    readonly driver: string
    readonly sectors: number
  }
  readonly slot: number
  readonly backend: SavedBackend | null
}

type SavedDisks = {
  readonly version: 1
  readonly controllers: ReturnType<HostControllers['save']>
  readonly files: readonly SavedMedium[]
  readonly disks: readonly SavedDisk[]
}

export class VmDisks {
  readonly #host: DiskHost
  /** By virtual machine. */
  readonly #open = new Map<string, Open>()
  readonly #controllers: HostControllers
  /** What disks on controllers are made of. */
  readonly namespaces: NvmeNamespaces

  constructor(host: DiskHost) {
    this.#host = host
    this.#controllers = new HostControllers(host.host)
    this.namespaces = new NvmeNamespaces(host, this.#controllers)
    host.hypervisor.onRemoval((vm, slot) => this.#left(vm, slot))
  }

  /** Gives a virtual machine a disk and has its driver bring it up. Throws, with nothing left behind. */
  *open(options: DiskOptions): Software<VmDisk> {
    const { vm, model, function: address, namespace } = options
    const { hypervisor } = this.#host
    hypervisor.vm(vm)
    if (this.#open.has(vm)) throw new NorthbridgeError('alreadyDone', `${vm} has a disk already`)
    if (address !== undefined) this.#controllers.check(address)
    else if (model !== 'emulation' && model !== 'paravirtual') {
      throw invalid('/function', `is required for the model "${model}"`)
    }
    if (namespace !== undefined && (!isServed(model) || address === undefined)) {
      throw invalid('/namespace', 'is chosen for disks that the host serves from a function')
    }
    const open = isServed(model)
      ? yield* this.#openServed(options)
      : yield* this.#openAssigned(vm, model, address!)
    this.#open.set(vm, open)
    return open.view
  }

  *#openServed(options: DiskOptions): Software<Open> {
    const { vm, model, function: address } = options
    const { hypervisor } = this.#host
    const backend = yield* openBackend(this.#host, this.#controllers, options)
    const { device, counters } = makeDevice(model, backend)
    let slot: number | undefined
    try {
      slot = yield* hypervisor.plug(vm, device)
      return { view: yield* this.#start(vm, model, address, slot), slot, backend, counters }
    } catch (error) {
      if (slot !== undefined) yield* hypervisor.unplug(vm, slot)
      yield* closeBackend(hypervisor, vm, backend)
      throw error
    }
  }

  *#openAssigned(vm: string, model: DiskModel, address: string): Software<Open> {
    const { host, hypervisor } = this.#host
    const { physicalFunction } = host.find(address)
    const isVirtual = physicalFunction !== undefined
    if (isVirtual !== (model === 'virtualFunction')) {
      throw invalid(
        '/function',
        isVirtual ? `is a virtual function: ${address}` : `is no virtual function: ${address}`,
      )
    }
    if ([...this.#open.values()].some(({ view, backend }) => backend && view.function === address)) {
      throw new NorthbridgeError('functionInUse', `the host serves disks from ${address}`)
    }
    const refusal = host.vfio.whyNot(address, vm)
    if (refusal !== undefined) throw refusal
    if (isVirtual) {
      const index = host.find(physicalFunction).virtualFunctions.indexOf(address)
      const driver = yield* this.#controllers.open(physicalFunction)
      // CNTLID 0 is the physical function's.
      yield* driver.bringOnline(index + 1, SECONDARY_RESOURCES, SECONDARY_RESOURCES)
    }
    const { guestAddress } = yield* hypervisor.attach(vm, address)
    try {
      const slot = Number.parseInt(guestAddress.slice(8, 10), 16)
      const view = yield* this.#start(vm, model, address, slot)
      return { view, slot, backend: undefined, counters: undefined }
    } catch (error) {
      yield* hypervisor.detach(vm, address)
      throw error
    }
  }

  *#start(vm: string, model: DiskModel, address: string | undefined, slot: number): Software<VmDisk> {
    const { result: driver } = yield* this.#host.hypervisor.runGuest(vm, 0, software =>
      kernelOf(vm, software).open(slot),
    )
    if (!isBlockDriver(driver)) {
      throw new NorthbridgeError('unsupported', `the guest’s driver ${driver.name} is none of a disk`)
    }
    const { name, sectors } = driver
    return { vm, model, function: address, guestAddress: guestAddressOf(slot), driver: name, sectors }
  }

  /** Throws `notFound`. */
  view(vm: string): VmDisk {
    return this.#find(vm).view
  }

  #find(vm: string): Open {
    this.#host.hypervisor.vm(vm)
    const open = this.#open.get(vm)
    if (open === undefined) throw new NorthbridgeError('notFound', `${vm} has no disk`)
    return open
  }

  /** The guest's driver of a disk. */
  #driverOf({ view: { vm }, slot }: Open): BlockDriver {
    const driver = this.#host.hypervisor.lookAtGuest(vm, 0, software => kernelOf(vm, software).driver(slot))
    if (!isBlockDriver(driver)) {
      throw new NorthbridgeError('notFound', `the guest of ${vm} has no driver of its disk any more`)
    }
    return driver
  }

  /** Has the guest read sectors. Throws `notFound`, `invalidArgument`. */
  *read(vm: string, sector: number, count: number): Software<Transfer> {
    return yield* this.#transfer(vm, false, sector, count)
  }

  /** Has the guest write whole sectors. Throws `notFound`, `invalidArgument`. */
  *write(vm: string, sector: number, data: Uint8Array): Software<Transfer> {
    if (data.length === 0 || data.length % SECTOR !== 0) {
      throw invalid('/data', `must be whole sectors of ${SECTOR} bytes`)
    }
    const driver = this.#driverOf(this.#find(vm))
    checkCount(driver, data.length / SECTOR)
    this.#host.hypervisor.writeGuest(vm, driver.buffer, data)
    return yield* this.#transfer(vm, true, sector, data.length / SECTOR)
  }

  *#transfer(vm: string, write: boolean, sector: number, count: number): Software<Transfer> {
    const open = this.#find(vm)
    const driver = this.#driverOf(open)
    checkCount(driver, count)
    const [ok, cost] = yield* this.#measured(open, () => driver.transfer(write, sector, count))
    const { buffer } = driver
    const data = write ? new Uint8Array(0) : this.#host.hypervisor.readGuest(vm, buffer, count * SECTOR)
    return { ok, data, ...cost }
  }

  /** Runs code of the guest, and tells what it cost. */
  *#measured<Result>(
    open: Open,
    code: (kernel: GuestKernel) => Software<Result>,
  ): Software<readonly [Result, TransferCost]> {
    const { view, counters } = open
    const copied = counters?.copiedBytes ?? 0
    const before = this.#countersOf(open)
    const { result, exits } = yield* this.#host.hypervisor.runGuest(view.vm, 0, software =>
      code(kernelOf(view.vm, software)),
    )
    const cost = {
      exits,
      copiedBytes: (counters?.copiedBytes ?? 0) - copied,
      requests: before && difference(before, this.#countersOf(open)!),
    }
    return [result, cost]
  }

  /** Has the guest run a workload on its disk. Throws `notFound`, `invalidArgument`. */
  *runWorkload(vm: string, workload: BlockWorkload): Software<WorkloadReport> {
    const open = this.#find(vm)
    const driver = this.#driverOf(open)
    checkWorkload(driver, workload)
    const { counters } = driver
    const [result, cost] = yield* this.#measured(open, ({ access }) =>
      new BlockWorkloadRun(access, driver, workload).run(),
    )
    return { ...result, ...cost, driver: difference(counters, driver.counters) }
  }

  #countersOf({ view }: Open): BusCounters | undefined {
    if (view.function === undefined) return undefined
    return this.controllers(view.function).find(({ function: address }) => address === view.function)
      ?.counters
  }

  /** Inspection: has `listener` hear of each copy of the hypervisor's, until the returned function is called. */
  follow(listener: (disk: VmDisk, bytes: number) => void): () => void {
    const disks = [...this.#open.values()]
    for (const { view, counters } of disks) {
      if (counters !== undefined) counters.listener = bytes => listener(view, bytes)
    }
    return () => {
      for (const { counters } of disks) if (counters !== undefined) counters.listener = undefined
    }
  }

  /** Inspection: the controllers of the chip that a function belongs to, as far as anybody has used it. */
  controllers(address: string): readonly ControllerView[] {
    const model = this.#host.functionAt(address).modelMade
    return model instanceof NvmeSubsystem ? model.view() : []
  }

  /** Takes the disk away. Throws `notFound`. */
  *close(vm: string): Software {
    const { hypervisor } = this.#host
    const { view, slot, backend } = this.#find(vm)
    if (backend === undefined) yield* hypervisor.detach(vm, view.function!)
    else yield* hypervisor.unplug(vm, slot)
  }

  // Machines that come from elsewhere, or go there.

  /** What keeps the disk of a virtual machine on this host. */
  obstacles(vm: string): Obstacle[] {
    const open = this.#open.get(vm)
    return open === undefined ? [] : diskObstacles(open.view, open.backend)
  }

  /** Its disk, without what is on it: null if it has none. */
  image(vm: string): DiskImage | null {
    const open = this.#open.get(vm)
    if (open === undefined) return null
    const { model, driver, sectors } = open.view
    return { model, driver, sectors, slot: open.slot }
  }

  /** What is on its disk, as far as that is the hypervisor's. */
  medium(vm: string): MemoryBackend | undefined {
    const backend = this.#open.get(vm)?.backend
    return backend instanceof MemoryBackend ? backend : undefined
  }

  /** What the disk of a machine that is to come will lie on; nothing is on it yet. */
  prepareMedium({ sectors }: DiskImage): MemoryBackend {
    const { host, port } = this.#host
    return new MemoryBackend(port, host.memory, sectors)
  }

  /** Puts the disk of a machine that came from elsewhere behind its device. */
  adopt(vm: string, { model, driver, sectors, slot }: DiskImage, backend: MemoryBackend): void {
    const { hypervisor } = this.#host
    const { device, counters } = makeDevice(model, backend)
    hypervisor.replug(vm, slot, device)
    const view = { vm, model, function: undefined, guestAddress: guestAddressOf(slot), driver, sectors }
    this.#open.set(vm, { view, slot, backend, counters })
  }

  /** A device has left a virtual machine: what was behind it is given back. */
  *#left(vm: string, slot: number): Software {
    const open = this.#open.get(vm)
    if (open?.slot !== slot) return
    this.#open.delete(vm)
    if (open.backend !== undefined) yield* closeBackend(this.#host.hypervisor, vm, open.backend)
  }

  /**
   * The disks as they were when they were saved, over software and hardware of that moment. Throws `invalidDocument` for a
   * state of another version.
   */
  static restore(host: DiskHost, saved: Saved): VmDisks {
    const { controllers, files, disks } = opened<SavedDisks>(saved, 'the disks of virtual machines', 1)
    const restored = new VmDisks(host)
    restored.#controllers.load(controllers)
    restored.namespaces.load(files)
    for (const disk of disks) restored.#restore(disk)
    return restored
  }

  #restore({ view: { function: address, ...rest }, slot, backend: saved }: SavedDisk): void {
    const view = { ...rest, function: address ?? undefined }
    const { hypervisor, host, port } = this.#host
    if (saved === null) {
      this.#open.set(view.vm, { view, slot, backend: undefined, counters: undefined })
      return
    }
    const driver = address === null ? undefined : this.#controllers.find(address)
    const backend = restoreBackend(port, host.memory, driver, saved)
    const { device, counters } = makeDevice(view.model, backend)
    hypervisor.replug(view.vm, slot, device)
    this.#open.set(view.vm, { view, slot, backend, counters })
  }

  save(): SavedDisks {
    return {
      version: 1,
      controllers: this.#controllers.save(),
      files: this.namespaces.save(),
      disks: [...this.#open.values()].map(({ view, slot, backend }) => ({
        view: { ...view, function: view.function ?? null },
        slot,
        backend: backend?.save() ?? null,
      })),
    }
  }
}

const guestAddressOf = (slot: number): string => `0000:00:${slot.toString(16).padStart(2, '0')}.0`

/** Throws `unsupported` for a guest that is no kernel with drivers. */
function kernelOf(vm: string, software: unknown): GuestKernel {
  if (software instanceof GuestKernel) return software
  throw new NorthbridgeError('unsupported', `the program of ${vm} has no drivers`)
}
