/**
 * One bus: the root bus of a host bridge, or the secondary side of a bridge. It knows which functions sit on it, and
 * which of them claims an address.
 */
import { assert } from '../core/index.ts'
import { AddressDecoder } from './address-decoder.ts'
import type { FunctionKind } from './definition.ts'
import { PORT_TYPE } from './formats/capabilities.ts'
import { CLASS } from './formats/header.ts'
import { expressTypeOf } from './gate.ts'
import type { BusKind, BusNode, FunctionNode, HostNode } from './parts.ts'

/** PCI-to-PCI bridge, programming interface "subtractive decode". */
const SUBTRACTIVE_BRIDGE = 0x06_04_01

const SECONDARY: Readonly<Record<FunctionKind, BusKind | undefined>> = {
  hostBridge: undefined,
  endpoint: undefined,
  rootPort: 'link',
  downstreamPort: 'link',
  upstreamPort: 'switch',
  bridge: 'conventional',
}

/** The bus behind a function, if it has one. */
export const secondaryKind = (fn: FunctionNode): BusKind | undefined =>
  expressTypeOf(fn) === PORT_TYPE.pciToPcieBridge ? 'link' : SECONDARY[fn.kind]

export class Bus<Member extends FunctionNode> implements BusNode {
  readonly kind: BusKind
  readonly host: HostNode
  readonly bridge: Member | undefined
  /** In ascending order of device and function number, virtual functions not among them. */
  readonly functions: Member[] = []
  /** Functions with a bus behind them. */
  readonly bridges: Member[] = []
  /** Functions with an SR-IOV capability. */
  readonly physicalFunctions: Member[] = []
  readonly memory: AddressDecoder<Member>
  readonly io: AddressDecoder<Member>
  subtractive: Member | undefined
  readonly #byDevfn: (Member | undefined)[] = []

  constructor(kind: BusKind, host: HostNode, bridge?: Member) {
    this.kind = kind
    this.host = host
    this.bridge = bridge
    this.memory = new AddressDecoder(this.functions, (fn, receive) => fn.claims(receive))
    this.io = new AddressDecoder(this.functions, (fn, receive) => fn.ioClaims(receive))
  }

  /** Bus number as software has programmed it (strapped, for a root bus). */
  get number(): number {
    return this.bridge === undefined ? this.host.bus : this.bridge.secondaryBus
  }

  add(fn: Member): void {
    assert(this.#byDevfn[fn.devfn] === undefined, 'one function per device and function number')
    this.#byDevfn[fn.devfn] = fn
    this.functions.push(fn)
    this.functions.sort((a, b) => a.devfn - b.devfn)
    if (fn.secondary !== undefined) this.bridges.push(fn)
    if (fn.sriov !== undefined) this.physicalFunctions.push(fn)
    if ((fn.words[CLASS.at]! & CLASS.f.CODE.mask) >>> 8 === SUBTRACTIVE_BRIDGE) this.subtractive = fn
    this.#membersChanged()
  }

  /** Takes everything off the bus: the card was pulled out. */
  clear(): Member[] {
    const gone = this.functions.splice(0)
    this.#byDevfn.length = 0
    this.bridges.length = 0
    this.physicalFunctions.length = 0
    this.subtractive = undefined
    this.#membersChanged()
    return gone
  }

  #membersChanged(): void {
    this.decodingChanged()
    this.host.changes++
    this.host.numbersChanged()
  }

  at(devfn: number): Member | undefined {
    return this.#byDevfn[devfn]
  }

  decodingChanged(): void {
    this.memory.changed()
    this.io.changed()
    if (this.kind === 'root') this.host.rootDecodingChanged()
  }

  claim(page: number, offset: number): number {
    return this.memory.claimAt(page, offset)
  }

  claimOwner(claim: number): Member {
    return this.memory.claimOwner(claim)
  }

  claimPart(claim: number): number {
    return this.memory.claimPart(claim)
  }

  claimOffset(claim: number, page: number, offset: number): number {
    return this.memory.claimOffset(claim, page, offset)
  }
}
