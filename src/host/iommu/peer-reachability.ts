/**
 * Which functions can reach each other's memory past the remapping units, judged from config registers alone: windows,
 * BARs, enables and access control, as the specification has bridges and ports obey them. It asks only for registers
 * that the kernel has read anyway; what they do not show is a parameter.
 */
import {
  ACS,
  ACS_BIT,
  BRIDGE_CONTROL,
  CAPABILITY,
  COMMAND_STATUS,
  EXPRESS,
  EXTENDED_CAPABILITY,
  MEMORY_WINDOW,
  PORT_TYPE,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
  SRIOV,
} from '../../pcie/formats/index.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'

/**
 * How an untranslated write of one function to a BAR of another ends. `direct`: it arrives, and no remapping unit sees
 * it. `rootComplex`: it leaves the fabric, and the unit there decides. `blocked`: it ends on the way.
 */
export type Reach = 'direct' | 'rootComplex' | 'blocked'

export interface ReachVerdict {
  readonly reach: Reach
  /** The function where that is decided. */
  readonly at: string
  /** The ACS bit that decides, if one does. */
  readonly acs?: keyof typeof ACS_BIT
}

export interface ReachOptions {
  /** Whether functions of a device that has no ACS pass requests to each other inside it; default: all do. */
  readonly passesInside?: (fn: HostPciFunction) => boolean
  /** Whether root ports exchange requests before translation where ACS does not redirect them; default: no. */
  readonly directRootPorts?: boolean
}

const UPPER = 0x1_0000_0000
const { MSE, BME } = COMMAND_STATUS.f
/** "ACS Unclaimed Request Redirect Control". */
const UNCLAIMED = 0x1000

export class PeerReachability {
  readonly #options: ReachOptions
  /** Functions by the bridge above them; those of root buses by segment and bus. */
  readonly #buses = new Map<HostPciFunction | string, HostPciFunction[]>()

  constructor(functions: Iterable<HostPciFunction>, options: ReachOptions = {}) {
    this.#options = options
    for (const fn of functions) {
      const key = busKey(fn)
      const bus = this.#buses.get(key)
      if (bus === undefined) this.#buses.set(key, [fn])
      else bus.push(fn)
    }
  }

  /** What becomes of an untranslated write of a function to an address. */
  toAddress(from: HostPciFunction, address: number): ReachVerdict {
    if (!commands(from, BME.mask)) return { reach: 'blocked', at: from.address }
    let below = from
    let redirected = false
    for (let fn = from; ; ) {
      const claimant = this.#claimant(fn, address)
      if (claimant !== undefined) {
        const verdict = this.#turn(fn, below, claimant, redirected, address)
        if (verdict === REDIRECTED) redirected = true
        else if (verdict !== undefined) return verdict
      }
      const { above } = fn
      if (above === undefined) return { reach: 'rootComplex', at: fn.address }
      const stopped = this.#stoppedAt(above, from)
      if (stopped !== undefined) return stopped
      below = fn
      fn = above
    }
  }

  /** The worst that a write to any BAR of `to` can do: `direct` before `rootComplex` before `blocked`. */
  between(from: HostPciFunction, to: HostPciFunction): ReachVerdict | undefined {
    let worst: ReachVerdict | undefined
    for (const bar of to.bars) {
      if (bar.kind === 'io' || bar.address === 0) continue
      const verdict = this.toAddress(from, bar.address)
      if (worst === undefined || RANK[verdict.reach] > RANK[worst.reach]) worst = verdict
    }
    return worst
  }

  /** A port that lets nothing of the function pass up. */
  #stoppedAt(port: HostPciFunction, from: HostPciFunction): ReachVerdict | undefined {
    const { SBR } = BRIDGE_CONTROL.f
    if (!commands(port, BME.mask) || port.config.get(0, BRIDGE_CONTROL, SBR) === 1) {
      return { reach: 'blocked', at: port.address }
    }
    const bus = from.rid >>> 8
    const outside = bus < port.secondaryBus || bus > port.subordinateBus
    if (outside && isPort(port) && control(port) & ACS_BIT.SV) {
      return { reach: 'blocked', at: port.address, acs: 'SV' }
    }
    return undefined
  }

  /** Who decodes an address on the bus of a function. */
  #claimant(fn: HostPciFunction, address: number): HostPciFunction | undefined {
    return this.#buses.get(busKey(fn))!.find(candidate => decodes(candidate, address))
  }

  /** Undefined: the request goes on up. */
  #turn(
    fn: HostPciFunction,
    below: HostPciFunction,
    claimant: HostPciFunction,
    redirected: boolean,
    address: number,
  ): ReachVerdict | typeof REDIRECTED | undefined {
    if ((claimant.physical ?? claimant) === (fn.physical ?? fn)) {
      return ownWindow(fn, below, redirected)
    }
    const { above } = fn
    const onSwitch = above?.expressType === PORT_TYPE.upstreamPort
    const onConventional = above !== undefined && !onSwitch && !isPort(above)
    if (!onSwitch && !onConventional && !this.#meet(fn, claimant)) return undefined
    const acs = onConventional ? 0 : control(fn)
    if (acs & ACS_BIT.EC) {
      if (egressBlocked(fn, claimant)) {
        return acs & ACS_BIT.RR ? REDIRECTED : { reach: 'blocked', at: fn.address, acs: 'EC' }
      }
    } else if (acs & ACS_BIT.RR) return REDIRECTED
    return this.#arrives(claimant, address)
      ? { reach: 'direct', at: fn.address }
      : { reach: 'blocked', at: claimant.address }
  }

  /** Whether functions of one bus hand requests to each other there. */
  #meet(fn: HostPciFunction, other: HostPciFunction): boolean {
    const { passesInside = () => true, directRootPorts = false } = this.#options
    const rootPorts =
      fn.expressType === PORT_TYPE.rootPort && other.expressType === PORT_TYPE.rootPort && directRootPorts
    if (rootPorts) return true
    if (fn.physical !== undefined || !passesInside(fn)) return false
    return fn.above !== undefined || other.rid >>> 3 === fn.rid >>> 3
  }

  /** Whether windows lead from a function on a bus down to a BAR. */
  #arrives(claimant: HostPciFunction, address: number): boolean {
    for (let at: HostPciFunction | undefined = claimant; at !== undefined; ) {
      if (inBars(at, address)) return true
      if (at.config.get(0, BRIDGE_CONTROL, BRIDGE_CONTROL.f.SBR) === 1) return false
      at = this.#buses.get(at)?.find(candidate => decodes(candidate, address))
    }
    return false
  }
}

const REDIRECTED = 'redirected'
const RANK = { blocked: 0, rootComplex: 1, direct: 2 } as const

const busKey = (fn: HostPciFunction): HostPciFunction | string =>
  fn.above ?? `${fn.segment}:${(fn.physical ?? fn).rid >>> 8}`

const isPort = ({ expressType }: HostPciFunction): boolean =>
  expressType === PORT_TYPE.rootPort || expressType === PORT_TYPE.downstreamPort

const commands = (fn: HostPciFunction, mask: number): boolean =>
  (fn.config.read(COMMAND_STATUS.offset) & mask) !== 0

/** ACS Control, with the bits of the Enhanced Capability. */
function control(fn: HostPciFunction): number {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)
  return at === undefined ? 0 : fn.config.read(at + ACS.CONTROL.offset) >>> 16
}

/** The address lies behind the function that the request came out of. */
function ownWindow(
  fn: HostPciFunction,
  below: HostPciFunction,
  redirected: boolean,
): ReachVerdict | typeof REDIRECTED | undefined {
  if (!fn.bridge || fn.expressType === PORT_TYPE.rootPort) return undefined
  if (fn.expressType === PORT_TYPE.downstreamPort) {
    return control(fn) & ACS_BIT.UF ? REDIRECTED : { reach: 'blocked', at: fn.address, acs: 'UF' }
  }
  if (fn.expressType === PORT_TYPE.upstreamPort && (redirected || control(below) & UNCLAIMED)) {
    return REDIRECTED
  }
  return { reach: 'blocked', at: fn.address }
}

/** "Egress Control Vector": by port number for ports, by function number for functions of a device. */
function egressBlocked(fn: HostPciFunction, other: HostPciFunction): boolean {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.ACS)!
  const number = isPort(fn) ? portNumber(other) : fn.above === undefined ? other.rid & 7 : other.rid & 0xff
  return (fn.config.read(at + ACS.EGRESS_VECTOR + ((number >>> 5) << 2)) & (1 << (number & 31))) !== 0
}

function portNumber(fn: HostPciFunction): number {
  const express = fn.capability(CAPABILITY.EXPRESS)
  return express === undefined
    ? 0
    : fn.config.get(express, EXPRESS.LINK_CAPABILITIES, EXPRESS.LINK_CAPABILITIES.f.PORT)
}

function decodes(fn: HostPciFunction, address: number): boolean {
  return inBars(fn, address) || (fn.bridge && commands(fn, MSE.mask) && inWindows(fn, address))
}

function inBars(fn: HostPciFunction, address: number): boolean {
  const enabled = fn.physical === undefined ? commands(fn, MSE.mask) : virtualMemoryEnabled(fn.physical)
  return (
    enabled &&
    fn.bars.some(bar => bar.kind !== 'io' && address >= bar.address && address < bar.address + bar.size)
  )
}

/** "VF MSE" of a physical function. */
function virtualMemoryEnabled(fn: HostPciFunction): boolean {
  const at = fn.extendedCapability(EXTENDED_CAPABILITY.SRIOV)!
  return fn.config.get(at, SRIOV.CONTROL, SRIOV.CONTROL.f.MSE) === 1
}

function inWindows(fn: HostPciFunction, address: number): boolean {
  const memory = fn.config.read(MEMORY_WINDOW.offset)
  const base = (memory & 0xfff0) * 0x1_0000
  const end = ((memory >>> 20) + 1) * 0x10_0000
  if (address >= base && address < end) return true
  const prefetchable = fn.config.read(PREFETCHABLE_WINDOW.offset)
  const upper = fn.config.read(PREFETCHABLE_BASE_UPPER.offset) * UPPER + (prefetchable & 0xfff0) * 0x1_0000
  const last = fn.config.read(PREFETCHABLE_LIMIT_UPPER.offset) * UPPER + (prefetchable >>> 20) * 0x10_0000
  return address >= upper && address < last + 0x10_0000
}
