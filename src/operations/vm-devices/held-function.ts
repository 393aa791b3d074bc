import type { SimulatedPlatform } from '../../system/index.ts'
import { functionOf } from '../functions.ts'

export const path = '/v1/platforms/{platform}/vms/{vm}/devices/{function}'

/** The address of a function that a virtual machine is to have, by the text of a path. Throws `notFound`. */
export function heldFunction(platform: SimulatedPlatform, vm: string, text: string): string {
  platform.hypervisor.vm(vm)
  return functionOf(platform, text).address
}
