/**
 * Where other implementations of a remapping unit are known to depart from the specification, one switch each. All are
 * off unless a topology or a replay asks for them; with a preset the unit answers as that implementation does, so that
 * what was recorded from it can be compared exactly.
 */
import { NorthbridgeError } from '../core/index.ts'

/** Each switch says what the departing implementation does, and in parentheses what the specification says, and where. */
export interface Quirks {
  /** Root, context and second-stage faults of scalable mode carry the legacy codes (codes of their own: "DMA Remapping Fault Reasons"). */
  readonly legacyReasonInScalableMode: boolean
  /** An output address in 0xFEEx_xxxx gives 87h whenever ECAP.SMTS is 1 (0Eh with legacy tables: "DMA Remapping Fault Reasons"). */
  readonly interruptRangeReasonFollowsCapability: boolean
  /** An unsupported PGTT (5Bh) is seen before P=0 (59h first: "Scalable-Mode PASID Table Entry"). */
  readonly pasidEntryTypeCheckedBeforePresent: boolean
  /** Reserved bits of a PASID-directory entry are accepted (fault 52h: "Scalable-Mode PASID Directory Entry"). */
  readonly pasidDirectoryReservedNotChecked: boolean
  /** Reserved bits of a PASID-table entry, AW and FLPM of stages the unit has not among them, are accepted (fault 5Ah: "Scalable-Mode PASID Table Entry"). */
  readonly pasidEntryReservedNotChecked: boolean
  /** RID_PASID is ignored, PASID 0 used, while ECAP.RPS is 0 (the field is reserved then, fault 42h: "Scalable-Mode Context Entry"). */
  readonly ridPasidIgnoredWithoutRps: boolean
  /** First-stage accessed and dirty bits are set although walks are not snooped (fault 90h: "Accessed, Extended Accessed, and Dirty Flags"). */
  readonly accessedDirtyWithoutSnoopedWalk: boolean
  /** SNP of a second-stage leaf is accepted with ECAP.SC=0 if ECAP.SMTS is 1 (reserved, 0Ch or 7Ah: "Second-Stage Paging Entries"). */
  readonly snoopBitAcceptedWithoutSc: boolean
  /** FRCD.FI keeps all bits of the input address (bits 63:MGAW are 0: "Fault Recording Registers"). */
  readonly faultAddressAboveMgaw: boolean
  /** A fault found in the PASID-table entry itself is recorded although FPD is set (not if qualified: "Fault Processing Disable"). */
  readonly pasidFpdNotHonoured: boolean
  /** A first-stage 1-GiB page works with CAP.FS1GP=0 (bit 7 is reserved, fault 72h: "First-Stage Paging Entries"). */
  readonly oneGPageAcceptedWithoutFs1gp: boolean
  /** AW of the PASID-table entry narrows canonical first-stage addresses (AW concerns second stage only: "Scalable-Mode PASID Table Entry"). */
  readonly firstStageCanonicalCheckUsesAw: boolean
  /** Accessed bits of upper first-stage entries are set by a walk that ends in a fault (not required, allowed: "Accessed, Extended Accessed, and Dirty Flags"). */
  readonly accessedSetOnFaultingWalk: boolean
  /** An IOTLB hit sets no accessed or dirty bit, nor does a walk set one of the two beside the other (D is set before the write: "Accessed, Extended Accessed, and Dirty Flags"). */
  readonly dirtyOrAccessedNotUpdated: boolean
  /** A permission fault of a cached translation is not recorded (recorded as any: "Fault Logging"). */
  readonly permissionFaultOnIotlbHitNotRecorded: boolean
  /** A fault of a source-id that has a record with F=1 is dropped, PFO stays 0 (allowed, not required: "Primary Fault Logging"). */
  readonly faultCompression: boolean
  /** Missing permission is reported before reserved bits, and at an upper first-stage level before lower levels are read (no order is given). */
  readonly severalFaultConditions: boolean
  /** FECTL.IP stays 1, after the last F was cleared, until FSTS is written (IP follows the pending conditions: "Fault Event Control Register"). */
  readonly fectlIpKeptUntilFstsWrite: boolean
  /** Only bit 10 of RTADDR.TTM counts, and none without ECAP.SMTS (reserved modes fault 30h, 11b aborts: "Root Table Address Register"). */
  readonly reservedTranslationTableModeAccepted: boolean
  /** QIE cannot be cleared while the queue holds descriptors or its last was no wait (QIES follows QIE: "Global Command Register"). */
  readonly queueDisableRefused: boolean
  /** After IQE was cleared the queue waits for a tail write (it goes on at IQH: "Queued Invalidation Interface"). */
  readonly queueResumesAtTailWrite: boolean
  /** A wait descriptor with IF=SW=0 is an error (legal: "Invalidation Wait Descriptor"). */
  readonly emptyWaitRejected: boolean
  /** Device-TLB descriptors do nothing without ECAP.DT (an unsupported type is an error: "Queued Invalidation Interface"). */
  readonly deviceTlbDescriptorAcceptedWithoutDt: boolean
  /** IQA's base reads 0 until QIE is set (it reads what was written: "Invalidation Queue Address Register"). */
  readonly iqaBaseHiddenUntilQie: boolean
  /** IRTA.EIME can be written without ECAP.EIM (reserved, 0: "Interrupt Remapping Table Address Register"). */
  readonly eimeWritableWithoutEim: boolean
  /** GSTS.CFIS never becomes 1 (it follows CFI: "Global Command Register"). */
  readonly cfisNeverSet: boolean
  /** Compatibility-format interrupts always pass (blocked, 25h, if CFIS=0 or EIME=1: "Interrupt Requests in Compatibility Format"). */
  readonly compatibilityFormatNotBlocked: boolean
  /** SVT=10b takes SID[15:8] as last and SID[7:0] as first bus (start and end bus: "Interrupt Remapping Table Entry"). */
  readonly sourceValidationBusRangeSwapped: boolean
  /** SVT=11b is a failed source validation, 26h (a reserved encoding, 24h: "Interrupt Remapping Table Entry"). */
  readonly reservedSvtReportedAsSourceIdFailure: boolean
  /** IRTE.IM is ignored with CAP.PI=0 (reserved, 24h: "Interrupt Remapping Table Entry"). */
  readonly irteModeBitNotChecked: boolean
  /** An access anywhere in a large page that overlaps 0xFEEx_xxxx is blocked (only one that lands there: "Interrupt Address Range"). */
  readonly interruptRangeCheckedForWholePage: boolean
  /** Domain-selective context-cache invalidation is carried out and reported as global, CAIG=01b (allowed: "Context Command Register"). */
  readonly contextDomainInvalidationIsGlobal: boolean
  /** IOTLB entries serve only the source-id whose request filled them (tagged by domain; finer is allowed: "IOTLB"). */
  readonly iotlbTaggedBySourceId: boolean
  /** Nothing that is not present is cached, even with CAP.CM=1 (it may be: "Caching Mode"). */
  readonly notPresentNeverCached: boolean
}

export type QuirkName = keyof Quirks

/**
 * Tag that recordings use for each quirk. A tag without an entry here marks a recording that depends on something else
 * than the unit: `outside-ram` is up to the memory system.
 */
export const QUIRK_OF_TAG: Readonly<Record<string, QuirkName>> = Object.freeze({
  'legacy-reason-in-scalable-mode': 'legacyReasonInScalableMode',
  'interrupt-range-reason-follows-capability': 'interruptRangeReasonFollowsCapability',
  'pasid-entry-type-checked-before-present': 'pasidEntryTypeCheckedBeforePresent',
  'pasid-directory-reserved-not-checked': 'pasidDirectoryReservedNotChecked',
  'pasid-entry-reserved-not-checked': 'pasidEntryReservedNotChecked',
  'rid-pasid-ignored-without-rps': 'ridPasidIgnoredWithoutRps',
  'accessed-dirty-without-snooped-walk': 'accessedDirtyWithoutSnoopedWalk',
  'snoop-bit-accepted-without-sc': 'snoopBitAcceptedWithoutSc',
  'fault-address-above-mgaw': 'faultAddressAboveMgaw',
  'pasid-fpd-not-honoured': 'pasidFpdNotHonoured',
  '1g-page-accepted-without-fs1gp': 'oneGPageAcceptedWithoutFs1gp',
  'first-stage-canonical-check-uses-aw': 'firstStageCanonicalCheckUsesAw',
  'accessed-set-on-faulting-walk': 'accessedSetOnFaultingWalk',
  'dirty-or-accessed-not-updated': 'dirtyOrAccessedNotUpdated',
  'permission-fault-on-iotlb-hit-not-recorded': 'permissionFaultOnIotlbHitNotRecorded',
  'fault-compression': 'faultCompression',
  'several-fault-conditions': 'severalFaultConditions',
  'fectl-ip-kept-until-fsts-write': 'fectlIpKeptUntilFstsWrite',
  'reserved-translation-table-mode-accepted': 'reservedTranslationTableModeAccepted',
  'queue-disable-refused': 'queueDisableRefused',
  'queue-resumes-at-tail-write': 'queueResumesAtTailWrite',
  'empty-wait-rejected': 'emptyWaitRejected',
  'device-tlb-descriptor-accepted-without-dt': 'deviceTlbDescriptorAcceptedWithoutDt',
  'iqa-base-hidden-until-qie': 'iqaBaseHiddenUntilQie',
  'eime-writable-without-eim': 'eimeWritableWithoutEim',
  'cfis-never-set': 'cfisNeverSet',
  'compatibility-format-not-blocked': 'compatibilityFormatNotBlocked',
  'source-validation-bus-range-swapped': 'sourceValidationBusRangeSwapped',
  'reserved-svt-reported-as-source-id-failure': 'reservedSvtReportedAsSourceIdFailure',
  'irte-mode-bit-not-checked': 'irteModeBitNotChecked',
})

/** Quirks that recordings do not mark. */
const UNTAGGED: readonly QuirkName[] = [
  'interruptRangeCheckedForWholePage',
  'contextDomainInvalidationIsGlobal',
  'iotlbTaggedBySourceId',
  'notPresentNeverCached',
]

const all = (on: boolean): Quirks =>
  Object.freeze(
    Object.fromEntries([...Object.values(QUIRK_OF_TAG), ...UNTAGGED].map(name => [name, on])),
  ) as unknown as Quirks

/** The unit by the specification. */
export const NO_QUIRKS: Quirks = all(false)
/** QEMU 11.1's `intel-iommu`: it has every one of them. */
export const QEMU_11_1: Quirks = all(true)

const PRESETS: Readonly<Record<string, Quirks>> = { none: NO_QUIRKS, 'qemu-11.1': QEMU_11_1 }

export const QUIRK_PRESETS: readonly string[] = Object.keys(PRESETS)

/** A preset by name. Throws `invalidArgument` for one that does not exist. */
export function quirksByName(name: string): Quirks {
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined
  if (!preset) {
    throw new NorthbridgeError(
      'invalidArgument',
      `there are no quirks named ${name}; choose one of ${QUIRK_PRESETS.join(', ')}`,
    )
  }
  return preset
}
