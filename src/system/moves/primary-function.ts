/**
 * Failover teaming: before a machine moves it is asked to let go of the function of the host that it sends by, and its standby
 * takes over; at the target it is given another function with the same address.
 */
import { formatFunctionAddress, parseFunctionAddress } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { GuestKernel } from '../../guest/index.ts'
import type { NetworkDevice } from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../simulated-platform.ts'

/** A function that a standby stands in for. */
export interface Primary {
  readonly device: NetworkDevice
  readonly function: string
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i])

/** Functions of a machine for which another of its devices stands in. */
export function primariesOf({ networking }: SimulatedPlatform, vm: string): Primary[] {
  const own = networking.devices.filter(device => device.vm === vm)
  return own.flatMap(device => {
    const standby = own.some(other => other.standby && isSame(other.mac, device.mac))
    return device.model === 'sriov' && standby ? [{ device, function: device.function! }] : []
  })
}

/** Asks the guest to let go of it, and takes it. */
export function* release({ networking }: SimulatedPlatform, { device }: Primary): Software {
  yield* networking.removeDevice(device.vm, device.slot)
}

/** Gives the machine a function with the address; its driver starts. Throws what attaching does. */
export function* take(
  { networking, hypervisor }: SimulatedPlatform,
  vm: string,
  mac: Uint8Array,
  address: string,
): Software {
  const { segment, rid } = parseFunctionAddress(address)
  const device = yield* networking.addDevice({
    vm,
    model: 'sriov',
    mac,
    function: formatFunctionAddress(segment, rid),
  })
  yield* hypervisor.runGuest(vm, 0, function* (kernel) {
    if (kernel instanceof GuestKernel) yield* kernel.open(device.slot, { mac })
  })
}
