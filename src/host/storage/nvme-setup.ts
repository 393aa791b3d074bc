/** How the host's NVMe driver brings a controller up: NVM Express 1.4, §7.6.1 "Initialization". */
import { NorthbridgeError } from '../../core/index.ts'
import {
  ACQ,
  ADMIN,
  AQA,
  ASQ,
  CC,
  CNS,
  CQ_ENTRY,
  CSTS,
  encodeCommand,
  FEATURE,
  IDENTIFY_SIZE,
  NAMESPACE,
  NVME_STATUS,
  nvmeStatusName,
  QUEUE_FLAG,
  SQ_ENTRY,
  SQE,
} from '../../devices/formats/nvme/index.ts'
import { type Software, until } from '../../engine/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { DmaBuffer } from '../types.ts'
import type { NvmeQueue } from './nvme-queue.ts'
import { high, low } from './words.ts'

export const REGISTERS = 0
/** Pairs that are asked for, 0's based. */
const MOST_QUEUES = 63
const TWO_32 = 2 ** 32
const ENABLE = CC.f.EN.mask | (SQ_ENTRY.log2 << CC.f.IOSQES.shift) | (CQ_ENTRY.log2 << CC.f.IOCQES.shift)

/** A namespace as the controller told of it. */
export interface NvmeNamespace {
  readonly id: number
  readonly blocks: number
  readonly blockSize: number
}

export const refused = (device: DeviceAccess, what: string): NorthbridgeError =>
  new NorthbridgeError('unsupported', `the controller of ${device.function.address} ${what}`, {
    function: device.function.address,
  })

/** What reads give behind a link that is down, or without Memory Space Enable. */
const NOBODY = 0xffff_ffff

/**
 * Clears CC.EN and waits until the controller has stopped: it has forgotten its queues then. Throws `unsupported` if
 * nobody answers, for then RDY never reads 0.
 */
export function* disable(device: DeviceAccess): Software {
  device.writeRegister(REGISTERS, CC.offset, 0)
  const status = (): number => device.readRegister(REGISTERS, CSTS.offset) >>> 0
  yield* until(() => (status() & CSTS.f.RDY.mask) === 0 || status() === NOBODY)
  if (status() === NOBODY) throw refused(device, 'does not answer')
}

/** Enables a stopped controller with its admin queues. Throws `unsupported` if it reports a fatal error. */
export function* enable(device: DeviceAccess, admin: NvmeQueue): Software {
  const size = admin.entries - 1
  device.writeRegister(REGISTERS, AQA.offset, (size << 16) | size)
  writeAddress(device, ASQ.offset, admin.submission.address)
  writeAddress(device, ACQ.offset, admin.completion.address)
  device.writeRegister(REGISTERS, CC.offset, ENABLE)
  const { RDY, CFS } = CSTS.f
  const status = (): number => device.readRegister(REGISTERS, CSTS.offset)
  yield* until(() => (status() & (RDY.mask | CFS.mask)) !== 0)
  if ((status() & CFS.mask) !== 0) throw refused(device, 'reports a fatal error')
}

function writeAddress(device: DeviceAccess, offset: number, address: number): void {
  device.writeRegister(REGISTERS, offset, low(address))
  device.writeRegister(REGISTERS, offset + 4, high(address))
}

export function* identify(
  device: DeviceAccess,
  admin: NvmeQueue,
  page: DmaBuffer,
  cns: number,
  nsid: number,
): Software<Uint8Array> {
  encodeCommand(admin.command, 0, ADMIN.identify, 0, nsid, low(page.address), high(page.address), 0, 0)
  admin.command[SQE.cdw10] = cns
  const status = yield* admin.execute()
  if (status !== NVME_STATUS.success) throw refused(device, `ends Identify with ${nvmeStatusName(status)}`)
  const data = new Uint8Array(IDENTIFY_SIZE)
  device.read(page, 0, data)
  return data
}

/** "Number of Queues": asks for as many as can be used; returns how many pairs for input and output there may be. */
export function* requestQueues(device: DeviceAccess, admin: NvmeQueue): Software<number> {
  yield* command(device, admin, ADMIN.setFeatures, 0, FEATURE.numberOfQueues, MOST_QUEUES * 0x1_0001)
  return (admin.result & 0xffff) + 1
}

/** The completion queue, then the submission queue on it. Each pair has a vector of its own, as far as there are any. */
export function* createQueue(device: DeviceAccess, admin: NvmeQueue, queue: NvmeQueue): Software {
  const { id, entries, completion, submission } = queue
  const vector = Math.min(id, Math.max(device.interrupts - 1, 0))
  const interrupts = device.interrupts > 0 ? QUEUE_FLAG.interrupts : 0
  const place = ((entries - 1) << 16) | id
  const { contiguous } = QUEUE_FLAG
  const flags = (vector << 16) | interrupts | contiguous
  yield* command(device, admin, ADMIN.createCompletionQueue, completion.address, place, flags)
  yield* command(
    device,
    admin,
    ADMIN.createSubmissionQueue,
    submission.address,
    place,
    (id << 16) | contiguous,
  )
}

/** In the order in which the controller lets them go. */
export function* deleteQueue(device: DeviceAccess, admin: NvmeQueue, { id }: NvmeQueue): Software {
  yield* command(device, admin, ADMIN.deleteSubmissionQueue, 0, id, 0)
  yield* command(device, admin, ADMIN.deleteCompletionQueue, 0, id, 0)
}

function* command(
  device: DeviceAccess,
  admin: NvmeQueue,
  opcode: number,
  address: number,
  cdw10: number,
  cdw11: number,
): Software {
  encodeCommand(admin.command, 0, opcode, 0, 0, low(address), high(address), 0, 0)
  admin.command[SQE.cdw10] = cdw10 >>> 0
  admin.command[SQE.cdw11] = cdw11 >>> 0
  const status = yield* admin.execute()
  if (status !== NVME_STATUS.success) throw refused(device, `refuses a queue: ${nvmeStatusName(status)}`)
}

/** Those that are attached to the controller. @param page that the controller may write. */
export function* listNamespaces(
  device: DeviceAccess,
  admin: NvmeQueue,
  page: DmaBuffer,
): Software<NvmeNamespace[]> {
  const list = new DataView((yield* identify(device, admin, page, CNS.activeNamespaces, 0)).buffer)
  const namespaces: NvmeNamespace[] = []
  for (let at = 0; at < IDENTIFY_SIZE; at += 4) {
    const id = list.getUint32(at, true)
    if (id === 0) break
    const data = new DataView((yield* identify(device, admin, page, CNS.namespace, id)).buffer)
    const format = data.getUint8(NAMESPACE.format) & 15
    namespaces.push({
      id,
      blocks: data.getUint32(NAMESPACE.size + 4, true) * TWO_32 + data.getUint32(NAMESPACE.size, true),
      blockSize: 2 ** data.getUint8(NAMESPACE.formatTable + format * 4 + 2),
    })
  }
  return namespaces
}
