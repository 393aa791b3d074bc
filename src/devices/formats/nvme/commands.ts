/** Submission and completion queue entries: NVM Express 1.4, §4.2, §4.6, §5 and §6. Dword numbers and encodings. */

/** Admin opcodes, §5 "Admin Command Set". */
export const ADMIN = {
  deleteSubmissionQueue: 0x00,
  createSubmissionQueue: 0x01,
  getLogPage: 0x02,
  deleteCompletionQueue: 0x04,
  createCompletionQueue: 0x05,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asynchronousEventRequest: 0x0c,
  namespaceManagement: 0x0d,
  namespaceAttachment: 0x15,
  virtualizationManagement: 0x1c,
  formatNvm: 0x80,
} as const

/** Opcodes of the NVM command set, §6. */
export const NVM = {
  flush: 0x00,
  write: 0x01,
  read: 0x02,
  compare: 0x05,
  writeZeroes: 0x08,
  datasetManagement: 0x09,
} as const

/** CDW0: opcode 7:0, FUSE 9:8, PSDT 15:14, command identifier 31:16. */
export const CDW0 = {
  OPCODE: 0xff,
  FUSE: 0x0300,
  PSDT: 0xc000,
  PSDT_SHIFT: 14,
  CID_SHIFT: 16,
} as const
export const PSDT = { prp: 0, sgl: 1, sglMetadataSegment: 2 } as const

/** Dwords of a submission queue entry. */
export const SQE = {
  nsid: 1,
  mptr: 4,
  dptr: 6,
  cdw10: 10,
  cdw11: 11,
  cdw12: 12,
  cdw13: 13,
  cdw14: 14,
} as const
/** Dwords of a completion queue entry; DW3 is status 31:17, phase 16, command identifier 15:0. */
export const CQE = { result: 0, queue: 2, status: 3 } as const
export const PHASE = 0x1_0000
export const STATUS_SHIFT = 17

/** CNS of Identify. */
export const CNS = {
  namespace: 0x00,
  controller: 0x01,
  activeNamespaces: 0x02,
  namespaceDescriptors: 0x03,
  allocatedNamespaces: 0x10,
  allocatedNamespace: 0x11,
  attachedControllers: 0x12,
  controllers: 0x13,
  primaryController: 0x14,
  secondaryControllers: 0x15,
} as const
export const IDENTIFY_SIZE = 4096
export const ALL_NAMESPACES = 0xffff_ffff

/** Create I/O queue: PC and IEN or QPRIO in CDW11. */
export const QUEUE_FLAG = { contiguous: 1, interrupts: 2 } as const

/** Feature identifiers. */
export const FEATURE = {
  arbitration: 0x01,
  powerManagement: 0x02,
  temperatureThreshold: 0x04,
  errorRecovery: 0x05,
  volatileWriteCache: 0x06,
  numberOfQueues: 0x07,
  interruptCoalescing: 0x08,
  interruptVector: 0x09,
  writeAtomicity: 0x0a,
  asynchronousEvents: 0x0b,
} as const
/** Get Features SEL: CDW10 bits 10:8. */
export const SELECT = { current: 0, default: 1, saved: 2, capabilities: 3 } as const

export const LOG_PAGE = { error: 0x01, health: 0x02, firmware: 0x03, changedNamespaces: 0x04 } as const
export const LOG_SIZE = { errorEntry: 64, health: 512, firmware: 512, changedNamespaces: 4096 } as const

/** Asynchronous event types and information, §5.2; the completion's DW0 is type 2:0, information 15:8, log 23:16. */
export const EVENT_TYPE = { error: 0, health: 1, notice: 2 } as const
/** "Asynchronous Event Configuration": which notices are wanted. OAES has the same bits. */
export const EVENT_NOTICE = { namespaceAttributeChanged: 0 } as const
export const NAMESPACE_NOTICES = 1 << 8
export const EVENT_ERROR = { invalidDoorbellRegister: 0, invalidDoorbellValue: 1 } as const

/** SEL of Namespace Management and of Namespace Attachment: CDW10 bits 3:0. */
export const NAMESPACE_MANAGEMENT = { create: 0, delete: 1 } as const
export const NAMESPACE_ATTACHMENT = { attach: 0, detach: 1 } as const
/** "Controller List": a count of 16 bits, then identifiers of 16 bits, ascending. */
export const CONTROLLER_LIST = { size: 4096, most: 2047 } as const

/** Virtualization Management, §5.22: CDW10 ACT 3:0, RT 10:8, CNTLID 31:16; CDW11 NR 15:0. */
export const VIRTUALIZATION = {
  primaryAllocate: 1,
  secondaryOffline: 7,
  secondaryAssign: 8,
  secondaryOnline: 9,
} as const
export const RESOURCE = { queues: 0, interrupts: 1 } as const

/** Dataset Management: AD, Attribute – Deallocate, in CDW11; ranges of 16 bytes. */
export const DSM_DEALLOCATE = 0x4
export const DSM_RANGE_SIZE = 16
/** FUA in CDW12 of Read and Write; DEAC in CDW12 of Write Zeroes. */
export const FORCE_UNIT_ACCESS = 0x4000_0000
export const DEALLOCATE = 0x0200_0000

/** Scatter gather list descriptors, §4.4: type in bits 7:4 of byte 15, sub type in bits 3:0. */
export const SGL = { size: 16, dataBlock: 0, bitBucket: 1, segment: 2, lastSegment: 3 } as const

/** Writes the first dwords of a command at `at` of a queue's words; the rest is cleared. */
export function encodeCommand(
  words: Uint32Array,
  at: number,
  opcode: number,
  cid: number,
  nsid: number,
  prp1Low: number,
  prp1High: number,
  prp2Low: number,
  prp2High: number,
): void {
  for (let i = 0; i < 16; i++) words[at + i] = 0
  words[at] = (opcode | (cid << CDW0.CID_SHIFT)) >>> 0
  words[at + SQE.nsid] = nsid
  words[at + SQE.dptr] = prp1Low
  words[at + SQE.dptr + 1] = prp1High
  words[at + SQE.dptr + 2] = prp2Low
  words[at + SQE.dptr + 3] = prp2High
}
