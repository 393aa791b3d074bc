/** What a hypervisor does in a guest's place for operations whose effect is the same however they were caught. */
import type { ProcessorPort } from '../../platform/machine-port.ts'
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import type { GuestSpace } from './guest-space.ts'
import { must } from './processor-boot.ts'
import type { OutcomeRecord } from './technique.ts'
import type { VirtualBoard } from './virtual-board.ts'

/** Operations that move data between the program and memory by linear address. */
export type LinearOperation = Extract<Operation, { op: 'readLinear' | 'writeLinear' }>

export const isLinear = (operation: Operation): operation is LinearOperation =>
  operation.op === 'readLinear' || operation.op === 'writeLinear'

/** IN and OUT on the guest's board. */
export function emulatePort(
  operation: Extract<Operation, { op: 'in' | 'out' }>,
  board: VirtualBoard,
  outcome: OutcomeRecord,
): OutcomeRecord {
  const { port, width } = operation
  if (operation.op === 'in') return outcome.done(board.in(port, width))
  board.out(port, width, operation.value)
  return outcome.done()
}

/** CPUID: the guest sees the processor that there is. */
export const emulateCpuid = (
  operation: Extract<Operation, { op: 'cpuid' }>,
  processor: ProcessorPort,
  outcome: OutcomeRecord,
): OutcomeRecord => outcome.copy(must(processor, operation))

/** An access to registers by guest-physical address. */
export function emulateRegisters(
  operation: Operation,
  address: number,
  board: VirtualBoard,
  outcome: OutcomeRecord,
): OutcomeRecord {
  if (operation.op === 'writeLinear') {
    board.writeRegister(address, operation.value[0])
    return outcome.done()
  }
  return outcome.done(board.readRegister(address))
}

/** An access to guest memory, in the operation's place. It lies within a page. */
export function emulateMemory(
  operation: LinearOperation,
  address: number,
  space: GuestSpace,
  outcome: OutcomeRecord,
): OutcomeRecord {
  const { width } = operation
  const value: [number, number] = [0, 0]
  for (let done = 0; done < width; ) {
    const at = address + done
    const shift = (at & 3) * 8
    const bytes = Math.min(4 - (at & 3), width - done)
    const lanes = bytes === 4 ? 0xffff_ffff : (((1 << (bytes * 8)) - 1) << shift) >>> 0
    if (operation.op === 'writeLinear') {
      space.write(at & ~3, slice(operation.value, done) << shift, lanes)
    } else {
      const dword = (space.read(at & ~3) & lanes) >>> shift
      value[done >>> 2]! |= dword << ((done & 3) * 8)
    }
    done += bytes
  }
  return outcome.done(value[0], value[1])
}

/** 32 bits of a value from a byte on. */
function slice([low, high]: Word64, byte: number): number {
  if (byte === 0) return low
  if (byte >= 4) return high >>> ((byte - 4) * 8)
  return (low >>> (byte * 8)) | (high << (32 - byte * 8))
}
