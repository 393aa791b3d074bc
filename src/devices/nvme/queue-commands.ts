/** Create and Delete I/O Queue: NVM Express 1.4, §5.3 to §5.6. */
import { CC, CQ_ENTRY, NVME_STATUS, QUEUE_FLAG, SQ_ENTRY, SQE } from '../formats/nvme/index.ts'
import type { ControllerContext } from './context.ts'
import { CompletionQueue, SubmissionQueue } from './queues.ts'

/** What is common to both kinds: returns a status, success if a queue may be created. */
function checkCreation(
  context: ControllerContext,
  command: Uint32Array,
  exists: boolean,
  entrySize: number,
  expected: number,
): number {
  const cdw10 = command[SQE.cdw10]!
  const id = cdw10 & 0xffff
  const size = (cdw10 >>> 16) + 1
  if (id === 0 || id > context.features.queues || exists) return NVME_STATUS.invalidQueueIdentifier
  // One entry always stays free, so a queue of one could hold nothing.
  if (size < 2 || size > context.subsystem.settings.queueEntries || entrySize !== expected) {
    return NVME_STATUS.invalidQueueSize
  }
  // CAP.CQR: queues are contiguous.
  if ((command[SQE.cdw11]! & QUEUE_FLAG.contiguous) === 0) return NVME_STATUS.invalidField
  if ((command[SQE.dptr]! & (context.data.pageSize - 1)) !== 0) return NVME_STATUS.prpOffsetInvalid
  return NVME_STATUS.success
}

const pageOfQueue = (command: Uint32Array): number =>
  command[SQE.dptr + 1]! * 0x10_0000 + (command[SQE.dptr]! >>> 12)

export function createCompletionQueue(context: ControllerContext, command: Uint32Array): number {
  const cdw10 = command[SQE.cdw10]!
  const cdw11 = command[SQE.cdw11]!
  const id = cdw10 & 0xffff
  const { completion } = context.queues
  const entrySize = (context.configuration & CC.f.IOCQES.mask) >>> CC.f.IOCQES.shift
  const status = checkCreation(context, command, completion[id] !== undefined, entrySize, CQ_ENTRY.log2)
  if (status !== NVME_STATUS.success) return status
  const interrupts = (cdw11 & QUEUE_FLAG.interrupts) !== 0
  const vector = cdw11 >>> 16
  if (interrupts && vector >= context.subsystem.resources.interruptsOf(context.secondary)) {
    return NVME_STATUS.invalidInterruptVector
  }
  completion[id] = new CompletionQueue(id, (cdw10 >>> 16) + 1, pageOfQueue(command), vector, interrupts)
  return NVME_STATUS.success
}

export function createSubmissionQueue(context: ControllerContext, command: Uint32Array): number {
  const cdw10 = command[SQE.cdw10]!
  const id = cdw10 & 0xffff
  const target = command[SQE.cdw11]! >>> 16
  const { submission, completion } = context.queues
  // "Completion Queue Identifier": the admin queue and what is out of range are no identifiers at all.
  if (target === 0 || target > context.features.queues) return NVME_STATUS.invalidQueueIdentifier
  const entrySize = (context.configuration & CC.f.IOSQES.mask) >>> CC.f.IOSQES.shift
  const status = checkCreation(context, command, submission[id] !== undefined, entrySize, SQ_ENTRY.log2)
  if (status !== NVME_STATUS.success) return status
  if (completion[target] === undefined) return NVME_STATUS.completionQueueInvalid
  submission[id] = new SubmissionQueue(id, (cdw10 >>> 16) + 1, pageOfQueue(command), target)
  return NVME_STATUS.success
}

/** Commands that were submitted and not fetched are gone with their queue. */
export function deleteSubmissionQueue(context: ControllerContext, command: Uint32Array): number {
  const id = command[SQE.cdw10]! & 0xffff
  const { submission } = context.queues
  if (id === 0 || submission[id] === undefined) return NVME_STATUS.invalidQueueIdentifier
  submission[id] = undefined
  return NVME_STATUS.success
}

export function deleteCompletionQueue(context: ControllerContext, command: Uint32Array): number {
  const id = command[SQE.cdw10]! & 0xffff
  const { completion } = context.queues
  if (id === 0 || completion[id] === undefined) return NVME_STATUS.invalidQueueIdentifier
  if (context.queues.isUsed(id)) return NVME_STATUS.invalidQueueDeletion
  completion[id] = undefined
  return NVME_STATUS.success
}
