/** Data structures that Identify and Get Log Page return: NVM Express 1.4, §5.15.2 and §5.14. Offsets in bytes. */

/** Identify Controller, Figure 247. */
export const CONTROLLER = {
  vendorId: 0,
  subsystemVendorId: 2,
  serialNumber: { at: 4, length: 20 },
  modelNumber: { at: 24, length: 40 },
  firmwareRevision: { at: 64, length: 8 },
  recommendedArbitrationBurst: 72,
  multiPath: 76, // CMIC
  maximumDataTransferSize: 77, // MDTS
  controllerId: 78,
  version: 80,
  asynchronousEventsSupported: 92, // OAES
  controllerType: 111, // CNTRLTYPE
  optionalAdminCommands: 256, // OACS
  abortCommandLimit: 258, // 0's based
  asynchronousEventLimit: 259, // 0's based
  firmwareUpdates: 260, // FRMW
  logPageAttributes: 261, // LPA
  errorLogEntries: 262, // ELPE, 0's based
  powerStates: 263, // NPSS, 0's based
  warningTemperature: 266,
  criticalTemperature: 268,
  totalCapacity: 280, // TNVMCAP, 16 bytes
  unallocatedCapacity: 296, // UNVMCAP, 16 bytes
  submissionEntrySize: 512, // SQES
  completionEntrySize: 513, // CQES
  namespaces: 516, // NN
  optionalCommands: 520, // ONCS
  formatAttributes: 524, // FNA
  volatileWriteCache: 525, // VWC
  sglSupport: 536, // SGLS
  subsystemName: { at: 768, length: 256 },
  powerStateDescriptors: 2048,
} as const
/** OACS: Format NVM, Namespace Management and Attachment, Virtualization Management. */
export const OACS = { format: 1 << 1, namespaces: 1 << 3, virtualization: 1 << 7 } as const
/** ONCS: Compare, Dataset Management, Write Zeroes. */
export const ONCS = { compare: 1 << 0, datasetManagement: 1 << 2, writeZeroes: 1 << 3 } as const
/** CMIC: several controllers; associated with a virtual function. */
export const CMIC = { controllers: 1 << 1, virtualFunction: 1 << 2 } as const
/** SGLS 1:0 = 01b: supported without alignment; bit 16: bit bucket; bit 18: length larger than the data is allowed. */
export const SGLS = { supported: 1, bitBucket: 1 << 16 } as const

/** Identify Namespace, Figure 245. */
export const NAMESPACE = {
  size: 0,
  capacity: 8,
  utilization: 16,
  features: 24,
  formats: 25, // NLBAF, 0's based
  format: 26, // FLBAS
  protection: 29, // DPS
  multiPath: 30, // NMIC
  deallocation: 33, // DLFEAT
  mediumCapacity: 48, // NVMCAP, 16 bytes
  guid: 104, // NGUID
  formatTable: 128,
} as const
/** NMIC: may be attached to several controllers. */
export const NMIC_SHARED = 1
/** DLFEAT 2:0 = 001b: deallocated blocks read as zeros; bit 3: Write Zeroes may deallocate. */
export const DLFEAT = { zeros: 1, writeZeroes: 8 } as const

/** Primary Controller Capabilities, CNS 14h. */
export const PRIMARY = {
  controllerId: 0,
  portId: 2,
  resourceTypes: 4, // CRT
  queues: 32, // VQFRT; what follows is the same for both
  interrupts: 64, // VIFRT
} as const
/** Offsets in the block of one resource type. */
export const RESOURCES = {
  flexibleTotal: 0,
  flexibleAssigned: 4,
  flexibleToPrimary: 8,
  privateTotal: 10,
  secondaryMaximum: 12,
  granularity: 14,
} as const
/** Secondary Controller List, CNS 15h: count, then entries of 32 bytes. */
export const SECONDARY = {
  count: 0,
  first: 32,
  size: 32,
  most: 127,
  controllerId: 0,
  primaryId: 2,
  state: 4,
  functionNumber: 8,
  queues: 10,
  interrupts: 12,
} as const

/** Error Information log entry, Figure 194. */
export const ERROR_LOG = {
  count: 0,
  submissionQueue: 8,
  commandId: 10,
  status: 12,
  parameter: 14,
  lba: 16,
  namespace: 24,
} as const
/** SMART / Health Information log, Figure 196; counters are 16 bytes. */
export const HEALTH = {
  temperature: 1,
  availableSpare: 3,
  spareThreshold: 4,
  dataUnitsRead: 32,
  dataUnitsWritten: 48,
  readCommands: 64,
  writeCommands: 80,
  powerCycles: 112,
  errorEntries: 176,
} as const
