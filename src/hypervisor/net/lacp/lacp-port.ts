/**
 * The state machines of one port of a link aggregation: receive, periodic transmission, mux (with independent control of
 * collecting and distributing) and transmit, IEEE 802.1AX §6.4.12 to §6.4.16. Time is the caller's: deadlines are kept,
 * and {@link LacpPort.step} does what is due.
 */
import { LACP_STATE, type LacpInformation, nobody } from '../../../net/formats/index.ts'

const SECOND = 1e9
/** §6.4.4: "Fast_Periodic_Time" and the other constants. */
export const LACP_TIME = {
  fastPeriodic: SECOND,
  slowPeriodic: 30 * SECOND,
  shortTimeout: 3 * SECOND,
  longTimeout: 90 * SECOND,
  aggregateWait: 2 * SECOND,
} as const
/** §6.4.16: no more in any Fast_Periodic_Time. */
const MOST_IN_A_PERIOD = 3
/** A deadline that never comes. */
export const NEVER = Number.MAX_SAFE_INTEGER

const { activity, shortTimeout, aggregation, synchronization, collecting, distributing, defaulted, expired } =
  LACP_STATE
/** What both sides must agree on for NTT to stay FALSE. */
const NEGOTIATED = activity | shortTimeout | synchronization | aggregation

export type ReceiveState = 'portDisabled' | 'expired' | 'defaulted' | 'current'
export type MuxState = 'detached' | 'waiting' | 'attached' | 'collecting' | 'distributing'

export type SavedLacpPort = {
  readonly actor: LacpInformation
  readonly partner: LacpInformation
  readonly receive: ReceiveState
  readonly mux: MuxState
  /** Number of the port that leads its group; 0: not selected. */
  readonly group: number
  readonly currentUntil: number
  readonly periodicAt: number
  readonly waitUntil: number
  readonly needToTransmit: boolean
  /** When LACPDUs of the present period were sent. */
  readonly sentAt: readonly number[]
  readonly counters: readonly [sent: number, received: number]
}

export class LacpPort {
  /** "Actor_Oper…". */
  readonly actor: LacpInformation
  /** "Partner_Oper…". */
  readonly partner = nobody()
  receive: ReceiveState = 'portDisabled'
  mux: MuxState = 'detached'
  group = 0
  currentUntil = NEVER
  /** When the next periodic LACPDU goes out; {@link NEVER}: NO_PERIODIC. */
  periodicAt = NEVER
  waitUntil = NEVER
  needToTransmit = false
  sent = 0
  received = 0
  #sentAt: readonly number[] = []

  constructor(actor: LacpInformation) {
    this.actor = actor
    this.#recordDefault()
  }

  get enabled(): boolean {
    return this.receive !== 'portDisabled'
  }

  get collects(): boolean {
    return (this.actor.state & collecting) !== 0
  }

  get distributes(): boolean {
    return (this.actor.state & distributing) !== 0
  }

  /** It goes alone: its partner does not aggregate, or there is none. */
  get individual(): boolean {
    return (this.partner.state & aggregation) === 0
  }

  #setState(bit: number, on: boolean): void {
    this.actor.state = on ? this.actor.state | bit : this.actor.state & ~bit
  }

  // Receive machine, §6.4.12

  /** "port_enabled": the link came or went. */
  enable(on: boolean, now: number): void {
    if (on === this.enabled) return
    if (on) this.#expire(now)
    else {
      this.receive = 'portDisabled'
      this.partner.state &= ~synchronization
      this.currentUntil = NEVER
    }
  }

  #expire(now: number): void {
    this.receive = 'expired'
    this.partner.state = (this.partner.state & ~synchronization) | shortTimeout
    this.currentUntil = now + LACP_TIME.shortTimeout
    this.#setState(expired, true)
  }

  #default(): void {
    this.receive = 'defaulted'
    if (!sameLink(this.partner, nobody())) this.group = 0
    this.#recordDefault()
    this.currentUntil = NEVER
    this.#setState(expired, false)
  }

  /** "Partner_Admin…": without word from a partner the link goes alone, to somebody who just takes what comes. */
  #recordDefault(): void {
    Object.assign(this.partner, nobody(), { state: synchronization | collecting })
    this.#setState(defaulted, true)
  }

  /** An LACPDU arrived: what its sender says of itself, and of us. */
  take(theirs: LacpInformation, ours: LacpInformation, now: number): void {
    if (!this.enabled) return
    this.received++
    this.receive = 'current'
    const { actor, partner } = this
    if (!sameLink(theirs, partner)) this.group = 0
    const agreed = sameLink(ours, actor)
    if (!agreed || ((ours.state ^ actor.state) & NEGOTIATED) !== 0) this.needToTransmit = true
    Object.assign(partner, theirs)
    this.#setState(defaulted, false)
    // "recordPDU": in sync are those who agree about the link, or go alone, and keep it alive.
    const alone = (theirs.state & aggregation) === 0
    const alive =
      (theirs.state & activity) !== 0 || ((actor.state & activity) !== 0 && (ours.state & activity) !== 0)
    if (!((agreed || alone) && alive)) partner.state &= ~synchronization
    const short = (actor.state & shortTimeout) !== 0
    this.currentUntil = now + (short ? LACP_TIME.shortTimeout : LACP_TIME.longTimeout)
    this.#setState(expired, false)
  }

  // Everything that depends on time

  /**
   * Does what is due. Returns whether anything changed.
   *
   * @param ready whether every port that waits for the same group has waited long enough
   */
  step(now: number, ready: boolean): boolean {
    const { receive, mux, periodicAt } = this
    if (this.currentUntil <= now) {
      if (this.receive === 'expired') this.#default()
      else this.#expire(now)
    }
    this.#runPeriodic(now)
    this.#runMux(now, ready)
    return receive !== this.receive || mux !== this.mux || periodicAt !== this.periodicAt
  }

  /** When there is something to do next after `now`, if nothing happens before. */
  deadline(now: number): number {
    const transmit = this.needToTransmit ? this.#sentAt[0]! + LACP_TIME.fastPeriodic : NEVER
    const times = [this.currentUntil, this.periodicAt, this.waitUntil, transmit]
    return Math.min(...times.filter(time => time > now))
  }

  /** §6.4.13. The partner says how often it wants to hear. */
  #runPeriodic(now: number): void {
    const silent = ((this.actor.state | this.partner.state) & activity) === 0
    if (!this.enabled || silent) {
      this.periodicAt = NEVER
      return
    }
    const fast = (this.partner.state & shortTimeout) !== 0
    const period = fast ? LACP_TIME.fastPeriodic : LACP_TIME.slowPeriodic
    if (this.periodicAt === NEVER) this.periodicAt = now + period
    else if (this.periodicAt <= now || (fast && this.periodicAt > now + period)) {
      this.needToTransmit = true
      this.periodicAt = now + period
    }
  }

  // Mux machine, §6.4.15

  #runMux(now: number, ready: boolean): void {
    const selected = this.group !== 0
    const inSync = selected && (this.partner.state & synchronization) !== 0
    const heard = inSync && (this.partner.state & collecting) !== 0
    switch (this.mux) {
      case 'detached':
        if (selected) this.#enter('waiting', now)
        return
      case 'waiting':
        if (!selected) this.#enter('detached', now)
        else if (ready) this.#enter('attached', now)
        return
      case 'attached':
        if (!selected) this.#enter('detached', now)
        else if (inSync) this.#enter('collecting', now)
        return
      case 'collecting':
        if (!inSync) this.#enter('attached', now)
        else if (heard) this.#enter('distributing', now)
        return
      case 'distributing':
        if (!heard) this.#enter('collecting', now)
    }
  }

  #enter(state: MuxState, now: number): void {
    this.mux = state
    this.waitUntil = state === 'waiting' ? now + LACP_TIME.aggregateWait : NEVER
    if (state === 'waiting') return
    this.#setState(synchronization, state !== 'detached')
    this.#setState(collecting, state === 'collecting' || state === 'distributing')
    this.#setState(distributing, state === 'distributing')
    this.needToTransmit = true
  }

  // Transmit machine, §6.4.16

  /** Whether an LACPDU is to be sent now; then it counts as sent. */
  takeTurn(now: number): boolean {
    if (!this.needToTransmit) return false
    // "If the Periodic machine is in the NO_PERIODIC state … NTT is set to FALSE."
    if (this.periodicAt === NEVER) {
      this.needToTransmit = false
      return false
    }
    this.#sentAt = this.#sentAt.filter(at => at + LACP_TIME.fastPeriodic > now)
    if (this.#sentAt.length === MOST_IN_A_PERIOD) return false
    this.#sentAt = [...this.#sentAt, now]
    this.needToTransmit = false
    this.sent++
    return true
  }

  save(): SavedLacpPort {
    const { receive, mux, group, currentUntil, periodicAt, waitUntil, needToTransmit } = this
    return {
      actor: { ...this.actor },
      partner: { ...this.partner },
      receive,
      mux,
      group,
      currentUntil,
      periodicAt,
      waitUntil,
      needToTransmit,
      sentAt: this.#sentAt,
      counters: [this.sent, this.received],
    }
  }

  load({ actor, partner, sentAt, counters, ...rest }: SavedLacpPort): void {
    Object.assign(this.actor, actor)
    Object.assign(this.partner, partner)
    Object.assign(this, rest)
    this.#sentAt = sentAt
    ;[this.sent, this.received] = counters
  }
}

/** Whether two informations are of the same port, in the same group. State counts as far as it says "aggregatable". */
export const sameLink = (a: LacpInformation, b: LacpInformation): boolean =>
  a.port === b.port &&
  a.portPriority === b.portPriority &&
  a.systemLow === b.systemLow &&
  a.systemHigh === b.systemHigh &&
  a.systemPriority === b.systemPriority &&
  a.key === b.key &&
  ((a.state ^ b.state) & aggregation) === 0
