/** Access attributes of the extended capabilities, by identifier. */
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import type { CapabilityAttributes } from './capability-attributes.ts'
import type { FunctionDefinition } from './definition.ts'
import { isRoot } from './express-attributes.ts'
import { PORT_TYPE } from './formats/capabilities.ts'
import { EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { ACS, AER, ARI, ATS, LTR, PASID, PRI, SRIOV } from './formats/extended-capabilities.ts'
import { barAttributes } from './header-attributes.ts'
import {
  dpc,
  l1Substates,
  phy16,
  ptm,
  resizableBar,
  secondaryPcie,
  tph,
  virtualChannels,
  virtualResizableBar,
} from './link-capability-attributes.ts'

/** "Advanced Error Reporting": status, masks, severities and the header log are sticky. */
function aer(builder: AttributeBuilder, base: number): void {
  builder.declare(base, AER.UNCORRECTABLE_STATUS)
  builder.declare(base, AER.CORRECTABLE_STATUS)
  builder.declare(base, AER.CORRECTABLE_MASK)
  // The severities and the uncorrectable mask after reset are the maker's choice: taken from the image.
  for (const register of [AER.UNCORRECTABLE_MASK, AER.UNCORRECTABLE_SEVERITY]) {
    builder.writableFromImage(base + register.offset, register.f.LINK.mask | register.f.ERRORS.mask)
  }
  const { ADVISORY, INTERNAL, LOG_OVERFLOW } = AER.CORRECTABLE_MASK.f
  const masked = ADVISORY.mask | INTERNAL.mask | LOG_OVERFLOW.mask
  builder.writable(base + AER.CORRECTABLE_MASK.offset, masked, masked)
  aerControl(builder, base)
  builder.hardwireRange(base + AER.HEADER_LOG, 16)
  for (let at = base + 4; at < base + AER.HEADER_LOG + 16; at += 4) builder.stick(at, 0xffff_ffff)
  const root = isRoot(builder.portType)
  if (root) {
    builder.declare(base, AER.ROOT_COMMAND, EFFECT.port)
    builder.declare(base, AER.ROOT_STATUS)
    builder.hardwire(base + AER.ROOT_SOURCE, 0xffff_ffff)
    builder.stick(base + AER.ROOT_STATUS.offset, AER.ROOT_STATUS_ERRORS)
    builder.stick(base + AER.ROOT_SOURCE, 0xffff_ffff)
  }
  if (builder.field(AER.CONTROL.f.PREFIX_LOG, base, AER.CONTROL) === 0) return
  builder.hardwire(base + AER.CONTROL.offset, AER.CONTROL.f.PREFIX_LOG.mask)
  builder.hardwireRange(base + AER.PREFIX_LOG, 16)
  for (let at = 0; at < 16; at += 4) builder.stick(base + AER.PREFIX_LOG + at, 0xffff_ffff)
}

/** Each ECRC and multiple-header enable exists if the capability bit below it is set. */
function aerControl(builder: AttributeBuilder, base: number): void {
  const at = base + AER.CONTROL.offset
  builder.declare(base, AER.CONTROL)
  builder.hardwire(at, AER.CONTROL.f.FIRST.mask)
  const f = AER.CONTROL.f
  const enables = f.ECRC_GENERATION.mask | f.ECRC_CHECK.mask | f.MULTIPLE_HEADER.mask
  const capable =
    builder.read(at) &
    (f.ECRC_GENERATION_CAPABLE.mask | f.ECRC_CHECK_CAPABLE.mask | f.MULTIPLE_HEADER_CAPABLE.mask)
  builder.hardwire(at, enables & ~(capable << 1))
}

/** "ACS Control Register": a bit is writable where the capability bit of the same name is set. */
function acs(builder: AttributeBuilder, base: number): void {
  const capability = builder.read(base + ACS.CAPABILITY.offset)
  builder.hardwire(base + ACS.CONTROL.offset, 0xffff_0000)
  builder.writable(base + ACS.CONTROL.offset, (capability & 0x7f) << 16)
  if (capability & ACS.CAPABILITY.f.ENHANCED.mask) enhancedAcs(builder, base)
  if (!(capability & ACS.CAPABILITY.f.EC.mask)) return
  const bits = builder.field(ACS.CAPABILITY.f.VECTOR_SIZE, base, ACS.CAPABILITY) || 256
  for (let bit = 0; bit < bits; bit += 32) {
    const width = Math.min(bits - bit, 32)
    builder.writable(base + ACS.EGRESS_VECTOR + (bit >>> 3), width === 32 ? 0xffff_ffff : (1 << width) - 1)
  }
}

/** "ACS Enhanced Capability": of ports; access to a port's own BARs is controlled where it has some. */
function enhancedAcs(builder: AttributeBuilder, base: number): void {
  const { IB, DSP_MEMORY, USP_MEMORY, UNCLAIMED } = ACS.CONTROL.f
  const at = base + ACS.CONTROL.offset
  builder.writable(at, IB.mask | DSP_MEMORY.mask | UNCLAIMED.mask)
  if (builder.portType === PORT_TYPE.downstreamPort) builder.writable(at, USP_MEMORY.mask)
}

/** "SR-IOV": which bits may change while VF Enable is set is decided at the write. */
function sriov(builder: AttributeBuilder, base: number, definition: FunctionDefinition): void {
  if (definition.sriov === undefined) return
  builder.declare(base, SRIOV.CONTROL)
  const { TAG_10_BIT } = SRIOV.CAPABILITIES.f
  if (builder.field(TAG_10_BIT, base, SRIOV.CAPABILITIES) === 1) {
    builder.writable(base + SRIOV.CONTROL.offset, SRIOV.CONTROL.f.TAG_10_BIT.mask)
  }
  // "ARI Capable Hierarchy" counts for the whole device: the reset of one function leaves it alone.
  builder.spare(base + SRIOV.CONTROL.offset, SRIOV.CONTROL.f.ARI.mask)
  builder.declare(base, SRIOV.NUM_VFS)
  builder.declare(base, SRIOV.SYSTEM_PAGE_SIZE)
  builder.writable(base + SRIOV.SYSTEM_PAGE_SIZE.offset, 1, 1)
  barAttributes(builder, base + SRIOV.BARS, 6, definition.sriov.bars)
  for (let at = base; at < base + SRIOV.SIZE; at += 4) builder.effect(at, EFFECT.sriov)
  const { offset, stride } = definition.sriov.nonAri
  builder.hardwire(base + SRIOV.ROUTING.offset, 0xffff_ffff, (stride << 16) | offset)
}

export const EXTENDED_CAPABILITY_ATTRIBUTES: ReadonlyMap<number, CapabilityAttributes> = new Map([
  [EXTENDED_CAPABILITY.AER, aer],
  [EXTENDED_CAPABILITY.ACS, acs],
  [EXTENDED_CAPABILITY.ARI, ari],
  [EXTENDED_CAPABILITY.ATS, ats],
  [EXTENDED_CAPABILITY.SRIOV, sriov],
  [EXTENDED_CAPABILITY.PRI, pri],
  [EXTENDED_CAPABILITY.PASID, pasid],
  [EXTENDED_CAPABILITY.LTR, (builder, base) => builder.declare(base, LTR.LATENCIES)],
  [EXTENDED_CAPABILITY.RESIZABLE_BAR, resizableBar],
  [EXTENDED_CAPABILITY.VF_RESIZABLE_BAR, virtualResizableBar],
  [EXTENDED_CAPABILITY.TPH, tph],
  [EXTENDED_CAPABILITY.DPC, dpc],
  [EXTENDED_CAPABILITY.L1_SUBSTATES, l1Substates],
  [EXTENDED_CAPABILITY.PTM, ptm],
  [EXTENDED_CAPABILITY.VC, virtualChannels],
  [EXTENDED_CAPABILITY.VC_9, virtualChannels],
  [EXTENDED_CAPABILITY.MFVC, virtualChannels],
  [EXTENDED_CAPABILITY.SECONDARY_PCIE, secondaryPcie],
  [EXTENDED_CAPABILITY.PHY_16GT, phy16],
])

/** "ARI Control Register": function groups exist only for the capability bits that are set. */
function ari(builder: AttributeBuilder, base: number): void {
  const { MFVC_CAPABLE, ACS_CAPABLE, MFVC, ACS: ACS_GROUPS, GROUP } = ARI.CONTROL.f
  const at = base + ARI.CONTROL.offset
  const capability = builder.read(at)
  builder.hardwire(at, 0xffff_0000)
  if (capability & MFVC_CAPABLE.mask) builder.writable(at, MFVC.mask | GROUP.mask)
  if (capability & ACS_CAPABLE.mask) builder.writable(at, ACS_GROUPS.mask | GROUP.mask)
}

function ats(builder: AttributeBuilder, base: number): void {
  builder.declare(base, ATS.CONTROL)
  builder.effect(base + ATS.CONTROL.offset, EFFECT.addressTranslation)
}

function pri(builder: AttributeBuilder, base: number): void {
  builder.declare(base, PRI.CONTROL)
  builder.effect(base + PRI.CONTROL.offset, EFFECT.addressTranslation)
  builder.declare(base, PRI.ALLOCATION)
}

function pasid(builder: AttributeBuilder, base: number): void {
  const { EXECUTE_CAPABLE, PRIVILEGED_CAPABLE, ENABLE, EXECUTE, PRIVILEGED } = PASID.CONTROL.f
  const at = base + PASID.CONTROL.offset
  const capability = builder.read(at)
  builder.hardwire(at, 0xffff_0000)
  builder.writable(at, ENABLE.mask)
  if (capability & EXECUTE_CAPABLE.mask) builder.writable(at, EXECUTE.mask)
  if (capability & PRIVILEGED_CAPABLE.mask) builder.writable(at, PRIVILEGED.mask)
}
