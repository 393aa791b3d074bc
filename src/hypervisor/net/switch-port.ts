/** A port of the virtual switch: who is behind it, its rules, and what passed. */
import type { Saved } from '../../core/index.ts'
import type { Frame } from '../../net/formats/index.ts'
import { DEFAULT_VLAN, type PortVlan, VlanRule } from './port-vlan.ts'
import { type RateLimit, TokenBucket } from './token-bucket.ts'

/** Why a frame, or the copy of it for one port, ended in the switch or behind it. */
export const DROP_CAUSES = [
  'tooShort',
  'damaged',
  'sourceIsGroupAddress',
  'taggedOnAccessPort',
  'untaggedWithoutNative',
  'vlanNotAllowed',
  'forgedSource',
  'ingressLimit',
  'egressLimit',
  'reflected',
  'backupUplink',
  'samePort',
  'noReceiver',
  'noCarrier',
  'receiverDisabled',
  'filtered',
  'noReceiveBuffer',
  'receiveFault',
  'queueFull',
] as const
export type DropCause = (typeof DROP_CAUSES)[number]

/** Who is behind a port: the device of a virtual machine, or an uplink. */
export interface SwitchClient {
  /** Takes a frame; copies what it keeps. Else the cause of the loss. `from`: number of the port where it came in. */
  deliver(frame: Frame, from: number): DropCause | undefined
}

export interface PortOptions {
  /** Unique in the switch. */
  readonly name: string
  /** An uplink leads out of the host; frames of one uplink never leave by another. */
  readonly kind: 'vm' | 'uplink'
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
  /** The one address from which the client may send ("forged transmits" are refused), as low and high part. */
  readonly onlyFrom?: readonly [low: number, high: number]
}

export interface PortCounters {
  readonly framesIn: number
  readonly bytesIn: number
  readonly framesOut: number
  readonly bytesOut: number
  /** Frames that were dropped when they came in, and copies that did not leave; causes that occurred. */
  readonly droppedIn: Readonly<Partial<Record<DropCause, number>>>
  readonly droppedOut: Readonly<Partial<Record<DropCause, number>>>
}

const CAUSE = new Map<DropCause, number>(DROP_CAUSES.map((cause, i) => [cause, i]))

export class SwitchPort {
  readonly number: number
  readonly options: PortOptions
  readonly client: SwitchClient
  readonly vlan: VlanRule
  readonly ingress: TokenBucket | undefined
  readonly egress: TokenBucket | undefined
  readonly #passed = new Float64Array(4)
  readonly #droppedIn = new Float64Array(DROP_CAUSES.length)
  readonly #droppedOut = new Float64Array(DROP_CAUSES.length)

  constructor(number: number, options: PortOptions, client: SwitchClient, now: number) {
    this.number = number
    this.options = options
    this.client = client
    this.vlan = new VlanRule(options.vlan ?? { mode: 'access', vlan: DEFAULT_VLAN })
    this.ingress = options.ingressLimit && new TokenBucket(options.ingressLimit, now)
    this.egress = options.egressLimit && new TokenBucket(options.egressLimit, now)
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
    this.#droppedIn[CAUSE.get(cause)!]!++
  }

  lostOut(cause: DropCause): void {
    this.#droppedOut[CAUSE.get(cause)!]!++
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
      droppedIn: byCause(this.#droppedIn),
      droppedOut: byCause(this.#droppedOut),
    }
  }

  save(): Saved {
    return {
      number: this.number,
      name: this.options.name,
      passed: this.#passed.slice(),
      droppedIn: this.#droppedIn.slice(),
      droppedOut: this.#droppedOut.slice(),
      ingress: this.ingress?.save() ?? null,
      egress: this.egress?.save() ?? null,
    }
  }

  load(saved: Saved): void {
    const state = saved as Record<'passed' | 'droppedIn' | 'droppedOut', Float64Array> & {
      ingress: Saved
      egress: Saved
    }
    this.#passed.set(state.passed)
    this.#droppedIn.set(state.droppedIn)
    this.#droppedOut.set(state.droppedOut)
    this.ingress?.load(state.ingress)
    this.egress?.load(state.egress)
  }
}

const byCause = (counts: Float64Array): Partial<Record<DropCause, number>> =>
  Object.fromEntries(DROP_CAUSES.flatMap((cause, i) => (counts[i]! > 0 ? [[cause, counts[i]!]] : [])))
