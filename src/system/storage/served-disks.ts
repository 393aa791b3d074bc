/** Disks whose device the hypervisor makes and whose blocks the host serves: the device, and what is behind it. */
import { assert, NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  AhciController,
  type BlockBackend,
  type DiskCounters,
  type EmulatedDevice,
  type Hypervisor,
  MemoryBackend,
  NvmeBackend,
  QueuePairBackend,
  VirtioBlock,
  VirtioDevice,
} from '../../hypervisor/index.ts'
import type { DiskHost, DiskModel, DiskOptions } from './disk-model.ts'
import { SECTOR } from './disk-requests.ts'
import type { HostControllers } from './host-controllers.ts'

const SERVED_MODELS = ['emulation', 'paravirtual', 'queuePair'] as const
export type ServedModel = (typeof SERVED_MODELS)[number]
export const isServed = (model: DiskModel): model is ServedModel =>
  SERVED_MODELS.some(served => served === model)

/** A disk without a function behind it: 64 MiB of the host's memory. */
const MEMORY_SECTORS = 131_072

const holderOf = (vm: string): string => `the disk of ${vm}`

/** Gives back what was behind a disk, and the guest's memory if the controller reached it. */
export function* closeBackend(hypervisor: Hypervisor, vm: string, backend: BlockBackend): Software {
  yield* backend.close()
  hypervisor.letMemoryGo(vm, holderOf(vm))
}

/** What is behind a new disk. Throws `unsupported`, `outOfResources`, `outOfMemory`, with nothing left behind. */
export function* openBackend(
  { host, hypervisor, port }: DiskHost,
  controllers: HostControllers,
  { vm, model, function: address, namespace: nsid }: DiskOptions,
): Software<BlockBackend> {
  if (address === undefined) return new MemoryBackend(port, host.memory, MEMORY_SECTORS)
  const driver = yield* controllers.open(address)
  const namespace = driver.namespaces.find(
    ({ id, blockSize }) => blockSize === SECTOR && (nsid === undefined || id === nsid),
  )
  if (namespace === undefined) {
    const which = nsid === undefined ? 'no namespace' : `no namespace ${nsid}`
    throw new NorthbridgeError('unsupported', `${address} has ${which} with blocks of ${SECTOR} bytes`)
  }
  if (model !== 'queuePair') return yield* NvmeBackend.open(driver, namespace)
  // The controller reaches the guest's memory by itself.
  hypervisor.holdMemory(vm, holderOf(vm))
  try {
    return yield* QueuePairBackend.open(driver, namespace, hypervisor.hostMemoryOf(vm))
  } catch (error) {
    hypervisor.letMemoryGo(vm, holderOf(vm))
    throw error
  }
}

export function makeDevice(
  model: DiskModel,
  backend: BlockBackend,
): { readonly device: EmulatedDevice; readonly counters: DiskCounters } {
  if (model === 'emulation') {
    assert(backend.kind === 'copying', 'an emulated controller copies')
    const device = new AhciController(backend)
    return { device, counters: device.disk.counters }
  }
  const block = new VirtioBlock(backend)
  return { device: new VirtioDevice(block), counters: block.counters }
}
