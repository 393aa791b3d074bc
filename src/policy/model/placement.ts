/** What a policy answers: which devices a virtual machine gets, or why it gets none. */

/** A rule that said no, in the words of the system whose rule it is. */
export interface Refusal {
  /** The system's own name of the error where it has one, else a label of ours. Stable. */
  readonly errorClass: string
  /** One sentence that names the field or device, and the rule. */
  readonly text: string
  /** The device that was refused or that stood in the way. */
  readonly device?: string
}

/** One device that was looked at for a need. */
export interface Candidate {
  readonly device: string
  /** The first rule that it failed; absent if it would do. */
  readonly refusal?: Refusal
  /** How many of the rules it passed before that: the refused candidate with the most is the nearest miss. */
  readonly passed: number
}

/** What a virtual machine asks for. */
export interface DeviceNeed {
  /** What the system calls it: an alias, a resource name, a device class, a mapping, an address, a pool. */
  readonly resource: string
  readonly count: number
}

export interface PlacementRequest {
  readonly vm: string
  readonly needs: readonly DeviceNeed[]
  /** Host NUMA nodes that the virtual machine's memory and processors lie on; absent if it has no NUMA topology. */
  readonly numaNodes?: readonly number[]
  readonly tenant?: string
  /** Of the request, beats the policy's own where the system lets it. */
  readonly numaPolicy?: string
}

/** What one need got. */
export interface Grant {
  readonly need: DeviceNeed
  readonly devices: readonly string[]
  readonly considered: readonly Candidate[]
}

export type Placement =
  | { readonly granted: true; readonly grants: readonly Grant[] }
  | {
      readonly granted: false
      readonly refusal: Refusal
      /** The need that could not be met. */
      readonly need?: DeviceNeed | undefined
      readonly considered: readonly Candidate[]
    }

/** The refused candidate that came closest; undefined if none was refused. */
export function nearestMiss(considered: readonly Candidate[]): Candidate | undefined {
  return considered
    .filter(({ refusal }) => refusal !== undefined)
    .reduce<Candidate | undefined>(
      (best, candidate) => (best === undefined || candidate.passed > best.passed ? candidate : best),
      undefined,
    )
}

export type Refused = Extract<Placement, { granted: false }>

/**
 * A refusal that is certain before every device was looked at: it is put into words when somebody asks for them, which
 * must be before the host changes.
 */
export function refusedInShort(judge: () => Refused): Refused {
  let judged: Refused | undefined
  const words = (): Refused => (judged ??= judge())
  return {
    granted: false,
    get refusal() {
      return words().refusal
    },
    get need() {
      return words().need
    },
    get considered() {
      return words().considered
    },
  }
}
