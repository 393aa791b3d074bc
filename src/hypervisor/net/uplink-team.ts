/**
 * Several uplinks behind one port of the switch ("NIC teaming", "bonding"): one active and others in reserve, or
 * all by a hash.
 */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import type { Trace } from '../../engine/index.ts'
import { Frame } from '../../net/formats/index.ts'
import { writeAnnouncement } from './announcement.ts'
import type { DropCause, SwitchClient, SwitchPort } from './switch-port.ts'
import { type TeamPolicy, teamHash } from './team-policy.ts'
import type { Uplink } from './uplink.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

export const TEAM_MODES = ['activeBackup', 'balance'] as const
export type TeamMode = (typeof TEAM_MODES)[number]

export interface TeamOptions {
  readonly name: string
  readonly mode: TeamMode
  /** Of `balance`; default `portId`. */
  readonly policy?: TeamPolicy
  /** Whether an earlier uplink takes over again when its carrier is back; default true. */
  readonly failback?: boolean
  /** Whether addresses of virtual machines are announced when they move to another uplink; default true. */
  readonly announce?: boolean
}

export interface TeamCounters {
  readonly sent: number
  readonly received: number
  /** Frames that an adapter had no room for, or that came while no uplink had a carrier. */
  readonly lost: number
  readonly failovers: number
  readonly announcements: number
}

const NONE = -1

export class UplinkTeam implements SwitchClient {
  readonly options: TeamOptions
  readonly #switch: VirtualSwitch
  readonly #trace: Trace
  /** In order of preference. */
  readonly #uplinks: Uplink[] = []
  readonly #announcement = new Frame()
  #port: SwitchPort | undefined
  /** Of `activeBackup`: index of the uplink in use. */
  #active = NONE
  #sent = 0
  #received = 0
  #lost = 0
  #failovers = 0
  #announcements = 0

  constructor(options: TeamOptions, network: VirtualSwitch, trace: Trace) {
    this.options = options
    this.#switch = network
    this.#trace = trace
  }

  /** The port of the switch that the team is behind. */
  set port(port: SwitchPort) {
    this.#port = port
  }

  get uplinks(): readonly Uplink[] {
    return this.#uplinks
  }

  /** Of `activeBackup`: the uplink in use. */
  get active(): Uplink | undefined {
    return this.#uplinks[this.#active]
  }

  /** Throws `nameTaken`. */
  add(uplink: Uplink): void {
    if (this.#uplinks.some(({ name }) => name === uplink.name)) {
      throw new NorthbridgeError('nameTaken', `${uplink.name} is in team ${this.options.name}`)
    }
    this.#uplinks.push(uplink)
    this.carrierChanged()
  }

  /** Whether frames may leave by an uplink and are taken from it. */
  usable(index: number): boolean {
    if (this.options.mode === 'activeBackup') return index === this.#active
    return this.#uplinks[index]!.carrier
  }

  deliver(frame: Frame, from: number): DropCause | undefined {
    const index = this.#choose(frame, from)
    if (index === NONE) {
      this.#lost++
      return 'noCarrier'
    }
    if (!this.#uplinks[index]!.send(frame)) {
      this.#lost++
      return 'queueFull'
    }
    this.#sent++
    return undefined
  }

  /** The uplink for a frame; -1 while none can be used. */
  #choose(frame: Frame, from: number): number {
    if (this.options.mode === 'activeBackup') return this.#active
    let usable = 0
    for (let i = 0; i < this.#uplinks.length; i++) if (this.usable(i)) usable++
    if (usable === 0) return NONE
    let left = teamHash(this.options.policy ?? 'portId', frame, from) % usable
    for (let i = 0; i < this.#uplinks.length; i++) if (this.usable(i) && left-- === 0) return i
    return NONE
  }

  /** A frame arrived by an uplink. Returns why it was dropped, if it was. */
  receive(uplink: Uplink, frame: Frame): DropCause | undefined {
    const port = this.#port
    if (port === undefined) return 'noReceiver'
    const index = this.#uplinks.indexOf(uplink)
    // In reserve it still hears what is flooded: all of that came by the active uplink too.
    if (!this.usable(index)) return 'backupUplink'
    this.#received++
    return this.#switch.receive(port, frame)
  }

  /** The carrier of an uplink came or went. */
  carrierChanged(): void {
    if (this.options.mode !== 'activeBackup') return
    const before = this.#active
    const stays = before !== NONE && this.#uplinks[before]!.carrier && this.options.failback === false
    if (!stays) this.#active = this.#uplinks.findIndex(({ carrier }) => carrier)
    if (this.#active === before) return
    const from = this.#uplinks[before]?.name
    const to = this.#uplinks[this.#active]?.name
    if (before !== NONE) this.#failovers++
    this.#trace.emit('network', `team ${this.options.name}: ${told(from, to)}`, {
      step: 'failover',
      team: this.options.name,
      from: from ?? null,
      to: to ?? null,
    })
    if (before !== NONE && this.#active !== NONE) this.#announce()
  }

  /** Tells the switches outside that the addresses behind us are behind another link now. */
  #announce(): void {
    const port = this.#port
    if (port === undefined || this.options.announce === false) return
    for (const { low, high, vlan } of this.#switch.localAddresses()) {
      if (!port.vlan.carries(vlan)) continue
      writeAnnouncement(this.#announcement, low, high, port.vlan.tags(vlan) ? vlan : 0)
      if (this.#uplinks[this.#active]!.send(this.#announcement)) this.#announcements++
    }
  }

  get counters(): TeamCounters {
    return {
      sent: this.#sent,
      received: this.#received,
      lost: this.#lost,
      failovers: this.#failovers,
      announcements: this.#announcements,
    }
  }

  save(): Saved {
    return {
      version: 1,
      name: this.options.name,
      uplinks: this.#uplinks.map(({ name }) => name),
      active: this.#active,
      counters: { ...this.counters },
    }
  }
}

const told = (from: string | undefined, to: string | undefined): string => {
  if (to === undefined) return `${from} lost its carrier, no uplink is left`
  return from === undefined ? `${to} is active` : `${to} takes over from ${from}`
}
