/** Layouts of extended capabilities of links and of single features. Offsets count from the capability's first byte. */
import { register, ro, rw, rw1c } from '../../core/index.ts'

/** "TPH Requester Extended Capability". */
export const TPH = {
  CAPABILITY: register(0x04, 32, 'TPH Requester Capability', {
    NO_ST: ro(0), // No ST Mode Supported
    INTERRUPT_VECTOR: ro(1),
    DEVICE_SPECIFIC: ro(2),
    EXTENDED: ro(8), // Extended TPH Requester Supported
    ST_LOCATION: ro(10, 9), // 1: in this capability, 2: in the MSI-X table
    ST_SIZE: ro(26, 16), // entries minus one
  }),
  CONTROL: register(0x08, 32, 'TPH Requester Control', { ST_MODE: rw(2, 0), ENABLE: rw(9, 8) }),
  /** Two bytes an entry: ST Lower, ST Upper. */
  ST_TABLE: 0x0c,
} as const

/** "Resizable BAR Extended Capability", and the one for VF BARs: a pair of registers for each such BAR. */
export const RESIZABLE_BAR = {
  /** Capability and control register of entry `n`, counted from 0. */
  entry: (n: number): number => 0x04 + 8 * n,
  ENTRY_SIZE: 8,
  /** Bit n + 4: the BAR operates with 2^n MiB. */
  CAPABILITY: register(0x00, 32, 'Resizable BAR Capability', { SIZES: ro(31, 4) }),
  CONTROL: register(0x04, 32, 'Resizable BAR Control', {
    INDEX: ro(2, 0), // BAR Index
    NUMBER: ro(7, 5), // Number of Resizable BARs, in the first entry
    SIZE: rw(13, 8), // BAR Size, as 2^n MiB
    SIZES_UPPER: ro(31, 16), // 2^28 MiB and up
  }),
} as const

/** "L1 PM Substates Extended Capability". */
export const L1_SUBSTATES = {
  SIZE: 0x10,
  CAPABILITIES: register(0x04, 32, 'L1 PM Substates Capabilities', {
    STATES: ro(3, 0), // PCI-PM L1.2, PCI-PM L1.1, ASPM L1.2, ASPM L1.1
    SUPPORTED: ro(4),
    RESTORE_TIME: ro(15, 8), // Port Common_Mode_Restore_Time
    POWER_ON_SCALE: ro(17, 16),
    POWER_ON: ro(23, 19),
  }),
  CONTROL_1: register(0x08, 32, 'L1 PM Substates Control 1', {
    STATES: rw(3, 0),
    RESTORE_TIME: rw(15, 8),
    THRESHOLD: rw(25, 16), // LTR_L1.2_THRESHOLD
    THRESHOLD_SCALE: rw(31, 29),
  }),
  CONTROL_2: register(0x0c, 32, 'L1 PM Substates Control 2', {
    POWER_ON_SCALE: rw(1, 0),
    POWER_ON: rw(7, 3),
  }),
} as const

/** "Precision Time Measurement Extended Capability". */
export const PTM = {
  SIZE: 12,
  CAPABILITY: register(0x04, 32, 'PTM Capability', {
    REQUESTER: ro(0),
    RESPONDER: ro(1),
    ROOT: ro(2),
    GRANULARITY: ro(15, 8), // Local Clock Granularity
  }),
  CONTROL: register(0x08, 32, 'PTM Control', { ENABLE: rw(0), ROOT_SELECT: rw(1), GRANULARITY: rw(15, 8) }),
} as const

/** "Virtual Channel Extended Capability"; the Multi-Function one has the same registers. */
export const VC = {
  CAPABILITY_1: register(0x04, 32, 'Port VC Capability 1', {
    EXTENDED_COUNT: ro(2, 0), // virtual channels beside VC0
    LOW_PRIORITY_COUNT: ro(6, 4),
  }),
  CONTROL: register(0x0c, 32, 'Port VC Control, Port VC Status', { ARBITRATION: rw(3, 1) }),
  /** Offset of the registers of VC resource `n`. */
  resource: (n: number): number => 0x10 + 12 * n,
  RESOURCE_CONTROL: register(0x04, 32, 'VC Resource Control', {
    TC_MAP: rw(7, 0), // TC/VC Map
    ARBITRATION: rw(19, 17), // Port Arbitration Select
    ID: rw(26, 24),
    ENABLE: rw(31),
  }),
} as const

/** "Secondary PCI Express Extended Capability". */
export const SECONDARY_PCIE = {
  LINK_CONTROL_3: register(0x04, 32, 'Link Control 3', { EQUALIZATION: rw(0), INTERRUPT: rw(1) }),
  LANE_ERRORS: 0x08,
} as const

/** "Physical Layer 16.0 GT/s Extended Capability". */
export const PHY_16GT = {
  STATUS: register(0x0c, 32, '16.0 GT/s Status', { EQUALIZATION: ro(3, 0), REQUEST: rw1c(4) }),
  /** Local, first and second retimer data parity mismatch status. */
  PARITY: [0x10, 0x14, 0x18],
} as const
