/** Access attributes of the extended capabilities, by identifier. */
import { type AttributeBuilder, EFFECT } from './attribute-builder.ts'
import type { CapabilityAttributes } from './capability-attributes.ts'
import type { FunctionDefinition } from './definition.ts'
import { EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { ACS, AER, ARI, ATS, LTR, PASID, PRI, SRIOV } from './formats/extended-capabilities.ts'
import { barAttributes } from './header-attributes.ts'

/** "Advanced Error Reporting": status, masks, severities and the header log are sticky. */
function aer(builder: AttributeBuilder, base: number, definition: FunctionDefinition): void {
  // The severities and the uncorrectable mask after reset are the maker's choice: taken from the image.
  const severity = builder.read(base + AER.UNCORRECTABLE_SEVERITY.offset)
  const mask = builder.read(base + AER.UNCORRECTABLE_MASK.offset)
  builder.declare(base, AER.UNCORRECTABLE_STATUS)
  builder.declare(base, AER.UNCORRECTABLE_MASK)
  builder.declare(base, AER.UNCORRECTABLE_SEVERITY)
  builder.declare(base, AER.CORRECTABLE_STATUS)
  builder.declare(base, AER.CORRECTABLE_MASK)
  const writable = builder.rw[(base + AER.UNCORRECTABLE_MASK.offset) >>> 2]!
  builder.writable(base + AER.UNCORRECTABLE_MASK.offset, writable, mask)
  builder.writable(base + AER.UNCORRECTABLE_SEVERITY.offset, writable, severity)
  const { ADVISORY } = AER.CORRECTABLE_MASK.f
  builder.writable(base + AER.CORRECTABLE_MASK.offset, ADVISORY.mask, ADVISORY.mask)
  aerControl(builder, base)
  builder.hardwireRange(base + AER.HEADER_LOG, 16)
  for (let at = base + 4; at < base + AER.HEADER_LOG + 16; at += 4) builder.stick(at, 0xffff_ffff)
  if (definition.kind !== 'rootPort') return
  builder.declare(base, AER.ROOT_COMMAND)
  builder.declare(base, AER.ROOT_STATUS)
  builder.hardwire(base + AER.ROOT_SOURCE, 0xffff_ffff)
  builder.stick(base + AER.ROOT_STATUS.offset, AER.ROOT_STATUS.f.RECEIVED.mask)
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
  if (!(capability & ACS.CAPABILITY.f.EC.mask)) return
  const bits = builder.field(ACS.CAPABILITY.f.VECTOR_SIZE, base, ACS.CAPABILITY) || 256
  for (let bit = 0; bit < bits; bit += 32) {
    const width = Math.min(bits - bit, 32)
    builder.writable(base + ACS.EGRESS_VECTOR + (bit >>> 3), width === 32 ? 0xffff_ffff : (1 << width) - 1)
  }
}

/** "SR-IOV": which bits may change while VF Enable is set is decided at the write. */
function sriov(builder: AttributeBuilder, base: number, definition: FunctionDefinition): void {
  if (definition.sriov === undefined) return
  builder.declare(base, SRIOV.CONTROL)
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
