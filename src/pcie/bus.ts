/**
 * One bus: the root bus of a host bridge, or the secondary side of a bridge. It knows which functions sit on it, and
 * which of them claims a memory address, from a sorted map that is remade after decoding changed.
 */
import { assert } from '../core/index.ts'
import type { HostBridge } from './host-bridge.ts'
import type { PcieFunction } from './pcie-function.ts'

/**
 * `link`: below a root or downstream port, where one device sits; `switch`: the internal bus of a switch, where its
 * downstream ports sit; `conventional`: below a PCIe-to-PCI or PCI-to-PCI bridge.
 */
export type BusKind = 'root' | 'link' | 'switch' | 'conventional'

/** What part of its owner a claimed range is: 0 to 5 a BAR, then the ROM, a bridge's window, or VF BAR n. */
export const CLAIM = { rom: 6, window: 7, virtualBar: 8 } as const

/** Receives the address ranges that a function decodes. `end` is the address behind the last byte. */
export type ClaimReceiver = (base: number, end: number, part: number) => void

/** Addresses above are wider than any physical address and match nothing. */
const ADDRESS_LIMIT = 2 ** 52

interface Claim {
  base: number
  readonly end: number
  readonly owner: PcieFunction
  readonly part: number
}

export class Bus {
  readonly kind: BusKind
  readonly host: HostBridge
  /** The bridge above; undefined for a root bus. */
  readonly bridge: PcieFunction | undefined
  /** In ascending order of device and function number, virtual functions not among them. */
  readonly functions: PcieFunction[] = []
  readonly #byDevfn: (PcieFunction | undefined)[] = []
  /** Functions with a bus behind them. */
  readonly bridges: PcieFunction[] = []
  #stale = true
  #bases = new Float64Array(0)
  #ends = new Float64Array(0)
  #owners: PcieFunction[] = []
  #parts: number[] = []

  constructor(kind: BusKind, host: HostBridge, bridge?: PcieFunction) {
    this.kind = kind
    this.host = host
    this.bridge = bridge
  }

  /** Bus number as software has programmed it (strapped, for a root bus). */
  get number(): number {
    return this.bridge === undefined ? this.host.bus : this.bridge.secondaryBus
  }

  /** Whether the bridge above holds this bus in reset, or is itself below one that does. */
  get inReset(): boolean {
    for (let bus: Bus = this; bus.bridge !== undefined; bus = bus.bridge.bus) {
      if (bus.bridge.holdsSecondaryInReset) return true
    }
    return false
  }

  add(fn: PcieFunction): void {
    assert(this.#byDevfn[fn.devfn] === undefined, 'one function per device and function number')
    this.#byDevfn[fn.devfn] = fn
    this.functions.push(fn)
    this.functions.sort((a, b) => a.devfn - b.devfn)
    if (fn.secondary !== undefined) this.bridges.push(fn)
    this.#stale = true
  }

  at(devfn: number): PcieFunction | undefined {
    return this.#byDevfn[devfn]
  }

  /** To be called whenever what a function on this bus decodes may have changed. */
  decodingChanged(): void {
    this.#stale = true
  }

  /** Index of the claim on an address, -1 if nobody claims it. Valid until decoding changes. */
  claim(address: number): number {
    if (this.#stale) this.#remake()
    const bases = this.#bases
    let low = 0
    let high = bases.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (address < bases[middle]!) high = middle - 1
      else if (address >= this.#ends[middle]!) low = middle + 1
      else return middle
    }
    return -1
  }

  claimOwner(claim: number): PcieFunction {
    return this.#owners[claim]!
  }

  claimPart(claim: number): number {
    return this.#parts[claim]!
  }

  /** First address of a claimed range as it was programmed. */
  claimBase(claim: number): number {
    return this.#bases[claim]!
  }

  /**
   * Software should never let two ranges overlap. Where it does, the one that begins lower answers (of two equal ones
   * the lower function), which keeps the map free of choice.
   */
  #remake(): void {
    const claims: Claim[] = []
    for (const owner of this.functions) {
      owner.claims((base, end, part) => {
        if (end > base && end <= ADDRESS_LIMIT) claims.push({ base, end, owner, part })
      })
    }
    claims.sort((a, b) => a.base - b.base)
    const kept: Claim[] = []
    let covered = 0
    for (const claim of claims) {
      if (claim.base >= covered) kept.push(claim)
      covered = Math.max(covered, claim.end)
    }
    this.#bases = Float64Array.from(kept, claim => claim.base)
    this.#ends = Float64Array.from(kept, claim => claim.end)
    this.#owners = kept.map(claim => claim.owner)
    this.#parts = kept.map(claim => claim.part)
    this.#stale = false
  }
}
