/** What the hypervisor does about each VM exit. It sees what a hypervisor on silicon sees: exit fields and the instruction. */
import { assert } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { XAPIC_BASE } from '../interrupts/formats/local-apic.ts'
import { eventVectorOf, ioQualificationPort } from '../vmx/formats/events.ts'
import { EXIT_REASON } from '../vmx/formats/exit-reasons.ts'
import { EXCEPTION } from '../vmx/formats/msrs.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { virtualCpuid } from './cpuid.ts'
import type { Exit } from './exit-record.ts'
import { HYPERCALL } from './formats/virtual-board.ts'
import type { HostProcessor } from './host-processor.ts'
import { readVirtualMsr, writeVirtualMsr } from './msrs.ts'
import { DONE, type GuestResult, guestResult, HALTED } from './types.ts'
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
  readonly memoryMiB: number
  /** Which device answers at a port; undefined: none. */
  portOwner(port: number): string | undefined
  in(port: number, width: number): number
  out(port: number, width: number, value: number): Software
  /** Which device answers at a guest-physical address that exits; undefined: none. */
  memoryOwner(address: number): string | undefined
  /** Whether guest memory is at a guest-physical address, though its page may not be there now. */
  hasMemoryAt(address: number): boolean
  /**
   * The guest's tables do not let it reach an address: brings memory that is not there yet. False: there is none, and the
   * access is one to a device. Throws `outOfMemory`.
   */
  memoryFault(address: number, write: boolean): Software<boolean>
  /** The processor has no room left to tell of pages that a virtual processor changes. */
  modificationLogFull(vcpu: number): void
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

// Answers that say always the same are made once: an interrupt of a guest causes several exits.
const again = (by: string): Answer => ({ by })
const done = (by: string): Answer => ({ by, result: DONE })
const HOST_INTERRUPT = again('hostInterrupt')
const INTERRUPT_WINDOW = again('interruptWindow')
const APIC_WRITTEN = again('virtualApic')
const LOG_EMPTIED = again('dirtyLog')
const TURN_OVER = again('scheduler')
const PAGE_BROUGHT = again('memory')
const UNHANDLED_EVENT = again('unhandled')
const APIC_MSR_WRITTEN = done('virtualApic')
const MSR_WRITTEN = done('virtualMsr')
const WOKEN: Answer = done('halt')
const ASLEEP: Answer = { by: 'halt', result: HALTED }
const PAUSED = done('pause')
const UNHANDLED = done('unhandled')
const GENERAL_PROTECTION: Answer = { by: 'generalProtection', exception: { vector: EXCEPTION.GP, error: 0 } }
const INVALID_OPCODE: Answer = { by: 'invalidOpcode', exception: { vector: EXCEPTION.UD, error: undefined } }

const XAPIC_SIZE = 0x1000
/** "Exit Qualification for EPT Violations", bit 1: the access was a data write. */
const EPT_VIOLATION_WRITE = 2
const ALL_ONES = 0xffff_ffff

/**
 * The answer to an exit that the hypervisor gives at once. undefined: {@link answerInTime} gives it.
 *
 * @param operation what the guest was about to execute; undefined if the exit came with the VM entry.
 */
export function answerAtOnce(
  exit: Exit,
  operation: Operation | undefined,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Answer | undefined {
  const mayBePaged = exit.reason === EXIT_REASON.eptViolation && board.hasMemoryAt(exit.guestPhysicalAddress)
  return mayBePaged ? undefined : answer(exit, operation, vcpu, board)
}

function answer(
  exit: Exit,
  operation: Operation | undefined,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Answer | undefined {
  switch (exit.reason) {
    case EXIT_REASON.externalInterrupt:
      board.hostInterrupt(vcpu.processor.number, eventVectorOf(exit.interruptionInformation))
      return HOST_INTERRUPT
    case EXIT_REASON.exceptionOrNmi:
      board.hostInterrupt(vcpu.processor.number, EXCEPTION.NMI)
      return HOST_INTERRUPT
    case EXIT_REASON.init:
      // The host's processors are never sent INIT while they run guests; it has no meaning for the guest.
      return UNHANDLED_EVENT
    case EXIT_REASON.eptMisconfiguration:
      assert(false, 'EPT entries are well formed')
      break
    case EXIT_REASON.pageModificationLogFull:
      board.modificationLogFull(vcpu.number)
      return LOG_EMPTIED
    case EXIT_REASON.preemptionTimerExpired:
      // Its turn is over, and the scheduler knows.
      return TURN_OVER
    case EXIT_REASON.interruptWindow:
      // The next entry injects: that is what the window was for.
      return INTERRUPT_WINDOW
    case EXIT_REASON.hlt:
      // It sleeps unless an interrupt waits that it may take.
      vcpu.apic.collectPosted()
      return vcpu.interruptsEnabled && vcpu.apic.deliverable >= 0 ? WOKEN : ASLEEP
  }
  if (exit.reason === EXIT_REASON.apicWrite) {
    // Trap-like: the register is written already, and the operation that wrote it is over.
    vcpu.apic.written(exit.qualification & 0xff0)
    return APIC_WRITTEN
  }
  // The other reasons are caused by the operation itself.
  if (operation === undefined) return UNHANDLED_EVENT
  switch (operation.op) {
    case 'cpuid':
      return {
        by: 'cpuid',
        result: virtualCpuid(vcpu.processor, operation, vcpu.apic.id, board.vcpuCount),
      }
    case 'in':
      return portRead(ioQualificationPort(exit.qualification), operation.width, board)
    case 'rdmsr': {
      const value = readVirtualMsr(operation.msr, vcpu.apic, board.now)
      return value === undefined ? GENERAL_PROTECTION : { by: msrOwner(operation.msr), result: valued(value) }
    }
    case 'wrmsr':
      if (!writeVirtualMsr(operation.msr, operation.value, vcpu.apic)) return GENERAL_PROTECTION
      return isApicMsr(operation.msr) ? APIC_MSR_WRITTEN : MSR_WRITTEN
    case 'vmcall':
      return {
        by: 'hypercall',
        result: valued(hypercall(operation.number, operation.argument ?? 0, vcpu, board)),
      }
    case 'read':
      return { by: memoryOwner(exit, vcpu, board), result: valued(readMemory(operation, vcpu, board)) }
    case 'out':
    case 'write':
      return undefined
    case 'pause':
      return PAUSED
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
      return UNHANDLED
  }
}

/** The answer to an exit for which {@link answerAtOnce} had none: a page is brought, or a device written, which may take time. */
export function* answerInTime(
  exit: Exit,
  operation: Operation | undefined,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Software<Answer> {
  if (exit.reason === EXIT_REASON.eptViolation) {
    const write = (exit.qualification & EPT_VIOLATION_WRITE) !== 0
    if (yield* board.memoryFault(exit.guestPhysicalAddress, write)) return PAGE_BROUGHT
  }
  const other = answer(exit, operation, vcpu, board)
  if (other !== undefined) return other
  if (operation?.op === 'out')
    return yield* portWrite(ioQualificationPort(exit.qualification), operation, board)
  assert(operation?.op === 'write', 'nothing but writes reaches a device that may wait')
  yield* writeMemory(operation, vcpu, board)
  return done(memoryOwner(exit, vcpu, board))
}

function* portWrite(
  port: number,
  { width, value }: Extract<Operation, { op: 'out' }>,
  board: VcpuBoard,
): Software<Answer> {
  const owner = board.portOwner(port)
  if (owner !== undefined) yield* board.out(port, width, value)
  return done(owner ?? 'noDevice')
}

function portRead(port: number, width: number, board: VcpuBoard): Answer {
  const owner = board.portOwner(port)
  const absent = width === 4 ? ALL_ONES : (1 << (8 * width)) - 1
  const low = owner === undefined ? absent : board.in(port, width)
  return { by: owner ?? 'noDevice', result: guestResult('done', { low }) }
}

const isApicMsr = (msr: number): boolean => msr === 0x1b || (msr >= 0x800 && msr <= 0x8ff)

const msrOwner = (msr: number): string => (isApicMsr(msr) ? 'virtualApic' : 'virtualMsr')

function hypercall(number: number, argument: number, vcpu: ExitedVcpu, board: VcpuBoard): Word64 {
  switch (number) {
    case HYPERCALL.nop:
      return [0, 0]
    case HYPERCALL.vcpuNumber:
      return [vcpu.number, 0]
    case HYPERCALL.echo:
      return [argument >>> 0, 0]
    case HYPERCALL.memorySize:
      return [board.memoryMiB, 0]
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

// The bytes of an access as aligned dwords, ascending. `shift`: bit position in a dword of the first byte of the access;
// negative once that lies in an earlier dword.

/** Which bits of a dword an access carries. */
function lanesAt(shift: number, width: number): number {
  const from = Math.max(shift, 0)
  const to = Math.min(shift + width * 8, 32)
  return to - from === 32 ? ALL_ONES : (((1 << (to - from)) - 1) << from) >>> 0
}

/** Bits `position` to `position + 31` of a 64-bit value; positions outside it read 0. */
function slice(value: Word64, position: number): number {
  const i = Math.floor(position / 32)
  const bit = position - i * 32
  return bit === 0 ? word(value, i) : ((word(value, i) >>> bit) | (word(value, i + 1) << (32 - bit))) >>> 0
}

const word = (value: Word64, i: number): number => (i < 0 || i > 1 ? 0 : value[i]!)

function readMemory(
  { address, width }: Extract<Operation, { op: 'read' }>,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Word64 {
  const result: [number, number] = [0, 0]
  for (let at = address - (address % 4); at < address + width; at += 4) {
    const shift = (address - at) * 8
    const placed: Word64 = [(readDword(at, vcpu, board) & lanesAt(shift, width)) >>> 0, 0]
    // The dword's bit `shift` is bit 0 of the result.
    result[0] = (result[0] | slice(placed, shift)) >>> 0
    result[1] = (result[1] | slice(placed, shift + 32)) >>> 0
  }
  return result
}

function* writeMemory(
  { address, width, value }: Extract<Operation, { op: 'write' }>,
  vcpu: ExitedVcpu,
  board: VcpuBoard,
): Software {
  for (let at = address - (address % 4); at < address + width; at += 4) {
    const shift = (address - at) * 8
    const dword = slice(value, -shift)
    const lanes = lanesAt(shift, width)
    if (inXapicPage(at)) writeXapic(at, dword, lanes, vcpu)
    else yield* board.writeDword(at, dword, lanes)
  }
}

/** Only the virtual processor itself reaches its xAPIC page, and only in xAPIC mode. */
function readDword(address: number, vcpu: ExitedVcpu, board: VcpuBoard): number {
  if (!inXapicPage(address)) return board.readDword(address)
  if (vcpu.apic.x2apic) return ALL_ONES
  const offset = address - XAPIC_BASE
  return offset % 16 === 0 ? (vcpu.apic.read(offset) ?? 0) : 0
}

/** Registers are written by whole dwords; others have no effect. */
function writeXapic(address: number, value: number, lanes: number, vcpu: ExitedVcpu): void {
  const offset = address - XAPIC_BASE
  if (!vcpu.apic.x2apic && offset % 16 === 0 && lanes === ALL_ONES) vcpu.apic.write(offset, value)
}

function valued([low, high]: Word64): GuestResult {
  assert(low >= 0 && high >= 0, 'result words are unsigned')
  return guestResult('done', { low, high })
}
