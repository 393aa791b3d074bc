/** A virtual switch with the adapters by which it leads out of the host, as one team. */
import { assert } from '../../core/index.ts'
import type { Engine } from '../../engine/index.ts'
import type { NetworkAdapter } from '../../host/index.ts'
import { AdapterUplink } from './adapter-uplink.ts'
import type { SwitchDefinition } from './definition.ts'
import type { FrameJournal } from './network-device.ts'
import type { PortVlan } from './port-vlan.ts'
import { Representors, type SavedRepresentors } from './representors.ts'
import type { SavedPort } from './switch-port.ts'
import { type SavedTeam, type TeamOptions, UplinkTeam } from './uplink-team.ts'
import { type SavedSwitch, VirtualSwitch } from './virtual-switch.ts'

export type SavedSwitching = {
  readonly network: SavedSwitch
  readonly team: SavedTeam
  /** By uplink. */
  readonly representors: readonly SavedRepresentors[]
}

const UPLINK_VLAN: PortVlan = { mode: 'trunk', native: 1 }

export class Switching {
  readonly network: VirtualSwitch
  readonly team: UplinkTeam
  readonly #engine: Engine
  readonly #journal: FrameJournal
  #uplinks: readonly AdapterUplink[] = []
  /** Of each uplink. */
  #representors: readonly Representors[] = []

  private constructor(network: VirtualSwitch, team: UplinkTeam, engine: Engine, journal: FrameJournal) {
    this.network = network
    this.team = team
    this.#engine = engine
    this.#journal = journal
    follow(network, journal)
  }

  /** Throws `invalidArgument` for a VLAN that there is not. */
  static create(
    { name, team, uplinkVlan = UPLINK_VLAN }: SwitchDefinition,
    adapters: readonly NetworkAdapter[],
    engine: Engine,
    journal: FrameJournal,
  ): Switching {
    const network = new VirtualSwitch({ name, clock: engine })
    const options: TeamOptions = { name: `${name}-uplink`, mode: 'activeBackup', ...team }
    const uplinks = new UplinkTeam(options, network, engine)
    uplinks.port = network.addPort({ name: options.name, kind: 'uplink', vlan: uplinkVlan }, uplinks)
    const switching = new Switching(network, uplinks, engine, journal)
    switching.#uplinks = adapters.map(adapter => new AdapterUplink(adapter, uplinks))
    for (const uplink of switching.#uplinks) {
      uplink.connect()
      uplinks.add(uplink)
    }
    switching.#represent(adapters)
    for (const one of switching.#representors) switching.#refresh(one)
    return switching
  }

  /** As it was when it was saved; ports of virtual machines come back with their devices. */
  static restore(
    saved: SavedSwitching,
    adapters: ReadonlyMap<string, NetworkAdapter>,
    engine: Engine,
    journal: FrameJournal,
  ): Switching {
    const network = VirtualSwitch.restore(saved.network, engine)
    const { options, uplinks } = saved.team
    const team = new UplinkTeam(options, network, engine)
    team.port = network.restorePort(savedPort(saved.network, options.name), team)
    const switching = new Switching(network, team, engine, journal)
    switching.#uplinks = uplinks.map(name => new AdapterUplink(adapters.get(name)!, team))
    team.load(saved.team, switching.#uplinks)
    switching.#represent(switching.#uplinks.map(({ adapter }) => adapter))
    for (const { adapter, ports } of saved.representors) {
      const representors = switching.#representors.find(one => one.adapter.address === adapter)
      assert(representors !== undefined, 'who has representors is an uplink')
      representors.restore(ports, (name, client) =>
        network.restorePort(savedPort(saved.network, name), client),
      )
    }
    return switching
  }

  #represent(adapters: readonly NetworkAdapter[]): void {
    this.#representors = adapters.map(adapter => {
      const representors = new Representors(adapter, this.network, this.#journal)
      adapter.representedChanged = () => this.#refresh(representors)
      return representors
    })
  }

  /** Ports of the first uplink are named by the switch, those of others by the switch and the adapter. */
  #refresh(representors: Representors): void {
    const { name } = this.network
    const first = this.#representors.indexOf(representors) === 0
    representors.refresh(first ? name : `${name}-${representors.adapter.address}`)
    this.portsChanged()
  }

  /** Restored, with all of its ports: uplinks know what they hear. */
  restored(): void {
    for (const uplink of this.#uplinks) uplink.loadVlans(this.#vlans)
  }

  uses(adapter: NetworkAdapter): boolean {
    return this.#uplinks.some(uplink => uplink.adapter === adapter)
  }

  /** The driver was taken off an adapter: the team goes on without it. */
  adapterLeft(adapter: NetworkAdapter): void {
    const uplink = this.#uplinks.find(one => one.adapter === adapter)
    if (uplink === undefined) return
    this.#uplinks = this.#uplinks.filter(other => other !== uplink)
    for (const one of this.#representors) if (one.adapter === adapter) one.disconnect()
    this.#representors = this.#representors.filter(one => one.adapter !== adapter)
    this.team.remove(uplink)
  }

  /** Uplinks hear the VLANs of the devices behind the switch. */
  portsChanged(): void {
    const vlans = this.#vlans
    for (const uplink of this.#uplinks) {
      const missed = uplink.hear(vlans)
      if (missed.length === 0) continue
      const message = `${uplink.name} has no filter left for VLAN ${missed.join(', ')}: broadcasts are not heard`
      this.#engine.trace.emit('network', message, { step: 'vlans', function: uplink.name, missed })
    }
  }

  /** Tagged VLANs that devices are in. */
  get #vlans(): ReadonlySet<number> {
    const uplink = this.network.port(this.team.options.name).vlan
    const vlans = this.network.ports.flatMap(({ options: { kind }, vlan }) =>
      kind !== 'uplink' && vlan.options.mode === 'access' ? [vlan.options.vlan] : [],
    )
    return new Set(vlans.filter(vlan => uplink.carries(vlan) && uplink.tags(vlan)))
  }

  /** Gives its adapters back. */
  disconnect(): void {
    for (const one of this.#representors) one.disconnect()
    for (const uplink of this.#uplinks) uplink.disconnect()
  }

  save(): SavedSwitching {
    return {
      network: this.network.save(),
      team: this.team.save(),
      representors: this.#representors.map(one => one.save()),
    }
  }
}

/** A port of a saved switch by its name. */
export function savedPort({ ports }: SavedSwitch, name: string): SavedPort {
  const found = ports.find(({ options }) => options.name === name)
  assert(found !== undefined, `who is behind port ${name} has the port that it had`)
  return found
}

/** Steps of a switch for who follows a frame. */
function follow(network: VirtualSwitch, journal: FrameJournal): void {
  network.observer = {
    learned(port, vlan, moved) {
      if (journal.following) journal.note(network.name, 'learned', { port: port.options.name, vlan, moved })
    },
    forwarded(from, to, vlan, flooded) {
      if (!journal.following) return
      const detail = { from: from.options.name, to: to.options.name, vlan, flooded }
      journal.note(network.name, 'forwarded', detail)
    },
    dropped(port, cause, way) {
      if (journal.following) journal.note(network.name, 'dropped', { port: port.options.name, cause, way })
    },
  }
}
