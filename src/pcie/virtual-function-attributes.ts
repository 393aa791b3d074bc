/**
 * What a virtual function hard-wires ("SR-IOV", "Configuration"). Its identity reads FFFFh, of Command only Bus Master
 * Enable exists, memory decode and BARs are the physical function's, and there is no INTx. What counts for the link or
 * for all functions of the device is set in the physical function.
 */
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { type CapabilityEntry, findExtendedCapability } from './formats/capability-list.ts'
import { AER, ATS } from './formats/extended-capabilities.ts'
import {
  BAR_COUNT,
  barOffset,
  CARDBUS_CIS,
  COMMAND_STATUS,
  HEADER,
  ID,
  INTERRUPT,
  ROM_OFFSET,
} from './formats/header.ts'

export function virtualFunctionAttributes(
  builder: AttributeBuilder,
  capabilities: readonly CapabilityEntry[],
): void {
  const { BME, INTS, CAP } = COMMAND_STATUS.f
  builder.hardwire(ID.offset, 0xffff_ffff, 0xffff_ffff)
  builder.hardwire(COMMAND_STATUS.offset, (0xffff & ~BME.mask) | INTS.mask)
  builder.hardwire(COMMAND_STATUS.offset, CAP.mask, CAP.mask)
  builder.hardwire(HEADER.offset, 0xffff_ffff)
  builder.hardwireRange(barOffset(0), BAR_COUNT.type0 * 4)
  builder.hardwire(CARDBUS_CIS, 0xffff_ffff)
  builder.hardwire(ROM_OFFSET.type0, 0xffff_ffff)
  builder.hardwire(INTERRUPT.offset, 0xffff_ffff)
  if (builder.express > 0) express(builder, builder.express)
  const ats = findExtendedCapability(capabilities, EXTENDED_CAPABILITY.ATS)
  // "Smallest Translation Unit" of the physical function is used.
  if (ats !== undefined) builder.hardwire(ats + ATS.CONTROL.offset, ATS.CONTROL.f.STU.mask)
  const aer = findExtendedCapability(capabilities, EXTENDED_CAPABILITY.AER)
  if (aer !== undefined) errorReporting(builder, aer)
}

function express(builder: AttributeBuilder, base: number): void {
  const { DEVICE_CAPABILITIES, DEVICE_CONTROL, LINK_CONTROL, LINK_CONTROL_2, DEVICE_CONTROL_2 } = EXPRESS
  const { PHANTOM, FLR } = DEVICE_CAPABILITIES.f
  builder.hardwire(base + DEVICE_CAPABILITIES.offset, PHANTOM.mask)
  builder.hardwire(base + DEVICE_CAPABILITIES.offset, FLR.mask, FLR.mask)
  const control = base + DEVICE_CONTROL.offset
  builder.hardwire(control, 0xffff & ~DEVICE_CONTROL.f.INITIATE_FLR.mask)
  // Function level reset is mandatory, also where the image of the function does not offer it.
  builder.writable(control, DEVICE_CONTROL.f.INITIATE_FLR.mask)
  builder.effect(control, EFFECT.deviceControl)
  builder.hardwire(control, DEVICE_CONTROL.f.AUX.mask)
  builder.hardwire(base + LINK_CONTROL.offset, 0xffff_ffff)
  builder.hardwire(base + DEVICE_CONTROL_2.offset, 0xffff)
  builder.hardwire(base + LINK_CONTROL_2.offset, 0xffff_ffff)
}

/** "Advanced Error Reporting" of virtual functions: status and log are their own, for the rest counts what the PF has. */
function errorReporting(builder: AttributeBuilder, base: number): void {
  const { UNCORRECTABLE_MASK, UNCORRECTABLE_SEVERITY, CORRECTABLE_MASK, CONTROL } = AER
  for (const { offset } of [UNCORRECTABLE_MASK, UNCORRECTABLE_SEVERITY, CORRECTABLE_MASK, CONTROL]) {
    builder.keep(base + offset, 0xffff_ffff)
  }
}
