/**
 * Disks of virtual machines, each under one model of input and output, and what a transfer costs. Software does the
 * work; this room plugs it together and reads the counters of the hardware beside it.
 */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import { type BusCounters, type ControllerView, NvmeSubsystem } from '../../devices/nvme/index.ts'
import type { Software } from '../../engine/index.ts'
import { type BlockDriver, type GuestKernel, isBlockDriver } from '../../guest/index.ts'
import { type HostKernel, NvmeDriver } from '../../host/index.ts'
import {
  AhciController,
  type BlockBackend,
  type DiskCounters,
  type EmulatedDevice,
  type ExitRecord,
  type Hypervisor,
  MemoryBackend,
  NvmeBackend,
  VirtioBlock,
  VirtioDevice,
} from '../../hypervisor/index.ts'
import type { PcieFunction } from '../../pcie/index.ts'
import type { MachinePort } from '../../platform/index.ts'

export const DISK_MODELS = ['emulation', 'paravirtual', 'virtualFunction', 'direct'] as const
export type DiskModel = (typeof DISK_MODELS)[number]

/** A disk without a function behind it: 64 MiB of the host's memory. */
const MEMORY_SECTORS = 131_072
const SECTOR = 512
/** Queue pairs and vectors that the controller of a virtual function gets: admin and one of input and output. */
const SECONDARY_RESOURCES = 2
const NVME_CLASS = 0x01_08_02

export interface DiskOptions {
  readonly vm: string
  readonly model: DiskModel
  /** The NVMe function behind it; the host's memory if absent (emulation and paravirtual only). */
  readonly function?: string
}

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

/** What one transfer has cost. */
export interface TransferCost {
  readonly exits: readonly ExitRecord[]
  /** Bytes that the hypervisor copied. */
  readonly copiedBytes: number
  /** Of the controller behind the disk; zeros without one. */
  readonly requests: BusCounters | undefined
}

export interface Transfer extends TransferCost {
  readonly ok: boolean
  /** What a read brought into the guest's buffer. */
  readonly data: Uint8Array
}

/** What this room needs of its platform. */
export interface DiskHost {
  readonly host: HostKernel
  readonly hypervisor: Hypervisor
  readonly port: MachinePort
  functionAt(address: string): PcieFunction
}

interface Open {
  readonly view: VmDisk
  readonly slot: number
  readonly driver: BlockDriver
  readonly backend: BlockBackend | undefined
  readonly counters: DiskCounters | undefined
}

export class VmDisks {
  readonly #host: DiskHost
  /** By virtual machine. */
  readonly #open = new Map<string, Open>()
  /** The host's drivers of controllers, by function. */
  readonly #drivers = new Map<string, NvmeDriver>()

  constructor(host: DiskHost) {
    this.#host = host
  }

  /** Gives a virtual machine a disk and has its driver bring it up. Throws, with nothing left behind. */
  *open({ vm, model, function: address }: DiskOptions): Software<VmDisk> {
    const { hypervisor } = this.#host
    hypervisor.vm(vm)
    if (this.#open.has(vm)) throw new NorthbridgeError('alreadyDone', `${vm} has a disk already`)
    if (address !== undefined) this.#checkFunction(address)
    else if (model === 'virtualFunction' || model === 'direct') {
      throw invalid('/function', `is required for the model "${model}"`)
    }
    const open =
      model === 'emulation' || model === 'paravirtual'
        ? yield* this.#openEmulated(vm, model, address)
        : yield* this.#openAssigned(vm, model, address!)
    this.#open.set(vm, open)
    return open.view
  }

  #checkFunction(address: string): void {
    const { classCode } = this.#host.host.find(address)
    if (classCode !== NVME_CLASS) throw invalid('/function', `names no NVMe controller: ${address}`)
  }

  *#openEmulated(vm: string, model: DiskModel, address: string | undefined): Software<Open> {
    const { host, hypervisor, port } = this.#host
    const backend =
      address === undefined
        ? new MemoryBackend(port, host.memory, MEMORY_SECTORS)
        : yield* this.#openBackend(address)
    let device: EmulatedDevice
    let counters: DiskCounters
    if (model === 'emulation') {
      const controller = new AhciController(backend)
      device = controller
      counters = controller.disk.counters
    } else {
      const block = new VirtioBlock(backend)
      device = new VirtioDevice(block)
      counters = block.counters
    }
    const slot = yield* hypervisor.plug(vm, device)
    try {
      return { ...(yield* this.#start(vm, model, address, slot)), backend, counters }
    } catch (error) {
      yield* hypervisor.unplug(vm, slot)
      yield* backend.close()
      throw error
    }
  }

  *#openBackend(address: string): Software<NvmeBackend> {
    const driver = yield* this.#driverOf(address)
    const namespace = driver.namespaces.find(({ blockSize }) => blockSize === SECTOR)
    if (namespace === undefined) {
      throw new NorthbridgeError('unsupported', `${address} has no namespace with blocks of ${SECTOR} bytes`)
    }
    return yield* NvmeBackend.open(driver, namespace)
  }

  /** The host's driver of a controller, brought up when it is first needed. */
  *#driverOf(address: string): Software<NvmeDriver> {
    let driver = this.#drivers.get(address)
    if (driver?.alive !== true) {
      if (driver !== undefined) yield* driver.stop()
      driver = yield* NvmeDriver.start(this.#host.host.device(address))
      this.#drivers.set(address, driver)
    }
    return driver
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
    if (this.#drivers.get(address)?.alive === true) {
      throw new NorthbridgeError('functionInUse', `the host serves disks from ${address}`)
    }
    const refusal = host.vfio.whyNot(address, vm)
    if (refusal !== undefined) throw refusal
    if (isVirtual) {
      const index = host.find(physicalFunction).virtualFunctions.indexOf(address)
      const driver = yield* this.#driverOf(physicalFunction)
      // CNTLID 0 is the physical function's.
      yield* driver.bringOnline(index + 1, SECONDARY_RESOURCES, SECONDARY_RESOURCES)
    }
    const { guestAddress } = yield* hypervisor.attach(vm, address)
    try {
      const slot = Number.parseInt(guestAddress.slice(8, 10), 16)
      const started = yield* this.#start(vm, model, address, slot)
      return { ...started, backend: undefined, counters: undefined }
    } catch (error) {
      yield* hypervisor.detach(vm, address)
      throw error
    }
  }

  *#start(
    vm: string,
    model: DiskModel,
    address: string | undefined,
    slot: number,
  ): Software<Pick<Open, 'view' | 'slot' | 'driver'>> {
    const run = yield* this.#host.hypervisor.runGuest(vm, 0, software =>
      (software as unknown as GuestKernel).open(slot),
    )
    const driver = run.result
    if (!isBlockDriver(driver)) {
      throw new NorthbridgeError('unsupported', `the guest’s driver ${driver.name} is none of a disk`)
    }
    const guestAddress = `0000:00:${slot.toString(16).padStart(2, '0')}.0`
    const view = { vm, model, function: address, guestAddress, driver: driver.name, sectors: driver.sectors }
    return { view, slot, driver }
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

  /** Has the guest read sectors. Throws `notFound`, `invalidArgument`. */
  *read(vm: string, sector: number, count: number): Software<Transfer> {
    return yield* this.#transfer(vm, false, sector, count)
  }

  /** Has the guest write whole sectors. Throws `notFound`, `invalidArgument`. */
  *write(vm: string, sector: number, data: Uint8Array): Software<Transfer> {
    if (data.length === 0 || data.length % SECTOR !== 0) {
      throw invalid('/data', `must be whole sectors of ${SECTOR} bytes`)
    }
    const { driver } = this.#find(vm)
    checkCount(driver, data.length / SECTOR)
    this.#host.hypervisor.writeGuest(vm, driver.buffer, data)
    return yield* this.#transfer(vm, true, sector, data.length / SECTOR)
  }

  *#transfer(vm: string, write: boolean, sector: number, count: number): Software<Transfer> {
    const { hypervisor } = this.#host
    const open = this.#find(vm)
    const { driver, counters } = open
    checkCount(driver, count)
    const copied = counters?.copiedBytes ?? 0
    const before = this.#countersOf(open)
    const { result, exits } = yield* hypervisor.runGuest(vm, 0, () => driver.transfer(write, sector, count))
    return {
      ok: result,
      data: write ? new Uint8Array(0) : hypervisor.readGuest(vm, driver.buffer, count * SECTOR),
      exits,
      copiedBytes: (counters?.copiedBytes ?? 0) - copied,
      requests: before && difference(before, this.#countersOf(open)!),
    }
  }

  #countersOf({ view }: Open): BusCounters | undefined {
    if (view.function === undefined) return undefined
    return this.controllers(view.function).find(({ function: address }) => address === view.function)
      ?.counters
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
    this.#open.delete(vm)
    if (backend === undefined) yield* hypervisor.detach(vm, view.function!)
    else {
      yield* hypervisor.unplug(vm, slot)
      yield* backend.close()
    }
  }

  /** Its virtual machine, or the function behind it, is about to be taken away. */
  *forget(vm: string, address?: string): Software {
    const open = this.#open.get(vm)
    if (open === undefined || (address !== undefined && open.view.function !== address)) return
    // What is emulated stays when another function is taken.
    if (address !== undefined && open.backend !== undefined) return
    this.#open.delete(vm)
    if (open.backend !== undefined) yield* open.backend.close()
  }

  save(): Saved {
    return {
      disks: [...this.#open.values()].map(({ view, slot }) => ({
        vm: view.vm,
        model: view.model,
        function: view.function ?? null,
        slot,
      })),
      drivers: [...this.#drivers.values()].map(driver => driver.save()),
    }
  }
}

function checkCount(driver: BlockDriver, count: number): void {
  if (count < 1 || count > driver.mostSectors) {
    throw invalid('/count', `must be from 1 to ${driver.mostSectors} sectors`)
  }
}

const invalid = (path: string, message: string): NorthbridgeError =>
  new NorthbridgeError('invalidArgument', `${path.slice(1)} ${message}`, { issues: [{ path, message }] })

function difference(before: BusCounters, after: BusCounters): BusCounters {
  const result = { ...after }
  for (const key of Object.keys(result) as (keyof BusCounters)[]) result[key] = after[key] - before[key]
  return result
}
