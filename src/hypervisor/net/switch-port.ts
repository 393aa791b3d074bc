/** A port of the virtual switch: who is behind it, its rules, and what passed. */
import type { Frame } from '../../net/formats/index.ts'
import { type DropCause, DropTally } from './drop-tally.ts'
import { DEFAULT_VLAN, type PortVlan, VlanRule } from './port-vlan.ts'
import { type RateLimit, type SavedBucket, TokenBucket } from './token-bucket.ts'

/** Who is behind a port: the device of a virtual machine, or an uplink. */
export interface SwitchClient {
  /** Takes a frame; copies what it keeps. Else the cause of the loss. `from`: number of the port where it came in. */
  deliver(frame: Frame, from: number): DropCause | undefined
}

export interface PortOptions {
  /** Unique in the switch. */
  readonly name: string
  /**
   * An uplink leads out of the host; frames of one uplink never leave by another. Behind a representor is a virtual
   * function.
   */
  readonly kind: 'vm' | 'uplink' | 'representor'
  /** Default: access to VLAN 1. */
  readonly vlan?: PortVlan
  /**
   * The client's own address, as low and high part: known without being heard, and nobody else's unicast is flooded to
   * the port.
   */
  readonly address?: readonly [low: number, high: number]
  /** Limits on what the client sends and receives. */
  readonly ingressLimit?: RateLimit
  readonly egressLimit?: RateLimit
  /** Of an uplink that is busy, beside the shares of others: 1 to 100. Default 50. */
  readonly share?: number
  /** The one address from which the client may send ("forged transmits" are refused), as low and high part. */
  readonly onlyFrom?: readonly [low: number, high: number]
}

/** What an administrator may change of a port that is there. */
export interface PortRules extends Pick<PortOptions, 'vlan' | 'ingressLimit' | 'egressLimit' | 'share'> {}

export interface PortCounters {
  readonly framesIn: number
  readonly bytesIn: number
  readonly framesOut: number
  readonly bytesOut: number
  /** Frames that were dropped when they came in, and copies that did not leave; causes that occurred. */
  readonly droppedIn: Readonly<Partial<Record<DropCause, number>>>
  readonly droppedOut: Readonly<Partial<Record<DropCause, number>>>
}

export type SavedPort = {
  readonly number: number
  readonly options: PortOptions
  readonly passed: Float64Array
  readonly droppedIn: Float64Array
  readonly droppedOut: Float64Array
  readonly ingress: SavedBucket | null
  readonly egress: SavedBucket | null
}

export class SwitchPort {
  readonly number: number
  readonly client: SwitchClient
  #options: PortOptions
  #vlan!: VlanRule
  #ingress: TokenBucket | undefined
  #egress: TokenBucket | undefined
  readonly #passed = new Float64Array(4)
  readonly #droppedIn = new DropTally()
  readonly #droppedOut = new DropTally()

  constructor(number: number, options: PortOptions, client: SwitchClient, now: number) {
    this.number = number
    this.client = client
    this.#options = options
    this.configure(options, now)
  }

  /** Other rules instead of all that there were. Throws `invalidArgument` for a VLAN that there is not. */
  configure(rules: PortRules, now: number): void {
    const { name, kind, address, onlyFrom } = this.#options
    const { vlan = { mode: 'access', vlan: DEFAULT_VLAN }, ingressLimit, egressLimit } = rules
    this.#vlan = new VlanRule(vlan)
    this.#options = { name, kind, ...(address && { address }), ...(onlyFrom && { onlyFrom }), ...rules }
    this.#ingress = ingressLimit && new TokenBucket(ingressLimit, now)
    this.#egress = egressLimit && new TokenBucket(egressLimit, now)
  }

  get options(): PortOptions {
    return this.#options
  }

  get vlan(): VlanRule {
    return this.#vlan
  }

  get ingress(): TokenBucket | undefined {
    return this.#ingress
  }

  get egress(): TokenBucket | undefined {
    return this.#egress
  }

  cameIn(bytes: number): void {
    this.#passed[0]!++
    this.#passed[1]! += bytes
  }

  wentOut(bytes: number): void {
    this.#passed[2]!++
    this.#passed[3]! += bytes
  }

  lostIn(cause: DropCause): void {
    this.#droppedIn.count(cause)
  }

  lostOut(cause: DropCause): void {
    this.#droppedOut.count(cause)
  }

  get counters(): PortCounters {
    const [framesIn, bytesIn, framesOut, bytesOut] = this.#passed as unknown as [
      number,
      number,
      number,
      number,
    ]
    return {
      framesIn,
      bytesIn,
      framesOut,
      bytesOut,
      droppedIn: this.#droppedIn.byCause,
      droppedOut: this.#droppedOut.byCause,
    }
  }

  save(): SavedPort {
    return {
      number: this.number,
      options: this.options,
      passed: this.#passed.slice(),
      droppedIn: this.#droppedIn.save(),
      droppedOut: this.#droppedOut.save(),
      ingress: this.ingress?.save() ?? null,
      egress: this.egress?.save() ?? null,
    }
  }

  load({ passed, droppedIn, droppedOut, ingress, egress }: SavedPort): void {
    this.#passed.set(passed)
    this.#droppedIn.load(droppedIn)
    this.#droppedOut.load(droppedOut)
    if (ingress !== null) this.ingress?.load(ingress)
    if (egress !== null) this.egress?.load(egress)
  }
}
