/** The NVM command set: NVM Express 1.4, §6. */
import {
  ALL_NAMESPACES,
  CDW0,
  DSM_DEALLOCATE,
  DSM_RANGE_SIZE,
  FORCE_UNIT_ACCESS,
  NVM,
  NVME_STATUS,
  SQE,
} from '../formats/nvme/index.ts'
import { type ControllerContext, namespaceOf } from './context.ts'
import type { Namespace } from './namespace.ts'

const PSDT_RESERVED = 3 << CDW0.PSDT_SHIFT
const TWO_32 = 2 ** 32

export function ioCommand(context: ControllerContext, command: Uint32Array): number {
  if ((command[0]! & CDW0.FUSE) !== 0) return NVME_STATUS.invalidField
  if ((command[0]! & CDW0.PSDT) === PSDT_RESERVED) return NVME_STATUS.invalidField
  const opcode = command[0]! & CDW0.OPCODE
  const nsid = command[SQE.nsid]!
  if (opcode === NVM.flush && nsid === ALL_NAMESPACES) return flushAll(context)
  if (!isKnown(opcode)) return NVME_STATUS.invalidOpcode
  if (!context.subsystem.namespaces.isIdentifier(nsid)) return NVME_STATUS.invalidNamespaceOrFormat
  const namespace = namespaceOf(context, nsid)
  // "NSID and Namespace Relationships": a valid identifier that is not active.
  if (namespace === undefined) return NVME_STATUS.invalidField
  switch (opcode) {
    case NVM.flush:
      return namespace.store.flush() ? NVME_STATUS.success : NVME_STATUS.writeFault
    case NVM.read:
      return read(context, namespace, command)
    case NVM.write:
      return write(context, namespace, command)
    case NVM.compare:
      return compare(context, namespace, command)
    case NVM.writeZeroes:
      return writeZeroes(context, namespace, command)
    default:
      return datasetManagement(context, namespace, command)
  }
}

const isKnown = (opcode: number): boolean =>
  opcode === NVM.flush ||
  opcode === NVM.write ||
  opcode === NVM.read ||
  opcode === NVM.compare ||
  opcode === NVM.writeZeroes ||
  opcode === NVM.datasetManagement

function flushAll({ subsystem, id }: ControllerContext): number {
  for (const { attached, store } of subsystem.namespaces.all) {
    if (attached[id] === 1 && !store.flush()) return NVME_STATUS.writeFault
  }
  return NVME_STATUS.success
}

/** Whether `count` blocks from a 64-bit number on lie in the namespace. */
const inRange = (namespace: Namespace, low: number, high: number, count: number): boolean =>
  high < 0x20_0000 && high * TWO_32 + low + count <= namespace.blocks

const firstByte = (namespace: Namespace, command: Uint32Array): number =>
  (command[SQE.cdw11]! * TWO_32 + command[SQE.cdw10]!) * 2 ** namespace.blockShift

const blocksOf = (command: Uint32Array): number => (command[SQE.cdw12]! & 0xffff) + 1

/** What reads, writes and comparisons have in common: size and place. */
function check(context: ControllerContext, namespace: Namespace, command: Uint32Array): number {
  const blocks = blocksOf(command)
  // MDTS
  if (blocks * 2 ** namespace.blockShift > context.largestTransfer) return NVME_STATUS.invalidField
  return inRange(namespace, command[SQE.cdw10]!, command[SQE.cdw11]!, blocks)
    ? NVME_STATUS.success
    : NVME_STATUS.lbaOutOfRange
}

function read(context: ControllerContext, namespace: Namespace, command: Uint32Array): number {
  const status = check(context, namespace, command)
  if (status !== NVME_STATUS.success) return status
  const length = blocksOf(command) * 2 ** namespace.blockShift
  if (!namespace.store.read(firstByte(namespace, command), context.data.buffer, 0, length)) {
    return NVME_STATUS.unrecoveredReadError
  }
  const { logs } = context.subsystem
  logs.readCommands++
  logs.blocksRead += length / 512
  return context.data.move(command, length, true)
}

/** All data is in the controller before the first block is changed: a failed transfer changes none. */
function write(context: ControllerContext, namespace: Namespace, command: Uint32Array): number {
  let status = check(context, namespace, command)
  if (status !== NVME_STATUS.success) return status
  const length = blocksOf(command) * 2 ** namespace.blockShift
  status = context.data.move(command, length, false)
  if (status !== NVME_STATUS.success) return status
  const { store } = namespace
  if (!store.write(firstByte(namespace, command), context.data.buffer, 0, length))
    return NVME_STATUS.writeFault
  const { logs } = context.subsystem
  logs.writeCommands++
  logs.blocksWritten += length / 512
  const through = (command[SQE.cdw12]! & FORCE_UNIT_ACCESS) !== 0 || !context.features.writeCache
  return !through || store.flush() ? NVME_STATUS.success : NVME_STATUS.writeFault
}

/** Compared in pieces of the scratch buffer. */
const scratch = new Uint8Array(4096)

function compare(context: ControllerContext, namespace: Namespace, command: Uint32Array): number {
  let status = check(context, namespace, command)
  if (status !== NVME_STATUS.success) return status
  const length = blocksOf(command) * 2 ** namespace.blockShift
  status = context.data.move(command, length, false)
  if (status !== NVME_STATUS.success) return status
  const from = firstByte(namespace, command)
  const { buffer } = context.data
  for (let done = 0; done < length; ) {
    const part = Math.min(scratch.length, length - done)
    if (!namespace.store.read(from + done, scratch, 0, part)) return NVME_STATUS.unrecoveredReadError
    if (Buffer.prototype.compare.call(buffer, scratch, 0, part, done, done + part) !== 0) {
      return NVME_STATUS.compareFailure
    }
    done += part
  }
  context.subsystem.logs.readCommands++
  return NVME_STATUS.success
}

/** Deallocated blocks read as zeros, so both ways of writing zeros are one. */
function writeZeroes(_: ControllerContext, namespace: Namespace, command: Uint32Array): number {
  const blocks = blocksOf(command)
  if (!inRange(namespace, command[SQE.cdw10]!, command[SQE.cdw11]!, blocks)) return NVME_STATUS.lbaOutOfRange
  const done = namespace.store.discard(firstByte(namespace, command), blocks * 2 ** namespace.blockShift)
  return done ? NVME_STATUS.success : NVME_STATUS.writeFault
}

/** "Dataset Management": every range is checked before the first is deallocated; other attributes are hints. */
function datasetManagement(context: ControllerContext, namespace: Namespace, command: Uint32Array): number {
  const ranges = (command[SQE.cdw10]! & 0xff) + 1
  const status = context.data.move(command, ranges * DSM_RANGE_SIZE, false)
  if (status !== NVME_STATUS.success) return status
  const { buffer } = context.data
  for (let at = 0; at < ranges * DSM_RANGE_SIZE; at += DSM_RANGE_SIZE) {
    if (!inRange(namespace, word(buffer, at + 8), word(buffer, at + 12), word(buffer, at + 4))) {
      return NVME_STATUS.lbaOutOfRange
    }
  }
  if ((command[SQE.cdw11]! & DSM_DEALLOCATE) === 0) return NVME_STATUS.success
  const size = 2 ** namespace.blockShift
  for (let at = 0; at < ranges * DSM_RANGE_SIZE; at += DSM_RANGE_SIZE) {
    const first = word(buffer, at + 12) * TWO_32 + word(buffer, at + 8)
    const count = word(buffer, at + 4)
    if (!namespace.store.discard(first * size, count * size)) return NVME_STATUS.writeFault
  }
  return NVME_STATUS.success
}

const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

/** Whether a status is to be logged as the error of a read or write, with its block number. */
export const hasBlockNumber = (command: Uint32Array): boolean => {
  const opcode = command[0]! & CDW0.OPCODE
  return opcode === NVM.read || opcode === NVM.write || opcode === NVM.compare || opcode === NVM.writeZeroes
}
