/** How a network device of each model comes to its virtual machine, and leaves it. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { HostKernel, NetworkAdapter } from '../../host/index.ts'
import { macHigh, macLow } from '../../net/formats/index.ts'
import type { EmulatedDevice } from '../emulated-device.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { VirtioDevice } from '../virtio/index.ts'
import type { NetworkDeviceDefinition, NetworkModelName } from './definition.ts'
import { E1000Device } from './e1000/e1000.ts'
import type { FrameExit, FrameJournal } from './network-device.ts'
import { DEFAULT_VLAN } from './port-vlan.ts'
import type { SwitchClient } from './switch-port.ts'
import { VirtioNet } from './virtio-net.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

export interface DeviceContext {
  readonly hypervisor: Hypervisor
  readonly host: HostKernel
  readonly journal: FrameJournal
}

export interface NetworkDevice {
  readonly vm: string
  readonly model: NetworkModelName
  /** Where the guest finds it. */
  readonly slot: number
  readonly mac: Uint8Array
  readonly switch?: string
  readonly function?: string
  /** Of a pool of queues that the hypervisor serves. */
  readonly pool?: number
  /** Takes it out of the virtual machine. */
  remove(): Software
  /** Gives back what it held outside of the virtual machine, which is gone. */
  release(): Software
}

/** A device with registers of its own and a port of the switch. */
export function* plugEmulated(
  context: DeviceContext,
  definition: NetworkDeviceDefinition,
  network: VirtualSwitch,
): Software<NetworkDevice> {
  return yield* plugIntoSwitch(context, definition, network, exit => {
    const device = new E1000Device(definition.mac, exit, context.journal)
    return { client: device, device }
  })
}

/** virtio-net with a port of the switch. */
export function* plugParavirtual(
  context: DeviceContext,
  definition: NetworkDeviceDefinition,
  network: VirtualSwitch,
): Software<NetworkDevice> {
  return yield* plugIntoSwitch(context, definition, network, exit => {
    const client = new VirtioNet(definition.mac, exit, context.journal)
    return { client, device: new VirtioDevice(client) }
  })
}

function* plugIntoSwitch(
  { hypervisor }: DeviceContext,
  { vm, model, mac, vlan, limit }: NetworkDeviceDefinition,
  network: VirtualSwitch,
  make: (exit: FrameExit) => { client: SwitchClient; device: EmulatedDevice },
): Software<NetworkDevice> {
  const { client, device } = make(frame => network.receive(port, frame))
  // Names of ports are unique: one for each address.
  const name = `${vm}-${macLow(mac, 0).toString(16)}${macHigh(mac, 0).toString(16)}`
  const rule = { mode: 'access', vlan: vlan ?? DEFAULT_VLAN } as const
  const limits = limit && { ingressLimit: limit, egressLimit: limit }
  const address = [macLow(mac, 0), macHigh(mac, 0)] as const
  const port = network.addPort({ name, kind: 'vm', vlan: rule, address, ...limits }, client)
  let slot: number
  try {
    slot = yield* hypervisor.plug(vm, device)
  } catch (error) {
    network.removePort(port)
    throw error
  }
  // biome-ignore lint/correctness/useYield: other models wait where this one does not
  function* release(): Software {
    network.removePort(port)
  }
  return {
    vm,
    model,
    slot,
    mac,
    switch: network.name,
    *remove() {
      yield* hypervisor.unplug(vm, slot)
      yield* release()
    },
    release,
  }
}

/** virtio-net whose frames the adapter sorts into queues of the virtual machine's own; what it sends needs no switch either. */
export function* plugSorted(
  { hypervisor, journal }: DeviceContext,
  { vm, model, mac, vlan }: NetworkDeviceDefinition,
  adapter: NetworkAdapter,
): Software<NetworkDevice> {
  const pool = yield* adapter.openPool(mac, vlan)
  const client = new VirtioNet(mac, frame => (pool.send(frame) ? undefined : 'queueFull'), journal)
  pool.receiver = frame => {
    const cause = client.deliver(frame)
    if (cause !== undefined && journal.following) journal.note(`pool ${pool.pool}`, 'dropped', { cause })
  }
  let slot: number
  try {
    slot = yield* hypervisor.plug(vm, new VirtioDevice(client))
  } catch (error) {
    yield* adapter.closePool(pool)
    throw error
  }
  const release = (): Software => adapter.closePool(pool)
  return {
    vm,
    model,
    slot,
    mac,
    function: adapter.address,
    pool: pool.pool,
    *remove() {
      yield* hypervisor.unplug(vm, slot)
      yield* release()
    },
    release,
  }
}

/** A virtual function: the driver of the physical one gives it its address, then the guest has it alone. */
export function* attachVirtualFunction(
  { hypervisor, host }: DeviceContext,
  { vm, model, mac, vlan = 0, function: address }: NetworkDeviceDefinition,
  adapter: NetworkAdapter,
): Software<NetworkDevice> {
  const fn = host.find(address!)
  const physical = host.find(fn.physicalFunction!)
  const index = physical.virtualFunctions.indexOf(fn.address)
  adapter.configureVirtualFunction(index, { mac, vlan })
  return yield* attached({ hypervisor }, vm, model, mac, fn.address)
}

/** The whole adapter: nobody but the guest knows its address. */
export function* attachWhole(
  { hypervisor, host }: DeviceContext,
  { vm, model, mac, function: address }: NetworkDeviceDefinition,
): Software<NetworkDevice> {
  return yield* attached({ hypervisor }, vm, model, mac, host.find(address!).address)
}

function* attached(
  { hypervisor }: Pick<DeviceContext, 'hypervisor'>,
  vm: string,
  model: NetworkModelName,
  mac: Uint8Array,
  address: string,
): Software<NetworkDevice> {
  const { guestAddress } = yield* hypervisor.attach(vm, address)
  return {
    vm,
    model,
    slot: slotOf(guestAddress),
    mac,
    function: address,
    remove: () => hypervisor.detach(vm, address),
    *release() {},
  }
}

/** Device number of a guest address, `0000:00:dd.0`. */
function slotOf(guestAddress: string): number {
  const device = /:([0-9a-f]{2})\./.exec(guestAddress)?.[1]
  if (device === undefined) throw new NorthbridgeError('defect', `${guestAddress} is no address`)
  return Number.parseInt(device, 16)
}
