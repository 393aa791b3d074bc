/** What the hypervisor does about each VM exit. It sees what a hypervisor on silicon sees: exit fields and the instruction. */
import { assert } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { XAPIC_BASE } from '../interrupts/formats/local-apic.ts'
import { eventVectorOf, ioQualificationPort } from '../vmx/formats/events.ts'
import { EXIT_REASON } from '../vmx/formats/exit-reasons.ts'
import { EXCEPTION } from '../vmx/formats/msrs.ts'
import type { Operation, Width, Word64 } from '../vmx/formats/operations.ts'
import { virtualCpuid } from './cpuid.ts'
import type { Exit } from './exit-record.ts'
import { HYPERCALL } from './formats/virtual-board.ts'
import type { HostProcessor } from './host-processor.ts'
import { readVirtualMsr, writeVirtualMsr } from './msrs.ts'
import { type GuestResult, guestResult } from './types.ts'
import type { VirtualApic } from './virtual-apic.ts'

/** The virtual processor that exited. */
export interface ExitedVcpu {
  readonly number: number
  readonly apic: VirtualApic
  readonly processor: HostProcessor
  /** Guest RFLAGS.IF at the exit. */
  readonly interruptsEnabled: boolean
}

/** What a virtual processor finds around it: ports and memory of its virtual machine, and the host below. */
export interface VcpuBoard {
  /** Virtual processors of the machine. */
  readonly vcpuCount: number
  /** Which device answers at a port; undefined: none. */
  portOwner(port: number): string | undefined
  in(port: number, width: number): number
  out(port: number, width: number, value: number): Software
  /** Which device answers at a guest-physical address that exits; undefined: none. */
  memoryOwner(address: number): string | undefined
  /** An aligned dword of guest-physical address space, emulated. */
  readDword(address: number): number
  writeDword(address: number, value: number, lanes: number): Software
  /** Has another processor end the guest's turn on this one. Throws `unsupported` if there is none. */
  reschedule(processor: number): void
  /** Hands a host interrupt that ended the guest's turn to the host kernel. */
  hostInterrupt(processor: number, vector: number): void
  /** Nanoseconds, for the time-stamp counter. */
  readonly now: number
}

export interface Answer {
  /** Name of what handled the exit. */
  readonly by: string
  /** The operation's result: it is done with. Absent: offer it again after the next entry. */
  readonly result?: GuestResult
  readonly exception?: { readonly vector: number; readonly error: number | undefined }
  /** Another VMCS is active now: the guest's guest was entered or left, and RIP is where it has to be. */
  readonly switched?: true
  /** The processor is in non-root mode already. */
  readonly entered?: true
}

const AGAIN = (by: string): Answer => ({ by })
const GENERAL_PROTECTION: Answer = { by: 'generalProtection', exception: { vector: EXCEPTION.GP, error: 0 } }
const INVALID_OPCODE: Answer = { by: 'invalidOpcode', exception: { vector: EXCEPTION.UD, error: undefined } }

const XAPIC_SIZE = 0x1000
const ALL_ONES = 0xffff_ffff

/** @param operation what the guest was about to execute; undefined if the exit came with the VM entry. */
export function* handleExit(
  exit: Exit,
  operation: Operation | undefined,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Software<Answer> {
  switch (exit.reason) {
    case EXIT_REASON.externalInterrupt:
      board.hostInterrupt(vcpu.processor.number, eventVectorOf(exit.interruptionInformation))
      return AGAIN('hostInterrupt')
    case EXIT_REASON.exceptionOrNmi:
      board.hostInterrupt(vcpu.processor.number, EXCEPTION.NMI)
      return AGAIN('hostInterrupt')
    case EXIT_REASON.init:
      // The host's processors are never sent INIT while they run guests; it has no meaning for the guest.
      return AGAIN('unhandled')
    case EXIT_REASON.eptMisconfiguration:
      assert(false, 'EPT entries are well formed')
      break
    case EXIT_REASON.interruptWindow:
      // The next entry injects: that is what the window was for.
      return AGAIN('interruptWindow')
    case EXIT_REASON.hlt:
      // It sleeps unless an interrupt waits that it may take.
      vcpu.apic.collectPosted()
      return {
        by: 'halt',
        result: guestResult(vcpu.interruptsEnabled && vcpu.apic.deliverable >= 0 ? 'done' : 'halted'),
      }
  }
  if (exit.reason === EXIT_REASON.apicWrite) {
    // Trap-like: the register is written already, and the operation that wrote it is over.
    vcpu.apic.written(exit.qualification & 0xff0)
    return AGAIN('virtualApic')
  }
  // The other reasons are caused by the operation itself.
  if (operation === undefined) return AGAIN('unhandled')
  switch (operation.op) {
    case 'cpuid':
      return {
        by: 'cpuid',
        result: virtualCpuid(vcpu.processor, operation, vcpu.apic.id, board.vcpuCount),
      }
    case 'in':
    case 'out':
      return yield* portAccess(ioQualificationPort(exit.qualification), operation, board)
    case 'rdmsr': {
      const value = readVirtualMsr(operation.msr, vcpu.apic, board.now)
      return value === undefined ? GENERAL_PROTECTION : { by: msrOwner(operation.msr), result: valued(value) }
    }
    case 'wrmsr':
      return writeVirtualMsr(operation.msr, operation.value, vcpu.apic)
        ? { by: msrOwner(operation.msr), result: guestResult('done') }
        : GENERAL_PROTECTION
    case 'vmcall':
      return { by: 'hypercall', result: valued(hypercall(operation.number, operation.argument ?? 0, vcpu)) }
    case 'read':
      return { by: memoryOwner(exit, vcpu, board), result: valued(readMemory(operation, vcpu, board)) }
    case 'write':
      yield* writeMemory(operation, vcpu, board)
      return { by: memoryOwner(exit, vcpu, board), result: guestResult('done') }
    case 'pause':
      return { by: 'pause', result: guestResult('done') }
    // Nothing but ones to fetch there, and no VMX for guests: neither is an instruction.
    case 'fetch':
    case 'vmxon':
    case 'vmxoff':
    case 'vmclear':
    case 'vmptrld':
    case 'vmptrst':
    case 'vmlaunch':
    case 'vmresume':
    case 'vmread':
    case 'vmwrite':
    case 'invept':
    case 'invvpid':
      return INVALID_OPCODE
    default:
      return { by: 'unhandled', result: guestResult('done') }
  }
}

function* portAccess(
  port: number,
  operation: Extract<Operation, { op: 'in' | 'out' }>,
  board: VcpuBoard,
): Software<Answer> {
  const owner = board.portOwner(port)
  const by = owner ?? 'noDevice'
  if (operation.op === 'out') {
    if (owner !== undefined) yield* board.out(port, operation.width, operation.value)
    return { by, result: guestResult('done') }
  }
  const absent = operation.width === 4 ? ALL_ONES : (1 << (8 * operation.width)) - 1
  const low = owner === undefined ? absent : board.in(port, operation.width)
  return { by, result: guestResult('done', { low }) }
}

const msrOwner = (msr: number): string =>
  msr === 0x1b || (msr >= 0x800 && msr <= 0x8ff) ? 'virtualApic' : 'virtualMsr'

function hypercall(number: number, argument: number, vcpu: ExitedVcpu): Word64 {
  switch (number) {
    case HYPERCALL.nop:
      return [0, 0]
    case HYPERCALL.vcpuNumber:
      return [vcpu.number, 0]
    case HYPERCALL.echo:
      return [argument >>> 0, 0]
    default:
      return [ALL_ONES, ALL_ONES]
  }
}

const inXapicPage = (address: number): boolean => address >= XAPIC_BASE && address < XAPIC_BASE + XAPIC_SIZE

function memoryOwner(exit: Exit, vcpu: ExitedVcpu, board: VcpuBoard): string {
  if (exit.reason === EXIT_REASON.apicAccess) return 'virtualApic'
  const address = exit.guestPhysicalAddress
  if (inXapicPage(address) && !vcpu.apic.x2apic) return 'virtualApic'
  return board.memoryOwner(address) ?? 'noDevice'
}

/** The bytes of an access as aligned dwords with lanes, ascending. */
function* dwords(address: number, width: Width): Generator<{ at: number; lanes: number; shift: number }> {
  for (let at = address - (address % 4); at < address + width; at += 4) {
    // Bit position in the dword of the access's first byte; negative once the access began in an earlier dword.
    const shift = (address - at) * 8
    const from = Math.max(shift, 0)
    const to = Math.min(shift + width * 8, 32)
    const lanes = to - from === 32 ? ALL_ONES : (((1 << (to - from)) - 1) << from) >>> 0
    yield { at, lanes, shift }
  }
}

/** Bits `position` to `position + 31` of a 64-bit value; positions outside it read 0. */
function slice(value: Word64, position: number): number {
  const word = (i: number): number => (i < 0 || i > 1 ? 0 : value[i]!)
  const i = Math.floor(position / 32)
  const bit = position - i * 32
  return bit === 0 ? word(i) : ((word(i) >>> bit) | (word(i + 1) << (32 - bit))) >>> 0
}

function readMemory(
  operation: Extract<Operation, { op: 'read' }>,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Word64 {
  const result: [number, number] = [0, 0]
  for (const { at, lanes, shift } of dwords(operation.address, operation.width)) {
    const value = (readDword(at, vcpu, board) & lanes) >>> 0
    const placed: Word64 = [value, 0]
    // The dword's bit `shift` is bit 0 of the result.
    result[0] = (result[0] | slice(placed, shift)) >>> 0
    result[1] = (result[1] | slice(placed, shift + 32)) >>> 0
  }
  return result
}

function* writeMemory(
  operation: Extract<Operation, { op: 'write' }>,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Software {
  for (const { at, lanes, shift } of dwords(operation.address, operation.width)) {
    yield* writeDword(at, slice(operation.value, -shift), lanes, vcpu, board)
  }
}

/** Only the virtual processor itself reaches its xAPIC page, and only in xAPIC mode. */
function readDword(address: number, vcpu: ExitedVcpu, board: VcpuBoard): number {
  if (!inXapicPage(address)) return board.readDword(address)
  if (vcpu.apic.x2apic) return ALL_ONES
  const offset = address - XAPIC_BASE
  return offset % 16 === 0 ? (vcpu.apic.read(offset) ?? 0) : 0
}

function* writeDword(
  address: number,
  value: number,
  lanes: number,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Software {
  if (!inXapicPage(address)) {
    yield* board.writeDword(address, value, lanes)
  } else if (!vcpu.apic.x2apic && (address - XAPIC_BASE) % 16 === 0) {
    // Registers are written by whole dwords; others have no effect.
    if (lanes === ALL_ONES) vcpu.apic.write(address - XAPIC_BASE, value)
  }
}

function valued([low, high]: Word64): GuestResult {
  assert(low >= 0 && high >= 0, 'result words are unsigned')
  return guestResult('done', { low, high })
}
