/** What is kept elsewhere of a virtual machine, so that it can go on when its platform dies. */
import type { Software } from '../../engine/index.ts'
import type { NetworkDeviceImage, Obstacle, VmOptions } from '../../hypervisor/index.ts'
import { captureVm, obstaclesOf, type VmDocument } from '../moves/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'

/** Everything by which a machine can be made again, without what was in it. */
export interface MachineDefinition {
  readonly options: VmOptions
  readonly network: readonly NetworkDeviceImage[]
  /** Functions of the host that it had. */
  readonly functions: readonly string[]
  readonly hasDisk: boolean
}

export interface Protection {
  readonly vm: string
  readonly definition: MachineDefinition
  /** The machine as it was; absent if something keeps it on its host. */
  readonly checkpoint?: VmDocument
  /** What keeps it there. */
  readonly obstacles: readonly Obstacle[]
  /** When, by its platform's clock. */
  readonly takenNs: number
}

/** Takes down what a machine is, and what is in it if that can leave its host. Throws `notFound`. */
export function* protect(platform: SimulatedPlatform, vm: string): Software<Protection> {
  const definition = definitionOf(platform, vm)
  const obstacles = obstaclesOf(platform, vm)
  const takenNs = platform.engine.now
  if (obstacles.length > 0) return { vm, definition, obstacles, takenNs }
  return { vm, definition, checkpoint: yield* captureVm(platform, vm), obstacles, takenNs }
}

function definitionOf({ hypervisor, networking, disks }: SimulatedPlatform, vm: string): MachineDefinition {
  const { name, vcpus, memoryMiB, interrupts, nested, vmcsShadowing, program, viommu, ...rest } =
    hypervisor.vm(vm)
  const { backing, hugePages, devices } = rest
  return {
    options: {
      ...{ name, memoryMiB, interrupts, nested, vmcsShadowing, program, backing, hugePages },
      vcpus: vcpus.length,
      ...(viommu && { viommu: { mode: viommu.mode } }),
    },
    network: networking.images(vm),
    functions: devices.map(({ address }) => address),
    hasDisk: disks.image(vm) !== null,
  }
}
