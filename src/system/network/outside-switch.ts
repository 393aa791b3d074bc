/**
 * An Ethernet switch outside of the machine, with wires to ports of it: what learns where addresses are, what teams fail
 * over to, and what link aggregation is agreed with. It forwards as the hypervisor's own switch does.
 */
import { digest } from '../../core/index.ts'
import {
  type DropCause,
  type LacpOptions,
  type SavedSwitch,
  type SavedTeam,
  type SwitchPort,
  type TeamClock,
  type TeamPolicy,
  type Uplink,
  UplinkTeam,
  VirtualSwitch,
} from '../../hypervisor/index.ts'
import type { Frame } from '../../net/index.ts'
import type { PluggedPort } from '../../platform/index.ts'

/** Whether its wires are links for themselves, or one link: because both ends were told so, or as agreed by LACP. */
export const AGGREGATIONS = ['none', 'static', 'lacp'] as const
export type Aggregation = (typeof AGGREGATIONS)[number]

export interface OutsideSwitchDefinition {
  readonly name: string
  readonly aggregation: Aggregation
  readonly lacp?: LacpOptions
  readonly policy?: TeamPolicy
}

export type SavedOutsideSwitch = {
  readonly definition: OutsideSwitchDefinition
  /** Names of the machine's ports. */
  readonly ports: readonly string[]
  readonly network: SavedSwitch
  readonly team: SavedTeam | null
}

/** Puts a frame on a wire from outside; false if there is no carrier. */
export type Transmit = (port: PluggedPort, frame: Frame) => boolean

/** The rest of the world, behind a port of its own. */
const WORLD = 'world'
const TRUNK = { mode: 'trunk', native: 1 } as const

export class OutsideSwitch {
  readonly definition: OutsideSwitchDefinition
  readonly ports: readonly PluggedPort[]
  readonly network: VirtualSwitch
  /** Of wires that are one link. */
  readonly team: UplinkTeam | undefined
  /** Hears every frame that reaches the rest of the world; copies what it keeps. */
  listener: ((frame: Frame) => void) | undefined = undefined
  readonly #transmit: Transmit

  constructor(
    definition: OutsideSwitchDefinition,
    ports: readonly PluggedPort[],
    clock: TeamClock,
    transmit: Transmit,
    saved?: SavedOutsideSwitch,
  ) {
    this.definition = definition
    this.ports = ports
    this.#transmit = transmit
    const { name, aggregation, lacp, policy } = definition
    this.network =
      saved === undefined ? new VirtualSwitch({ name, clock }) : VirtualSwitch.restore(saved.network, clock)
    this.#open(WORLD, { deliver: frame => void this.listener?.(frame) }, saved)
    if (aggregation === 'none') {
      for (const port of ports) this.#openLink(port, saved)
      return
    }
    const options = {
      name: `outside ${name}`,
      mode: aggregation === 'lacp' ? ('lacp' as const) : ('balance' as const),
      ...(lacp && { lacp }),
      ...(policy && { policy }),
    }
    this.team = new UplinkTeam(options, this.network, clock)
    this.team.port = this.#open('link', this.team, saved)
    this.#aggregate(this.team, saved?.team ?? undefined)
  }

  #open(name: string, client: SwitchPort['client'], saved: SavedOutsideSwitch | undefined): SwitchPort {
    if (saved === undefined) return this.network.addPort({ name, kind: 'vm', vlan: TRUNK }, client)
    const port = saved.network.ports.find(({ options }) => options.name === name)!
    return this.network.restorePort(port, client)
  }

  /** A wire for itself. */
  #openLink(plugged: PluggedPort, saved: SavedOutsideSwitch | undefined): void {
    const deliver = (frame: Frame): DropCause | undefined =>
      this.#transmit(plugged, frame) ? undefined : 'noCarrier'
    const port = this.#open(plugged.port.name, { deliver }, saved)
    plugged.partner.neighbour = { receive: frame => void this.network.receive(port, frame) }
  }

  #aggregate(team: UplinkTeam, saved: SavedTeam | undefined): void {
    const uplinks = this.ports.map(port => new OutsideUplink(port, this.#transmit))
    for (const [i, uplink] of uplinks.entries()) {
      this.ports[i]!.partner.neighbour = {
        receive: frame => void team.receive(uplink, frame),
        carrierChanged: () => team.carrierChanged(),
      }
    }
    if (saved === undefined) for (const uplink of uplinks) team.add(uplink)
    else team.load(saved, uplinks)
  }

  /** A frame of the rest of the world. Returns why it went nowhere, if it did. */
  send(frame: Frame): DropCause | undefined {
    return this.network.receive(this.network.port(WORLD), frame)
  }

  /** Leaves the wires to themselves. */
  remove(): void {
    for (const { partner } of this.ports) partner.neighbour = undefined
  }

  save(): SavedOutsideSwitch {
    return {
      definition: this.definition,
      ports: this.ports.map(({ port }) => port.name),
      network: this.network.save(),
      team: this.team?.save() ?? null,
    }
  }
}

class OutsideUplink implements Uplink {
  readonly name: string
  readonly mac: Uint8Array
  readonly #port: PluggedPort
  readonly #transmit: Transmit

  constructor(port: PluggedPort, transmit: Transmit) {
    this.name = port.port.name
    // Locally administered, the same in every run.
    this.mac = Uint8Array.of(6, 0, ...Buffer.from(digest(this.name).slice(0, 8), 'hex'))
    this.#port = port
    this.#transmit = transmit
  }

  get speedMbps(): number {
    return this.#port.port.wire!.speed
  }

  get carrier(): boolean {
    return this.#port.partner.port.carrier
  }

  send(frame: Frame): boolean {
    return this.#transmit(this.#port, frame)
  }
}
