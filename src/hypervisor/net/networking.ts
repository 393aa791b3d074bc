/**
 * Networking of virtual machines: switches with their uplinks, and network devices in five models. What model a device
 * is decides who moves its frames: the hypervisor, the hypervisor behind a sorting adapter, or the adapter alone.
 */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import {
  type AdapterOptions,
  type HostKernel,
  type NetworkAdapter,
  openAdapter,
  restoreAdapter,
} from '../../host/index.ts'
import { formatMac, macHigh, macLow } from '../../net/formats/index.ts'
import type { Hypervisor } from '../hypervisor.ts'
import type { Obstacle } from '../moves/machine-image.ts'
import type { NetworkDeviceDefinition, SwitchDefinition } from './definition.ts'
import {
  attachVirtualFunction,
  attachWhole,
  bringSwitched,
  type DeviceContext,
  type NetworkDevice,
  plugSorted,
  plugSwitched,
  portName,
  reattach,
  replugDisconnected,
  replugSorted,
  replugSwitched,
  type SavedNetworkDevice,
  savedDevice,
} from './models.ts'
import {
  announce,
  checkAddressFree,
  framesToPaused,
  imageOfDevice,
  type NetworkDeviceImage,
  networkObstacles,
  switchedDevices,
} from './moving.ts'
import { FrameJournal } from './network-device.ts'
import type { PortRules } from './switch-port.ts'
import { type SavedSwitching, Switching } from './switching.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

interface SavedNetworking {
  readonly adapters: readonly { readonly address: string; readonly state: Saved }[]
  readonly switches: readonly SavedSwitching[]
  readonly devices: readonly SavedNetworkDevice[]
  readonly copies: readonly [times: number, bytes: number]
}

export class Networking {
  readonly journal = new FrameJournal()
  readonly #host: HostKernel
  readonly #hypervisor: Hypervisor
  readonly #engine: Engine
  /** By address of the function. */
  readonly #adapters = new Map<string, NetworkAdapter>()
  readonly #switches = new Map<string, Switching>()
  #devices: readonly NetworkDevice[] = []

  constructor(host: HostKernel, hypervisor: Hypervisor, engine: Engine) {
    this.#host = host
    this.#hypervisor = hypervisor
    this.#engine = engine
    hypervisor.onRemoval((vm, slot) => this.#deviceLeft(vm, slot))
  }

  get adapters(): readonly NetworkAdapter[] {
    return [...this.#adapters.values()]
  }

  /**
   * The adapter of a function, opened by its driver if it was not yet. Throws `notFound`, `functionInUse`, `unsupported`;
   * `invalidArgument` if it is open and shall be opened otherwise.
   */
  *adapter(address: string, options?: AdapterOptions): Software<NetworkAdapter> {
    const full = this.#host.find(address).address
    const open = this.#adapters.get(full)
    if (open !== undefined && options !== undefined) {
      throw new NorthbridgeError('invalidArgument', `${full} is open already: its rings stay as they are`)
    }
    if (open !== undefined) return open
    const adapter = yield* openAdapter(this.#host.device(full), this.#engine, options)
    this.#keep(adapter)
    return adapter
  }

  #keep(adapter: NetworkAdapter): void {
    this.#adapters.set(adapter.address, adapter)
    adapter.removed = () => this.#adapterLeft(adapter)
  }

  /** Its driver was taken off it: a switch goes on without it. */
  #adapterLeft(adapter: NetworkAdapter): void {
    this.#adapters.delete(adapter.address)
    for (const switching of this.#switches.values()) switching.adapterLeft(adapter)
  }

  get switches(): readonly Switching[] {
    return [...this.#switches.values()]
  }

  /** Throws `notFound`. */
  switch(name: string): Switching {
    const found = this.#switches.get(name)
    if (found === undefined) throw new NorthbridgeError('notFound', `there is no virtual switch ${name}`)
    return found
  }

  /** Throws `nameTaken`, `functionInUse`, and what {@link adapter} throws; then nothing has changed. */
  *createSwitch(definition: SwitchDefinition): Software<VirtualSwitch> {
    const { name, uplinks } = definition
    if (this.#switches.has(name)) throw new NorthbridgeError('nameTaken', `there is a virtual switch ${name}`)
    const adapters: NetworkAdapter[] = []
    for (const address of uplinks) {
      const adapter = yield* this.adapter(address)
      this.#checkFree(adapter)
      adapters.push(adapter)
    }
    const switching = Switching.create(definition, adapters, this.#engine, this.journal)
    this.#switches.set(name, switching)
    return switching.network
  }

  #checkFree(adapter: NetworkAdapter): void {
    const user = this.switches.find(switching => switching.uses(adapter))
    if (user === undefined) return
    throw new NorthbridgeError(
      'functionInUse',
      `${adapter.address} is an uplink of switch ${user.network.name}`,
    )
  }

  /** Time that a team asked for is over. */
  timeIsUp(name: string): void {
    for (const { team } of this.#switches.values()) if (team.options.name === name) team.timeIsUp()
  }

  /** Throws `functionInUse` while a virtual machine has a port. */
  deleteSwitch(name: string): void {
    const switching = this.switch(name)
    const user = this.#devices.find(device => device.switch === name)
    if (user !== undefined) {
      throw new NorthbridgeError('functionInUse', `${user.vm} is connected to switch ${name}`)
    }
    switching.disconnect()
    this.#switches.delete(name)
  }

  get devices(): readonly NetworkDevice[] {
    return this.#devices
  }

  /** A virtual machine's network device by its slot. Throws `notFound`. */
  device(vm: string, slot?: number): NetworkDevice {
    const found = this.#devices.find(
      device => device.vm === vm && (slot === undefined || device.slot === slot),
    )
    if (found === undefined) {
      const where = slot === undefined ? '' : ` in slot ${slot}`
      throw new NorthbridgeError('notFound', `${vm} has no network device${where}`)
    }
    return found
  }

  /** Throws `notFound`, `invalidArgument`, `outOfResources`, and what attaching throws; then nothing has changed. */
  *addDevice(definition: NetworkDeviceDefinition): Software<NetworkDevice> {
    this.#hypervisor.vm(definition.vm)
    const device = yield* this.#make(definition)
    this.#devices = [...this.#devices, device]
    this.#switchOf(device)?.portsChanged()
    const { vm, model, slot } = device
    const mac = formatMac(macLow(device.mac, 0), macHigh(device.mac, 0))
    this.#engine.trace.emit('network', `${vm}: a network device in slot ${slot}, ${model}, ${mac}`, {
      step: 'device',
      vm,
      model,
      slot,
      mac,
    })
    return device
  }

  get #context(): DeviceContext {
    return { hypervisor: this.#hypervisor, host: this.#host, journal: this.journal }
  }

  *#make(definition: NetworkDeviceDefinition): Software<NetworkDevice> {
    const context = this.#context
    checkStandby(definition)
    switch (definition.model) {
      case 'emulated':
      case 'paravirtual':
        return yield* plugSwitched(context, definition, this.#wantedSwitch(definition))
      case 'vmdq':
        checkUnlimited(definition)
        return yield* plugSorted(context, definition, yield* this.adapter(functionOf(definition)))
      case 'sriov': {
        checkUnlimited(definition)
        const fn = this.#host.find(functionOf(definition))
        if (fn.physicalFunction === undefined) {
          throw new NorthbridgeError('invalidArgument', `${fn.address} is no virtual function`)
        }
        return yield* attachVirtualFunction(context, definition, yield* this.adapter(fn.physicalFunction))
      }
      case 'direct': {
        checkUnlimited(definition)
        const { address } = this.#host.find(functionOf(definition))
        const open = this.#adapters.get(address)
        if (open !== undefined) {
          this.#checkFree(open)
          yield* open.close()
          this.#adapters.delete(address)
        }
        return yield* attachWhole(context, definition)
      }
    }
  }

  #wantedSwitch({ switch: name }: NetworkDeviceDefinition): VirtualSwitch {
    if (name === undefined) {
      throw new NorthbridgeError('invalidArgument', 'a device of this model is connected to a switch', {
        issues: [{ path: '/switch', message: 'is required for this model' }],
      })
    }
    return this.switch(name).network
  }

  /** Throws `notFound`. */
  *removeDevice(vm: string, slot: number): Software {
    yield* this.device(vm, slot).remove()
  }

  *#deviceLeft(vm: string, slot: number): Software {
    const device = this.#devices.find(one => one.vm === vm && one.slot === slot)
    if (device === undefined) return
    this.#devices = this.#devices.filter(other => other !== device)
    yield* device.release()
    this.#switchOf(device)?.portsChanged()
  }

  // Machines that come from elsewhere, or go there.

  /** What keeps the network devices of a virtual machine on this host. */
  obstacles(vm: string): Obstacle[] {
    return networkObstacles(this.#devices.filter(device => device.vm === vm))
  }

  /** Its devices behind switches, with the rules of their ports. */
  images(vm: string): NetworkDeviceImage[] {
    const own = switchedDevices(this.#devices.filter(device => device.vm === vm))
    return own.map(device => imageOfDevice(device, this.switch(device.switch!).network))
  }

  /** Throws `notFound` for a switch that there is not; `nameTaken` if somebody on it has an address of theirs. */
  checkRoom(images: readonly NetworkDeviceImage[]): void {
    for (const { switch: name, mac } of images) checkAddressFree(this.switch(name).network, mac)
  }

  /** Puts the devices of a machine that came from elsewhere behind switches of this host. */
  adopt(vm: string, images: readonly NetworkDeviceImage[]): void {
    for (const { model, slot, mac, standby, rules, switch: name } of images) {
      const place = { vm, model, slot, standby, mac: mac.slice() }
      const device = bringSwitched(this.#context, place, rules, this.switch(name).network)
      this.#devices = [...this.#devices, device]
      this.#switchOf(device)?.portsChanged()
    }
  }

  /** Puts devices back that lead nowhere: whose machine is a copy of another, who has their addresses. */
  adoptDisconnected(vm: string, images: readonly NetworkDeviceImage[]): void {
    for (const { model, slot, mac, standby } of images)
      replugDisconnected(this.#context, { vm, model, slot, mac, standby })
  }

  /** Other rules for the port of a device behind a switch. */
  configure(device: NetworkDevice, rules: PortRules): void {
    const { network } = this.switch(device.switch!)
    network.configure(network.port(portName(device)), rules)
    this.#switchOf(device)?.portsChanged()
  }

  /** Frames for a machine's devices that came while it was paused. */
  framesToPaused(vm: string): number {
    const own = switchedDevices(this.#devices.filter(device => device.vm === vm))
    return own.reduce((sum, device) => sum + framesToPaused(device, this.switch(device.switch!).network), 0)
  }

  /** Tells the network outside that the addresses of a machine are here. */
  announce(vm: string): void {
    for (const device of switchedDevices(this.#devices.filter(one => one.vm === vm)))
      announce(device, this.switch(device.switch!).network)
  }

  /** The switch that a device is connected to, if it is to one. */
  #switchOf({ switch: name }: Pick<NetworkDevice, 'switch'>): Switching | undefined {
    return name === undefined ? undefined : this.#switches.get(name)
  }

  /**
   * Networking as it was when it was saved, over a host and a hypervisor of that moment. Nobody follows frames. Throws
   * `invalidDocument` for a state of another version.
   */
  static restore(host: HostKernel, hypervisor: Hypervisor, engine: Engine, from: Saved): Networking {
    const { adapters, switches, devices, copies } = opened<SavedNetworking>(from, 'networking', 2)
    const networking = new Networking(host, hypervisor, engine)
    for (const { address, state } of adapters) {
      networking.#keep(restoreAdapter(host.device(address), engine, state))
    }
    for (const one of switches) {
      const switching = Switching.restore(one, networking.#adapters, engine, networking.journal)
      networking.#switches.set(one.network.name, switching)
    }
    networking.#devices = devices.map(device => networking.#restoreDevice(device, switches))
    for (const switching of networking.#switches.values()) switching.restored()
    ;[networking.journal.copies, networking.journal.copiedBytes] = copies
    return networking
  }

  #restoreDevice(saved: SavedNetworkDevice, switches: readonly SavedSwitching[]): NetworkDevice {
    const context = this.#context
    switch (saved.model) {
      case 'emulated':
      case 'paravirtual': {
        const { network } = switches.find(({ network: { name } }) => name === saved.switch)!
        return replugSwitched(context, saved, this.switch(network.name).network, network)
      }
      case 'vmdq':
        return replugSorted(context, saved, this.#adapters.get(saved.function!))
      case 'sriov':
      case 'direct':
        return reattach(this.#hypervisor, saved)
    }
  }

  save(): Saved {
    return {
      version: 2,
      adapters: this.adapters.map(adapter => ({ address: adapter.address, state: adapter.save() })),
      switches: this.switches.map(switching => switching.save()),
      devices: this.#devices.map(savedDevice),
      copies: [this.journal.copies, this.journal.copiedBytes],
    } satisfies SavedNetworking & { version: 2 } as unknown as Saved
  }
}

/** Throws `invalidArgument`. */
function checkStandby({ model, standby = false }: NetworkDeviceDefinition): void {
  if (!standby || model === 'paravirtual') return
  throw new NorthbridgeError('invalidArgument', `a device of model ${model} stands in for no other`, {
    issues: [{ path: '/standby', message: 'belongs to the model paravirtual' }],
  })
}

/** Throws `invalidArgument`. */
function checkUnlimited({ model, limit, share }: NetworkDeviceDefinition): void {
  const path = limit !== undefined ? '/limit' : share !== undefined ? '/share' : undefined
  if (path === undefined) return
  throw new NorthbridgeError('invalidArgument', `frames of model ${model} do not pass a port of the switch`, {
    issues: [{ path, message: 'belongs to models that a switch serves' }],
  })
}

function functionOf({ function: address }: NetworkDeviceDefinition): string {
  if (address === undefined) {
    throw new NorthbridgeError(
      'invalidArgument',
      'a device of this model is a function of the host, or uses one',
      {
        issues: [{ path: '/function', message: 'is required for this model' }],
      },
    )
  }
  return address
}
