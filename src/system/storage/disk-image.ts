/** A disk that goes elsewhere with its virtual machine. */
import { type BlockBackend, MemoryBackend, type Obstacle } from '../../hypervisor/index.ts'
import type { DiskModel } from './disk-model.ts'

export type DiskImage = {
  readonly model: DiskModel
  readonly slot: number
  /** The guest's driver. */
  readonly driver: string
  readonly sectors: number
}

/** What a disk has of its host. A function that the guest has is an obstacle already. */
export function diskObstacles(
  {
    guestAddress,
    function: address,
  }: { readonly guestAddress: string; readonly function: string | undefined },
  backend: BlockBackend | undefined,
): Obstacle[] {
  if (backend === undefined || backend instanceof MemoryBackend) return []
  return [
    { what: guestAddress, reason: `its disk lies on ${address ?? 'a controller that is gone'}, which stays` },
  ]
}
