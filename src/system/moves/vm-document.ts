/**
 * A virtual machine as a document: what its guest could find out, and nothing of its host. A snapshot is one, and so is a
 * file that takes a machine to another host; a clone and a return to the past are made of one.
 */
import { digest, NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  type MachineImage,
  type MemoryBackend,
  type MemoryImage,
  type NetworkDeviceImage,
  notMigratable,
  type Obstacle,
} from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import type { DiskImage } from '../storage/index.ts'
import { encodeText } from './document-text.ts'
import { type MediumImage, readMedium, writeMedium } from './medium.ts'

export type VmDocument = {
  readonly version: 1
  readonly machine: MachineImage
  readonly network: readonly NetworkDeviceImage[]
  readonly disk: DiskImage | null
  readonly memory: MemoryImage
  /** What is on the disk. */
  readonly medium: MediumImage | null
  /** Of all the rest. */
  readonly hash: string
}

/** Everything of a machine but contents of memory and disk. */
export type VmParts = Pick<VmDocument, 'machine' | 'network' | 'disk'>

/** What keeps a machine on its host; none: it may go. Throws `notFound`. */
export function obstaclesOf({ hypervisor, networking, disks }: SimulatedPlatform, vm: string): Obstacle[] {
  const own = [...hypervisor.moves.obstacles(vm), ...networking.obstacles(vm), ...disks.obstacles(vm)]
  const known = [...networking.images(vm).map(({ slot }) => slot), disks.image(vm)?.slot]
  const told = own.map(({ what }) => what)
  const strange = hypervisor.moves
    .emulated(vm)
    .filter(({ slot, guestAddress }) => !known.includes(slot) && !told.includes(guestAddress))
    .filter(({ slot }) => !told.includes(`slot ${slot}`))
    .map(({ kind, guestAddress }) => ({
      what: guestAddress,
      reason: `nobody can make its ${kind} elsewhere`,
    }))
  return [...own, ...strange]
}

/** Throws `notFound`, `notMigratable`. */
export function partsOf(platform: SimulatedPlatform, vm: string): VmParts {
  const { hypervisor, networking, disks } = platform
  const obstacles = obstaclesOf(platform, vm)
  if (obstacles.length > 0) throw notMigratable(vm, obstacles)
  return {
    machine: hypervisor.moves.image(vm),
    network: networking.images(vm),
    disk: disks.image(vm),
  }
}

/** The machine as it is: nothing that its guest could find out changes. Throws `notFound`, `notMigratable`. */
export function* captureVm(platform: SimulatedPlatform, vm: string): Software<VmDocument> {
  const parts = partsOf(platform, vm)
  const memory = yield* platform.hypervisor.moves.memory(vm)
  const medium = platform.disks.medium(vm)
  const contents = { memory, medium: medium === undefined ? null : yield* readMedium(medium) }
  return sealed({ ...parts, ...contents })
}

const sealed = (document: Omit<VmDocument, 'version' | 'hash'>): VmDocument => ({
  version: 1,
  ...document,
  hash: digest(document as unknown as Saved),
})

/** Throws `invalidDocument` for one of another version, or one that was damaged. */
export function checkVmDocument(from: Saved): VmDocument {
  const { version, hash, ...rest } = opened<VmDocument>(from, 'a virtual machine’s document', 1)
  if (digest(rest as unknown as Saved) === hash) return { version, hash, ...rest }
  throw new NorthbridgeError('invalidDocument', 'the document is damaged: its digest is another one')
}

export interface Placement {
  /** Default: that of the document. */
  readonly name?: string
  /** Switches of this host for those of the document; default: those of the same names. */
  readonly switches?: Readonly<Record<string, string>>
  /** Functions of this host for assigned ones of the document. */
  readonly functions?: Readonly<Record<string, string>>
}

/**
 * Takes what a machine needs of a host, before anything of it has come: memory of zeros, processors, and an empty disk, which
 * is returned. Throws as `createVm`, `notFound` for a switch, `nameTaken`.
 */
export function preparePlace(
  { hypervisor, networking, disks }: SimulatedPlatform,
  { machine, network, disk }: VmParts,
  placement: Placement,
): MemoryBackend | undefined {
  networking.checkRoom(placed(network, placement))
  hypervisor.moves.prepare(machine, placement.name)
  return disk === null ? undefined : disks.prepareMedium(disk)
}

const placed = (network: VmParts['network'], { switches = {} }: Placement): NetworkDeviceImage[] =>
  network.map(device => ({ ...device, switch: switches[device.switch] ?? device.switch }))

/** The machine goes on, paused, in a place that was prepared for it. */
export function* enterParts(
  { hypervisor, networking, disks }: SimulatedPlatform,
  { machine, network, disk }: VmParts,
  placement: Placement,
  medium: MemoryBackend | undefined,
): Software {
  const { name = machine.name } = placement
  hypervisor.moves.enter(machine, name)
  yield* hypervisor.moves.adoptFunctions(machine, placement.functions ?? {}, name)
  networking.adopt(name, placed(network, placement))
  if (disk !== null) disks.adopt(name, disk, medium!)
}

/** Bytes of a machine's state on its way: the text of a document without memory and disk. */
export const stateBytes = (parts: VmParts): number => encodeText(parts as unknown as Saved).length

/**
 * The machine of a document, paused. Throws as {@link preparePlace}; half-made then, see `undoneOnFailure`.
 *
 * @param disconnected network devices that lead nowhere
 */
export function* placeVm(
  platform: SimulatedPlatform,
  document: VmDocument,
  placement: Placement = {},
  disconnected: readonly NetworkDeviceImage[] = [],
): Software {
  const { name = document.machine.name } = placement
  const medium = preparePlace(platform, document, placement)
  yield* platform.hypervisor.moves.fill(name, document.memory)
  if (medium !== undefined && document.medium !== null) yield* writeMedium(medium, document.medium)
  yield* enterParts(platform, document, placement, medium)
  platform.networking.adoptDisconnected(name, disconnected)
}
