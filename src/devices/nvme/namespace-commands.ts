/** Namespace Management and Namespace Attachment: NVM Express 1.4, §5.20 and §5.19. The primary controller's alone. */
import {
  ALL_NAMESPACES,
  CONTROLLER_LIST,
  IDENTIFY_SIZE,
  NAMESPACE,
  NAMESPACE_ATTACHMENT,
  NAMESPACE_MANAGEMENT,
  NMIC_SHARED,
  NVME_STATUS,
  SQE,
} from '../formats/nvme/index.ts'
import type { ControllerContext } from './context.ts'
import { LBA_FORMATS, type Namespace } from './namespace.ts'

const SELECT = 15
/** FLBAS: index of the format; the rest is about metadata, which there is none of. */
const FORMAT_INDEX = 15

export function namespaceManagement(context: ControllerContext, command: Uint32Array): number {
  if (context.secondary >= 0) return NVME_STATUS.invalidOpcode
  switch (command[SQE.cdw10]! & SELECT) {
    case NAMESPACE_MANAGEMENT.create:
      return create(context, command)
    case NAMESPACE_MANAGEMENT.delete:
      return remove(context, command[SQE.nsid]!)
    default:
      return NVME_STATUS.invalidField
  }
}

/** The identifier is the controller's choice: DW0 of the completion. */
function create(context: ControllerContext, command: Uint32Array): number {
  if (command[SQE.nsid] !== 0) return NVME_STATUS.invalidField
  const status = context.data.move(command, IDENTIFY_SIZE, false)
  if (status !== NVME_STATUS.success) return status
  const { buffer } = context.data
  const view = new DataView(buffer.buffer, buffer.byteOffset, IDENTIFY_SIZE)
  const long = (at: number): number => view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
  const blocks = long(NAMESPACE.size)
  const flags = view.getUint8(NAMESPACE.format)
  const format = flags & FORMAT_INDEX
  if (format >= LBA_FORMATS.length || flags !== format) return NVME_STATUS.invalidFormat
  if (view.getUint8(NAMESPACE.protection) !== 0) return NVME_STATUS.invalidFormat
  if (blocks === 0) return NVME_STATUS.invalidField
  if (long(NAMESPACE.capacity) !== blocks) return NVME_STATUS.thinProvisioningNotSupported
  const { namespaces } = context.subsystem
  if (blocks * 2 ** LBA_FORMATS[format]! > namespaces.unallocated) {
    return NVME_STATUS.namespaceInsufficientCapacity
  }
  const nsid = namespaces.freeIdentifier
  if (nsid === 0) return NVME_STATUS.namespaceIdentifierUnavailable
  const shared = (view.getUint8(NAMESPACE.multiPath) & NMIC_SHARED) !== 0
  namespaces.create(nsid, blocks, format, shared)
  context.result = nsid
  return NVME_STATUS.success
}

/** "As a side effect of the delete operation, the namespace is detached": the other controllers are told. */
function remove(context: ControllerContext, nsid: number): number {
  const { namespaces } = context.subsystem
  if (nsid === ALL_NAMESPACES) {
    for (const namespace of namespaces.all) deleteOne(context, namespace)
    return NVME_STATUS.success
  }
  if (!namespaces.isIdentifier(nsid)) return NVME_STATUS.invalidNamespaceOrFormat
  const namespace = namespaces.get(nsid)
  if (namespace === undefined) return NVME_STATUS.invalidField
  deleteOne(context, namespace)
  return NVME_STATUS.success
}

function deleteOne(context: ControllerContext, namespace: Namespace): void {
  context.subsystem.namespaces.delete(namespace.id)
  tellOthers(context, namespace)
}

/** Every controller that a namespace is attached to, but the one whose command it was, is told that it has changed. */
export function tellOthers({ subsystem, id }: ControllerContext, { id: nsid, attached }: Namespace): void {
  for (let controller = 0; controller < attached.length; controller++) {
    if (attached[controller] === 1 && controller !== id) subsystem.namespaceChanged(controller, nsid)
  }
}

/** Everything is checked before the first controller is attached or detached. */
export function namespaceAttachment(context: ControllerContext, command: Uint32Array): number {
  if (context.secondary >= 0) return NVME_STATUS.invalidOpcode
  const { namespaces } = context.subsystem
  const nsid = command[SQE.nsid]!
  const select = command[SQE.cdw10]! & SELECT
  if (select !== NAMESPACE_ATTACHMENT.attach && select !== NAMESPACE_ATTACHMENT.detach) {
    return NVME_STATUS.invalidField
  }
  if (!namespaces.isIdentifier(nsid)) return NVME_STATUS.invalidNamespaceOrFormat
  const namespace = namespaces.get(nsid)
  if (namespace === undefined) return NVME_STATUS.invalidField
  const moved = context.data.move(command, CONTROLLER_LIST.size, false)
  if (moved !== NVME_STATUS.success) return moved
  const controllers = readList(context.data.buffer, namespaces.controllers)
  if (controllers === undefined) return NVME_STATUS.controllerListInvalid
  const attach = select === NAMESPACE_ATTACHMENT.attach
  const status = attach ? attachable(namespace, controllers) : detachable(namespace, controllers)
  if (status !== NVME_STATUS.success) return status
  for (const controller of controllers) {
    namespace.attached[controller] = attach ? 1 : 0
    context.subsystem.namespaceChanged(controller, nsid)
  }
  return NVME_STATUS.success
}

/** "Controller List": a count, then identifiers, ascending; undefined if it is none. */
function readList(buffer: Uint8Array, controllers: number): number[] | undefined {
  const half = (at: number): number => buffer[at]! | (buffer[at + 1]! << 8)
  const count = half(0)
  if (count === 0 || count > CONTROLLER_LIST.most) return undefined
  const list = Array.from({ length: count }, (_, i) => half(2 + i * 2))
  const valid = list.every((id, i) => id < controllers && (i === 0 || id > list[i - 1]!))
  return valid ? list : undefined
}

function attachable({ attached, shared }: Namespace, controllers: readonly number[]): number {
  if (controllers.some(id => attached[id] === 1)) return NVME_STATUS.namespaceAlreadyAttached
  const others = attached.includes(1) || controllers.length > 1
  return others && !shared ? NVME_STATUS.namespaceIsPrivate : NVME_STATUS.success
}

const detachable = ({ attached }: Namespace, controllers: readonly number[]): number =>
  controllers.some(id => attached[id] === 0) ? NVME_STATUS.namespaceNotAttached : NVME_STATUS.success
