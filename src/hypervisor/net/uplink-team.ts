/**
 * Several uplinks behind one port of the switch ("NIC teaming", "bonding"): one active and others in reserve, all by a
 * hash, or those that the switch at the other end agreed to by LACP, by a hash too.
 */
import { NorthbridgeError } from '../../core/index.ts'
import type { Trace } from '../../engine/index.ts'
import { Frame, isSlowProtocol, nameOf } from '../../net/formats/index.ts'
import { writeAnnouncement } from './announcement.ts'
import type { DropCause } from './drop-tally.ts'
import { NEVER } from './lacp/lacp-port.ts'
import {
  type LacpOptions,
  type LacpPortView,
  LinkAggregation,
  type SavedAggregation,
} from './lacp/link-aggregation.ts'
import { type SavedShareQueue, ShareQueue } from './share-queue.ts'
import type { SwitchClient, SwitchPort } from './switch-port.ts'
import { type TeamPolicy, teamHash } from './team-policy.ts'
import type { Uplink } from './uplink.ts'
import type { VirtualSwitch } from './virtual-switch.ts'

export const TEAM_MODES = ['activeBackup', 'balance', 'lacp'] as const
export type TeamMode = (typeof TEAM_MODES)[number]

export interface TeamOptions {
  readonly name: string
  readonly mode: TeamMode
  /** Of `balance` and `lacp`; default `portId`. */
  readonly policy?: TeamPolicy
  /** Of `lacp`. */
  readonly lacp?: LacpOptions
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
  /** Frames that wait now for an uplink that is busy. */
  readonly waiting: number
}

export type SavedTeam = {
  readonly options: TeamOptions
  /** Names, in order of preference. */
  readonly uplinks: readonly string[]
  readonly active: string | null
  readonly former: string | null
  readonly counters: TeamCounters
  /** By uplink. */
  readonly queues: readonly SavedShareQueue[]
  readonly lacp: SavedAggregation | null
  readonly carrying: readonly string[]
  readonly wakeAt: number
}

/** Time that a team asked for is over; the target is its name. */
export const TEAM_EVENT = 'network.team'

/** What it needs of its world. */
export interface TeamClock {
  readonly now: number
  readonly trace: Trace
  schedule(delay: number, kind: string, target: string): void
}

export class UplinkTeam implements SwitchClient {
  readonly options: TeamOptions
  readonly #switch: VirtualSwitch
  readonly #clock: TeamClock
  /** In order of preference. */
  readonly #uplinks: Uplink[] = []
  /** What waits for each. */
  readonly #queues = new Map<Uplink, ShareQueue>()
  readonly #announcement = new Frame()
  readonly #lacp: LinkAggregation | undefined
  #port: SwitchPort | undefined
  /** Of `activeBackup`: the uplink in use. */
  #active: Uplink | undefined
  /** The one before. */
  #former: Uplink | undefined
  #sent = 0
  #received = 0
  #lost = 0
  #failovers = 0
  #announcements = 0
  /** Of `lacp`: uplinks that carried frames when it was last told. */
  #carrying: readonly string[] = []
  /** When link aggregation has something to do next. */
  #wakeAt = NEVER

  constructor(options: TeamOptions, network: VirtualSwitch, clock: TeamClock) {
    this.options = options
    this.#switch = network
    this.#clock = clock
    if (options.mode === 'lacp') this.#lacp = new LinkAggregation(options.lacp ?? {})
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
    return this.#active
  }

  /** Throws `nameTaken`. */
  add(uplink: Uplink): void {
    if (this.#uplinks.some(({ name }) => name === uplink.name)) {
      throw new NorthbridgeError('nameTaken', `${uplink.name} is in team ${this.options.name}`)
    }
    this.#uplinks.push(uplink)
    this.#queues.set(uplink, new ShareQueue(frame => this.#send(uplink, frame)))
    this.#lacp?.add(uplink)
    this.carrierChanged()
  }

  /** An uplink is gone. */
  remove(uplink: Uplink): void {
    this.#uplinks.splice(this.#uplinks.indexOf(uplink), 1)
    this.#lacp?.remove(uplink)
    this.carrierChanged()
    if (this.#former === uplink) this.#former = undefined
    const queue = this.#queues.get(uplink)!
    this.#queues.delete(uplink)
    queue.takeAll((frame, from) => void this.deliver(frame, from))
  }

  /** Ports of link aggregation, as their state machines see them. */
  get lacpPorts(): readonly LacpPortView[] {
    return this.#lacp?.ports ?? []
  }

  /** Whether frames may leave by an uplink. */
  usable(uplink: Uplink): boolean {
    if (this.#lacp !== undefined) return this.#lacp.distributes(uplink)
    return this.options.mode === 'activeBackup' ? uplink === this.#active : uplink.carrier
  }

  deliver(frame: Frame, from: number): DropCause | undefined {
    for (let tries = 0; tries <= this.#uplinks.length; tries++) {
      const uplink = this.#choose(frame, from)
      if (uplink === undefined) break
      const queue = this.#queues.get(uplink)!
      // What waits goes first.
      if (queue.waiting === 0 && this.#send(uplink, frame)) return undefined
      if (uplink.carrier) {
        if (queue.put(frame, from, this.#switch.shareOf(from))) return undefined
        this.#lost++
        return 'queueFull'
      }
      // Its interrupt is still to come.
      this.carrierChanged()
    }
    this.#lost++
    this.#nameLost(frame, 'noCarrier', 'no uplink is left')
    return 'noCarrier'
  }

  #send(uplink: Uplink, frame: Frame): boolean {
    if (!uplink.send(frame)) return false
    this.#sent++
    return true
  }

  /** An uplink has sent something, and has room again. */
  roomAgain(uplink: Uplink): void {
    this.#queues.get(uplink)?.drain()
  }

  /** What waits for an uplink that cannot be used any more takes another. */
  #divert(): void {
    for (const [uplink, queue] of this.#queues) {
      if (queue.waiting > 0 && !this.usable(uplink))
        queue.takeAll((frame, from) => void this.deliver(frame, from))
    }
  }

  /** The uplink for a frame; undefined while none can be used. */
  #choose(frame: Frame, from: number): Uplink | undefined {
    if (this.options.mode === 'activeBackup') return this.#active
    let usable = 0
    for (const uplink of this.#uplinks) if (this.usable(uplink)) usable++
    if (usable === 0) return undefined
    let left = teamHash(this.options.policy ?? 'portId', frame, from) % usable
    for (const uplink of this.#uplinks) if (this.usable(uplink) && left-- === 0) return uplink
    return undefined
  }

  /** A frame arrived by an uplink. Returns why it was dropped, if it was. */
  receive(uplink: Uplink, frame: Frame): DropCause | undefined {
    const port = this.#port
    if (port === undefined) return 'noReceiver'
    if (this.#lacp !== undefined && isSlowProtocol(frame)) {
      this.#lacp.received(uplink, frame, this.#clock.now)
      this.timeIsUp()
      return undefined
    }
    if (!this.#takesFrom(uplink)) {
      // In reserve it still hears what is flooded: all of that came by the active uplink too.
      const cause = this.#lacp === undefined ? 'backupUplink' : 'notCollecting'
      port.lostIn(cause)
      if (uplink === this.#former && this.#switch.isForLocal(port, frame)) {
        this.#nameLost(frame, cause, `it came by ${uplink.name}, which is not in use any more`)
      }
      return cause
    }
    this.#received++
    return this.#switch.receive(port, frame)
  }

  /** Frames that a failover costs are named: those in flight when it happened. */
  #nameLost(frame: Frame, cause: DropCause, why: string): void {
    const { trace } = this.#clock
    if (!trace.enabled) return
    const name = nameOf(frame)
    const at = this.options.name
    trace.emit('network', `team ${at}: a frame for ${name.to} is lost: ${why}`, {
      step: 'lost',
      at,
      cause,
      ...name,
    })
  }

  #takesFrom(uplink: Uplink): boolean {
    return this.#lacp === undefined ? this.usable(uplink) : this.#lacp.collects(uplink)
  }

  /** The carrier of an uplink came or went. */
  carrierChanged(): void {
    if (this.#lacp !== undefined) this.timeIsUp()
    else if (this.options.mode === 'activeBackup') this.#chooseActive()
    this.#divert()
  }

  /** Link aggregation does what is due. */
  timeIsUp(): void {
    const lacp = this.#lacp
    if (lacp === undefined) return
    const { now } = this.#clock
    const next = lacp.run(now)
    const before = this.#carrying
    const carrying = this.#uplinks.filter(uplink => this.usable(uplink)).map(({ name }) => name)
    if (carrying.join() !== before.join()) {
      this.#carrying = carrying
      if (before.some(name => !carrying.includes(name))) this.#failovers++
      const { name: team } = this.options
      const what = carrying.length === 0 ? 'no uplink' : carrying.join(', ')
      const detail = { step: 'aggregation', team, uplinks: carrying, before }
      this.#clock.trace.emit('network', `team ${team}: ${what} carries frames`, detail)
    }
    if (next >= this.#wakeAt && this.#wakeAt > now) return
    this.#wakeAt = next
    if (next !== NEVER) this.#clock.schedule(next - now, TEAM_EVENT, this.options.name)
  }

  #chooseActive(): void {
    const before = this.#active
    const stays =
      this.options.failback === false && before?.carrier === true && this.#uplinks.includes(before)
    if (!stays) this.#active = this.#uplinks.find(({ carrier }) => carrier)
    if (this.#active === before) return
    const from = before?.name
    const to = this.#active?.name
    this.#former = before
    if (before !== undefined) this.#failovers++
    this.#clock.trace.emit('network', `team ${this.options.name}: ${told(from, to)}`, {
      step: 'failover',
      team: this.options.name,
      from: from ?? null,
      to: to ?? null,
    })
    if (before !== undefined && this.#active !== undefined) this.#announce(this.#active)
  }

  /** Tells the switches outside that the addresses behind us are behind another link now. */
  #announce(by: Uplink): void {
    const port = this.#port
    if (port === undefined || this.options.announce === false) return
    for (const { low, high, vlan } of this.#switch.localAddresses()) {
      if (!port.vlan.carries(vlan)) continue
      writeAnnouncement(this.#announcement, low, high, port.vlan.tags(vlan) ? vlan : 0)
      if (by.send(this.#announcement)) this.#announcements++
    }
  }

  get counters(): TeamCounters {
    return {
      sent: this.#sent,
      received: this.#received,
      lost: this.#lost,
      failovers: this.#failovers,
      announcements: this.#announcements,
      waiting: [...this.#queues.values()].reduce((sum, queue) => sum + queue.waiting, 0),
    }
  }

  save(): SavedTeam {
    return {
      options: this.options,
      uplinks: this.#uplinks.map(({ name }) => name),
      active: this.#active?.name ?? null,
      former: this.#former?.name ?? null,
      lacp: this.#lacp?.save() ?? null,
      carrying: this.#carrying,
      wakeAt: this.#wakeAt,
      counters: this.counters,
      queues: this.#uplinks.map(uplink => this.#queues.get(uplink)!.save()),
    }
  }

  /** Goes on with the uplinks that it had; nobody is told. */
  load(
    { active, former, counters, queues, lacp, carrying, wakeAt }: SavedTeam,
    uplinks: readonly Uplink[],
  ): void {
    this.#uplinks.push(...uplinks)
    for (const [i, uplink] of uplinks.entries()) {
      const queue = new ShareQueue(frame => this.#send(uplink, frame))
      queue.load(queues[i]!)
      this.#queues.set(uplink, queue)
    }
    if (lacp !== null) this.#lacp?.load(lacp, uplinks)
    this.#carrying = carrying
    this.#wakeAt = wakeAt
    this.#active = uplinks.find(({ name }) => name === active)
    this.#former = uplinks.find(({ name }) => name === former)
    this.#sent = counters.sent
    this.#received = counters.received
    this.#lost = counters.lost
    this.#failovers = counters.failovers
    this.#announcements = counters.announcements
  }
}

const told = (from: string | undefined, to: string | undefined): string => {
  if (to === undefined) return `${from} lost its carrier, no uplink is left`
  return from === undefined ? `${to} is active` : `${to} takes over from ${from}`
}
