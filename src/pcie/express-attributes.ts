/** Access attributes of the "PCI Express Capability Structure", whose registers differ by device and port type. */
import type { Field, Fields, Register } from '../core/index.ts'
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import { EXPRESS, PORT_TYPE } from './formats/capabilities.ts'

export function expressAttributes(builder: AttributeBuilder, base: number): void {
  const capability = (register: Register<Fields>, f: Field): number => builder.field(f, base, register)
  const { CAPABILITIES } = EXPRESS
  const type = capability(CAPABILITIES, CAPABILITIES.f.TYPE)
  const version = capability(CAPABILITIES, CAPABILITIES.f.VERSION)
  const hasLink = type !== PORT_TYPE.integratedEndpoint && type !== PORT_TYPE.eventCollector
  const isDownstream = isDownstreamPort(type)
  const hasSlot = isDownstream && capability(CAPABILITIES, CAPABILITIES.f.SLOT) === 1

  deviceControl(builder, base, type)
  if (hasLink) linkControl(builder, base, type)
  if (hasSlot) slotControl(builder, base)
  if (isRoot(type)) rootControl(builder, base)
  if (version < 2) return
  deviceControl2(builder, base, type)
  if (hasLink) linkControl2(builder, base)
  if (hasSlot && capability(EXPRESS.SLOT_CAPABILITIES_2, EXPRESS.SLOT_CAPABILITIES_2.f.IPD) === 1) {
    builder.writable(base + EXPRESS.SLOT_CONTROL.offset, EXPRESS.SLOT_CONTROL.f.IPD.mask)
  }
}

/** Root ports and downstream ports of switches: those with a link below them. */
export const isDownstreamPort = (type: number): boolean =>
  type === PORT_TYPE.rootPort || type === PORT_TYPE.downstreamPort || type === PORT_TYPE.pciToPcieBridge

/** Those with root registers. */
export const isRoot = (type: number): boolean =>
  type === PORT_TYPE.rootPort || type === PORT_TYPE.eventCollector

/** "Device Control Register": 512-byte reads, relaxed ordering and no-snoop are what reset leaves. */
function deviceControl(builder: AttributeBuilder, base: number, type: number): void {
  const { DEVICE_CONTROL, DEVICE_CAPABILITIES } = EXPRESS
  const { RO, NO_SNOOP, MRRS, MPS, INITIATE_FLR, EXTENDED_TAG, PHANTOM, TP, AUX_POWER } = DEVICE_CONTROL.f
  const at = base + DEVICE_CONTROL.offset
  const capabilities = builder.read(base + DEVICE_CAPABILITIES.offset)
  builder.declare(base, DEVICE_CONTROL, EFFECT.deviceControl)
  builder.writable(at, RO.mask | NO_SNOOP.mask | MRRS.mask, RO.mask | NO_SNOOP.mask | (2 << MRRS.shift))
  builder.hardwire(at, TP.mask)
  if (!(capabilities & DEVICE_CAPABILITIES.f.EXTENDED_TAG.mask)) builder.hardwire(at, EXTENDED_TAG.mask)
  if (!(capabilities & DEVICE_CAPABILITIES.f.PHANTOM.mask)) builder.hardwire(at, PHANTOM.mask)
  const canReset = (capabilities & DEVICE_CAPABILITIES.f.FLR.mask) !== 0
  if (!canReset && type !== PORT_TYPE.pcieToPciBridge) builder.hardwire(at, INITIATE_FLR.mask)
  builder.stick(at, AUX_POWER.mask)
  builder.spare(at, MPS.mask)
}

/** "Link Control Register": which bits there are depends on the end of the link, and on Link Capabilities. */
function linkControl(builder: AttributeBuilder, base: number, type: number): void {
  const { LINK_CONTROL, LINK_CAPABILITIES } = EXPRESS
  const { RCB, LINK_DISABLE, RETRAIN, CLOCK_PM, LBMIE, LABIE, LBMS, LABS, TRAINING } = LINK_CONTROL.f
  const at = base + LINK_CONTROL.offset
  const capabilities = builder.read(base + LINK_CAPABILITIES.offset)
  builder.declare(base, LINK_CONTROL, EFFECT.port)
  builder.hardwire(at, TRAINING.mask)
  // A root port says how it cuts completions, an endpoint is told, in switches the bit means nothing.
  if (type === PORT_TYPE.rootPort) builder.keep(at, RCB.mask)
  else if (type === PORT_TYPE.upstreamPort || type === PORT_TYPE.downstreamPort)
    builder.hardwire(at, RCB.mask)
  if (!(capabilities & LINK_CAPABILITIES.f.CLOCK_PM.mask)) builder.hardwire(at, CLOCK_PM.mask)
  const downstream = isDownstreamPort(type)
  if (!downstream) builder.hardwire(at, LINK_DISABLE.mask | RETRAIN.mask)
  if (!downstream || !(capabilities & LINK_CAPABILITIES.f.BANDWIDTH_NOTIFICATION.mask)) {
    builder.hardwire(at, LBMIE.mask | LABIE.mask | LBMS.mask | LABS.mask)
  }
  // "Function Level Reset": what controls the link stays, and what its state is, since the link does.
  builder.spare(at, 0xffff_ffff)
}

/** "Slot Control Register": each control exists with the part that Slot Capabilities names. */
function slotControl(builder: AttributeBuilder, base: number): void {
  const { SLOT_CONTROL, SLOT_CAPABILITIES } = EXPRESS
  const { ABPE, PFDE, MRLSCE, CCIE, AIC, PIC, PCC, EIC, ASPD, IPD, MRLSS, EIS } = SLOT_CONTROL.f
  const { ABP, PCP, MRLSP, AIP, PIP, EIP, NCCS } = SLOT_CAPABILITIES.f
  const at = base + SLOT_CONTROL.offset
  const capabilities = builder.read(base + SLOT_CAPABILITIES.offset)
  builder.declare(base, SLOT_CONTROL, EFFECT.port)
  const needs = (part: Field, ...controls: readonly Field[]): void => {
    if (!(capabilities & part.mask)) for (const control of controls) builder.hardwire(at, control.mask)
  }
  // Neither indicator has a reset value of 0, which is reserved: attention is off, power is on.
  builder.writable(at, AIC.mask | PIC.mask, AIC.mask | (1 << PIC.shift))
  needs(ABP, ABPE)
  needs(PCP, PFDE, PCC)
  needs(MRLSP, MRLSCE, MRLSS)
  needs(AIP, AIC)
  needs(PIP, PIC)
  needs(EIP, EIS)
  builder.hardwire(at, EIC.mask | ASPD.mask | IPD.mask)
  if (capabilities & NCCS.mask) builder.hardwire(at, CCIE.mask)
}

function rootControl(builder: AttributeBuilder, base: number): void {
  const { ROOT_CONTROL, ROOT_STATUS } = EXPRESS
  builder.declare(base, ROOT_CONTROL, EFFECT.port)
  if (builder.field(ROOT_CONTROL.f.RRS_CAPABLE, base, ROOT_CONTROL) === 0) {
    builder.hardwire(base + ROOT_CONTROL.offset, ROOT_CONTROL.f.RRS_VISIBLE.mask)
  }
  builder.hardwire(base + ROOT_STATUS.offset, ROOT_STATUS.f.PENDING.mask | ROOT_STATUS.f.REQUESTER.mask)
  builder.declare(base, ROOT_STATUS, EFFECT.port)
}

/** "Device Control 2 Register": an enable is hard-wired to 0 where Device Capabilities 2 lacks what it enables. */
function deviceControl2(builder: AttributeBuilder, base: number, type: number): void {
  const { DEVICE_CONTROL_2: control, DEVICE_CAPABILITIES_2: capability } = EXPRESS
  const capabilities = builder.read(base + capability.offset)
  const isPort = isDownstreamPort(type) || type === PORT_TYPE.upstreamPort
  builder.declare(base, control)
  const needs = (has: boolean, ...enables: readonly Field[]): void => {
    if (!has) for (const { mask } of enables) builder.hardwire(base + control.offset, mask)
  }
  const offers = (f: Field): boolean => (capabilities & f.mask) !== 0
  needs(offers(capability.f.TIMEOUT_RANGES), control.f.TIMEOUT)
  needs(offers(capability.f.TIMEOUT_DISABLE), control.f.TIMEOUT_DISABLE)
  needs(isDownstreamPort(type) && offers(capability.f.ARI_FORWARDING), control.f.ARI_FORWARDING)
  needs(type !== PORT_TYPE.upstreamPort && type !== PORT_TYPE.downstreamPort, control.f.ATOMIC_REQUESTER)
  needs(isPort && offers(capability.f.ATOMIC_ROUTING), control.f.ATOMIC_EGRESS_BLOCKING)
  needs(offers(capability.f.LTR), control.f.LTR)
  needs(offers(capability.f.TAG_10_BIT_REQUESTER), control.f.TAG_10_BIT)
  needs(offers(capability.f.OBFF), control.f.OBFF)
  needs(isDownstreamPort(type) && offers(capability.f.PREFIX), control.f.PREFIX_BLOCKING)
}

/** "Link Control 2 Register": all sticky, and the target is the highest speed that there is. */
function linkControl2(builder: AttributeBuilder, base: number): void {
  const { LINK_CONTROL_2, LINK_CAPABILITIES } = EXPRESS
  const { TARGET_SPEED, EQUALIZATION, EQUALIZATION_REQUEST } = LINK_CONTROL_2.f
  const at = base + LINK_CONTROL_2.offset
  builder.declare(base, LINK_CONTROL_2, EFFECT.port)
  builder.writable(at, TARGET_SPEED.mask, builder.field(LINK_CAPABILITIES.f.SPEED, base, LINK_CAPABILITIES))
  builder.stick(at, 0xffff | EQUALIZATION.mask | EQUALIZATION_REQUEST.mask)
}
