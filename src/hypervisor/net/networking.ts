/**
 * Networking of virtual machines: switches with their uplinks, and network devices in five models. What model a device
 * is decides who moves its frames: the hypervisor, the hypervisor behind a sorting adapter, or the adapter alone.
 */
import { assert, NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import { type HostKernel, type NetworkAdapter, openAdapter, restoreAdapter } from '../../host/index.ts'
import { formatMac, macHigh, macLow } from '../../net/formats/index.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { AdapterUplink } from './adapter-uplink.ts'
import type { NetworkDeviceDefinition, SwitchDefinition } from './definition.ts'
import {
  attachVirtualFunction,
  attachWhole,
  type DeviceContext,
  type NetworkDevice,
  plugSorted,
  plugSwitched,
  reattach,
  replugSorted,
  replugSwitched,
  type SavedNetworkDevice,
  savedDevice,
} from './models.ts'
import { FrameJournal } from './network-device.ts'
import type { PortVlan } from './port-vlan.ts'
import { type SavedTeam, type TeamOptions, UplinkTeam } from './uplink-team.ts'
import { type SavedSwitch, VirtualSwitch } from './virtual-switch.ts'

interface Switching {
  readonly network: VirtualSwitch
  readonly team: UplinkTeam
  readonly uplinks: AdapterUplink[]
}

interface SavedSwitching {
  readonly network: SavedSwitch
  readonly team: SavedTeam
}

interface SavedNetworking {
  readonly adapters: readonly { readonly address: string; readonly state: Saved }[]
  readonly switches: readonly SavedSwitching[]
  readonly devices: readonly SavedNetworkDevice[]
  readonly copies: readonly [times: number, bytes: number]
}

const UPLINK_VLAN: PortVlan = { mode: 'trunk', native: 1 }

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

  /** The adapter of a function, opened by its driver if it was not yet. Throws `notFound`, `functionInUse`, `unsupported`. */
  *adapter(address: string): Software<NetworkAdapter> {
    const full = this.#host.find(address).address
    const open = this.#adapters.get(full)
    if (open !== undefined) return open
    const adapter = yield* openAdapter(this.#host.device(full), this.#engine)
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
    for (const { team, uplinks } of this.#switches.values()) {
      const uplink = uplinks.find(one => one.adapter === adapter)
      if (uplink === undefined) continue
      uplinks.splice(uplinks.indexOf(uplink), 1)
      team.remove(uplink)
    }
  }

  get switches(): readonly { readonly network: VirtualSwitch; readonly team: UplinkTeam }[] {
    return [...this.#switches.values()]
  }

  /** Throws `notFound`. */
  switch(name: string): Switching {
    const found = this.#switches.get(name)
    if (found === undefined) throw new NorthbridgeError('notFound', `there is no virtual switch ${name}`)
    return found
  }

  /** Throws `nameTaken`, `functionInUse`, and what {@link adapter} throws; then nothing has changed. */
  *createSwitch({ name, uplinks, team, uplinkVlan }: SwitchDefinition): Software<VirtualSwitch> {
    if (this.#switches.has(name)) throw new NorthbridgeError('nameTaken', `there is a virtual switch ${name}`)
    const adapters: NetworkAdapter[] = []
    for (const address of uplinks) {
      const adapter = yield* this.adapter(address)
      this.#checkFree(adapter)
      adapters.push(adapter)
    }
    const network = new VirtualSwitch({ name, clock: this.#engine })
    const options: TeamOptions = { name: `${name}-uplink`, mode: 'activeBackup', ...team }
    const uplinkTeam = new UplinkTeam(options, network, this.#engine)
    const vlan = uplinkVlan ?? UPLINK_VLAN
    uplinkTeam.port = network.addPort({ name: options.name, kind: 'uplink', vlan }, uplinkTeam)
    const members = adapters.map(adapter => new AdapterUplink(adapter, uplinkTeam))
    for (const member of members) {
      member.connect()
      uplinkTeam.add(member)
    }
    this.#follow(network)
    this.#switches.set(name, { network, team: uplinkTeam, uplinks: members })
    return network
  }

  #checkFree(adapter: NetworkAdapter): void {
    for (const { network, uplinks } of this.#switches.values()) {
      if (uplinks.some(uplink => uplink.adapter === adapter)) {
        throw new NorthbridgeError(
          'functionInUse',
          `${adapter.address} is an uplink of switch ${network.name}`,
        )
      }
    }
  }

  /** Steps of the switch for who follows a frame. */
  #follow(network: VirtualSwitch): void {
    const { journal } = this
    network.observer = {
      learned(port, vlan, moved) {
        if (journal.following) {
          journal.note(network.name, 'learned', { port: port.options.name, vlan, moved })
        }
      },
      forwarded(from, to, vlan, flooded) {
        if (journal.following) {
          const detail = { from: from.options.name, to: to.options.name, vlan, flooded }
          journal.note(network.name, 'forwarded', detail)
        }
      },
      dropped(port, cause, way) {
        if (journal.following) journal.note(network.name, 'dropped', { port: port.options.name, cause, way })
      },
    }
  }

  /** Time that a team asked for is over. */
  timeIsUp(team: string): void {
    for (const switching of this.#switches.values()) {
      if (switching.team.options.name === team) switching.team.timeIsUp()
    }
  }

  /** Throws `functionInUse` while a virtual machine has a port. */
  deleteSwitch(name: string): void {
    const { network, uplinks } = this.switch(name)
    const user = this.#devices.find(device => device.switch === name)
    if (user !== undefined) {
      throw new NorthbridgeError('functionInUse', `${user.vm} is connected to switch ${network.name}`)
    }
    for (const uplink of uplinks) uplink.disconnect()
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

  *#make(definition: NetworkDeviceDefinition): Software<NetworkDevice> {
    const context: DeviceContext = { hypervisor: this.#hypervisor, host: this.#host, journal: this.journal }
    switch (definition.model) {
      case 'emulated':
      case 'paravirtual':
        return yield* plugSwitched(context, definition, this.#switchOf(definition))
      case 'vmdq':
        return yield* plugSorted(context, definition, yield* this.adapter(functionOf(definition)))
      case 'sriov': {
        const fn = this.#host.find(functionOf(definition))
        if (fn.physicalFunction === undefined) {
          throw new NorthbridgeError('invalidArgument', `${fn.address} is no virtual function`)
        }
        return yield* attachVirtualFunction(context, definition, yield* this.adapter(fn.physicalFunction))
      }
      case 'direct': {
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

  #switchOf({ switch: name }: NetworkDeviceDefinition): VirtualSwitch {
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
  }

  /**
   * Networking as it was when it was saved, over a host and a hypervisor of that moment. Nobody follows frames. Throws
   * `invalidDocument` for a state of another version.
   */
  static restore(host: HostKernel, hypervisor: Hypervisor, engine: Engine, from: Saved): Networking {
    const { adapters, switches, devices, copies } = opened<SavedNetworking>(from, 'networking', 1)
    const networking = new Networking(host, hypervisor, engine)
    for (const { address, state } of adapters) {
      networking.#keep(restoreAdapter(host.device(address), engine, state))
    }
    for (const one of switches) networking.#restoreSwitch(one)
    networking.#devices = devices.map(device => networking.#restoreDevice(device, switches))
    ;[networking.journal.copies, networking.journal.copiedBytes] = copies
    return networking
  }

  #restoreSwitch(saved: SavedSwitching): void {
    const network = VirtualSwitch.restore(saved.network, this.#engine)
    const { options, uplinks: names } = saved.team
    const team = new UplinkTeam(options, network, this.#engine)
    const port = saved.network.ports.find(({ options: { name } }) => name === options.name)
    assert(port !== undefined, 'a team has the port that it had')
    team.port = network.restorePort(port, team)
    const uplinks = names.map(name => new AdapterUplink(this.#adapters.get(name)!, team))
    team.load(saved.team, uplinks)
    this.#follow(network)
    this.#switches.set(network.name, { network, team, uplinks })
  }

  #restoreDevice(saved: SavedNetworkDevice, switches: readonly SavedSwitching[]): NetworkDevice {
    const context: DeviceContext = { hypervisor: this.#hypervisor, host: this.#host, journal: this.journal }
    switch (saved.model) {
      case 'emulated':
      case 'paravirtual': {
        const { network } = switches.find(({ network: { name } }) => name === saved.switch)!
        return replugSwitched(context, saved, this.switch(network.name).network, network.ports)
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
      version: 1,
      adapters: this.adapters.map(adapter => ({ address: adapter.address, state: adapter.save() })),
      switches: this.switches.map(({ network, team }) => ({ network: network.save(), team: team.save() })),
      devices: this.#devices.map(savedDevice),
      copies: [this.journal.copies, this.journal.copiedBytes],
    } satisfies SavedNetworking & { version: 1 } as unknown as Saved
  }
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
