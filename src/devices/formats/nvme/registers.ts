/**
 * Controller registers: NVM Express Base Specification 1.4, §3.1 "Register Definition" (2.0: §3.1.3 "Controller
 * Properties"). Offsets from the start of BAR0.
 */
import { register, ro, rw, rw1c, wo } from '../../../core/index.ts'

/** "CAP – Controller Capabilities": two dwords, low first. */
export const CAP = register(0x00, 64, 'CAP', {
  MQES: ro(15, 0), // Maximum Queue Entries Supported, 0's based
  CQR: ro(16), // Contiguous Queues Required
  AMS: ro(18, 17),
  TO: ro(31, 24), // Timeout, in 500 ms
  DSTRD: ro(35, 32), // Doorbell Stride, 2^(2 + DSTRD) bytes
  NSSRS: ro(36), // NVM Subsystem Reset Supported
  CSS_NVM: ro(37), // NVM command set
  BPS: ro(45),
  MPSMIN: ro(51, 48), // 2^(12 + MPSMIN) bytes
  MPSMAX: ro(55, 52),
})
export const VS = register(0x08, 32, 'VS', { TER: ro(7, 0), MNR: ro(15, 8), MJR: ro(31, 16) })
export const INTMS = register(0x0c, 32, 'INTMS', { IVMS: rw(31, 0) })
export const INTMC = register(0x10, 32, 'INTMC', { IVMC: rw(31, 0) })
/** "CC – Controller Configuration" */
export const CC = register(0x14, 32, 'CC', {
  EN: rw(0),
  CSS: rw(6, 4),
  MPS: rw(10, 7), // Memory Page Size, 2^(12 + MPS)
  AMS: rw(13, 11),
  SHN: rw(15, 14), // Shutdown Notification
  IOSQES: rw(19, 16),
  IOCQES: rw(23, 20),
})
/** "CSTS – Controller Status" */
export const CSTS = register(0x1c, 32, 'CSTS', {
  RDY: ro(0),
  CFS: ro(1), // Controller Fatal Status
  SHST: ro(3, 2), // Shutdown Status
  NSSRO: rw1c(4), // NVM Subsystem Reset Occurred
  PP: ro(5),
})
export const NSSR = register(0x20, 32, 'NSSR', { NSSRC: wo(31, 0) })
export const AQA = register(0x24, 32, 'AQA', { ASQS: rw(11, 0), ACQS: rw(27, 16) })
export const ASQ = register(0x28, 64, 'ASQ', { ASQB: rw(31, 12), ASQB_HIGH: rw(63, 32) })
export const ACQ = register(0x30, 64, 'ACQ', { ACQB: rw(31, 12), ACQB_HIGH: rw(63, 32) })

export const NVME_REGISTERS = [CAP, VS, INTMS, INTMC, CC, CSTS, NSSR, AQA, ASQ, ACQ] as const

/** "NVMe", which NSSR.NSSRC takes as the order to reset the subsystem. */
export const SUBSYSTEM_RESET = 0x4e56_4d65

/** Values of CC.SHN and CSTS.SHST. */
export const SHUTDOWN = { none: 0, normal: 1, abrupt: 2 } as const
export const SHUTDOWN_STATUS = { none: 0, occurring: 1, complete: 2 } as const

/** Doorbells begin here; SQ y's tail at 2y strides, CQ y's head at 2y + 1. */
export const DOORBELLS = 0x1000
export const submissionDoorbell = (queue: number, stride: number): number =>
  DOORBELLS + 2 * queue * (4 << stride)
export const completionDoorbell = (queue: number, stride: number): number =>
  DOORBELLS + (2 * queue + 1) * (4 << stride)

/** Bytes of queue entries of the NVM command set, and their logarithms as CC.IOSQES and CC.IOCQES take them. */
export const SQ_ENTRY = { size: 64, log2: 6 } as const
export const CQ_ENTRY = { size: 16, log2: 4 } as const
