/** A platform with two NVMe controllers and virtual machines that have disks. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Saved } from '../../src/core/index.ts'
import { drive, type Software, within } from '../../src/engine/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { type DiskModel, SimulatedPlatform } from '../../src/system/index.ts'

export const PF = '0000:01:00.0'
export const OTHER = '0000:02:00.0'
export const VF = '0000:01:00.1'

const TOPOLOGY = parseTopology(
  JSON.parse(readFileSync(join(import.meta.dirname, '../../topologies/nvme-sriov.json'), 'utf8')),
)

export const sector = (seed: number, count = 1): Uint8Array =>
  Uint8Array.from({ length: 512 * count }, (_, i) => (i * 7 + seed + (i >>> 9)) & 0xff)

export class DiskWorld {
  readonly platform: SimulatedPlatform

  constructor(platform: SimulatedPlatform) {
    this.platform = platform
  }

  /** With virtual machines of these names. */
  static create(...vms: readonly string[]): DiskWorld {
    return DiskWorld.withFiles(undefined, ...vms)
  }

  /** The same, whose disks may be put on files. */
  static withFiles(files: string | undefined, ...vms: readonly string[]): DiskWorld {
    const made = SimulatedPlatform.create(TOPOLOGY, { id: 'p', name: 'p', files })
    const world = new DiskWorld(drive(made, () => false))
    for (const vm of vms) world.createVm(vm)
    return world
  }

  static restore(saved: Saved, files?: string): DiskWorld {
    const made = SimulatedPlatform.restore(TOPOLOGY, { id: 'p', name: 'p', files }, saved)
    return new DiskWorld(drive(made, () => false))
  }

  readonly run = <Result>(software: Software<Result>): Result =>
    drive(within(this.platform.engine, software), () => false)

  createVm(name: string) {
    return this.run(this.platform.hypervisor.createVm({ name, vcpus: 1, memoryMiB: 2 }))
  }

  open(model: DiskModel, address?: string, vm = 'guest') {
    return this.run(
      this.platform.disks.open({ vm, model, ...(address !== undefined && { function: address }) }),
    )
  }

  write(at: number, data: Uint8Array, vm = 'guest') {
    return this.run(this.platform.disks.write(vm, at, data))
  }

  read(at: number, count = 1, vm = 'guest') {
    return this.run(this.platform.disks.read(vm, at, count))
  }

  close(vm = 'guest'): void {
    this.run(this.platform.disks.close(vm))
  }
}
