/**
 * A function: its configuration space, its regions of memory, its interrupts, and its bus-master port. Ports and bridges
 * are functions with a bus behind them.
 */
import { type RequesterId, requesterId, type Saved } from '../core/index.ts'
import type { MmioTarget } from '../memory/index.ts'
import { AddressTranslation } from './address-translation.ts'
import { EFFECT } from './attribute-builder.ts'
import type { ResetKind } from './attribute-table.ts'
import { type BarBehaviour, BarRegion, ERASED_ROM } from './bar-region.ts'
import { Bus, secondaryKind } from './bus.ts'
import { layoutOf } from './config-layout.ts'
import { ConfigCopies } from './config-memory.ts'
import { definedSize, type FunctionDefinition } from './definition.ts'
import { noteCompletion } from './error-reporting.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { BRIDGE_CONTROL, COMMAND_STATUS } from './formats/header.ts'
import { barAddress, claimBars, claimIo } from './function-decode.ts'
import { EVER, FunctionFaults } from './function-faults.ts'
import { type FunctionModel, ModelHolder, type ModelMaker } from './function-model.ts'
import { FunctionRegisters } from './function-registers.ts'
import { gateOf } from './gate.ts'
import { MessageSignals, type SignalOutcome } from './message-signals.ts'
import { CLAIM, type ClaimReceiver, type FunctionNode } from './parts.ts'
import { Port } from './port.ts'
import { RegisterEffects } from './register-effects.ts'
import { type MemoryRequest, STATUS } from './request.ts'
import { climb } from './routing.ts'
import type { SavedFunction } from './saved-function.ts'
import { Sriov } from './sriov.ts'

const { IOSE, MSE } = COMMAND_STATUS.f
const COMMAND = COMMAND_STATUS.at

export class PcieFunction extends FunctionRegisters implements FunctionNode {
  readonly segment: number
  /** Device (7:3) and function (2:0) number by its place; of a virtual function, its index. */
  readonly devfn: number
  /** The bus it sits on; of a virtual function, the one of its physical function. */
  readonly bus: Bus<PcieFunction>
  /** The bus behind a port or bridge. */
  readonly secondary: Bus<PcieFunction> | undefined
  readonly physicalFunction: PcieFunction | undefined
  readonly sriov: Sriov<PcieFunction> | undefined
  readonly port: Port | undefined
  /** ATS, page requests and PASIDs; undefined for a function without any of their capabilities. */
  readonly translation: AddressTranslation | undefined
  /** Number that the root complex gave to what it soldered to this function of a root bus; -1 for nothing. */
  soldered = -1
  readonly #effects: RegisterEffects
  readonly #copies = new ConfigCopies()
  /** Made when first needed: many functions never interrupt. */
  #messageSignals: MessageSignals | undefined
  #regions: (BarRegion | undefined)[] = []
  /** Of a physical function that is more than storage behind its BARs. */
  #models: ModelHolder | undefined
  /** Of a virtual function: distance of its routing id from the physical function's, fixed while it exists. */
  readonly #routingOffset: number
  #capturedBus: number
  #present = true
  /** Virtual time from which on it answers again after a reset. */
  #readyAt = 0
  /** {@link gate}, -1 while it has to be worked out again. */
  #gate = -1
  /** Made by the first stimulus that breaks something. */
  #faults: FunctionFaults | undefined
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
    const layout = layoutOf(definition, physicalFunction !== undefined, bus.host.attributes)
    super(definition, layout, bus.host.configMemory.take(layout.size >>> 2))
    this.segment = bus.host.segment
    this.devfn = devfn
    this.bus = bus
    this.physicalFunction = physicalFunction
    this.#capturedBus = bus.kind === 'root' ? bus.host.bus : 0
    this.#routingOffset = physicalFunction?.sriov?.routingOffset(devfn) ?? 0
    const behind = secondaryKind(this)
    this.secondary = behind === undefined ? undefined : new Bus<PcieFunction>(behind, bus.host, this)
    const shared = physicalFunction?.translation
    if (shared !== undefined || AddressTranslation.in(layout)) {
      this.translation = new AddressTranslation(this, shared)
    }
    if (physicalFunction === undefined)
      this.sriov = Sriov.of(this, (virtual, index) => new PcieFunction(virtual, bus, index, this))
    this.port = Port.of(this)
    this.#effects = new RegisterEffects(this)
    this.port?.settle()
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

  /** Writes a dword of configuration space; `lanes` marks the bits that the access carries. */
  writeConfig(offset: number, value: number, lanes: number): void {
    const at = offset >>> 2
    const before = this.words[at]
    if (before === undefined) return
    this.bus.host.changes++
    this.#gate = -1
    const writable = this.layout.writable(at) & lanes
    const effect = this.layout.effectOf(at)
    if (effect === EFFECT.sriov) {
      this.sriov?.write(offset - this.layout.findExtended(EXTENDED_CAPABILITY.SRIOV), value, writable)
      this.#models?.made?.virtualFunctionsChanged?.()
      return
    }
    const clear = this.layout.clearable(at) & lanes & value
    this.words[at] = ((before & ~writable) | (value & writable)) & ~clear
    if (effect !== EFFECT.none) this.#effects.written(effect, at, before, lanes)
  }

  /** A Type 0 configuration write tells a function which bus it is on. */
  captureBus(bus: number): void {
    this.bus.host.changes++
    this.#capturedBus = bus
  }

  // What routing asks for

  get isReady(): boolean {
    if (this.#readyAt > 0 && (this.bus.host.clock?.now ?? this.#readyAt) < this.#readyAt) return false
    return this.physicalFunction?.sriov?.functionsReady ?? true
  }

  get isPoweredUp(): boolean {
    const pf = this.physicalFunction
    return this.powerState === 0 && this.#present && (pf === undefined || (pf.isPoweredUp && this.isReady))
  }

  /** Whether a port or bridge lets requests from below pass, as `GATE` bits: worked out once after each write. */
  get gate(): number {
    if (this.#gate < 0) this.#gate = gateOf(this)
    return this.#gate
  }

  get secondaryDown(): boolean {
    if (this.words[BRIDGE_CONTROL.at]! & BRIDGE_CONTROL.f.SBR.mask) return true
    return this.port !== undefined && !this.port.linkUp
  }

  // Memory

  /** The address ranges on its bus that the function answers to now. */
  claims(receive: ClaimReceiver): void {
    if (!this.isPoweredUp) return
    this.sriov?.claims(receive)
    if (this.words[COMMAND]! & MSE.mask) claimBars(this, receive)
  }

  /** The I/O addresses on its bus that the function answers to now. */
  ioClaims(receive: ClaimReceiver): void {
    if (this.isPoweredUp && this.words[COMMAND]! & IOSE.mask) claimIo(this, receive)
  }

  /** Address in BAR `index`, whether or not it is decoded. Of a virtual function, its share of the VF BAR. */
  barAddress(index: number): number {
    const pf = this.physicalFunction
    return pf === undefined ? barAddress(this.words, index) : pf.sriov!.shareOf(this.devfn, index)
  }

  barSize(index: number): number {
    const pf = this.physicalFunction
    if (pf !== undefined) return pf.sriov!.sizeOf(index)
    return this.#effects.chosenSize(index) ?? definedSize(this.definition, index)
  }

  /** What answers inside a BAR, or inside the ROM (`CLAIM.rom`). */
  region(part: number): MmioTarget {
    return part === CLAIM.rom ? ERASED_ROM : this.#region(part)
  }

  #region(bar: number): BarRegion {
    return (this.#regions[bar] ??= this.#makeRegion(bar))
  }

  #makeRegion(bar: number): BarRegion {
    const models = (this.physicalFunction ?? this).#models
    const accessed = models && (() => void models.needed)
    return new BarRegion(bar, definedSize(this.definition, bar), this.#messages.msiX, accessed)
  }

  /** Puts a device model's registers behind a BAR; MSI-X table and pending bits keep their place in it. */
  installBehaviour(bar: number, behaviour: BarBehaviour): void {
    this.#region(bar).install(behaviour)
  }

  /** Says what is behind the registers of this physical function, before anything reaches it. */
  setModel(make: ModelMaker): void {
    this.#models = new ModelHolder(make)
  }

  /** The model, made now if need be; undefined for a function without one. Of a virtual function: its physical one's. */
  get model(): FunctionModel | undefined {
    return (this.physicalFunction ?? this).#models?.needed
  }

  /** Inspection: the model as far as it has been needed. */
  get modelMade(): FunctionModel | undefined {
    return (this.physicalFunction ?? this).#models?.made
  }

  // Bus mastering and interrupts

  get #messages(): MessageSignals {
    return this.#messageSignals ?? this.#makeMessages()
  }

  #makeMessages(): MessageSignals {
    const unmasked = (): void => this.bus.host.messages.release(this)
    return (this.#messageSignals = new MessageSignals(this.layout, this.words, unmasked))
  }

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
      const usual = this.#faults?.concernsRequests !== true
      this.#issueId = usual && this.busMasterEnabled && this.isPoweredUp ? this.rid : -1
    }
    if (this.#issueId >= 0) {
      request.requesterId = this.#issueId
      request.observer?.note(this, 'issued')
      climb(this, request)
      if (request.status !== STATUS.successful && request.observer === undefined)
        noteCompletion(this, request)
    } else if (this.#faults?.concernsRequests && this.busMasterEnabled && this.isPoweredUp) {
      request.requesterId = this.rid
      request.observer?.note(this, 'issued')
      this.#faults.issue(request)
      if (request.status !== STATUS.successful && request.observer === undefined)
        noteCompletion(this, request)
    } else {
      request.requesterId = this.rid
      request.status = STATUS.notIssued
      request.observer?.note(this, 'notIssued')
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
    const signals = this.#messageSignals
    if (signals === undefined || !this.busMasterEnabled || !this.isPoweredUp) return false
    return signals.composePending(request, payload)
  }

  // What is broken

  /** What a stimulus broke, to be changed by it. */
  get faults(): FunctionFaults {
    // Whoever asks may change what requests are told.
    this.bus.host.changes++
    return (this.#faults ??= new FunctionFaults(this))
  }

  /** Whether a stimulus ever broke something. */
  get hasFaults(): boolean {
    return this.#faults !== undefined
  }

  /** While it is in reset: whether it answers that it wants to be asked again. */
  get asksForRetry(): boolean {
    return this.#faults?.isSilent !== true
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
    this.#messageSignals?.reset()
    this.translation?.reset()
    for (const region of this.#regions) region?.reset()
    if (this.physicalFunction === undefined) this.#models?.made?.reset(kind)
    else this.model?.virtualFunctionReset?.(this.devfn)
    // After power-on the board holds everything in reset until it is ready.
    const { resetTimeNs } = (this.physicalFunction ?? this).definition
    const now = this.bus.host.clock?.now ?? 0
    const longer = this.#faults?.reset(kind === 'functionLevel') ?? 0
    this.#readyAt = resetTimeNs === undefined || kind === 'fundamental' ? 0 : now + resetTimeNs
    if (longer > 0) this.#readyAt = longer === EVER ? EVER : now + (resetTimeNs ?? 0) + longer
    if (kind === 'fundamental') this.#faults = undefined
    if (kind !== 'functionLevel') this.#capturedBus = this.bus.kind === 'root' ? this.bus.host.bus : 0
    this.bus.decodingChanged()
    this.port?.settle()
    this.resetSecondary(kind === 'fundamental' ? kind : 'hot')
  }

  /** Resets everything behind it. */
  resetSecondary(kind: ResetKind): void {
    for (const fn of this.secondary?.functions ?? []) fn.reset(kind)
    this.port?.retrain()
  }

  /** After the link below went up or down. */
  linkChanged(): void {
    this.#gate = -1
    this.bus.host.changes++
    this.bus.host.numbersChanged()
  }

  save(): SavedFunction {
    return {
      version: 1,
      bus: this.#capturedBus,
      config: this.#copies.of(this.words),
      port: this.port?.save() ?? null,
      messages: this.#messageSignals?.save() ?? null,
      vitalProductData: this.#effects.save(),
      readyAt: this.#readyAt,
      ...(this.#faults && { faults: this.#faults.save() }),
      virtualFunctionsReady: this.sriov?.readyAt ?? 0,
      translation: this.translation?.save() ?? [],
      regions: this.definition.bars.map(({ index }) => this.#regions[index]?.save() ?? []),
      virtualFunctions: this.virtualFunctions.map(fn => fn.save()),
      ...(this.#models && { model: this.#models.save() }),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as SavedFunction
    this.bus.host.changes++
    this.#capturedBus = state.bus
    this.words.set(state.config)
    this.port?.load(state.port)
    this.linkChanged()
    // A message that MSI holds back is a bit of configuration space: whoever sends it later is made now.
    const mayPend = state.messages !== null || this.layout.find(CAPABILITY.MSI) > 0
    if (mayPend || this.#messageSignals !== undefined) this.#messages.load(state.messages)
    this.#effects.load(state.vitalProductData)
    this.#readyAt = state.readyAt
    this.#faults = undefined
    if (state.faults !== undefined) this.faults.load(state.faults)
    this.translation?.load(state.translation)
    this.#regions = []
    for (const [i, { index }] of this.definition.bars.entries()) this.#region(index).load(state.regions[i]!)
    this.sriov?.restoreFunctions(state.virtualFunctionsReady)
    for (const [i, fn] of this.virtualFunctions.entries()) fn.load(state.virtualFunctions[i]!)
    this.#models?.load(state.model ?? null)
    this.bus.decodingChanged()
  }
}
