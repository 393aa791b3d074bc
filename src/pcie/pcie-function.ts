/**
 * A function: its configuration space and what writes to it set off, its regions of memory, its interrupts, and its
 * bus-master port. Ports and bridges are functions with a bus behind them.
 */
import { type RequesterId, requesterId, type Saved } from '../core/index.ts'
import type { MmioTarget } from '../memory/index.ts'
import { AddressTranslation } from './address-translation.ts'
import { EFFECT } from './attribute-builder.ts'
import { type BarBehaviour, BarRegion, ERASED_ROM } from './bar-region.ts'
import { Bus } from './bus.ts'
import { type ConfigLayout, layoutOf, type ResetKind } from './config-layout.ts'
import type { FunctionDefinition, FunctionKind } from './definition.ts'
import { AF, EXPRESS, PM } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { BRIDGE_CONTROL, BUS_NUMBERS, COMMAND_STATUS } from './formats/header.ts'
import { barAddress, claimBars } from './function-decode.ts'
import { gateOf } from './gate.ts'
import { MessageSignals, type SignalOutcome } from './message-signals.ts'
import { type BusKind, CLAIM, type ClaimReceiver, type FunctionNode } from './parts.ts'
import { type MemoryRequest, STATUS } from './request.ts'
import { climb } from './routing.ts'
import { Sriov } from './sriov.ts'
import { virtualDefinition } from './virtual-definition.ts'

const { MSE, BME } = COMMAND_STATUS.f
const COMMAND = COMMAND_STATUS.at
const FLR = EXPRESS.DEVICE_CONTROL.f.INITIATE_FLR.mask

/** The bus behind a function of each kind. */
const SECONDARY: Readonly<Record<FunctionKind, BusKind | undefined>> = {
  hostBridge: undefined,
  endpoint: undefined,
  rootPort: 'link',
  downstreamPort: 'link',
  upstreamPort: 'switch',
  bridge: 'conventional',
}

export class PcieFunction implements FunctionNode {
  readonly definition: FunctionDefinition
  readonly kind: FunctionKind
  readonly segment: number
  /** Device (7:3) and function (2:0) number by its place; of a virtual function, its index. */
  readonly devfn: number
  /** The bus it sits on; of a virtual function, the one of its physical function. */
  readonly bus: Bus<PcieFunction>
  /** The bus behind a port or bridge. */
  readonly secondary: Bus<PcieFunction> | undefined
  readonly physicalFunction: PcieFunction | undefined
  readonly sriov: Sriov<PcieFunction> | undefined
  readonly layout: ConfigLayout
  /** ATS, page requests and PASIDs; undefined for a function without any of their capabilities. */
  readonly translation: AddressTranslation | undefined
  /** Configuration space as dwords. */
  readonly words: Uint32Array
  /** Number that the root complex gave to what it soldered to this function of a root bus; -1 for nothing. */
  soldered = -1
  readonly #messages: MessageSignals
  readonly #regions: (BarRegion | undefined)[] = []
  readonly #pm: number
  readonly #acs: number
  readonly #express: number
  /** Of a virtual function: distance of its routing id from the physical function's, fixed while it exists. */
  readonly #routingOffset: number
  #capturedBus: number
  #present = true
  /** {@link gate}, -1 while it has to be worked out again. */
  #gate = -1
  /** Routing id for requests, -1 while it may send none: valid for one value of the host bridge's `changes`. */
  #issueId = -1
  #issueIdFrom = -1

  /** @param physicalFunction makes this virtual function number `devfn` of that function. */
  constructor(
    definition: FunctionDefinition,
    bus: Bus<PcieFunction>,
    devfn: number,
    physicalFunction?: PcieFunction,
  ) {
    this.definition = definition
    this.kind = definition.kind
    this.segment = bus.host.segment
    this.devfn = devfn
    this.bus = bus
    this.physicalFunction = physicalFunction
    this.layout = layoutOf(definition, physicalFunction !== undefined)
    this.words = this.layout.initialWords()
    this.#capturedBus = bus.kind === 'root' ? bus.host.bus : 0
    this.#routingOffset = physicalFunction?.sriov?.routingOffset(devfn) ?? 0
    const behind = SECONDARY[definition.kind]
    this.secondary = behind === undefined ? undefined : new Bus<PcieFunction>(behind, bus.host, this)
    this.#pm = this.layout.find(CAPABILITY.PM)
    this.#acs = this.layout.findExtended(EXTENDED_CAPABILITY.ACS)
    this.#express = this.layout.find(CAPABILITY.EXPRESS)
    this.#messages = new MessageSignals(this.layout, this.words, () => bus.host.messages.release(this))
    const shared = physicalFunction?.translation
    if (shared !== undefined || AddressTranslation.in(this.layout)) {
      this.translation = new AddressTranslation(this, shared)
    }
    const sriov = this.layout.findExtended(EXTENDED_CAPABILITY.SRIOV)
    if (sriov > 0 && definition.sriov !== undefined && physicalFunction === undefined) {
      const virtual = virtualDefinition(definition, definition.sriov)
      this.sriov = new Sriov(
        this,
        sriov,
        definition.sriov,
        index => new PcieFunction(virtual, bus, index, this),
      )
    }
  }

  /** Bus number captured from configuration writes, and device and function number. */
  get rid(): RequesterId {
    const pf = this.physicalFunction
    if (pf === undefined) return requesterId(this.#capturedBus, this.devfn)
    return ((pf.rid + this.#routingOffset) & 0xffff) as RequesterId
  }

  /** Virtual functions, while VF Enable is set. */
  get virtualFunctions(): readonly PcieFunction[] {
    return this.sriov?.functions ?? []
  }

  /** False for a virtual function after it was disabled: such an object answers and sends nothing. */
  get present(): boolean {
    return this.#present
  }

  remove(): void {
    this.bus.host.changes++
    this.#present = false
  }

  // Configuration space

  /** A dword of configuration space; `offset` is a multiple of 4. Beyond the end: all ones. */
  readConfig(offset: number): number {
    return this.words[offset >>> 2] ?? 0xffff_ffff
  }

  /** Writes a dword of configuration space; `lanes` marks the bits that the access carries. */
  writeConfig(offset: number, value: number, lanes: number): void {
    const at = offset >>> 2
    const before = this.words[at]
    if (before === undefined) return
    this.bus.host.changes++
    this.#gate = -1
    const writable = this.layout.rw[at]! & lanes
    const effect = this.layout.effects[at]!
    if (effect === EFFECT.sriov) {
      this.sriov?.write(offset - this.layout.findExtended(EXTENDED_CAPABILITY.SRIOV), value, writable)
      return
    }
    const clear = this.layout.rw1c[at]! & lanes & value
    this.words[at] = ((before & ~writable) | (value & writable)) & ~clear
    if (effect !== EFFECT.none) this.#react(effect, at, before)
  }

  #react(effect: number, at: number, before: number): void {
    const now = this.words[at]!
    switch (effect) {
      case EFFECT.command:
        if ((now ^ before) & MSE.mask) this.bus.decodingChanged()
        if (now & ~before & BME.mask) this.bus.host.messages.release(this)
        break
      case EFFECT.decode:
        this.bus.decodingChanged()
        break
      case EFFECT.bridgeControl:
        if (now & ~before & BRIDGE_CONTROL.f.SBR.mask) this.#resetSecondary('hot')
        break
      case EFFECT.msi:
      case EFFECT.msiX:
        this.bus.host.messages.release(this)
        break
      case EFFECT.deviceControl:
        if (now & FLR && this.kind !== 'bridge') this.functionLevelReset()
        break
      case EFFECT.advancedFeatures:
        if (now & AF.CONTROL.f.INITIATE_FLR.mask) this.functionLevelReset()
        break
      case EFFECT.addressTranslation:
        this.translation?.controlWritten()
        break
      case EFFECT.powerManagement:
        this.#changePowerState(at, before)
        break
    }
  }

  /** "PCI Power Management": unsupported states are ignored; D3hot to D0 resets unless No_Soft_Reset. */
  #changePowerState(at: number, before: number): void {
    const { STATE, NO_SOFT_RESET } = PM.CONTROL.f
    const { D1, D2 } = PM.CAPABILITIES.f
    const now = this.words[at]!
    const state = now & STATE.mask
    const supported = state === 1 ? D1.mask : state === 2 ? D2.mask : -1
    if (!(this.words[at - 1]! & supported)) this.words[at] = (now & ~STATE.mask) | (before & STATE.mask)
    else if ((before & STATE.mask) === 3 && state === 0 && !(now & NO_SOFT_RESET.mask))
      this.reset('functionLevel')
    this.bus.decodingChanged()
  }

  /** A Type 0 configuration write tells a function which bus it is on. */
  captureBus(bus: number): void {
    this.bus.host.changes++
    this.#capturedBus = bus
  }

  // Registers that routing asks for

  get isPoweredUp(): boolean {
    const state =
      this.#pm === 0 ? 0 : this.words[(this.#pm + PM.CONTROL.offset) >>> 2]! & PM.CONTROL.f.STATE.mask
    return state === 0 && this.#present && (this.physicalFunction?.isPoweredUp ?? true)
  }

  get busMasterEnabled(): boolean {
    return (this.words[COMMAND]! & BME.mask) !== 0
  }

  /** Whether a port or bridge lets requests from below pass, as `GATE` bits: worked out once after each write. */
  get gate(): number {
    if (this.#gate < 0) this.#gate = gateOf(this)
    return this.#gate
  }

  /** ACS Control, the bits of `ACS_BIT`; 0 without the capability. */
  get acsControl(): number {
    return this.#acs === 0 ? 0 : this.words[(this.#acs + 4) >>> 2]! >>> 16
  }

  /** Bit of the ACS Egress Control Vector for a port or function number. */
  egressBlocked(number: number): boolean {
    const word = this.words[(this.#acs + 8 + ((number >>> 5) << 2)) >>> 2] ?? 0
    return (word & (1 << (number & 31))) !== 0
  }

  /** "Port Number" of Link Capabilities. */
  get portNumber(): number {
    return this.#express === 0
      ? 0
      : this.words[(this.#express + EXPRESS.LINK_CAPABILITIES.offset) >>> 2]! >>> 24
  }

  get ariForwarding(): boolean {
    if (this.#express === 0) return false
    const control = this.words[(this.#express + EXPRESS.DEVICE_CONTROL_2.offset) >>> 2]!
    return (control & EXPRESS.DEVICE_CONTROL_2.f.ARI_FORWARDING.mask) !== 0
  }

  get isExpress(): boolean {
    return this.#express !== 0
  }

  get secondaryBus(): number {
    return (this.words[BUS_NUMBERS.at]! >>> 8) & 0xff
  }

  get subordinateBus(): number {
    return (this.words[BUS_NUMBERS.at]! >>> 16) & 0xff
  }

  get holdsSecondaryInReset(): boolean {
    return (this.words[BRIDGE_CONTROL.at]! & BRIDGE_CONTROL.f.SBR.mask) !== 0
  }

  // Memory

  /** The address ranges on its bus that the function answers to now. */
  claims(receive: ClaimReceiver): void {
    if (!this.isPoweredUp) return
    this.sriov?.claims(receive)
    if (this.words[COMMAND]! & MSE.mask) claimBars(this, receive)
  }

  /** Address in BAR `index`, whether or not it is decoded. Of a virtual function, its share of the VF BAR. */
  barAddress(index: number): number {
    const pf = this.physicalFunction
    return pf === undefined ? barAddress(this.words, index) : pf.sriov!.shareOf(this.devfn, index)
  }

  /** What answers inside a BAR, or inside the ROM (`CLAIM.rom`). */
  region(part: number): MmioTarget {
    return part === CLAIM.rom ? ERASED_ROM : this.#region(part)
  }

  #region(bar: number): BarRegion {
    const size = this.definition.bars.find(({ index }) => index === bar)?.size ?? 0
    return (this.#regions[bar] ??= new BarRegion(bar, size, this.#messages.msiX))
  }

  /** Puts a device model's registers behind a BAR; MSI-X table and pending bits keep their place in it. */
  installBehaviour(bar: number, behaviour: BarBehaviour): void {
    this.#region(bar).install(behaviour)
  }

  // Bus mastering and interrupts

  /**
   * Sends a memory request upstream under the function's own requester id. The request must not cross a 4-KiB
   * boundary. What became of it is in its completion fields when this returns.
   */
  issue(request: MemoryRequest): void {
    request.begin()
    request.segment = this.segment
    const { changes } = this.bus.host
    if (this.#issueIdFrom !== changes) {
      this.#issueIdFrom = changes
      this.#issueId = this.busMasterEnabled && this.isPoweredUp ? this.rid : -1
    }
    if (this.#issueId >= 0) {
      request.requesterId = this.#issueId
      climb(this, request)
    } else {
      request.requesterId = this.rid
      request.status = STATUS.notIssued
    }
  }

  /**
   * Signals a vector through MSI-X or MSI, whichever is enabled. Fills and sends `request` unless a mask holds the
   * message back; then it is pending and leaves when the mask is lifted.
   */
  signal(vector: number, request: MemoryRequest): SignalOutcome {
    const outcome = this.#messages.signal(vector, request)
    if (outcome === 'sent') this.issue(request)
    return outcome
  }

  /** Composes the next message that was pending and may leave now; false if there is none. */
  composePending(request: MemoryRequest, payload: Uint8Array): boolean {
    return this.busMasterEnabled && this.isPoweredUp && this.#messages.composePending(request, payload)
  }

  // Reset and state

  /** "Function Level Reset": this function only; a physical function loses its virtual functions. */
  functionLevelReset(): void {
    this.reset('functionLevel')
  }

  reset(kind: ResetKind): void {
    this.bus.host.changes++
    this.sriov?.removeFunctions()
    this.layout.reset(this.words, kind)
    this.#gate = -1
    this.sriov?.updateRouting()
    this.#messages.reset()
    this.translation?.reset()
    for (const region of this.#regions) region?.reset()
    if (kind !== 'functionLevel') this.#capturedBus = this.bus.kind === 'root' ? this.bus.host.bus : 0
    this.bus.decodingChanged()
    this.#resetSecondary(kind === 'fundamental' ? kind : 'hot')
  }

  #resetSecondary(kind: ResetKind): void {
    for (const fn of this.secondary?.functions ?? []) fn.reset(kind)
  }

  save(): Saved {
    return {
      version: 1,
      bus: this.#capturedBus,
      config: this.words.slice(),
      messages: this.#messages.save(),
      translation: this.translation?.save() ?? [],
      regions: this.definition.bars.map(({ index }) => this.#regions[index]?.save() ?? []),
      virtualFunctions: this.virtualFunctions.map(fn => fn.save()),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as {
      bus: number
      config: Uint32Array
      messages: Saved
      translation: Saved
      regions: Saved[]
      virtualFunctions: Saved[]
    }
    this.bus.host.changes++
    this.#capturedBus = state.bus
    this.words.set(state.config)
    this.#gate = -1
    this.#messages.load(state.messages)
    this.translation?.load(state.translation)
    for (const [i, { index }] of this.definition.bars.entries()) this.#region(index).load(state.regions[i]!)
    this.sriov?.restoreFunctions()
    for (const [i, fn] of this.virtualFunctions.entries()) fn.load(state.virtualFunctions[i]!)
    this.bus.decodingChanged()
  }
}
