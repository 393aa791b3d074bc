/** A second machine made of one that is, or was: it goes on from there, with addresses of its own. */
import { digest } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { GuestKernel } from '../../guest/index.ts'
import type { NetworkDeviceImage } from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'
import { placeVm, type VmDocument } from './vm-document.ts'

export interface CloneOptions {
  readonly name: string
  /** Addresses of its network devices, in the order of their slots; default: made of its name. */
  readonly macs?: readonly Uint8Array[]
  readonly switches?: Readonly<Record<string, string>>
}

/** QEMU's prefix of addresses that nobody sells. */
const PREFIX = [0x52, 0x54, 0x00] as const

function addressFor(name: string, slot: number): Uint8Array {
  const hash = digest([name, slot])
  return Uint8Array.from([...PREFIX, ...[0, 2, 4].map(at => Number.parseInt(hash.slice(at, at + 2), 16))])
}

/**
 * The clone runs. Its guest finds that its network devices went away and others came, in the order of their slots; their
 * driver is started. Throws as `placeVm`; half-made then, see `undoneOnFailure`.
 */
export function* cloneVm(
  platform: SimulatedPlatform,
  document: VmDocument,
  { name, macs, switches = {} }: CloneOptions,
): Software {
  const { hypervisor, networking } = platform
  const { network } = document
  yield* placeVm(platform, { ...document, network: [] }, { name }, network)
  yield* hypervisor.moves.resume(name)
  for (const { slot } of network) yield* hypervisor.unplug(name, slot)
  for (const [i, image] of network.entries()) {
    const mac = macs?.[i] ?? addressFor(name, image.slot)
    yield* addNetworkDevice(platform, name, { ...image, mac, switch: switches[image.switch] ?? image.switch })
  }
  if (network.length > 0) networking.announce(name)
}

/** A network device like another one, with its driver started in the guest. */
export function* addNetworkDevice(
  { hypervisor, networking }: SimulatedPlatform,
  vm: string,
  { model, mac, switch: network, rules }: NetworkDeviceImage,
): Software {
  const device = yield* networking.addDevice({ vm, model, mac, switch: network })
  networking.configure(device, rules)
  yield* hypervisor.runGuest(vm, 0, function* (kernel) {
    if (kernel instanceof GuestKernel) yield* kernel.open(device.slot, { mac })
  })
}
