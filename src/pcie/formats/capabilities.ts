/** Layouts of PCI-compatible capabilities. Offsets count from the capability's first byte. */
import { register, ro, rw, rw1c } from '../../core/index.ts'

/** "PCI Power Management Capability Structure". */
export const PM = {
  SIZE: 8,
  CAPABILITIES: register(0x00, 32, 'PMC', {
    ID: ro(7, 0),
    NEXT: ro(15, 8),
    VERSION: ro(18, 16), // 3: PCI PM 1.2
    PME_CLOCK: ro(19),
    IMMEDIATE_READINESS: ro(20), // on return to D0
    DSI: ro(21), // Device Specific Initialization
    AUX_CURRENT: ro(24, 22),
    D1: ro(25),
    D2: ro(26),
    PME: ro(31, 27), // from D0, D1, D2, D3hot, D3cold
  }),
  CONTROL: register(0x04, 32, 'PMCSR', {
    STATE: rw(1, 0), // 0: D0, 3: D3hot
    NO_SOFT_RESET: ro(3),
    PME_ENABLE: rw(8),
    DATA_SELECT: ro(12, 9),
    DATA_SCALE: ro(14, 13),
    PME_STATUS: rw1c(15),
    DATA: ro(31, 24),
  }),
} as const

/** "MSI Capability Structures". Where data, mask and pending bits lie depends on the control bits: {@link msiLayout}. */
export const MSI = {
  CONTROL: register(0x00, 32, 'Message Control', {
    ID: ro(7, 0),
    NEXT: ro(15, 8),
    ENABLE: rw(16),
    MMC: ro(19, 17), // Multiple Message Capable, log2
    MME: rw(22, 20), // Multiple Message Enable, log2
    C64: ro(23), // 64-bit Address Capable
    PVM: ro(24), // Per-Vector Masking Capable
    EMC: ro(25), // Extended Message Data Capable
    EME: ro(26), // Extended Message Data Enable: writable where capable
  }),
  ADDRESS: register(0x04, 32, 'Message Address', { ADDRESS: rw(31, 2) }),
  ADDRESS_UPPER: register(0x08, 32, 'Message Upper Address', { ADDRESS: rw(31, 0) }),
} as const

export interface MsiLayout {
  readonly data: number
  /** Offset of the Mask Bits; undefined without per-vector masking. Pending Bits follow it. */
  readonly mask: number | undefined
  readonly pending: number | undefined
  readonly size: number
}

/** @param control the first dword of the capability. */
export function msiLayout(control: number): MsiLayout {
  const data = control & MSI.CONTROL.f.C64.mask ? 0x0c : 0x08
  if (!(control & MSI.CONTROL.f.PVM.mask))
    return { data, mask: undefined, pending: undefined, size: data + 2 }
  return { data, mask: data + 4, pending: data + 8, size: data + 12 }
}

/** "MSI-X Capability and Table Structure". */
export const MSI_X = {
  SIZE: 12,
  CONTROL: register(0x00, 32, 'Message Control', {
    ID: ro(7, 0),
    NEXT: ro(15, 8),
    TABLE_SIZE: ro(26, 16), // number of entries minus one
    FUNCTION_MASK: rw(30),
    ENABLE: rw(31),
  }),
  /** OFFSET counts 8-byte units; the field in place is the byte offset. */
  TABLE: register(0x04, 32, 'Table Offset, Table BIR', { BIR: ro(2, 0), OFFSET: ro(31, 3) }),
  PBA: register(0x08, 32, 'PBA Offset, PBA BIR', { BIR: ro(2, 0), OFFSET: ro(31, 3) }),
} as const

/** One entry of the MSI-X Table: 16 bytes. */
export const MSI_X_ENTRY = {
  SIZE: 16,
  ADDRESS: 0x0,
  ADDRESS_UPPER: 0x4,
  DATA: 0x8,
  CONTROL: 0xc,
  /** Bit 0 of Vector Control. */
  MASKED: 0x1,
} as const

/** "Advanced Features". */
export const AF = {
  SIZE: 6,
  CAPABILITIES: register(0x00, 32, 'AF Capabilities', { TP: ro(24), FLR: ro(25) }),
  CONTROL: register(0x04, 32, 'AF Control, AF Status', { INITIATE_FLR: rw(0), TP: ro(8) }),
} as const

/** "Device/Port Type" of the PCI Express capability. */
export const PORT_TYPE = {
  endpoint: 0x0,
  legacyEndpoint: 0x1,
  rootPort: 0x4,
  upstreamPort: 0x5,
  downstreamPort: 0x6,
  pcieToPciBridge: 0x7,
  pciToPcieBridge: 0x8,
  integratedEndpoint: 0x9,
  eventCollector: 0xa,
} as const

/** "PCI Express Capability Structure", version 2. Registers that a type lacks read 0. */
export const EXPRESS = {
  SIZE: 0x3c,
  SIZE_V1: { withoutLink: 0x0c, withoutSlot: 0x14, whole: 0x24 },
  CAPABILITIES: register(0x00, 32, 'PCI Express Capabilities', {
    ID: ro(7, 0),
    NEXT: ro(15, 8),
    VERSION: ro(19, 16),
    TYPE: ro(23, 20), // PORT_TYPE
    SLOT: ro(24), // Slot Implemented
    MESSAGE: ro(29, 25), // Interrupt Message Number
  }),
  DEVICE_CAPABILITIES: register(0x04, 32, 'Device Capabilities', {
    MPS: ro(2, 0), // 128 << n
    PHANTOM: ro(4, 3),
    EXTENDED_TAG: ro(5),
    L0S_LATENCY: ro(8, 6),
    L1_LATENCY: ro(11, 9),
    RBER: ro(15), // Role-Based Error Reporting
    SLOT_POWER: ro(25, 18), // Captured Slot Power Limit Value
    SLOT_POWER_SCALE: ro(27, 26),
    FLR: ro(28), // Function Level Reset
  }),
  DEVICE_CONTROL: register(0x08, 32, 'Device Control, Device Status', {
    CERE: rw(0), // Correctable Error Reporting Enable
    NFERE: rw(1),
    FERE: rw(2),
    URRE: rw(3), // Unsupported Request Reporting Enable
    RO: rw(4), // Enable Relaxed Ordering
    MPS: rw(7, 5),
    EXTENDED_TAG: rw(8),
    PHANTOM: rw(9),
    AUX_POWER: rw(10),
    NO_SNOOP: rw(11),
    MRRS: rw(14, 12), // Max_Read_Request_Size
    INITIATE_FLR: rw(15), // reads 0; Bridge Configuration Retry Enable in a PCIe-to-PCI bridge
    CED: rw1c(16),
    NFED: rw1c(17),
    FED: rw1c(18),
    URD: rw1c(19),
    AUX: ro(20),
    TP: ro(21), // Transactions Pending
  }),
  LINK_CAPABILITIES: register(0x0c, 32, 'Link Capabilities', {
    SPEED: ro(3, 0), // 1: 2.5, 2: 5, 3: 8, 4: 16, 5: 32, 6: 64 GT/s
    WIDTH: ro(9, 4),
    ASPM: ro(11, 10),
    L0S_EXIT: ro(14, 12),
    L1_EXIT: ro(17, 15),
    CLOCK_PM: ro(18),
    SURPRISE_DOWN: ro(19), // Surprise Down Error Reporting Capable
    DLL_ACTIVE_REPORTING: ro(20),
    BANDWIDTH_NOTIFICATION: ro(21),
    ASPM_OPTIONALITY: ro(22),
    PORT: ro(31, 24), // Port Number
  }),
  LINK_CONTROL: register(0x10, 32, 'Link Control, Link Status', {
    ASPM: rw(1, 0),
    RCB: rw(3),
    LINK_DISABLE: rw(4),
    RETRAIN: rw(5), // reads 0
    COMMON_CLOCK: rw(6),
    EXTENDED_SYNCH: rw(7),
    CLOCK_PM: rw(8),
    HAWD: rw(9),
    LBMIE: rw(10),
    LABIE: rw(11),
    DRS_SIGNALING: ro(15, 14),
    SPEED: ro(19, 16),
    WIDTH: ro(25, 20),
    TRAINING: ro(27),
    SLOT_CLOCK: ro(28),
    DLL_ACTIVE: ro(29),
    LBMS: rw1c(30),
    LABS: rw1c(31),
  }),
  SLOT_CAPABILITIES: register(0x14, 32, 'Slot Capabilities', {
    ABP: ro(0), // Attention Button Present
    PCP: ro(1), // Power Controller Present
    MRLSP: ro(2), // MRL Sensor Present
    AIP: ro(3), // Attention Indicator Present
    PIP: ro(4), // Power Indicator Present
    HPS: ro(5), // Hot-Plug Surprise
    HPC: ro(6), // Hot-Plug Capable
    POWER: ro(14, 7), // Slot Power Limit Value
    POWER_SCALE: ro(16, 15),
    EIP: ro(17), // Electromechanical Interlock Present
    NCCS: ro(18), // No Command Completed Support
    NUMBER: ro(31, 19), // Physical Slot Number
  }),
  SLOT_CONTROL: register(0x18, 32, 'Slot Control, Slot Status', {
    ABPE: rw(0), // Attention Button Pressed Enable
    PFDE: rw(1), // Power Fault Detected Enable
    MRLSCE: rw(2), // MRL Sensor Changed Enable
    PDCE: rw(3), // Presence Detect Changed Enable
    CCIE: rw(4), // Command Completed Interrupt Enable
    HPIE: rw(5), // Hot-Plug Interrupt Enable
    AIC: rw(7, 6), // Attention Indicator Control; 1 on, 2 blink, 3 off
    PIC: rw(9, 8), // Power Indicator Control
    PCC: rw(10), // Power Controller Control; 1: power off
    EIC: rw(11), // Electromechanical Interlock Control: reads 0
    DLLSCE: rw(12), // Data Link Layer State Changed Enable
    ASPD: rw(13), // Auto Slot Power Limit Disable
    IPD: rw(14), // In-Band PD Disable
    ABP: rw1c(16), // Attention Button Pressed
    PFD: rw1c(17), // Power Fault Detected
    MRLSC: rw1c(18), // MRL Sensor Changed
    PDC: rw1c(19), // Presence Detect Changed
    CC: rw1c(20), // Command Completed
    MRLSS: ro(21), // MRL Sensor State; 1: open
    PDS: ro(22), // Presence Detect State
    EIS: ro(23), // Electromechanical Interlock Status
    DLLSC: rw1c(24), // Data Link Layer State Changed
  }),
  ROOT_CONTROL: register(0x1c, 32, 'Root Control, Root Capabilities', {
    SECEE: rw(0), // System Error on Correctable Error Enable
    SENFEE: rw(1),
    SEFEE: rw(2),
    PME_INTERRUPT: rw(3),
    RRS_VISIBLE: rw(4),
    RRS_CAPABLE: ro(16),
  }),
  ROOT_STATUS: register(0x20, 32, 'Root Status', { REQUESTER: ro(15, 0), PME: rw1c(16), PENDING: ro(17) }),
  DEVICE_CAPABILITIES_2: register(0x24, 32, 'Device Capabilities 2', {
    TIMEOUT_RANGES: ro(3, 0),
    TIMEOUT_DISABLE: ro(4),
    ARI_FORWARDING: ro(5),
    ATOMIC_ROUTING: ro(6),
    ATOMIC_32: ro(7),
    ATOMIC_64: ro(8),
    ATOMIC_128: ro(9),
    LTR: ro(11),
    TPH: ro(13, 12), // TPH Completer Supported
    TAG_10_BIT_COMPLETER: ro(16),
    TAG_10_BIT_REQUESTER: ro(17),
    OBFF: ro(19, 18),
    EXTENDED_FORMAT: ro(20),
    PREFIX: ro(21), // End-End TLP Prefix Supported
    PREFIXES: ro(23, 22),
  }),
  DEVICE_CONTROL_2: register(0x28, 32, 'Device Control 2', {
    TIMEOUT: rw(3, 0),
    TIMEOUT_DISABLE: rw(4),
    ARI_FORWARDING: rw(5),
    ATOMIC_REQUESTER: rw(6),
    ATOMIC_EGRESS_BLOCKING: rw(7),
    IDO_REQUEST: rw(8),
    IDO_COMPLETION: rw(9),
    LTR: rw(10),
    TAG_10_BIT: rw(12),
    OBFF: rw(14, 13),
    PREFIX_BLOCKING: rw(15), // End-End TLP Prefix Blocking
  }),
  LINK_CAPABILITIES_2: register(0x2c, 32, 'Link Capabilities 2', { SPEEDS: ro(7, 1) }),
  LINK_CONTROL_2: register(0x30, 32, 'Link Control 2, Link Status 2', {
    TARGET_SPEED: rw(3, 0),
    ENTER_COMPLIANCE: rw(4),
    HASD: rw(5),
    DEEMPHASIS: ro(6), // Selectable De-emphasis
    MARGIN: rw(9, 7),
    MODIFIED_COMPLIANCE: rw(10),
    COMPLIANCE_SOS: rw(11),
    COMPLIANCE_DEEMPHASIS: rw(15, 12),
    CURRENT_DEEMPHASIS: ro(16),
    EQUALIZATION: ro(20, 17), // complete, and phases 1 to 3 successful
    EQUALIZATION_REQUEST: rw1c(21),
  }),
  SLOT_CAPABILITIES_2: register(0x34, 32, 'Slot Capabilities 2', { IPD: ro(0) }),
} as const

/** "Vital Product Data Capability". */
export const VPD = {
  SIZE: 8,
  ADDRESS: register(0x00, 32, 'VPD Address', {
    ID: ro(7, 0),
    NEXT: ro(15, 8),
    ADDRESS: rw(30, 16),
    F: rw(31), // set by the function when a read is done, cleared when a write is
  }),
  DATA: register(0x04, 32, 'VPD Data', { DATA: rw(31, 0) }),
} as const
