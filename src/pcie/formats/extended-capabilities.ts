/** Layouts of PCI Express extended capabilities. Offsets count from the capability's first byte. */
import { register, ro, rw, rw1c } from '../../core/index.ts'

/** The dword that begins every extended capability. */
export const EXTENDED_HEADER = register(0x00, 32, 'Extended Capability Header', {
  ID: ro(15, 0),
  VERSION: ro(19, 16),
  NEXT: ro(31, 20),
})

/** "Advanced Error Reporting Extended Capability". */
export const AER = {
  SIZE: 0x2c,
  /** Root ports and event collectors have the root error registers too. */
  SIZE_ROOT: 0x38,
  UNCORRECTABLE_STATUS: register(0x04, 32, 'Uncorrectable Error Status', {
    DLP: rw1c(4),
    SDES: rw1c(5),
    POISONED: rw1c(12),
    FCP: rw1c(13),
    TIMEOUT: rw1c(14),
    ABORT: rw1c(15),
    UNEXPECTED: rw1c(16),
    OVERFLOW: rw1c(17),
    MALFORMED: rw1c(18),
    ECRC: rw1c(19),
    UR: rw1c(20),
    ACS: rw1c(21),
    INTERNAL: rw1c(22),
    MC_BLOCKED: rw1c(23),
    ATOMIC_BLOCKED: rw1c(24),
    PREFIX_BLOCKED: rw1c(25),
    POISONED_BLOCKED: rw1c(26), // Poisoned TLP Egress Blocked
    DMWR_BLOCKED: rw1c(27), // DMWr Request Egress Blocked
  }),
  UNCORRECTABLE_MASK: register(0x08, 32, 'Uncorrectable Error Mask', {
    LINK: rw(5, 4),
    ERRORS: rw(27, 12),
  }),
  UNCORRECTABLE_SEVERITY: register(0x0c, 32, 'Uncorrectable Error Severity', {
    LINK: rw(5, 4),
    ERRORS: rw(27, 12),
  }),
  CORRECTABLE_STATUS: register(0x10, 32, 'Correctable Error Status', {
    RECEIVER: rw1c(0),
    BAD_TLP: rw1c(6),
    BAD_DLLP: rw1c(7),
    ROLLOVER: rw1c(8),
    TIMER: rw1c(12),
    ADVISORY: rw1c(13),
    INTERNAL: rw1c(14),
    LOG_OVERFLOW: rw1c(15),
  }),
  CORRECTABLE_MASK: register(0x14, 32, 'Correctable Error Mask', {
    RECEIVER: rw(0),
    LINK: rw(8, 6),
    TIMER: rw(12),
    ADVISORY: rw(13),
    INTERNAL: rw(14),
    LOG_OVERFLOW: rw(15),
  }),
  CONTROL: register(0x18, 32, 'Advanced Error Capabilities and Control', {
    FIRST: ro(4, 0),
    ECRC_GENERATION_CAPABLE: ro(5),
    ECRC_GENERATION: rw(6),
    ECRC_CHECK_CAPABLE: ro(7),
    ECRC_CHECK: rw(8),
    MULTIPLE_HEADER_CAPABLE: ro(9),
    MULTIPLE_HEADER: rw(10),
    PREFIX_LOG: ro(11), // TLP Prefix Log Present
  }),
  HEADER_LOG: 0x1c,
  ROOT_COMMAND: register(0x2c, 32, 'Root Error Command', {
    CORRECTABLE: rw(0),
    NON_FATAL: rw(1),
    FATAL: rw(2),
  }),
  ROOT_STATUS: register(0x30, 32, 'Root Error Status', {
    COR: rw1c(0), // ERR_COR Received
    MULTI_COR: rw1c(1),
    UNCOR: rw1c(2), // ERR_FATAL/NONFATAL Received
    MULTI_UNCOR: rw1c(3),
    FIRST_FATAL: rw1c(4), // First Uncorrectable Fatal
    NON_FATAL: rw1c(5), // Non-Fatal Error Messages Received
    FATAL: rw1c(6), // Fatal Error Messages Received
    MESSAGE: ro(31, 27), // Advanced Error Interrupt Message Number
  }),
  /** Every error bit of Root Error Status. */
  ROOT_STATUS_ERRORS: 0x7f,
  /** Error Source Identification: of ERR_COR in bits 15:0, of ERR_FATAL/NONFATAL in 31:16. */
  ROOT_SOURCE: 0x34,
  PREFIX_LOG: 0x38,
} as const

/** "ACS Extended Capability". The Control bits lie 16 above the Capability bits of the same name. */
export const ACS = {
  SIZE: 8,
  CAPABILITY: register(0x04, 32, 'ACS Capability', {
    SV: ro(0), // Source Validation
    TB: ro(1), // Translation Blocking
    RR: ro(2), // P2P Request Redirect
    CR: ro(3), // P2P Completion Redirect
    UF: ro(4), // Upstream Forwarding
    EC: ro(5), // P2P Egress Control
    DT: ro(6), // Direct Translated P2P
    ENHANCED: ro(7), // Enhanced Capability
    VECTOR_SIZE: ro(15, 8), // Egress Control Vector Size in bits, 0: 256
  }),
  CONTROL: register(0x04, 32, 'ACS Control', {
    SV: rw(16),
    TB: rw(17),
    RR: rw(18),
    CR: rw(19),
    UF: rw(20),
    EC: rw(21),
    DT: rw(22),
    IB: rw(23), // I/O Request Blocking
    DSP_MEMORY: rw(25, 24), // DSP Memory Target Access; 0 direct, 1 blocked, 2 redirected
    USP_MEMORY: rw(27, 26), // USP Memory Target Access
    UNCLAIMED: rw(28), // Unclaimed Request Redirect
  }),
  EGRESS_VECTOR: 0x08,
} as const

/** ACS bits as they stand in the Capability and in the Control register, each 16 bits wide. */
export const ACS_BIT = { SV: 0x01, TB: 0x02, RR: 0x04, CR: 0x08, UF: 0x10, EC: 0x20, DT: 0x40 } as const

/** "ARI Extended Capability". */
export const ARI = {
  SIZE: 8,
  CONTROL: register(0x04, 32, 'ARI Capability, ARI Control', {
    MFVC_CAPABLE: ro(0),
    ACS_CAPABLE: ro(1),
    NEXT: ro(15, 8), // Next Function Number, 0 ends
    MFVC: rw(16),
    ACS: rw(17),
    GROUP: rw(22, 20),
  }),
} as const

/** "ATS Extended Capability". */
export const ATS = {
  SIZE: 8,
  CONTROL: register(0x04, 32, 'ATS Capability, ATS Control', {
    QUEUE_DEPTH: ro(4, 0), // 0: 32
    PAGE_ALIGNED: ro(5),
    GLOBAL_INVALIDATE: ro(6),
    RELAXED_ORDERING: ro(7),
    STU: rw(20, 16), // Smallest Translation Unit
    ENABLE: rw(31),
  }),
} as const

/** "Page Request Extended Capability". */
export const PRI = {
  SIZE: 16,
  CONTROL: register(0x04, 32, 'Page Request Control, Page Request Status', {
    ENABLE: rw(0),
    RESET: rw(1),
    FAILURE: rw1c(16),
    UNEXPECTED: rw1c(17),
    STOPPED: ro(24),
    PASID_REQUIRED: ro(31),
  }),
  CAPACITY: 0x08,
  ALLOCATION: register(0x0c, 32, 'Outstanding Page Request Allocation', { ALLOCATION: rw(31, 0) }),
} as const

/** "PASID Extended Capability". */
export const PASID = {
  SIZE: 8,
  CONTROL: register(0x04, 32, 'PASID Capability, PASID Control', {
    EXECUTE_CAPABLE: ro(1),
    PRIVILEGED_CAPABLE: ro(2),
    WIDTH: ro(12, 8),
    ENABLE: rw(16),
    EXECUTE: rw(17),
    PRIVILEGED: rw(18),
  }),
} as const

/** "SR-IOV Extended Capability". */
export const SRIOV = {
  SIZE: 0x40,
  CAPABILITIES: register(0x04, 32, 'SR-IOV Capabilities', {
    MIGRATION: ro(0), // VF Migration Capable
    ARI_PRESERVED: ro(1), // ARI Capable Hierarchy Preserved
    TAG_10_BIT: ro(2), // VF 10-Bit Tag Requester Supported
    MESSAGE: ro(31, 21),
  }),
  CONTROL: register(0x08, 32, 'SR-IOV Control, SR-IOV Status', {
    VFE: rw(0), // VF Enable
    MSE: rw(3), // VF Memory Space Enable
    ARI: rw(4), // ARI Capable Hierarchy
    TAG_10_BIT: ro(5), // VF 10-Bit Tag Requester Enable: writable where supported
  }),
  COUNTS: register(0x0c, 32, 'InitialVFs, TotalVFs', { INITIAL: ro(15, 0), TOTAL: ro(31, 16) }),
  NUM_VFS: register(0x10, 32, 'NumVFs, Function Dependency Link', {
    NUM_VFS: rw(15, 0),
    DEPENDENCY: ro(23, 16),
  }),
  ROUTING: register(0x14, 32, 'First VF Offset, VF Stride', { OFFSET: ro(15, 0), STRIDE: ro(31, 16) }),
  VF_DEVICE: register(0x18, 32, 'VF Device ID', { ID: ro(31, 16) }),
  /** Bit n set: pages of 2^(n+12) bytes. */
  SUPPORTED_PAGE_SIZES: register(0x1c, 32, 'Supported Page Sizes', { SIZES: ro(31, 0) }),
  SYSTEM_PAGE_SIZE: register(0x20, 32, 'System Page Size', { SIZE: rw(31, 0) }),
  /** VF BAR0; the others follow. */
  BARS: 0x24,
} as const

/** "Device Serial Number Extended Capability". */
export const DSN = { SIZE: 12, LOW: 0x04, HIGH: 0x08 } as const

/** "Latency Tolerance Reporting Extended Capability". */
export const LTR = {
  SIZE: 8,
  LATENCIES: register(0x04, 32, 'Max Snoop Latency, Max No-Snoop Latency', {
    SNOOP: rw(12, 0),
    NO_SNOOP: rw(28, 16),
  }),
} as const

/** "Downstream Port Containment Extended Capability". */
export const DPC = {
  CAPABILITY_CONTROL: register(0x04, 32, 'DPC Capability, DPC Control', {
    MESSAGE: ro(4, 0), // DPC Interrupt Message Number
    RP_EXTENSIONS: ro(5),
    POISONED_EGRESS: ro(6), // Poisoned TLP Egress Blocking Supported
    SOFTWARE_CAPABLE: ro(7), // DPC Software Triggering Supported
    LOG_SIZE: ro(11, 8), // RP PIO Log Size
    DL_ACTIVE_CAPABLE: ro(12), // DL_Active ERR_COR Signaling Supported
    TRIGGER: rw(17, 16), // 1: ERR_FATAL, 2: ERR_NONFATAL too
    COMPLETION: rw(18), // DPC Completion Control; 0 CA, 1 UR
    INTERRUPT_ENABLE: rw(19),
    ERR_COR: rw(20),
    POISONED: rw(21), // Poisoned TLP Egress Blocking Enable
    SOFTWARE: rw(22), // DPC Software Trigger: reads 0
    DL_ACTIVE: rw(23),
  }),
  STATUS: register(0x08, 32, 'DPC Status, DPC Error Source ID', {
    TRIGGERED: rw1c(0),
    REASON: ro(2, 1), // 0 unmasked uncorrectable, 1 ERR_NONFATAL, 2 ERR_FATAL, 3 see EXTENSION
    INTERRUPT: rw1c(3),
    RP_BUSY: ro(4),
    EXTENSION: ro(6, 5), // 0 RP PIO, 1 software
    FIRST: ro(12, 8), // RP PIO First Error Pointer
    SOURCE: ro(31, 16),
  }),
  /** RP PIO Status, Mask, Severity, SysError and Exception, each a dword, then the log. */
  RP_PIO: { STATUS: 0x0c, MASK: 0x10, SEVERITY: 0x14, SYSTEM_ERROR: 0x18, EXCEPTION: 0x1c, LOG: 0x20 },
  /** Configuration, I/O and memory requests that ended as UR, CA or completion timeout. */
  RP_PIO_BITS: 0x0007_0707,
} as const

/** "Root Complex Event Collector Endpoint Association Extended Capability". */
export const RCEC = {
  /** Bit n: device n of the collector's own bus. */
  DEVICES: register(0x04, 32, 'Association Bitmap for RCiEPs', { DEVICES: ro(31, 0) }),
  /** Version 2 and up. */
  BUSES: register(0x08, 32, 'RCEC Associated Bus Numbers', { NEXT: ro(15, 8), LAST: ro(23, 16) }),
} as const
