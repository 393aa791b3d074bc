/** Access attributes of the PCI-compatible capabilities, by identifier. */
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import type { FunctionDefinition } from './definition.ts'
import { AF, EXPRESS, MSI, MSI_X, msiLayout, PM, PORT_TYPE } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'

/** Declares the bits of the capability that starts at `base`. */
export type CapabilityAttributes = (
  builder: AttributeBuilder,
  base: number,
  definition: FunctionDefinition,
) => void

function pm(builder: AttributeBuilder, base: number): void {
  const { STATE, PME_ENABLE, PME_STATUS } = PM.CONTROL.f
  const at = base + PM.CONTROL.offset
  builder.writable(at, STATE.mask)
  builder.effect(at, EFFECT.powerManagement)
  if (builder.field(PM.CAPABILITIES.f.PME, base, PM.CAPABILITIES) !== 0) {
    builder.writable(at, PME_ENABLE.mask)
    builder.clearable(at, PME_STATUS.mask)
    builder.stick(at, PME_ENABLE.mask | PME_STATUS.mask)
  }
}

function msi(builder: AttributeBuilder, base: number): void {
  const control = builder.read(base)
  const { data, mask, pending } = msiLayout(control)
  builder.declare(base, MSI.CONTROL, EFFECT.msi)
  builder.hardwire(base + MSI.ADDRESS.offset, 3)
  builder.declare(base, MSI.ADDRESS)
  if (control & MSI.CONTROL.f.C64.mask) builder.declare(base, MSI.ADDRESS_UPPER)
  builder.writable(base + data, 0xffff)
  if (mask === undefined || pending === undefined) return
  const vectors = 1 << ((control & MSI.CONTROL.f.MMC.mask) >>> MSI.CONTROL.f.MMC.shift)
  builder.hardwire(base + mask, 0xffff_ffff)
  builder.writable(base + mask, vectors >= 32 ? 0xffff_ffff : (1 << vectors) - 1)
  builder.effect(base + mask, EFFECT.msi)
  builder.hardwire(base + pending, 0xffff_ffff)
}

function express(builder: AttributeBuilder, base: number): void {
  const version = builder.field(EXPRESS.CAPABILITIES.f.VERSION, base, EXPRESS.CAPABILITIES)
  const type = builder.field(EXPRESS.CAPABILITIES.f.TYPE, base, EXPRESS.CAPABILITIES)
  const hasLink = type !== PORT_TYPE.integratedEndpoint && type !== PORT_TYPE.eventCollector
  const hasSlot = builder.field(EXPRESS.CAPABILITIES.f.SLOT, base, EXPRESS.CAPABILITIES) === 1
  const isRoot = type === PORT_TYPE.rootPort || type === PORT_TYPE.eventCollector

  deviceControl(builder, base, type)
  if (hasLink) {
    const { LINK_CONTROL } = EXPRESS
    builder.declare(base, LINK_CONTROL)
    builder.hardwire(base + LINK_CONTROL.offset, LINK_CONTROL.f.TRAINING.mask)
    builder.spare(base + LINK_CONTROL.offset, 0xffff)
  }
  if (hasSlot) builder.declare(base, EXPRESS.SLOT_CONTROL)
  if (isRoot) {
    builder.declare(base, EXPRESS.ROOT_CONTROL)
    builder.hardwire(base + EXPRESS.ROOT_STATUS.offset, EXPRESS.ROOT_STATUS.f.PENDING.mask)
    builder.declare(base, EXPRESS.ROOT_STATUS)
  }
  if (version < 2) return
  builder.declare(base, EXPRESS.DEVICE_CONTROL_2)
  const capabilities = builder.read(base + EXPRESS.DEVICE_CAPABILITIES_2.offset)
  const { ARI_FORWARDING, LTR } = EXPRESS.DEVICE_CAPABILITIES_2.f
  const control = base + EXPRESS.DEVICE_CONTROL_2.offset
  if (!(capabilities & ARI_FORWARDING.mask))
    builder.hardwire(control, EXPRESS.DEVICE_CONTROL_2.f.ARI_FORWARDING.mask)
  if (!(capabilities & LTR.mask)) builder.hardwire(control, EXPRESS.DEVICE_CONTROL_2.f.LTR.mask)
  if (hasLink) {
    const speed = builder.field(EXPRESS.LINK_CAPABILITIES.f.SPEED, base, EXPRESS.LINK_CAPABILITIES)
    const at = base + EXPRESS.LINK_CONTROL_2.offset
    builder.declare(base, EXPRESS.LINK_CONTROL_2)
    builder.writable(at, EXPRESS.LINK_CONTROL_2.f.TARGET_SPEED.mask, speed)
    builder.stick(at, EXPRESS.LINK_CONTROL_2.f.TARGET_SPEED.mask)
  }
}

/** "Device Control Register": 512-byte reads, relaxed ordering and no-snoop are what reset leaves. */
function deviceControl(builder: AttributeBuilder, base: number, type: number): void {
  const { DEVICE_CONTROL, DEVICE_CAPABILITIES } = EXPRESS
  const { RO, NO_SNOOP, MRRS, MPS, INITIATE_FLR, EXTENDED_TAG, PHANTOM, TP } = DEVICE_CONTROL.f
  const at = base + DEVICE_CONTROL.offset
  const capabilities = builder.read(base + DEVICE_CAPABILITIES.offset)
  builder.declare(base, DEVICE_CONTROL, EFFECT.deviceControl)
  builder.writable(at, RO.mask | NO_SNOOP.mask | MRRS.mask, RO.mask | NO_SNOOP.mask | (2 << MRRS.shift))
  builder.hardwire(at, TP.mask)
  if (!(capabilities & DEVICE_CAPABILITIES.f.EXTENDED_TAG.mask)) builder.hardwire(at, EXTENDED_TAG.mask)
  if (!(capabilities & DEVICE_CAPABILITIES.f.PHANTOM.mask)) builder.hardwire(at, PHANTOM.mask)
  const canReset = (capabilities & DEVICE_CAPABILITIES.f.FLR.mask) !== 0
  if (!canReset && type !== PORT_TYPE.pcieToPciBridge) builder.hardwire(at, INITIATE_FLR.mask)
  builder.spare(at, MPS.mask)
}

export const CAPABILITY_ATTRIBUTES: ReadonlyMap<number, CapabilityAttributes> = new Map([
  [CAPABILITY.PM, pm],
  [CAPABILITY.MSI, msi],
  [CAPABILITY.EXPRESS, express],
  [CAPABILITY.MSI_X, (builder, base) => builder.declare(base, MSI_X.CONTROL, EFFECT.msiX)],
  [CAPABILITY.AF, (builder, base) => builder.declare(base, AF.CONTROL, EFFECT.advancedFeatures)],
])
