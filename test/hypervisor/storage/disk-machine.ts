/** A machine with NVMe functions and a guest: disks of every model are plugged into it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Software } from '../../../src/engine/index.ts'
import type { GuestKernel } from '../../../src/guest/index.ts'
import type { BlockDriver } from '../../../src/guest/storage/block-driver.ts'
import type { EmulatedDevice } from '../../../src/hypervisor/emulated-device.ts'
import { parseTopology } from '../../../src/platform/index.ts'
import { SimulatedPlatform } from '../../../src/system/simulated-platform.ts'

export class DiskMachine {
  readonly platform: SimulatedPlatform

  constructor(topology = 'nvme-sriov', memoryMiB = 16) {
    const file = join(import.meta.dirname, `../../../topologies/${topology}.json`)
    const document = parseTopology(JSON.parse(readFileSync(file, 'utf8')))
    this.platform = drive(SimulatedPlatform.create(document, { id: 'p', name: 'p' }))
    this.run(this.platform.hypervisor.createVm({ name: 'guest', vcpus: 1, memoryMiB }))
  }

  run<Result>(software: Software<Result>): Result {
    return this.platform.engine.run(software)
  }

  /** Plugs an emulated disk and has the guest's driver start it. */
  open(device: EmulatedDevice, options: object = {}): BlockDriver {
    const slot = this.run(this.platform.hypervisor.plug('guest', device))
    return this.start(slot, options)
  }

  /** Assigns a function and has the guest's driver start it. */
  attach(address: string): BlockDriver {
    const { guestAddress } = this.run(this.platform.hypervisor.attach('guest', address))
    return this.start(Number.parseInt(guestAddress.slice(8, 10), 16))
  }

  start(slot: number, options: object = {}): BlockDriver {
    return this.guest(kernel => kernel.open(slot, options)).result as BlockDriver
  }

  guest<Result>(code: (kernel: GuestKernel) => Software<Result>) {
    return this.run(
      this.platform.hypervisor.runGuest('guest', 0, software => code(software as unknown as GuestKernel)),
    )
  }

  /** Reads or writes through a driver, with the exits that it took. */
  transfer(driver: BlockDriver, write: boolean, sector: number, count: number, address?: number) {
    const run = this.guest(() => driver.transfer(write, sector, count, address))
    return { ok: run.result, exits: run.exits }
  }

  poke(address: number, bytes: Uint8Array): void {
    this.platform.hypervisor.writeGuest('guest', address, bytes)
  }

  peek(address: number, length: number): Uint8Array {
    return this.platform.hypervisor.readGuest('guest', address, length)
  }
}

/** Before there is a platform, its engine cannot run it. */
function drive<Result>(software: Software<Result>): Result {
  for (;;) {
    const step = software.next()
    if (step.done) return step.value
  }
}
