/** Network devices that go elsewhere with their virtual machine: the rules of their ports go with them. */
import { NorthbridgeError } from '../../core/index.ts'
import { Frame, macHigh, macLow } from '../../net/formats/index.ts'
import type { Obstacle } from '../moves/machine-image.ts'
import { writeAnnouncement } from './announcement.ts'
import { type NetworkDevice, portName } from './models.ts'
import type { PortRules } from './switch-port.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

export type NetworkDeviceImage = {
  readonly model: 'emulated' | 'paravirtual'
  readonly slot: number
  readonly mac: Uint8Array
  readonly standby: boolean
  readonly switch: string
  readonly rules: PortRules
}

const isSwitched = (device: NetworkDevice): boolean =>
  device.model === 'emulated' || device.model === 'paravirtual'

/** Functions of the host are obstacles already; queues of its adapters are too. */
export const networkObstacles = (devices: readonly NetworkDevice[]): Obstacle[] =>
  devices
    .filter(({ model }) => model === 'vmdq')
    .map(({ slot, function: address }) => ({
      what: `slot ${slot}`,
      reason: `its frames are sorted into queues of ${address}, which stays`,
    }))

export const imageOfDevice = (device: NetworkDevice, network: VirtualSwitch): NetworkDeviceImage => {
  const { vlan, ingressLimit, egressLimit, share } = network.port(portName(device)).options
  return {
    model: device.model === 'emulated' ? 'emulated' : 'paravirtual',
    slot: device.slot,
    mac: device.mac.slice(),
    standby: device.standby,
    switch: network.name,
    rules: {
      ...(vlan && { vlan }),
      ...(ingressLimit && { ingressLimit }),
      ...(egressLimit && { egressLimit }),
      ...(share !== undefined && { share }),
    },
  }
}

/** Devices behind switches, in the order of their slots. */
export const switchedDevices = (devices: readonly NetworkDevice[]): NetworkDevice[] =>
  devices.filter(isSwitched).sort((a, b) => a.slot - b.slot)

/** Throws `nameTaken` if somebody else on the switch has the address. */
export function checkAddressFree(network: VirtualSwitch, mac: Uint8Array): void {
  const [low, high] = [macLow(mac, 0), macHigh(mac, 0)]
  const other = network.ports.find(
    ({ options: { address } }) => address !== undefined && address[0] === low && address[1] === high,
  )
  if (other === undefined) return
  throw new NorthbridgeError(
    'nameTaken',
    `port ${other.options.name} of switch ${network.name} has the address already`,
  )
}

export const framesToPaused = (device: NetworkDevice, network: VirtualSwitch): number =>
  network.port(portName(device)).counters.droppedOut.machinePaused ?? 0

/** Says on a device's behalf where it is now, as QEMU's `announce-self` does: whoever learned another way forgets it. */
export function announce(device: NetworkDevice, network: VirtualSwitch): void {
  const frame = new Frame()
  writeAnnouncement(frame, macLow(device.mac, 0), macHigh(device.mac, 0), 0)
  network.receive(network.port(portName(device)), frame)
}
