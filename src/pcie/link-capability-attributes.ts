/** Access attributes of extended capabilities of links, ports and single features. */
import { type AttributeBuilder, EFFECT, type Effect } from './attribute-builder.ts'
import type { BarDefinition, FunctionDefinition } from './definition.ts'
import { isDownstreamPort } from './express-attributes.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { DPC, SRIOV } from './formats/extended-capabilities.ts'
import { barOffset } from './formats/header.ts'
import {
  L1_SUBSTATES,
  PHY_16GT,
  PTM,
  RESIZABLE_BAR,
  SECONDARY_PCIE,
  TPH,
  VC,
} from './formats/link-capabilities.ts'
import { barAttributes } from './header-attributes.ts'

/** "Resizable BAR Control Register": after reset each BAR has the size that the function is defined with. */
export function resizableBar(builder: AttributeBuilder, base: number, definition: FunctionDefinition): void {
  resizable(builder, base, barOffset(0), definition.bars, EFFECT.resizableBar)
}

/** "VF Resizable BAR Control Register", of the VF BARs in the SR-IOV capability. */
export function virtualResizableBar(
  builder: AttributeBuilder,
  base: number,
  definition: FunctionDefinition,
): void {
  const bars = definition.sriov?.bars
  if (bars !== undefined && builder.sriov > 0) {
    resizable(builder, base, builder.sriov + SRIOV.BARS, bars, EFFECT.resizableVirtualBar)
  }
}

function resizable(
  builder: AttributeBuilder,
  base: number,
  firstBar: number,
  bars: readonly BarDefinition[],
  effect: Effect,
): void {
  const { CAPABILITY, CONTROL } = RESIZABLE_BAR
  const { INDEX, NUMBER, SIZE } = CONTROL.f
  const count = builder.field(NUMBER, base + RESIZABLE_BAR.entry(0), CONTROL)
  for (let n = 0; n < count; n++) {
    const entry = base + RESIZABLE_BAR.entry(n)
    const index = builder.field(INDEX, entry, CONTROL)
    const bar = bars.find(candidate => candidate.index === index)
    if (bar === undefined) continue
    builder.writable(entry + CONTROL.offset, SIZE.mask, Math.max(0, Math.log2(bar.size) - 20) << SIZE.shift)
    builder.effect(entry + CONTROL.offset, effect)
    // The address bits of the smallest size are writable; those below the size of the moment are cleared at the write.
    const sizes = builder.field(CAPABILITY.f.SIZES, entry, CAPABILITY)
    const smallest = 2 ** (20 + (sizes === 0 ? 28 : 31 - Math.clz32(sizes & -sizes)))
    if (smallest < bar.size) barAttributes(builder, firstBar, 0, [{ ...bar, size: smallest }])
  }
}

/** "TPH Requester Control", and the steering tags where they lie in the capability itself. */
export function tph(builder: AttributeBuilder, base: number): void {
  const { CAPABILITY, CONTROL, ST_TABLE } = TPH
  const { ST_LOCATION, ST_SIZE, EXTENDED } = CAPABILITY.f
  builder.declare(base, CONTROL)
  if (builder.field(ST_LOCATION, base, CAPABILITY) !== 1) return
  // "ST Upper" exists for extended requesters only.
  const entry = builder.field(EXTENDED, base, CAPABILITY) === 1 ? 0xffff : 0x00ff
  const entries = builder.field(ST_SIZE, base, CAPABILITY) + 1
  for (let i = 0; i < entries; i++) {
    builder.writable(base + ST_TABLE + ((i * 2) & ~3), i & 1 ? entry << 16 : entry)
  }
}

/** "Downstream Port Containment": trigger status and error log outlive the reset of the port. */
export function dpc(builder: AttributeBuilder, base: number): void {
  const { CAPABILITY_CONTROL, STATUS, RP_PIO, RP_PIO_BITS } = DPC
  const { POISONED_EGRESS, SOFTWARE_CAPABLE, DL_ACTIVE_CAPABLE, RP_EXTENSIONS, LOG_SIZE } =
    CAPABILITY_CONTROL.f
  const at = base + CAPABILITY_CONTROL.offset
  const capability = builder.read(at)
  builder.declare(base, CAPABILITY_CONTROL, EFFECT.port)
  if (!(capability & POISONED_EGRESS.mask)) builder.hardwire(at, CAPABILITY_CONTROL.f.POISONED.mask)
  if (!(capability & SOFTWARE_CAPABLE.mask)) builder.hardwire(at, CAPABILITY_CONTROL.f.SOFTWARE.mask)
  if (!(capability & DL_ACTIVE_CAPABLE.mask)) builder.hardwire(at, CAPABILITY_CONTROL.f.DL_ACTIVE.mask)
  builder.hardwire(base + STATUS.offset, 0xffff_ffff)
  builder.declare(base, STATUS, EFFECT.port)
  builder.stick(base + STATUS.offset, 0xffff_ffff)
  if (!(capability & RP_EXTENSIONS.mask)) return
  builder.hardwire(base + RP_PIO.STATUS, 0xffff_ffff)
  builder.clearable(base + RP_PIO.STATUS, RP_PIO_BITS)
  builder.hardwire(base + RP_PIO.MASK, 0xffff_ffff)
  builder.writable(base + RP_PIO.MASK, RP_PIO_BITS, RP_PIO_BITS)
  for (const register of [RP_PIO.SEVERITY, RP_PIO.SYSTEM_ERROR, RP_PIO.EXCEPTION]) {
    builder.hardwire(base + register, 0xffff_ffff)
    builder.writable(base + register, RP_PIO_BITS)
  }
  const log = builder.field(LOG_SIZE, base, CAPABILITY_CONTROL) * 4
  builder.hardwireRange(base + RP_PIO.LOG, log)
  for (let offset = RP_PIO.STATUS; offset < RP_PIO.LOG + log; offset += 4) {
    builder.stick(base + offset, 0xffff_ffff)
  }
}

/** "L1 PM Substates Control": a state can be enabled that the port supports. */
export function l1Substates(builder: AttributeBuilder, base: number): void {
  const { CAPABILITIES, CONTROL_1, CONTROL_2 } = L1_SUBSTATES
  const supported = builder.field(CAPABILITIES.f.STATES, base, CAPABILITIES)
  builder.declare(base, CONTROL_1)
  builder.hardwire(base + CONTROL_1.offset, CONTROL_1.f.STATES.mask & ~supported)
  if (!isDownstreamPort(builder.portType)) {
    builder.hardwire(base + CONTROL_1.offset, CONTROL_1.f.RESTORE_TIME.mask)
  }
  builder.declare(base, CONTROL_2)
  // T_POWER_ON is 10 microseconds until software knows better.
  builder.resetTo(base + CONTROL_2.offset, CONTROL_2.f.POWER_ON.mask, 5 << CONTROL_2.f.POWER_ON.shift)
}

export function ptm(builder: AttributeBuilder, base: number): void {
  const { CAPABILITY, CONTROL } = PTM
  const { REQUESTER, ROOT } = CAPABILITY.f
  builder.declare(base, CONTROL)
  const at = base + CONTROL.offset
  if (builder.field(ROOT, base, CAPABILITY) === 0) builder.hardwire(at, CONTROL.f.ROOT_SELECT.mask)
  if (builder.field(REQUESTER, base, CAPABILITY) === 0) builder.hardwire(at, CONTROL.f.GRANULARITY.mask)
}

/** "Virtual Channel Capability": VC0 is always on and carries every traffic class until told otherwise. */
export function virtualChannels(builder: AttributeBuilder, base: number): void {
  const { CAPABILITY_1, CONTROL, RESOURCE_CONTROL } = VC
  const { TC_MAP, ARBITRATION, ID, ENABLE } = RESOURCE_CONTROL.f
  builder.declare(base, CONTROL)
  const channels = builder.field(CAPABILITY_1.f.EXTENDED_COUNT, base, CAPABILITY_1) + 1
  for (let n = 0; n < channels; n++) {
    const at = base + VC.resource(n) + RESOURCE_CONTROL.offset
    builder.hardwire(at, 0xffff_ffff)
    builder.writable(at, TC_MAP.mask | ARBITRATION.mask, n === 0 ? TC_MAP.mask : 0)
    // Traffic class 0 belongs to VC0, and never to another one.
    if (n === 0) builder.hardwire(at, 1 | ENABLE.mask, 1 | ENABLE.mask)
    else {
      builder.writable(at, ID.mask | ENABLE.mask)
      builder.hardwire(at, 1)
    }
  }
}

/** "Secondary PCI Express": equalization is asked for by downstream ports; lane errors are noted at both ends. */
export function secondaryPcie(builder: AttributeBuilder, base: number): void {
  const { LINK_CONTROL_3, LANE_ERRORS } = SECONDARY_PCIE
  if (isDownstreamPort(builder.portType)) {
    // "Perform Equalization" of a link that needs none is done at once.
    builder.writable(base + LINK_CONTROL_3.offset, LINK_CONTROL_3.f.INTERRUPT.mask)
  }
  const lanes = lanesOfLink(builder)
  builder.hardwire(base + LANE_ERRORS, 0xffff_ffff)
  builder.clearable(base + LANE_ERRORS, lanes)
  builder.stick(base + LANE_ERRORS, lanes)
}

export function phy16(builder: AttributeBuilder, base: number): void {
  const { STATUS, PARITY } = PHY_16GT
  builder.declare(base, STATUS)
  builder.stick(base + STATUS.offset, STATUS.f.REQUEST.mask | STATUS.f.EQUALIZATION.mask)
  for (const register of PARITY) {
    builder.hardwire(base + register, 0xffff_ffff)
    builder.clearable(base + register, lanesOfLink(builder))
    builder.stick(base + register, lanesOfLink(builder))
  }
}

/** One bit for each lane of the link. */
function lanesOfLink(builder: AttributeBuilder): number {
  const { LINK_CAPABILITIES } = EXPRESS
  const width = builder.field(LINK_CAPABILITIES.f.WIDTH, builder.express, LINK_CAPABILITIES)
  return width >= 32 ? 0xffff_ffff : (1 << width) - 1
}
