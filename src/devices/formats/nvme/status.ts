/**
 * Status field of a completion: NVM Express 1.4, §4.6.1. A status here is `type << 8 | code`, 0 for success; Do Not
 * Retry is bit 14 of the 15-bit field, More bit 13.
 */
export const NVME_STATUS = {
  success: 0x000,
  // Generic Command Status
  invalidOpcode: 0x001,
  invalidField: 0x002,
  commandIdConflict: 0x003,
  dataTransferError: 0x004,
  internalError: 0x006,
  abortRequested: 0x007,
  abortedSubmissionQueueDeletion: 0x008,
  invalidNamespaceOrFormat: 0x00b,
  commandSequenceError: 0x00c,
  invalidSglSegmentDescriptor: 0x00d,
  invalidNumberOfSglDescriptors: 0x00e,
  dataSglLengthInvalid: 0x00f,
  sglDescriptorTypeInvalid: 0x011,
  prpOffsetInvalid: 0x013,
  sglOffsetInvalid: 0x016,
  lbaOutOfRange: 0x080,
  capacityExceeded: 0x081,
  // Command Specific Status
  completionQueueInvalid: 0x100,
  invalidQueueIdentifier: 0x101,
  invalidQueueSize: 0x102,
  abortLimitExceeded: 0x103,
  asynchronousEventLimitExceeded: 0x105,
  invalidInterruptVector: 0x108,
  invalidLogPage: 0x109,
  invalidFormat: 0x10a,
  invalidQueueDeletion: 0x10c,
  featureNotSaveable: 0x10d,
  featureNotChangeable: 0x10e,
  featureNotNamespaceSpecific: 0x10f,
  namespaceInsufficientCapacity: 0x115,
  namespaceIdentifierUnavailable: 0x116,
  namespaceAlreadyAttached: 0x118,
  namespaceIsPrivate: 0x119,
  namespaceNotAttached: 0x11a,
  thinProvisioningNotSupported: 0x11b,
  controllerListInvalid: 0x11c,
  invalidControllerIdentifier: 0x11f,
  invalidSecondaryControllerState: 0x120,
  invalidNumberOfControllerResources: 0x121,
  invalidResourceIdentifier: 0x122,
  conflictingAttributes: 0x180,
  invalidProtectionInformation: 0x181,
  // Media and Data Integrity Errors
  writeFault: 0x280,
  unrecoveredReadError: 0x281,
  compareFailure: 0x285,
} as const
export type NvmeStatus = (typeof NVME_STATUS)[keyof typeof NVME_STATUS]

export const DO_NOT_RETRY = 0x4000

/** Type and code of the status field in dword 3 of a completion, as in {@link NVME_STATUS}. */
export const statusOf = (dword3: number): number => (dword3 >>> 17) & 0x7ff

/** Its name, for people. */
export const nvmeStatusName = (status: number): string =>
  Object.entries(NVME_STATUS).find(([, value]) => value === status)?.[0] ?? `0x${status.toString(16)}`
