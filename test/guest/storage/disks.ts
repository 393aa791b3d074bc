/** Disks of every kind that a guest has a driver for. */
import type { BlockDriver } from '../../../src/guest/storage/block-driver.ts'
import { NvmeDriver } from '../../../src/host/index.ts'
import { AhciController, MemoryBackend, VirtioBlock } from '../../../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../../../src/hypervisor/virtio/index.ts'
import type { DiskMachine } from '../../hypervisor/storage/disk-machine.ts'

const PF = '0000:01:00.0'
const SECTORS = 4096

export const inMemory = ({ platform }: DiskMachine): MemoryBackend =>
  new MemoryBackend(platform.hardware.port, platform.host.memory, SECTORS)

export const MODELS: Record<string, (machine: DiskMachine) => BlockDriver> = {
  'an AHCI disk': machine => machine.open(new AhciController(inMemory(machine))),
  'a virtio disk with packed rings': machine =>
    machine.open(new VirtioDevice(new VirtioBlock(inMemory(machine)))),
  'a virtio disk with split rings and plain chains': machine =>
    machine.open(
      new VirtioDevice(new VirtioBlock(inMemory(machine)), {
        packed: false,
        indirect: false,
        eventIndex: false,
      }),
    ),
  'an NVMe virtual function': machine => {
    const driver = machine.run(NvmeDriver.start(machine.platform.host.device(PF)))
    machine.run(driver.bringOnline(1, 2, 2))
    return machine.attach(machine.platform.host.find(PF).virtualFunctions[0]!)
  },
}
