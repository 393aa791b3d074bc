/**
 * Networking of virtual machines: switches with their uplinks, and network devices in five models. What model a device
 * is decides who moves its frames: the hypervisor, the hypervisor behind a sorting adapter, or the adapter alone.
 */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { Engine, Software } from '../../engine/index.ts'
import { type HostKernel, type NetworkAdapter, openAdapter } from '../../host/index.ts'
import { formatMac, macHigh, macLow } from '../../net/formats/index.ts'
import type { Hypervisor } from '../hypervisor.ts'
import { AdapterUplink } from './adapter-uplink.ts'
import type { NetworkDeviceDefinition, SwitchDefinition } from './definition.ts'
import {
  attachVirtualFunction,
  attachWhole,
  type DeviceContext,
  type NetworkDevice,
  plugEmulated,
  plugParavirtual,
  plugSorted,
} from './models.ts'
import { FrameJournal } from './network-device.ts'
import type { PortVlan } from './port-vlan.ts'
import { type TeamOptions, UplinkTeam } from './uplink-team.ts'
import { VirtualSwitch } from './virtual-switch.ts'

interface Switching {
  readonly network: VirtualSwitch
  readonly team: UplinkTeam
  readonly uplinks: readonly AdapterUplink[]
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
    this.#adapters.set(full, adapter)
    return adapter
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
    const uplinkTeam = new UplinkTeam(options, network, this.#engine.trace)
    const vlan = uplinkVlan ?? UPLINK_VLAN
    uplinkTeam.port = network.addPort({ name: options.name, kind: 'uplink', vlan }, uplinkTeam)
    const members = adapters.map(adapter => new AdapterUplink(adapter, uplinkTeam))
    for (const member of members) uplinkTeam.add(member)
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
        return yield* plugEmulated(context, definition, this.#switchOf(definition))
      case 'paravirtual':
        return yield* plugParavirtual(context, definition, this.#switchOf(definition))
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
    const device = this.device(vm, slot)
    yield* device.remove()
    this.#devices = this.#devices.filter(other => other !== device)
  }

  /** A function left its virtual machine by another way. */
  functionLeft(address: string): void {
    this.#devices = this.#devices.filter(
      device => device.function !== address || device.pool !== undefined || device.switch !== undefined,
    )
  }

  /** Forgets what a virtual machine that is gone had. */
  *machineDeleted(vm: string): Software {
    for (const device of this.#devices) if (device.vm === vm) yield* device.release()
    this.#devices = this.#devices.filter(device => device.vm !== vm)
  }

  save(): Saved {
    return {
      version: 1,
      adapters: this.adapters.map(adapter => adapter.save()),
      switches: this.switches.map(({ network, team }) => ({ network: network.save(), team: team.save() })),
      devices: this.#devices.map(({ vm, model, slot, mac }) => ({ vm, model, slot, mac })),
      copies: [this.journal.copies, this.journal.copiedBytes],
    }
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
