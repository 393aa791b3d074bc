/** What a write to a register of a function sets off beyond storing bits, by the effect that the layout declares. */
import type { Saved } from '../core/index.ts'
import type { AddressTranslation } from './address-translation.ts'
import { EFFECT, type Effect } from './attribute-builder.ts'
import type { ResetKind } from './attribute-table.ts'
import { AF, EXPRESS, PM } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { BRIDGE_CONTROL, barOffset, COMMAND_STATUS } from './formats/header.ts'
import { selectHotPlugRegister } from './hot-plug-controller.ts'
import type { FunctionNode } from './parts.ts'
import type { Port } from './port.ts'
import { ResizableBars } from './resizable-bars.ts'
import type { Sriov } from './sriov.ts'
import { VitalProductData } from './vital-product-data.ts'

const { IOSE, MSE, BME } = COMMAND_STATUS.f
const FLR = EXPRESS.DEVICE_CONTROL.f.INITIATE_FLR.mask

/** The function that the registers are of. */
export interface RegisterOwner extends FunctionNode {
  readonly sriov: Sriov<FunctionNode> | undefined
  readonly port: Port | undefined
  readonly translation: AddressTranslation | undefined
  reset(kind: ResetKind): void
  /** Resets everything behind it. */
  resetSecondary(kind: ResetKind): void
}

export class RegisterEffects {
  readonly #owner: RegisterOwner
  readonly #vitalProductData: VitalProductData | undefined
  readonly #resizable: ResizableBars | undefined

  constructor(owner: RegisterOwner) {
    const { layout, words, definition } = owner
    this.#owner = owner
    const vpd = layout.find(CAPABILITY.VPD)
    if (vpd > 0) {
      this.#vitalProductData = new VitalProductData(words, vpd, definition.vitalProductData ?? NO_DATA)
    }
    const resizable = layout.findExtended(EXTENDED_CAPABILITY.RESIZABLE_BAR)
    if (resizable > 0 && owner.physicalFunction === undefined) {
      this.#resizable = new ResizableBars(
        words,
        { capability: resizable, bars: barOffset(0) },
        definition.bars,
      )
    }
  }

  /** Bytes of BAR `index` if software chooses its size, else undefined. */
  chosenSize(index: number): number | undefined {
    return this.#resizable?.sizeOf(index)
  }

  /** After a write to dword `at`, which held `before`. @param lanes the bits that the access carried. */
  written(effect: Effect, at: number, before: number, lanes: number): void {
    const owner = this.#owner
    const now = owner.words[at]!
    switch (effect) {
      case EFFECT.command:
        if ((now ^ before) & (IOSE.mask | MSE.mask)) owner.bus.decodingChanged()
        if (now & ~before & BME.mask) owner.bus.host.messages.release(owner)
        break
      case EFFECT.decode:
        this.#resizable?.align()
        owner.bus.decodingChanged()
        break
      case EFFECT.bridgeControl:
        // VGA and ISA Enable change what is decoded, Secondary Bus Reset where configuration requests end.
        owner.bus.decodingChanged()
        owner.bus.host.numbersChanged()
        if (now & ~before & BRIDGE_CONTROL.f.SBR.mask) owner.resetSecondary('hot')
        break
      case EFFECT.busNumbers:
        owner.bus.host.numbersChanged()
        break
      case EFFECT.port:
        owner.port?.written(at, before, lanes)
        break
      case EFFECT.msi:
      case EFFECT.msiX:
        owner.bus.host.messages.release(owner)
        break
      case EFFECT.deviceControl:
        if (now & FLR && owner.kind !== 'bridge') owner.reset('functionLevel')
        break
      case EFFECT.advancedFeatures:
        if (now & AF.CONTROL.f.INITIATE_FLR.mask) owner.reset('functionLevel')
        break
      case EFFECT.addressTranslation:
        owner.translation?.controlWritten()
        break
      case EFFECT.powerManagement:
        this.#powerStateWritten(at, before)
        break
      case EFFECT.resizableBar:
        this.#resizable?.written(at, before, (owner.words[COMMAND_STATUS.at]! & MSE.mask) !== 0)
        owner.bus.decodingChanged()
        break
      case EFFECT.resizableVirtualBar:
        owner.sriov?.sizeWritten(at, before)
        owner.bus.decodingChanged()
        break
      case EFFECT.vitalProductData:
        this.#vitalProductData?.addressWritten(lanes)
        break
      case EFFECT.hotPlugController:
        selectHotPlugRegister(owner.words, at, owner.definition.hotPlugRegisters!)
        break
    }
  }

  /** "PCI Power Management": unsupported states are ignored; D3hot to D0 resets unless No_Soft_Reset. */
  #powerStateWritten(at: number, before: number): void {
    const { words, bus, definition } = this.#owner
    const { STATE, NO_SOFT_RESET } = PM.CONTROL.f
    const { D1, D2 } = PM.CAPABILITIES.f
    const now = words[at]!
    const state = now & STATE.mask
    const supported = state === 1 ? D1.mask : state === 2 ? D2.mask : -1
    if (!(words[at - 1]! & supported)) words[at] = (now & ~STATE.mask) | (before & STATE.mask)
    else if (
      (before & STATE.mask) === 3 &&
      state === 0 &&
      !(now & NO_SOFT_RESET.mask) &&
      !definition.keepsStateInD3
    ) {
      this.#owner.reset('functionLevel')
    }
    bus.decodingChanged()
  }

  /** All other state is in configuration space. */
  save(): Saved {
    return this.#vitalProductData?.save() ?? null
  }

  load(saved: Saved): void {
    this.#vitalProductData?.load(saved)
  }
}

const NO_DATA = new Uint8Array(0)
