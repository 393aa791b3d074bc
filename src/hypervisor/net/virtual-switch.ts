/**
 * The hypervisor's Ethernet switch: a learning bridge with VLANs ("MAC Bridges and VLANs", IEEE 802.1Q) between the
 * devices of virtual machines and the uplinks of the host. Frames between virtual machines never see a wire. There is no
 * spanning tree and no need of one: what came in by an uplink does not leave by an uplink.
 */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import {
  ETHERTYPE,
  Frame,
  HEADER_SIZE,
  insertTag,
  isGroupAddress,
  LONGEST_FRAME,
  macHigh,
  macLow,
  read16,
  removeTag,
  TAG_SIZE,
} from '../../net/formats/index.ts'
import type { DropCause } from './drop-tally.ts'
import { MacTable, type SavedMacTable } from './mac-table.ts'
import { VLAN_VERDICT } from './port-vlan.ts'
import { DEFAULT_SHARE } from './share-queue.ts'
import {
  type PortOptions,
  type PortRules,
  type SavedPort,
  type SwitchClient,
  SwitchPort,
} from './switch-port.ts'

export interface SwitchOptions {
  readonly name: string
  /** The world's clock. */
  readonly clock: { readonly now: number }
  /** Nanoseconds; default 300 s. */
  readonly ageing?: number
}

/** A copy of what passes some ports, for a port that listens. */
export interface Mirror {
  /** Port numbers. */
  readonly ports: readonly number[]
  readonly direction: 'in' | 'out' | 'both'
  readonly to: number
}

/** What the switch did with a frame, for whoever follows one. */
export interface SwitchObserver {
  learned(port: SwitchPort, vlan: number, moved: boolean): void
  /** `flooded`: its destination is not known, or is a group. */
  forwarded(from: SwitchPort, to: SwitchPort, vlan: number, flooded: boolean): void
  dropped(port: SwitchPort, cause: DropCause, way: 'in' | 'out'): void
}

export type SavedSwitch = {
  readonly version: 1
  readonly name: string
  readonly addresses: SavedMacTable
  readonly ports: readonly SavedPort[]
  readonly mirrors: readonly Mirror[]
}

const DEFAULT_AGEING = 300e9
/** Bits 11:0 of a tag. */
const VLAN_ID = 0xfff
const SOURCE = 6
const TYPE = 12

export class VirtualSwitch {
  readonly name: string
  readonly addresses: MacTable
  observer: SwitchObserver | undefined = undefined
  readonly #clock: { readonly now: number }
  /** By number; undefined where a port was removed. */
  readonly #ports: (SwitchPort | undefined)[] = []
  readonly #mirrors: Mirror[] = []
  /** Copies of frames whose tag differs from the original's; one for each level of switching within switching. */
  readonly #scratch: Frame[] = []
  #depth = 0

  constructor({ name, clock, ageing = DEFAULT_AGEING }: SwitchOptions) {
    this.name = name
    this.#clock = clock
    this.addresses = new MacTable(ageing)
  }

  get ports(): readonly SwitchPort[] {
    return this.#ports.filter(port => port !== undefined)
  }

  /** Throws `nameTaken`, `invalidArgument`. */
  addPort(options: PortOptions, client: SwitchClient): SwitchPort {
    if (this.ports.some(port => port.options.name === options.name)) {
      throw new NorthbridgeError('nameTaken', `switch ${this.name} has a port ${options.name}`)
    }
    const free = this.#ports.indexOf(undefined)
    const port = new SwitchPort(free < 0 ? this.#ports.length : free, options, client, this.#clock.now)
    this.#ports[port.number] = port
    return port
  }

  /** A port as it was when the switch was saved, with who is behind it. */
  restorePort(saved: SavedPort, client: SwitchClient): SwitchPort {
    const port = new SwitchPort(saved.number, saved.options, client, this.#clock.now)
    port.load(saved)
    while (this.#ports.length <= port.number) this.#ports.push(undefined)
    this.#ports[port.number] = port
    return port
  }

  /** Throws `notFound`. */
  port(name: string): SwitchPort {
    const found = this.ports.find(port => port.options.name === name)
    if (found === undefined) throw new NorthbridgeError('notFound', `switch ${this.name} has no port ${name}`)
    return found
  }

  removePort(port: SwitchPort): void {
    this.#ports[port.number] = undefined
    this.addresses.forget(port.number)
    for (let i = this.#mirrors.length - 1; i >= 0; i--) {
      const { ports, to } = this.#mirrors[i]!
      if (to === port.number || ports.includes(port.number)) this.#mirrors.splice(i, 1)
    }
  }

  /** Throws `invalidArgument` for a port that would listen to itself. */
  addMirror(mirror: Mirror): void {
    if (mirror.ports.includes(mirror.to)) {
      throw new NorthbridgeError('invalidArgument', 'a mirror port does not listen to itself')
    }
    this.#mirrors.push(mirror)
  }

  /** Other rules for a port; what was learned behind it is forgotten. Throws `invalidArgument`. */
  configure(port: SwitchPort, rules: PortRules): void {
    port.configure(rules, this.#clock.now)
    this.addresses.forget(port.number)
  }

  get mirrors(): readonly Mirror[] {
    return this.#mirrors
  }

  /** Addresses learned behind ports of virtual machines, by VLAN: what another switch must hear after a failover. */
  localAddresses(): readonly { readonly low: number; readonly high: number; readonly vlan: number }[] {
    const learned = this.addresses.entries(this.#clock.now).filter(({ port }) => this.#isInside(port))
    const given = this.ports.flatMap(({ options: { address, kind }, vlan }) =>
      address !== undefined && kind === 'vm' && vlan.options.mode === 'access'
        ? [{ low: address[0], high: address[1], vlan: vlan.options.vlan }]
        : [],
    )
    const silent = given.filter(
      one =>
        !learned.some(({ low, high, vlan }) => low === one.low && high === one.high && vlan === one.vlan),
    )
    return [...learned, ...silent]
  }

  /** Whether behind a port is a virtual machine. */
  #isInside(number: number): boolean {
    const port = this.#ports[number]
    return port !== undefined && port.options.kind !== 'uplink'
  }

  /** Whether an address was learned behind a virtual machine's port. */
  isLocal(low: number, high: number, vlan: number): boolean {
    const port = this.#portOf(low, high, vlan, this.#clock.now)
    return port >= 0 && this.#isInside(port)
  }

  /** The share of a port, by its number, of an uplink that is busy. */
  shareOf(number: number): number {
    return this.#ports[number]?.options.share ?? DEFAULT_SHARE
  }

  /** Whether a frame that comes in by a port is for a virtual machine's address. */
  isForLocal(port: SwitchPort, frame: Frame): boolean {
    const vlan = port.vlan.classify(tagOf(frame) & VLAN_ID)
    return this.isLocal(macLow(frame.bytes, 0), macHigh(frame.bytes, 0), vlan)
  }

  /** A frame comes in. Returns why it went nowhere at all; undefined if at least one copy was sent on. */
  receive(port: SwitchPort, frame: Frame): DropCause | undefined {
    port.cameIn(frame.length)
    this.#mirrorFrom(port, frame, 'in')
    const cause = this.#switch(port, frame)
    if (cause !== undefined) {
      port.lostIn(cause)
      this.observer?.dropped(port, cause, 'in')
    }
    return cause
  }

  #switch(port: SwitchPort, frame: Frame): DropCause | undefined {
    const { bytes } = frame
    if (frame.length < HEADER_SIZE) return 'tooShort'
    if (frame.damaged) return 'damaged'
    const sourceLow = macLow(bytes, SOURCE)
    const sourceHigh = macHigh(bytes, SOURCE)
    if (isGroupAddress(sourceLow)) return 'sourceIsGroupAddress'
    if (isReserved(bytes)) return 'reservedAddress'
    const tagged = isTagged(frame)
    const tag = tagOf(frame)
    const vlan = port.vlan.classify(tag & VLAN_ID)
    if (vlan === VLAN_VERDICT.taggedOnAccessPort) return 'taggedOnAccessPort'
    if (vlan === VLAN_VERDICT.untaggedWithoutNative) return 'untaggedWithoutNative'
    if (vlan === VLAN_VERDICT.notAllowed) return 'vlanNotAllowed'
    const { onlyFrom, kind } = port.options
    if (onlyFrom !== undefined && (onlyFrom[0] !== sourceLow || onlyFrom[1] !== sourceHigh))
      return 'forgedSource'
    const { now } = this.#clock
    if (port.ingress !== undefined && !port.ingress.take(frame.length, now)) return 'ingressLimit'
    const low = macLow(bytes, 0)
    const high = macHigh(bytes, 0)
    const group = isGroupAddress(low)
    // A broadcast of our own that another switch sends back by an uplink would make us learn the wrong port.
    if (kind === 'uplink' && group && this.isLocal(sourceLow, sourceHigh, vlan)) return 'reflected'
    this.#learn(port, sourceLow, sourceHigh, vlan, now)
    const known = group ? -1 : this.#portOf(low, high, vlan, now)
    if (known === port.number) return 'samePort'
    return this.#forward(port, frame, tagged, tag, vlan, known, group)
  }

  /** The port behind which an address is: where it was heard, or whose own it is; -1 if neither is known. */
  #portOf(low: number, high: number, vlan: number, now: number): number {
    const heard = this.addresses.lookUp(low, high, vlan, now)
    if (heard >= 0) return heard
    for (let number = 0; number < this.#ports.length; number++) {
      const port = this.#ports[number]
      const address = port?.options.address
      if (address !== undefined && address[0] === low && address[1] === high && port!.vlan.carries(vlan))
        return number
    }
    return -1
  }

  #learn(port: SwitchPort, low: number, high: number, vlan: number, now: number): void {
    const before = this.addresses.learn(low, high, vlan, port.number, now)
    if (before !== port.number) this.observer?.learned(port, vlan, before >= 0)
  }

  /** To one port, or to every other that carries the VLAN. */
  #forward(
    from: SwitchPort,
    frame: Frame,
    tagged: boolean,
    tag: number,
    vlan: number,
    known: number,
    group: boolean,
  ): DropCause | undefined {
    const copies = (this.#scratch[this.#depth++] ??= new Frame(LONGEST_FRAME + TAG_SIZE))
    let sent = 0
    for (let number = 0; number < this.#ports.length; number++) {
      const to = this.#ports[number]
      if (to === undefined || to === from || (known >= 0 && number !== known)) continue
      if (from.options.kind === 'uplink' && to.options.kind === 'uplink') continue
      if (!to.vlan.carries(vlan) || this.#listensOnly(number)) continue
      // Who has said which address is theirs does not hear what is for an unknown one.
      if (known < 0 && !group && to.options.address !== undefined) continue
      sent++
      this.observer?.forwarded(from, to, vlan, known < 0)
      this.#send(from, to, this.#dressed(frame, copies, tagged, tag, to.vlan.tags(vlan) ? vlan : 0))
    }
    this.#depth--
    return sent === 0 ? 'noReceiver' : undefined
  }

  /** The frame as a port sends it: with the VLAN's tag, or without. */
  #dressed(frame: Frame, copy: Frame, tagged: boolean, tag: number, vlan: number): Frame {
    if (tagged === vlan > 0 && (tag & VLAN_ID) === vlan) return frame
    copy.copyFrom(frame)
    if (tagged) removeTag(copy)
    if (vlan > 0) insertTag(copy, (tag & ~VLAN_ID) | vlan)
    return copy
  }

  #send(from: SwitchPort, to: SwitchPort, frame: Frame): void {
    const limited = to.egress !== undefined && !to.egress.take(frame.length, this.#clock.now)
    const cause = limited ? 'egressLimit' : to.client.deliver(frame, from.number)
    if (cause === undefined) {
      to.wentOut(frame.length)
      this.#mirrorFrom(to, frame, 'out')
    } else {
      to.lostOut(cause)
      this.observer?.dropped(to, cause, 'out')
    }
  }

  /** Whether a port hears mirrored frames, and only those. */
  #listensOnly(number: number): boolean {
    for (const { to } of this.#mirrors) if (to === number) return true
    return false
  }

  #mirrorFrom(port: SwitchPort, frame: Frame, way: 'in' | 'out'): void {
    for (const { ports, direction, to } of this.#mirrors) {
      if (direction !== way && direction !== 'both') continue
      const listener = this.#ports[to]
      if (listener === undefined || !ports.includes(port.number)) continue
      const cause = listener.client.deliver(frame, port.number)
      if (cause === undefined) listener.wentOut(frame.length)
      else listener.lostOut(cause)
    }
  }

  save(): SavedSwitch {
    return {
      version: 1,
      name: this.name,
      addresses: this.addresses.save(),
      ports: this.ports.map(port => port.save()),
      mirrors: [...this.#mirrors],
    }
  }

  /** The switch as it was when it was saved; its ports come back one by one, see {@link restorePort}. */
  static restore(saved: SavedSwitch, clock: SwitchOptions['clock']): VirtualSwitch {
    const { name, addresses, mirrors } = opened<SavedSwitch>(saved as unknown as Saved, 'a virtual switch', 1)
    const network = new VirtualSwitch({ name, clock })
    network.addresses.load(addresses)
    network.#mirrors.push(...mirrors)
    return network
  }
}

/** "Reserved addresses" (IEEE 802.1Q, table 8-1), 01:80:c2:00:00:00 to 0f: for the next system only. */
const isReserved = (bytes: Uint8Array): boolean =>
  macLow(bytes, 0) === 0x00c2_8001 && (macHigh(bytes, 0) & 0xf0ff) === 0

const isTagged = ({ bytes, length }: Frame): boolean =>
  length >= HEADER_SIZE + TAG_SIZE && read16(bytes, TYPE) === ETHERTYPE.vlan

/** 0: none. */
const tagOf = (frame: Frame): number => (isTagged(frame) ? read16(frame.bytes, HEADER_SIZE) : 0)
