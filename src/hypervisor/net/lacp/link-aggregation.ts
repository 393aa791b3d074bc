/**
 * The ports of one system that may work as one link: LACPDUs to and from them, "Selection Logic" (IEEE 802.1AX §6.4.14),
 * and which group carries frames. Time is the caller's.
 */
import {
  Frame,
  LACP_STATE,
  type LacpInformation,
  macHigh,
  macLow,
  nobody,
  readLacpdu,
  writeLacpdu,
} from '../../../net/formats/index.ts'
import { LacpPort, NEVER, type SavedLacpPort } from './lacp-port.ts'

export interface LacpOptions {
  /** Whether it speaks first; `passive` answers only. Default `active`. */
  readonly activity?: 'active' | 'passive'
  /** How soon a silent partner is given up: 3 s or 90 s. The partner sends every 1 s or 30 s. Default `long`. */
  readonly timeout?: 'short' | 'long'
  /** Lower is better; default 65535. */
  readonly systemPriority?: number
}

/** What a port is made of. */
export interface LacpLink {
  readonly name: string
  readonly mac: Uint8Array
  readonly speedMbps: number
  readonly carrier: boolean
  send(frame: Frame): boolean
}

export interface LacpPortView {
  readonly link: string
  readonly receive: LacpPort['receive']
  readonly mux: LacpPort['mux']
  /** Number of its group; 0: none. */
  readonly group: number
  readonly actor: LacpInformation
  readonly partner: LacpInformation
  readonly sent: number
  readonly received: number
}

export type SavedAggregation = {
  readonly active: number
  readonly system: Uint8Array | null
  readonly ports: readonly SavedLacpPort[]
}

const DEFAULT_PRIORITY = 0xffff
const PORT_PRIORITY = 255
/** Links of one speed can work together: they have one key. */
const keyOf = (speedMbps: number): number => Math.max(1, Math.floor(speedMbps / 100))

interface Member {
  readonly link: LacpLink
  readonly port: LacpPort
}

export class LinkAggregation {
  readonly #options: LacpOptions
  readonly #members: Member[] = []
  readonly #frame = new Frame()
  readonly #theirs = nobody()
  readonly #ours = nobody()
  /** The system's address: that of its first link. */
  #system: Uint8Array | undefined
  /** The group that carries frames; 0: none. */
  #active = 0

  constructor(options: LacpOptions) {
    this.#options = options
  }

  get active(): number {
    return this.#active
  }

  add(link: LacpLink): void {
    this.#system ??= link.mac.slice()
    let number = 1
    while (this.#members.some(({ port }) => port.actor.port === number)) number++
    this.#members.push({ link, port: new LacpPort(this.#actor(number, link)) })
  }

  #actor(port: number, { speedMbps }: LacpLink): LacpInformation {
    const { activity = 'active', timeout = 'long', systemPriority = DEFAULT_PRIORITY } = this.#options
    return {
      systemPriority,
      systemLow: macLow(this.#system!, 0),
      systemHigh: macHigh(this.#system!, 0),
      key: keyOf(speedMbps),
      portPriority: PORT_PRIORITY,
      port,
      state:
        LACP_STATE.aggregation |
        LACP_STATE.defaulted |
        (activity === 'active' ? LACP_STATE.activity : 0) |
        (timeout === 'short' ? LACP_STATE.shortTimeout : 0),
    }
  }

  remove(link: LacpLink): void {
    const at = this.#members.findIndex(member => member.link === link)
    this.#members.splice(at, 1)
  }

  #portOf(link: LacpLink): LacpPort {
    const members = this.#members
    let at = 0
    while (members[at]!.link !== link) at++
    return members[at]!.port
  }

  /** Whether frames leave by a link. */
  distributes(link: LacpLink): boolean {
    const port = this.#portOf(link)
    return port.distributes && port.group === this.#active && link.carrier
  }

  /** Whether frames are taken from a link. */
  collects(link: LacpLink): boolean {
    const port = this.#portOf(link)
    return port.collects && port.group === this.#active
  }

  /** A frame of a Slow Protocol arrived. */
  received(link: LacpLink, frame: Frame, now: number): void {
    if (readLacpdu(frame, this.#theirs, this.#ours)) this.#portOf(link).take(this.#theirs, this.#ours, now)
  }

  /** Does what is due, and sends what is to be said. Returns when there is something to do next. */
  run(now: number): number {
    for (const { link, port } of this.#members) {
      // A link that is down has no speed.
      if (link.carrier) port.actor.key = keyOf(link.speedMbps)
      port.enable(link.carrier, now)
      if (!port.enabled) port.group = 0
    }
    for (let changed = true; changed; ) {
      changed = false
      for (const { port } of this.#members) if (port.enabled && port.group === 0) this.#select(port)
      for (const { port } of this.#members) {
        const ready = this.#members.every(
          other => other.port.group !== port.group || isReady(other.port, now),
        )
        changed = port.step(now, ready) || changed
      }
    }
    this.#chooseActive()
    for (const { link, port } of this.#members) {
      if (!port.takeTurn(now)) continue
      writeLacpdu(this.#frame, link.mac, port.actor, port.partner)
      link.send(this.#frame)
    }
    return this.#members.reduce((next, { port }) => Math.min(next, port.deadline(now)), NEVER)
  }

  /** A port joins those whose partner is the same group of the same system. One that goes alone has a group to itself. */
  #select(port: LacpPort): void {
    const others = this.#members.map(member => member.port).filter(other => other.group !== 0)
    const fellow = port.individual ? undefined : others.find(other => sameGroup(other, port))
    const free = (number: number): boolean => others.every(({ group }) => group !== number)
    let group = port.actor.port
    while (fellow === undefined && !free(group)) group = (group % this.#members.length) + 1
    port.group = fellow?.group ?? group
  }

  /** The group in use stays until none of its links carries frames: then the best, one with a partner before all. */
  #chooseActive(): void {
    const carrying = this.#members.map(({ port }) => port).filter(port => port.distributes)
    const inUse = carrying.find(({ group }) => group === this.#active)
    const better = carrying.some(({ individual }) => !individual)
    if (inUse !== undefined && !(inUse.individual && better)) return
    const size = ({ group }: LacpPort): number => carrying.filter(port => port.group === group).length
    const [best] = carrying.sort(
      (a, b) => Number(a.individual) - Number(b.individual) || size(b) - size(a) || a.group - b.group,
    )
    this.#active = best?.group ?? 0
  }

  get ports(): readonly LacpPortView[] {
    return this.#members.map(({ link: { name }, port }) => {
      const { receive, mux, group, actor, partner, sent, received } = port
      return { link: name, receive, mux, group, actor: { ...actor }, partner: { ...partner }, sent, received }
    })
  }

  save(): SavedAggregation {
    const ports = this.#members.map(({ port }) => port.save())
    return { active: this.#active, system: this.#system?.slice() ?? null, ports }
  }

  /** Goes on with the links that it had, in their order. */
  load({ active, system, ports }: SavedAggregation, links: readonly LacpLink[]): void {
    this.#active = active
    if (system !== null) this.#system = system.slice()
    for (const [i, link] of links.entries()) {
      const port = new LacpPort({ ...ports[i]!.actor })
      port.load(ports[i]!)
      this.#members.push({ link, port })
    }
  }
}

/** "Ready_N": it waits no more. */
const isReady = ({ mux, waitUntil }: LacpPort, now: number): boolean => mux !== 'waiting' || waitUntil <= now

/** "LAG ID": both systems and both keys. */
const sameGroup = (a: LacpPort, b: LacpPort): boolean =>
  !a.individual &&
  a.actor.key === b.actor.key &&
  a.partner.key === b.partner.key &&
  a.partner.systemPriority === b.partner.systemPriority &&
  a.partner.systemLow === b.partner.systemLow &&
  a.partner.systemHigh === b.partner.systemHigh
