/** "Exit Qualification" by basic exit reason: its fields by name, for people and programs that follow what a guest does. */
import { hex, hex64 } from '../../core/index.ts'
import {
  EPT_VIOLATION,
  eventTypeOf,
  eventVectorOf,
  INTERRUPTION_VALID,
  IO_QUALIFICATION,
  ioQualificationInput,
  ioQualificationPort,
  ioQualificationWidth,
} from './events.ts'
import { EXIT_REASON } from './exit-reasons.ts'

export type Facts = Record<string, number | boolean | string>

const REGISTERS = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI'] as const
const registerName = (code: number): string => REGISTERS[code] ?? `R${code}`
const CR_ACCESSES = ['movTo', 'movFrom', 'clts', 'lmsw'] as const
const TASK_SOURCES = ['call', 'iret', 'jmp', 'gate'] as const
const EVENT_TYPES = [
  'externalInterrupt',
  'reserved',
  'nmi',
  'hardwareException',
  'softwareInterrupt',
  'privilegedSoftwareException',
  'softwareException',
  'other',
] as const
const APIC_ACCESSES: Readonly<Record<number, string>> = {
  0: 'read',
  1: 'write',
  2: 'fetch',
  3: 'eventDelivery',
  10: 'guestPhysicalDuringEventDelivery',
  15: 'guestPhysical',
}
const MEMORY_OPERAND: readonly number[] = [
  EXIT_REASON.vmclear,
  EXIT_REASON.vmptrld,
  EXIT_REASON.vmptrst,
  EXIT_REASON.vmread,
  EXIT_REASON.vmwrite,
  EXIT_REASON.vmxon,
  EXIT_REASON.gdtrIdtrAccess,
  EXIT_REASON.ldtrTrAccess,
  EXIT_REASON.invept,
  EXIT_REASON.invvpid,
  EXIT_REASON.invpcid,
  EXIT_REASON.xsaves,
  EXIT_REASON.xrstors,
]

/** An event as VM-exit interruption or IDT-vectoring information tells it; undefined if it is not valid. */
export function describeEvent(information: number): Facts | undefined {
  if ((information & INTERRUPTION_VALID) === 0) return undefined
  return { type: EVENT_TYPES[eventTypeOf(information)]!, vector: eventVectorOf(information) }
}

/** @param low, high the qualification's words. */
export function describeQualification(reason: number, low: number, high: number): Facts {
  const bit = (mask: number): boolean => (low & mask) !== 0
  switch (reason & 0xffff) {
    case EXIT_REASON.startUpIpi:
    case EXIT_REASON.virtualizedEoi:
      return { vector: low & 0xff }
    case EXIT_REASON.taskSwitch:
      return { selector: hex(low & 0xffff), source: TASK_SOURCES[low >>> 30]! }
    case EXIT_REASON.invlpg:
      return { linearAddress: hex64(low, high) }
    case EXIT_REASON.controlRegisterAccess:
      return crAccess(low)
    case EXIT_REASON.movDr:
      return {
        register: `DR${low & 7}`,
        direction: bit(1 << 4) ? 'from' : 'to',
        general: registerName((low >>> 8) & 0xf),
      }
    case EXIT_REASON.ioInstruction:
      return {
        port: hex(ioQualificationPort(low)),
        width: ioQualificationWidth(low),
        direction: ioQualificationInput(low) ? 'in' : 'out',
        ...(bit(IO_QUALIFICATION.string) && { string: true, rep: bit(IO_QUALIFICATION.rep) }),
        ...(bit(IO_QUALIFICATION.immediate) && { immediate: true }),
      }
    case EXIT_REASON.mwait:
      return { monitorArmed: bit(1) }
    case EXIT_REASON.apicAccess:
      return { offset: hex(low & 0xfff), access: APIC_ACCESSES[(low >>> 12) & 0xf] ?? 'reserved' }
    case EXIT_REASON.apicWrite:
      return { offset: hex(low & 0xfff) }
    case EXIT_REASON.eptViolation:
      return eptViolation(low)
    case EXIT_REASON.entryFailureGuestState:
      return { check: { 2: 'PDPTE', 3: 'NMI', 4: 'linkPointer' }[low] ?? 'guestState' }
    case EXIT_REASON.entryFailureMsrLoading:
      return { entry: low }
  }
  return MEMORY_OPERAND.includes(reason & 0xffff) && (low | high) !== 0
    ? { displacement: hex64(low, high) }
    : {}
}

function crAccess(low: number): Facts {
  const access = (low >>> 4) & 3
  return {
    register: `CR${low & 0xf}`,
    access: CR_ACCESSES[access]!,
    ...(access < 2 && { general: registerName((low >>> 8) & 0xf) }),
    ...(access === 3 && { source: hex(low >>> 16) }),
  }
}

function eptViolation(low: number): Facts {
  const bit = (mask: number): boolean => (low & mask) !== 0
  return {
    read: bit(EPT_VIOLATION.read),
    write: bit(EPT_VIOLATION.write),
    fetch: bit(EPT_VIOLATION.fetch),
    readable: bit(EPT_VIOLATION.readable),
    writable: bit(EPT_VIOLATION.writable),
    executable: bit(EPT_VIOLATION.executable),
  }
}
