/**
 * `sriov-pf=ID`: QEMU makes a device a virtual function of the function with that id. The device shows itself only
 * after VF Enable, at the offset from its physical function at which it was placed.
 */
import { NorthbridgeError } from '../../core/index.ts'
import type { PlacedDevice } from './placement.ts'

export function composeVirtualFunctions(devices: readonly PlacedDevice[]): void {
  for (const device of devices) {
    const id = device.argument.properties.get('sriov-pf')
    if (id === undefined) continue
    const who = `-device ${device.argument.driver},sriov-pf=${id}`
    const physical = devices.find(({ argument }) => argument.properties.get('id') === id)
    if (physical === undefined) throw new NorthbridgeError('topologyConflict', `${who} names no device`)
    if (physical.bus !== device.bus || physical.devfn >= device.devfn) {
      throw new NorthbridgeError(
        'topologyConflict',
        `${who}: a virtual function lies behind its physical one`,
      )
    }
    device.physical = id
  }
}

/** The virtual functions of a device, by place. */
export function virtualFunctionsOf(device: PlacedDevice): PlacedDevice[] {
  const id = device.argument.properties.get('id')
  if (id === undefined) return []
  return device.bus.devices.filter(other => other.physical === id).sort((a, b) => a.devfn - b.devfn)
}
