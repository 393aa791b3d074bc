/** Identify: NVM Express 1.4, §5.15. Data structures are composed in the controller's buffer. */
import {
  ALL_NAMESPACES,
  CMIC,
  CNS,
  CONTROLLER,
  CONTROLLER_LIST,
  CQ_ENTRY,
  DLFEAT,
  IDENTIFY_SIZE,
  NAMESPACE,
  NAMESPACE_NOTICES,
  NMIC_SHARED,
  NVME_STATUS,
  OACS,
  ONCS,
  PRIMARY,
  RESOURCE,
  RESOURCES,
  SECONDARY,
  SGLS,
  SQ_ENTRY,
  SQE,
} from '../formats/nvme/index.ts'
import { type ControllerContext, controllerId, namespaceOf } from './context.ts'
import { put } from './logs.ts'
import { LBA_FORMATS, type Namespace } from './namespace.ts'
import { ERROR_ENTRIES, EVENT_REQUESTS } from './settings.ts'

/** "Namespace Identification Descriptor": NIDT of an NGUID, and its length. */
const NGUID = { type: 2, length: 16 } as const
/** VERSION of the registers. */
export const NVME_VERSION = 0x0001_0400
const WARNING_TEMPERATURE = 0x157
const CRITICAL_TEMPERATURE = 0x175

export function identify(context: ControllerContext, command: Uint32Array): number {
  const status = compose(context, command)
  return status === NVME_STATUS.success ? context.data.move(command, IDENTIFY_SIZE, true) : status
}

function compose(context: ControllerContext, command: Uint32Array): number {
  const { buffer } = context.data
  const nsid = command[SQE.nsid]!
  const cdw10 = command[SQE.cdw10]!
  const { namespaces } = context.subsystem
  buffer.fill(0, 0, IDENTIFY_SIZE)
  switch (cdw10 & 0xff) {
    case CNS.controller:
      composeController(context, buffer)
      return NVME_STATUS.success
    case CNS.namespace:
    case CNS.allocatedNamespace: {
      if (!namespaces.isIdentifier(nsid)) return NVME_STATUS.invalidNamespaceOrFormat
      // An identifier that is not active, or not allocated, has a structure of zeros.
      const active = (cdw10 & 0xff) === CNS.namespace
      const namespace = active ? namespaceOf(context, nsid) : namespaces.get(nsid)
      if (namespace !== undefined) composeNamespace(context, namespace, buffer)
      return NVME_STATUS.success
    }
    case CNS.activeNamespaces:
    case CNS.allocatedNamespaces: {
      if (nsid >= ALL_NAMESPACES - 1) return NVME_STATUS.invalidNamespaceOrFormat
      const active = (cdw10 & 0xff) === CNS.activeNamespaces
      const listed = namespaces.all.filter(
        ({ id, attached }) => id > nsid && (!active || attached[context.id] === 1),
      )
      for (const [i, { id }] of listed.entries()) put(buffer, i * 4, id, 4)
      return NVME_STATUS.success
    }
    case CNS.attachedControllers: {
      if (!namespaces.isIdentifier(nsid)) return NVME_STATUS.invalidNamespaceOrFormat
      const namespace = namespaces.get(nsid)
      composeControllers(buffer, cdw10 >>> 16, namespaces.controllers, id => namespace?.attached[id] === 1)
      return NVME_STATUS.success
    }
    case CNS.controllers:
      composeControllers(buffer, cdw10 >>> 16, namespaces.controllers, () => true)
      return NVME_STATUS.success
    case CNS.namespaceDescriptors: {
      if (!namespaces.isIdentifier(nsid)) return NVME_STATUS.invalidNamespaceOrFormat
      const namespace = namespaceOf(context, nsid)
      if (namespace === undefined) return NVME_STATUS.invalidField
      buffer[0] = NGUID.type
      buffer[1] = NGUID.length
      composeGuid(context, namespace, buffer, 4)
      return NVME_STATUS.success
    }
    case CNS.primaryController:
    case CNS.secondaryControllers:
      if (context.secondary >= 0 || context.subsystem.settings.virtualFunctions === 0) {
        return NVME_STATUS.invalidField
      }
      if ((cdw10 & 0xff) === CNS.primaryController) composePrimary(context, buffer)
      else composeSecondaries(context, cdw10 >>> 16, buffer)
      return NVME_STATUS.success
    default:
      return NVME_STATUS.invalidField
  }
}

function composeController(context: ControllerContext, buffer: Uint8Array): void {
  const { settings, namespaces } = context.subsystem
  const virtual = settings.virtualFunctions > 0
  put(buffer, CONTROLLER.vendorId, settings.vendorId, 2)
  put(buffer, CONTROLLER.subsystemVendorId, settings.subsystemVendorId, 2)
  text(buffer, CONTROLLER.serialNumber, settings.serialNumber)
  text(buffer, CONTROLLER.modelNumber, settings.modelNumber)
  text(buffer, CONTROLLER.firmwareRevision, settings.firmwareRevision)
  buffer[CONTROLLER.recommendedArbitrationBurst] = 6
  buffer[CONTROLLER.multiPath] = virtual
    ? CMIC.controllers | (context.secondary >= 0 ? CMIC.virtualFunction : 0)
    : 0
  buffer[CONTROLLER.maximumDataTransferSize] = settings.transferExponent
  put(buffer, CONTROLLER.controllerId, context.id, 2)
  put(buffer, CONTROLLER.version, NVME_VERSION, 4)
  buffer[CONTROLLER.controllerType] = 1 // I/O controller
  put(buffer, CONTROLLER.asynchronousEventsSupported, NAMESPACE_NOTICES, 4)
  const primary = context.secondary < 0
  const management = primary ? OACS.namespaces | (virtual ? OACS.virtualization : 0) : 0
  put(buffer, CONTROLLER.optionalAdminCommands, OACS.format | management, 2)
  buffer[CONTROLLER.abortCommandLimit] = 3
  buffer[CONTROLLER.asynchronousEventLimit] = EVENT_REQUESTS - 1
  buffer[CONTROLLER.firmwareUpdates] = (1 << 1) | 1 // one slot, read only
  buffer[CONTROLLER.logPageAttributes] = 1 << 2 // extended data: offsets
  buffer[CONTROLLER.errorLogEntries] = ERROR_ENTRIES - 1
  put(buffer, CONTROLLER.warningTemperature, WARNING_TEMPERATURE, 2)
  put(buffer, CONTROLLER.criticalTemperature, CRITICAL_TEMPERATURE, 2)
  buffer[CONTROLLER.submissionEntrySize] = (SQ_ENTRY.log2 << 4) | SQ_ENTRY.log2
  buffer[CONTROLLER.completionEntrySize] = (CQ_ENTRY.log2 << 4) | CQ_ENTRY.log2
  if (primary) {
    put(buffer, CONTROLLER.totalCapacity, namespaces.capacity, 8)
    put(buffer, CONTROLLER.unallocatedCapacity, namespaces.unallocated, 8)
  }
  put(buffer, CONTROLLER.namespaces, namespaces.most, 4)
  put(buffer, CONTROLLER.optionalCommands, ONCS.compare | ONCS.datasetManagement | ONCS.writeZeroes, 2)
  // Volatile write cache present; Flush takes FFFFFFFFh for all namespaces.
  buffer[CONTROLLER.volatileWriteCache] = 0b111
  put(buffer, CONTROLLER.sglSupport, SGLS.supported | SGLS.bitBucket, 4)
  text(buffer, CONTROLLER.subsystemName, `nqn.2014-08.org.nvmexpress:northbridge:${settings.serialNumber}`, 0)
  put(buffer, CONTROLLER.powerStateDescriptors, 2500, 2) // 25 W
}

/** ASCII, padded with spaces as identity strings are, or ended with NUL. */
function text(
  buffer: Uint8Array,
  { at, length }: { readonly at: number; readonly length: number },
  value: string,
  pad = 0x20,
): void {
  for (let i = 0; i < length; i++) buffer[at + i] = i < value.length ? value.charCodeAt(i) : pad
}

function composeNamespace(context: ControllerContext, namespace: Namespace, buffer: Uint8Array): void {
  const { blocks } = namespace
  put(buffer, NAMESPACE.size, blocks, 8)
  put(buffer, NAMESPACE.capacity, blocks, 8)
  put(buffer, NAMESPACE.utilization, blocks, 8)
  buffer[NAMESPACE.formats] = LBA_FORMATS.length - 1
  buffer[NAMESPACE.format] = namespace.format
  buffer[NAMESPACE.multiPath] = namespace.shared ? NMIC_SHARED : 0
  buffer[NAMESPACE.deallocation] = DLFEAT.zeros | DLFEAT.writeZeroes
  put(buffer, NAMESPACE.mediumCapacity, namespace.store.size, 8)
  composeGuid(context, namespace, buffer, NAMESPACE.guid)
  for (const [i, shift] of LBA_FORMATS.entries()) buffer[NAMESPACE.formatTable + i * 4 + 2] = shift
}

/** Unique in the subsystem and the same after each boot: serial number, then the namespace's own number. */
function composeGuid(context: ControllerContext, namespace: Namespace, buffer: Uint8Array, at: number): void {
  const { serialNumber } = context.subsystem.settings
  for (let i = 0; i < 12; i++) buffer[at + i] = serialNumber.charCodeAt(i) || 0
  for (let i = 0; i < 4; i++) buffer[at + 12 + i] = namespace.id >>> (24 - 8 * i)
}

/** "Controller List" of identifiers from `first` on. */
function composeControllers(
  buffer: Uint8Array,
  first: number,
  controllers: number,
  listed: (id: number) => boolean,
): void {
  let count = 0
  for (let id = first; id < controllers && count < CONTROLLER_LIST.most; id++) {
    if (listed(id)) put(buffer, 2 + 2 * count++, id, 2)
  }
  put(buffer, 0, count, 2)
}

function composePrimary({ subsystem }: ControllerContext, buffer: Uint8Array): void {
  put(buffer, PRIMARY.controllerId, controllerId(-1), 2)
  buffer[PRIMARY.resourceTypes] = 0b11
  for (const type of [RESOURCE.queues, RESOURCE.interrupts]) {
    const at = type === RESOURCE.queues ? PRIMARY.queues : PRIMARY.interrupts
    const pool = subsystem.resources.pool(type)!
    put(buffer, at + RESOURCES.flexibleTotal, pool.flexible, 4)
    put(buffer, at + RESOURCES.flexibleAssigned, pool.toSecondaries, 4)
    put(buffer, at + RESOURCES.flexibleToPrimary, pool.toPrimary, 2)
    put(buffer, at + RESOURCES.privateTotal, pool.private, 2)
    put(buffer, at + RESOURCES.secondaryMaximum, pool.secondaryMaximum, 2)
    put(buffer, at + RESOURCES.granularity, 1, 2)
  }
}

/** Controllers with an identifier of `first` or more, ascending. */
function composeSecondaries({ subsystem }: ControllerContext, first: number, buffer: Uint8Array): void {
  const { resources, settings } = subsystem
  let count = 0
  for (let i = Math.max(first - 1, 0); i < settings.virtualFunctions && count < SECONDARY.most; i++) {
    const at = SECONDARY.first + count * SECONDARY.size
    put(buffer, at + SECONDARY.controllerId, controllerId(i), 2)
    put(buffer, at + SECONDARY.primaryId, controllerId(-1), 2)
    buffer[at + SECONDARY.state] = resources.online[i]!
    put(buffer, at + SECONDARY.functionNumber, i + 1, 2)
    put(buffer, at + SECONDARY.queues, resources.queuesOf(i), 2)
    put(buffer, at + SECONDARY.interrupts, resources.interruptsOf(i), 2)
    count++
  }
  buffer[SECONDARY.count] = count
}
