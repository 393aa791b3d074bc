/** Access attributes of the PCI-compatible capabilities, by identifier. */
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import type { FunctionDefinition } from './definition.ts'
import { expressAttributes } from './express-attributes.ts'
import { AF, MSI, MSI_X, msiLayout, PM, VPD } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'

/** Declares the bits of the capability that starts at `base`. */
export type CapabilityAttributes = (
  builder: AttributeBuilder,
  base: number,
  definition: FunctionDefinition,
) => void

/** "Power Management Control/Status Register". */
function pm(builder: AttributeBuilder, base: number): void {
  const { STATE, PME_ENABLE, PME_STATUS, DATA_SELECT } = PM.CONTROL.f
  const at = base + PM.CONTROL.offset
  builder.writable(at, STATE.mask)
  builder.effect(at, EFFECT.powerManagement)
  builder.hardwire(at, DATA_SELECT.mask)
  if (builder.field(PM.CAPABILITIES.f.PME, base, PM.CAPABILITIES) === 0) return
  builder.writable(at, PME_ENABLE.mask)
  builder.clearable(at, PME_STATUS.mask)
  builder.stick(at, PME_ENABLE.mask | PME_STATUS.mask)
}

function msi(builder: AttributeBuilder, base: number): void {
  const control = builder.read(base)
  const { data, mask, pending } = msiLayout(control)
  const { C64, EMC, EME, MMC } = MSI.CONTROL.f
  builder.declare(base, MSI.CONTROL, EFFECT.msi)
  if (control & EMC.mask) builder.writable(base, EME.mask)
  builder.hardwire(base + MSI.ADDRESS.offset, 3)
  builder.declare(base, MSI.ADDRESS)
  if (control & C64.mask) builder.declare(base, MSI.ADDRESS_UPPER)
  builder.writable(base + data, control & EMC.mask ? 0xffff_ffff : 0xffff)
  if (mask === undefined || pending === undefined) return
  const vectors = 1 << ((control & MMC.mask) >>> MMC.shift)
  builder.hardwire(base + mask, 0xffff_ffff)
  builder.writable(base + mask, vectors >= 32 ? 0xffff_ffff : (1 << vectors) - 1)
  builder.effect(base + mask, EFFECT.msi)
  builder.hardwire(base + pending, 0xffff_ffff)
}

function vpd(builder: AttributeBuilder, base: number): void {
  builder.declare(base, VPD.ADDRESS, EFFECT.vitalProductData)
  builder.declare(base, VPD.DATA)
}

/** "SHPC Capabilities List Item": DWORD Select may be written, DWORD Data follows it. */
function hotPlugController(builder: AttributeBuilder, base: number, definition: FunctionDefinition): void {
  if (definition.hotPlugRegisters === undefined) return
  builder.writable(base, 0x00ff_0000)
  builder.effect(base, EFFECT.hotPlugController)
}

export const CAPABILITY_ATTRIBUTES: ReadonlyMap<number, CapabilityAttributes> = new Map([
  [CAPABILITY.PM, pm],
  [CAPABILITY.VPD, vpd],
  [CAPABILITY.MSI, msi],
  [CAPABILITY.EXPRESS, expressAttributes],
  [CAPABILITY.HOT_PLUG, hotPlugController],
  [CAPABILITY.MSI_X, (builder, base) => builder.declare(base, MSI_X.CONTROL, EFFECT.msiX)],
  [CAPABILITY.AF, (builder, base) => builder.declare(base, AF.CONTROL, EFFECT.advancedFeatures)],
])
