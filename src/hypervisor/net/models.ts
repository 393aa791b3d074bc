/** How a network device of each model comes to its virtual machine, and leaves it. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AdapterPool, HostKernel, NetworkAdapter } from '../../host/index.ts'
import { macHigh, macLow } from '../../net/formats/index.ts'
import type { EmulatedDevice } from '../emulated-device.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { VirtioDevice } from '../virtio/index.ts'
import type { NetworkDeviceDefinition, NetworkModelName } from './definition.ts'
import type { DropCause, DropTally } from './drop-tally.ts'
import { E1000Device } from './e1000/e1000.ts'
import type { FrameExit, FrameJournal } from './network-device.ts'
import { DEFAULT_VLAN } from './port-vlan.ts'
import type { PortOptions, PortRules, SwitchClient, SwitchPort } from './switch-port.ts'
import { savedPort } from './switching.ts'
import { VirtioNet } from './virtio-net.ts'
import type { SavedSwitch, VirtualSwitch } from './virtual-switch.ts'

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
  /** It stands in for another device with its address. */
  readonly standby: boolean
  readonly switch?: string
  readonly function?: string
  /** Of queues that the hypervisor serves; -1 after the adapter has taken them for others. */
  readonly pool?: number
  /** Of a device that the hypervisor serves: frames that ended in it. What ends in a switch is counted at its port. */
  readonly drops?: Readonly<Partial<Record<DropCause, number>>>
  /** Takes it out of its virtual machine. */
  remove(): Software
  /** It has left its virtual machine: gives back what it held outside. */
  release(): Software
}

export type SavedNetworkDevice = {
  readonly vm: string
  readonly model: NetworkModelName
  readonly slot: number
  readonly mac: Uint8Array
  readonly standby: boolean
  readonly switch: string | null
  readonly function: string | null
  readonly pool: number | null
}

type Placed = Pick<NetworkDevice, 'vm' | 'model' | 'slot' | 'mac' | 'standby'>
type Plugging = Pick<DeviceContext, 'hypervisor' | 'journal'>

// Connected to a switch: registers of the device's own, or virtio-net.

/** Name of the port of a device: unique, as its address is. */
export const portName = ({ vm, mac }: Pick<NetworkDevice, 'vm' | 'mac'>): string =>
  `${vm}-${macLow(mac, 0).toString(16)}${macHigh(mac, 0).toString(16)}`

/** A device that sends into a port, and the port, which `open` makes for it. */
function makeSwitched(
  {
    vm,
    model,
    mac,
    standby = false,
  }: Pick<NetworkDevice, 'vm' | 'model' | 'mac'> & { readonly standby?: boolean },
  network: VirtualSwitch,
  { hypervisor: { moves }, journal }: Plugging,
  open: (client: SwitchClient) => SwitchPort,
): { readonly device: EmulatedDevice; readonly port: SwitchPort; readonly tally: DropTally } {
  const exit: FrameExit = frame => network.receive(port, frame)
  const emulated = model === 'emulated'
  const client = emulated ? new E1000Device(mac, exit, journal) : new VirtioNet(mac, exit, journal, standby)
  // A machine that is paused takes nothing.
  const port = open({
    deliver: frame => (moves.isPaused(vm) ? 'machinePaused' : client.deliver(frame)),
  })
  const device = client instanceof VirtioNet ? new VirtioDevice(client) : client
  return { device, port, tally: client.drops }
}

/** A port for a device that has not been there before. */
const portFor = (device: Pick<NetworkDevice, 'vm' | 'mac'>, rules: PortRules): PortOptions => ({
  ...rules,
  name: portName(device),
  kind: 'vm',
  address: [macLow(device.mac, 0), macHigh(device.mac, 0)],
})

export function* plugSwitched(
  plugging: Plugging,
  definition: NetworkDeviceDefinition,
  network: VirtualSwitch,
): Software<NetworkDevice> {
  const { hypervisor } = plugging
  const { vm, model, mac, vlan, limit, share, standby = false } = definition
  const rules = {
    vlan: { mode: 'access', vlan: vlan ?? DEFAULT_VLAN },
    ...(limit && { ingressLimit: limit, egressLimit: limit }),
    ...(share !== undefined && { share }),
  } as const
  const { device, port, tally } = makeSwitched(definition, network, plugging, client =>
    network.addPort(portFor(definition, rules), client),
  )
  try {
    const slot = yield* hypervisor.plug(vm, device)
    return switched(hypervisor, { vm, model, slot, mac, standby }, network, port, tally)
  } catch (error) {
    network.removePort(port)
    throw error
  }
}

/** A device that comes with its machine from elsewhere: the guest has it already, and the network is told where it is now. */
export function bringSwitched(
  plugging: Plugging,
  place: Placed,
  rules: PortRules,
  network: VirtualSwitch,
): NetworkDevice {
  const { hypervisor } = plugging
  const { device, port, tally } = makeSwitched(place, network, plugging, client =>
    network.addPort(portFor(place, rules), client),
  )
  hypervisor.replug(place.vm, place.slot, device)
  return switched(hypervisor, place, network, port, tally)
}

/** A device whose cable nobody has plugged in: its guest has it, and what it sends ends there. */
export function replugDisconnected(
  { hypervisor, journal }: Plugging,
  { vm, model, slot, mac, standby }: Placed,
): void {
  const nowhere: FrameExit = () => 'noReceiver'
  const client =
    model === 'emulated'
      ? new E1000Device(mac, nowhere, journal)
      : new VirtioDevice(new VirtioNet(mac, nowhere, journal, standby))
  hypervisor.replug(vm, slot, client)
}

/** @param from the switch as it was when it was saved */
export function replugSwitched(
  plugging: Plugging,
  saved: SavedNetworkDevice,
  network: VirtualSwitch,
  from: SavedSwitch,
): NetworkDevice {
  const { hypervisor } = plugging
  const state = savedPort(from, portName(saved))
  const open = (client: SwitchClient): SwitchPort => network.restorePort(state, client)
  const { device, port, tally } = makeSwitched(saved, network, plugging, open)
  hypervisor.replug(saved.vm, saved.slot, device)
  return switched(hypervisor, placeOf(saved), network, port, tally)
}

function switched(
  hypervisor: Hypervisor,
  place: Placed,
  network: VirtualSwitch,
  port: SwitchPort,
  tally: DropTally,
): NetworkDevice {
  // biome-ignore lint/correctness/useYield: other models wait where this one does not
  function* release(): Software {
    network.removePort(port)
  }
  const remove = (): Software => hypervisor.unplug(place.vm, place.slot)
  return {
    ...place,
    switch: network.name,
    get drops() {
      return tally.byCause
    },
    remove,
    release,
  }
}

// Sorted by the adapter into queues of the virtual machine's own: what it sends needs no switch either.

/** Of queues that the adapter has taken for others, or that went with it: nothing comes, and nothing goes. */
const closedPool = (): AdapterPool => ({ pool: -1, interrupts: 0, receiver: undefined, send: () => false })

function makeSorted(mac: Uint8Array, pool: AdapterPool, journal: FrameJournal): VirtioNet {
  const ended = (cause: DropCause | undefined): DropCause | undefined => {
    if (cause === undefined) return undefined
    client.drops.count(cause)
    if (journal.following) journal.note(`pool ${pool.pool}`, 'dropped', { cause })
    return cause
  }
  const exit: FrameExit = frame =>
    ended(pool.send(frame) ? undefined : pool.pool < 0 ? 'noReceiver' : 'queueFull')
  const client = new VirtioNet(mac, exit, journal)
  pool.receiver = frame => void ended(client.deliver(frame))
  return client
}

export function* plugSorted(
  { hypervisor, journal }: Plugging,
  { vm, model, mac, vlan }: NetworkDeviceDefinition,
  adapter: NetworkAdapter,
): Software<NetworkDevice> {
  const pool = yield* adapter.openPool(mac, vlan)
  try {
    const client = makeSorted(mac, pool, journal)
    const slot = yield* hypervisor.plug(vm, new VirtioDevice(client))
    const release = (): Software => adapter.closePool(pool)
    return sorted(
      hypervisor,
      { vm, model, slot, mac, standby: false },
      adapter.address,
      pool,
      client.drops,
      release,
    )
  } catch (error) {
    yield* adapter.closePool(pool)
    throw error
  }
}

/** @param adapter undefined if it went away under its virtual machines */
export function replugSorted(
  { hypervisor, journal }: Plugging,
  saved: SavedNetworkDevice,
  adapter: NetworkAdapter | undefined,
): NetworkDevice {
  const pool = adapter?.pool(saved.pool!) ?? closedPool()
  const client = makeSorted(saved.mac, pool, journal)
  hypervisor.replug(saved.vm, saved.slot, new VirtioDevice(client))
  const release = (): Software => adapter?.closePool(pool) ?? nothing()
  return sorted(hypervisor, placeOf(saved), saved.function!, pool, client.drops, release)
}

function sorted(
  hypervisor: Hypervisor,
  place: Placed,
  address: string,
  pool: AdapterPool,
  tally: DropTally,
  release: () => Software,
): NetworkDevice {
  return {
    ...place,
    function: address,
    get pool() {
      return pool.pool
    },
    get drops() {
      return tally.byCause
    },
    remove: () => hypervisor.unplug(place.vm, place.slot),
    release,
  }
}

// Functions of the host.

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
  return yield* attach(hypervisor, vm, model, mac, fn.address)
}

/** The whole adapter: nobody but the guest knows its address. */
export function* attachWhole(
  { hypervisor, host }: DeviceContext,
  { vm, model, mac, function: address }: NetworkDeviceDefinition,
): Software<NetworkDevice> {
  return yield* attach(hypervisor, vm, model, mac, host.find(address!).address)
}

function* attach(
  hypervisor: Hypervisor,
  vm: string,
  model: NetworkModelName,
  mac: Uint8Array,
  address: string,
): Software<NetworkDevice> {
  const { guestAddress } = yield* hypervisor.attach(vm, address)
  return attached(hypervisor, { vm, model, slot: slotOf(guestAddress), mac, standby: false }, address)
}

export const reattach = (hypervisor: Hypervisor, saved: SavedNetworkDevice): NetworkDevice =>
  attached(hypervisor, placeOf(saved), saved.function!)

const attached = (hypervisor: Hypervisor, place: Placed, address: string): NetworkDevice => ({
  ...place,
  function: address,
  remove: () => hypervisor.detach(place.vm, address),
  release: nothing,
})

function* nothing(): Software {}

/** Device number of a guest address, `0000:00:dd.0`. */
function slotOf(guestAddress: string): number {
  const device = /:([0-9a-f]{2})\./.exec(guestAddress)?.[1]
  if (device === undefined) throw new NorthbridgeError('defect', `${guestAddress} is no address`)
  return Number.parseInt(device, 16)
}

const placeOf = ({ vm, model, slot, mac, standby }: SavedNetworkDevice): Placed => ({
  standby,
  vm,
  model,
  slot,
  mac: mac.slice(),
})

export const savedDevice = (device: NetworkDevice): SavedNetworkDevice => ({
  vm: device.vm,
  model: device.model,
  standby: device.standby,
  slot: device.slot,
  mac: device.mac.slice(),
  switch: device.switch ?? null,
  function: device.function ?? null,
  pool: device.pool ?? null,
})
