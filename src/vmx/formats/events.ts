/**
 * Formats of events: VM-entry and VM-exit interruption information, guest interruptibility and activity states, and
 * the segment access rights of the VMCS.
 */

/** Interruption information, bits 10:8. */
export const EVENT_TYPE = {
  externalInterrupt: 0,
  nmi: 2,
  hardwareException: 3,
  softwareInterrupt: 4,
  privilegedSoftwareException: 5,
  softwareException: 6,
  other: 7,
} as const

export const INTERRUPTION_VALID = 0x8000_0000
export const INTERRUPTION_DELIVERS_ERROR_CODE = 1 << 11

/** Interruption information for an event, valid bit set. */
export const interruptionInformation = (type: number, vector: number, errorCode = false): number =>
  (INTERRUPTION_VALID | (errorCode ? INTERRUPTION_DELIVERS_ERROR_CODE : 0) | (type << 8) | vector) >>> 0

export const eventTypeOf = (information: number): number => (information >>> 8) & 7
export const eventVectorOf = (information: number): number => information & 0xff

/** "Guest Non-Register State": interruptibility state. */
export const INTERRUPTIBILITY = {
  blockingBySti: 1,
  blockingByMovSs: 2,
  blockingBySmi: 4,
  blockingByNmi: 8,
} as const

/** "Guest Non-Register State": activity state. */
export const ACTIVITY = { active: 0, hlt: 1, shutdown: 2, waitForSipi: 3 } as const

/** Segment access rights as the VMCS stores them. */
export const ACCESS_RIGHTS = {
  type: 0xf,
  S: 1 << 4,
  DPL: 3 << 5,
  P: 1 << 7,
  L: 1 << 13,
  DB: 1 << 14,
  G: 1 << 15,
  unusable: 1 << 16,
} as const

/** I/O-instruction exit qualification. */
export const ioQualification = (port: number, width: number, input: boolean): number =>
  ((port << 16) | (input ? 8 : 0) | (width - 1)) >>> 0

export const ioQualificationPort = (qualification: number): number => qualification >>> 16
export const ioQualificationWidth = (qualification: number): number => (qualification & 7) + 1
export const ioQualificationInput = (qualification: number): boolean => (qualification & 8) !== 0

export const IO_QUALIFICATION = { string: 1 << 4, rep: 1 << 5, immediate: 1 << 6 } as const

/** Control-register access exit qualification, bits 5:4. */
export const CR_ACCESS = { movTo: 0, movFrom: 1, clts: 2, lmsw: 3 } as const
/** `register`: code of the general register; `source`: LMSW data, bits 31:16. */
export const crAccessQualification = (cr: number, access: number, register: number, source = 0): number =>
  ((source << 16) | (register << 8) | (access << 4) | cr) >>> 0
export const LMSW_MEMORY_OPERAND = 1 << 6

export const movDrQualification = (dr: number, from: boolean, register: number): number =>
  (register << 8) | (from ? 1 << 4 : 0) | dr

/** Task-switch exit qualification, bits 31:30. */
export const TASK_SWITCH_SOURCE = { call: 0, iret: 1, jmp: 2, gate: 3 } as const

/** #DB exit qualification and pending debug exceptions. */
export const DEBUG_CONDITION = { BD: 1 << 13, BS: 1 << 14, enabledBreakpoint: 1 << 12 } as const

/** Interruption information, bit 12: an IRET ended blocking by NMI before the fault. */
export const NMI_UNBLOCKING = 1 << 12

/** EPT-violation exit qualification. */
export const EPT_VIOLATION = {
  read: 1 << 0,
  write: 1 << 1,
  fetch: 1 << 2,
  /** What the tables permit; 0 if an entry was not present. */
  readable: 1 << 3,
  writable: 1 << 4,
  executable: 1 << 5,
  /** With mode-based execute control: execution from user-mode linear addresses. */
  userExecutable: 1 << 6,
  linearAddressValid: 1 << 7,
  /** The access was to the final address, not to a paging structure of the guest. */
  finalTranslation: 1 << 8,
  /** Advanced information, of final translations: what the guest's own paging says of the linear address. */
  userLinearAddress: 1 << 9,
  writableLinearAddress: 1 << 10,
  executeDisabledLinearAddress: 1 << 11,
} as const
