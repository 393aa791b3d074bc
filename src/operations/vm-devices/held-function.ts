import { NorthbridgeError } from '../../core/index.ts'
import type { AttachedDevice } from '../../hypervisor/index.ts'
import type { SimulatedPlatform } from '../../system/index.ts'
import { functionOf } from '../functions.ts'

export const path = '/v1/platforms/{platform}/vms/{vm}/devices/{function}'

/** A function that a virtual machine has, by the text of a path. Throws `notFound`. */
export function heldFunction(platform: SimulatedPlatform, vm: string, text: string): AttachedDevice {
  const { devices } = platform.hypervisor.vm(vm)
  const { address } = functionOf(platform, text)
  const device = devices.find(one => one.address === address)
  if (device === undefined) throw new NorthbridgeError('notFound', `${address} is not attached to ${vm}`)
  return device
}
