/** The admin command set: NVM Express 1.4, §5. */
import {
  ADMIN,
  ALL_NAMESPACES,
  CDW0,
  LOG_PAGE,
  LOG_SIZE,
  NVME_STATUS,
  SQE,
  VIRTUALIZATION,
} from '../formats/nvme/index.ts'
import { type ControllerContext, controllerId, namespaceOf, OUTSTANDING } from './context.ts'
import { identify } from './identify.ts'
import { LBA_FORMATS, type Namespace } from './namespace.ts'
import { namespaceAttachment, namespaceManagement, tellOthers } from './namespace-commands.ts'
import {
  createCompletionQueue,
  createSubmissionQueue,
  deleteCompletionQueue,
  deleteSubmissionQueue,
} from './queue-commands.ts'

/** RAE of Get Log Page. */
const RETAIN_EVENT = 0x8000

/** Returns the status, or {@link OUTSTANDING}. */
export function adminCommand(context: ControllerContext, command: Uint32Array): number {
  // Fused operations do not exist here, and admin commands use PRPs over PCI Express.
  if ((command[0]! & (CDW0.FUSE | CDW0.PSDT)) !== 0) return NVME_STATUS.invalidField
  switch (command[0]! & CDW0.OPCODE) {
    case ADMIN.deleteSubmissionQueue:
      return deleteSubmissionQueue(context, command)
    case ADMIN.createSubmissionQueue:
      return createSubmissionQueue(context, command)
    case ADMIN.getLogPage:
      return getLogPage(context, command)
    case ADMIN.deleteCompletionQueue:
      return deleteCompletionQueue(context, command)
    case ADMIN.createCompletionQueue:
      return createCompletionQueue(context, command)
    case ADMIN.identify:
      return identify(context, command)
    case ADMIN.abort:
      return abort(context, command)
    case ADMIN.setFeatures: {
      const { features, queues } = context
      const status = features.set(
        command[SQE.cdw10]!,
        command[SQE.nsid]!,
        command[SQE.cdw11]!,
        queues.anyInputOutput,
      )
      context.result = status === NVME_STATUS.success ? features.result : 0
      return status
    }
    case ADMIN.getFeatures: {
      const { features } = context
      const status = features.get(command[SQE.cdw10]!, command[SQE.cdw11]!)
      context.result = status === NVME_STATUS.success ? features.result : 0
      return status
    }
    case ADMIN.asynchronousEventRequest:
      return context.events.request(command[0]! >>> CDW0.CID_SHIFT)
        ? OUTSTANDING
        : NVME_STATUS.asynchronousEventLimitExceeded
    case ADMIN.namespaceManagement:
      return namespaceManagement(context, command)
    case ADMIN.namespaceAttachment:
      return namespaceAttachment(context, command)
    case ADMIN.virtualizationManagement:
      return virtualizationManagement(context, command)
    case ADMIN.formatNvm:
      return formatNvm(context, command)
    default:
      return NVME_STATUS.invalidOpcode
  }
}

function getLogPage(context: ControllerContext, command: Uint32Array): number {
  const cdw10 = command[SQE.cdw10]!
  const page = cdw10 & 0xff
  const { logs } = context.subsystem
  const size = page === LOG_PAGE.changedNamespaces ? LOG_SIZE.changedNamespaces : logs.size(page)
  if (size === 0) return NVME_STATUS.invalidLogPage
  // NUMD is 0's based, in dwords; LPO is a multiple of 4 inside the page.
  const length = ((command[SQE.cdw11]! & 0xffff) * 0x1_0000 + (cdw10 >>> 16) + 1) * 4
  const offset = command[SQE.cdw12]!
  if (command[SQE.cdw13] !== 0 || offset % 4 !== 0 || offset >= size) return NVME_STATUS.invalidField
  if (length > context.largestTransfer) return NVME_STATUS.invalidField
  const { buffer } = context.data
  if (page === LOG_PAGE.changedNamespaces) context.changed.compose(buffer)
  else logs.compose(page, buffer)
  if (offset > 0) buffer.copyWithin(0, offset, size)
  const status = context.data.move(command, Math.min(length, size - offset), true)
  if (status === NVME_STATUS.success && (cdw10 & RETAIN_EVENT) === 0) {
    context.events.logRead(page)
    if (page === LOG_PAGE.changedNamespaces) context.changed.clear()
  }
  return status
}

/**
 * Commands are done as soon as they are fetched, so only event requests can be aborted: bit 0 of the result says that
 * the command was not.
 */
function abort(context: ControllerContext, command: Uint32Array): number {
  const cdw10 = command[SQE.cdw10]!
  const target = cdw10 >>> 16
  context.result = 1
  if ((cdw10 & 0xffff) === 0 && context.events.abort(target)) {
    if (context.complete(0, target, NVME_STATUS.abortRequested, 0)) context.result = 0
    else context.events.request(target)
  }
  return NVME_STATUS.success
}

function virtualizationManagement(context: ControllerContext, command: Uint32Array): number {
  const { subsystem } = context
  const { resources, settings } = subsystem
  if (context.secondary >= 0 || settings.virtualFunctions === 0) return NVME_STATUS.invalidOpcode
  const cdw10 = command[SQE.cdw10]!
  const action = cdw10 & 15
  const type = (cdw10 >>> 8) & 7
  const target = cdw10 >>> 16
  const count = command[SQE.cdw11]! & 0xffff
  const secondary = target - controllerId(0)
  resources.modified = 0
  if (action === VIRTUALIZATION.primaryAllocate) {
    if (target !== context.id) return NVME_STATUS.invalidControllerIdentifier
    const status = resources.allocateToPrimary(type, count)
    context.result = resources.modified
    return status
  }
  if (
    action !== VIRTUALIZATION.secondaryOffline &&
    action !== VIRTUALIZATION.secondaryAssign &&
    action !== VIRTUALIZATION.secondaryOnline
  ) {
    return NVME_STATUS.invalidField
  }
  if (secondary < 0 || secondary >= settings.virtualFunctions) return NVME_STATUS.invalidControllerIdentifier
  if (action === VIRTUALIZATION.secondaryAssign) {
    const status = resources.assign(secondary, type, count)
    context.result = resources.modified
    return status
  }
  const online = action === VIRTUALIZATION.secondaryOnline
  if (online && !(resources.suffices(secondary) && subsystem.functionEnabled(secondary))) {
    return NVME_STATUS.invalidSecondaryControllerState
  }
  subsystem.setOnline(secondary, online)
  return NVME_STATUS.success
}

/** No metadata and no protection information: what asks for them is an invalid format. */
function formatNvm(context: ControllerContext, command: Uint32Array): number {
  const cdw10 = command[SQE.cdw10]!
  const format = cdw10 & 15
  const nsid = command[SQE.nsid]!
  if (format >= LBA_FORMATS.length || (cdw10 & 0xf0) !== 0) return NVME_STATUS.invalidFormat
  // SES: none and user data erase; there is no encryption whose key could be erased.
  if (((cdw10 >>> 9) & 7) > 1) return NVME_STATUS.invalidField
  if (nsid === ALL_NAMESPACES) {
    for (const namespace of context.subsystem.namespaces.all) {
      if (namespace.attached[context.id] === 1 && !reformat(context, namespace, format)) {
        return NVME_STATUS.internalError
      }
    }
    return NVME_STATUS.success
  }
  const namespace = namespaceOf(context, nsid)
  if (namespace === undefined) return NVME_STATUS.invalidNamespaceOrFormat
  return reformat(context, namespace, format) ? NVME_STATUS.success : NVME_STATUS.internalError
}

/** False if the medium failed. What has another format is another namespace to those who use it. */
function reformat(context: ControllerContext, namespace: Namespace, format: number): boolean {
  if (namespace.format !== format) tellOthers(context, namespace)
  return namespace.reformat(format)
}
