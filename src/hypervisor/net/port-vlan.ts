/** How a port takes part in VLANs ("Port-based VLANs", IEEE 802.1Q): one VLAN without tags, or many with them. */
import { NorthbridgeError } from '../../core/index.ts'

export type PortVlan =
  /** Frames come and go without tag and belong to one VLAN. */
  | { readonly mode: 'access'; readonly vlan: number }
  /** Frames are tagged; those without tag belong to the native VLAN, if there is one. Default: all VLANs allowed. */
  | { readonly mode: 'trunk'; readonly native?: number; readonly allowed?: readonly number[] }

export const DEFAULT_VLAN = 1
export const LAST_VLAN = 4094
/** Verdicts of {@link VlanRule.classify}: no VLAN of these numbers exists. */
export const VLAN_VERDICT = { taggedOnAccessPort: -1, untaggedWithoutNative: -2, notAllowed: -3 } as const

/** The rule of one port, made for looking up. */
export class VlanRule {
  readonly options: PortVlan
  readonly #access: boolean
  /** VLAN of untagged frames; 0 if they have none. */
  readonly #untagged: number
  readonly #allowed = new Uint8Array(LAST_VLAN + 2)

  /** Throws `invalidArgument`. */
  constructor(options: PortVlan) {
    this.options = options
    this.#access = options.mode === 'access'
    this.#untagged = options.mode === 'access' ? options.vlan : (options.native ?? 0)
    const numbers = options.mode === 'access' ? [options.vlan] : options.allowed
    for (const vlan of [...(numbers ?? []), ...(this.#untagged === 0 ? [] : [this.#untagged])]) {
      if (!Number.isInteger(vlan) || vlan < 1 || vlan > LAST_VLAN) {
        throw new NorthbridgeError(
          'invalidArgument',
          `a VLAN is a whole number from 1 to ${LAST_VLAN}, not ${vlan}`,
        )
      }
      this.#allowed[vlan] = 1
    }
    if (numbers === undefined) this.#allowed.fill(1, 1, LAST_VLAN + 1)
  }

  /** The VLAN to which an arriving frame belongs, or a {@link VLAN_VERDICT}. `tag` 0: none, or for priority only. */
  classify(tag: number): number {
    if (tag === 0) return this.#untagged === 0 ? VLAN_VERDICT.untaggedWithoutNative : this.#untagged
    if (this.#access) return VLAN_VERDICT.taggedOnAccessPort
    return this.#allowed[tag] === 1 ? tag : VLAN_VERDICT.notAllowed
  }

  /** Whether frames of a VLAN leave by the port. */
  carries(vlan: number): boolean {
    return this.#allowed[vlan] === 1
  }

  /** Whether they leave with a tag. */
  tags(vlan: number): boolean {
    return vlan !== this.#untagged
  }
}
