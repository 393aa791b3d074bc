/** What the kernel of a stream's guest does on its own: start, entering user mode, and handling of every vector. */
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import { FRESH_USER } from './image.ts'
import {
  AT,
  type Bits,
  entryAddress,
  FIRST_DEVICE_VECTOR,
  KERNEL_STACK_TOP,
  LAZY_PAGES,
  PAGE,
  rootOf,
  SELECTOR,
  USER_STACK_TOP,
  VECTOR,
  wordBytes,
} from './layout.ts'

const word = (low: number, high = 0): Word64 => [low >>> 0, high]
const APIC_REGISTER = { taskPriority: 0x80, endOfInterrupt: 0xb0, spurious: 0xf0 } as const
const APIC_ENABLED = 0x1ff
const FLAGS_FIXED = 2
export const FLAGS_IF = 0x200
const SYSENTER_MSRS = { cs: 0x174, esp: 0x175, eip: 0x176 } as const

const apicWrite = (register: number, value: number): Operation => ({
  op: 'writeLinear',
  address: word(AT.apicWindow + register),
  width: 4,
  value: word(value),
})

/** The first operations of every stream. */
export const startKernel = (): Operation[] => [
  apicWrite(APIC_REGISTER.spurious, APIC_ENABLED),
  { op: 'wrmsr', msr: SYSENTER_MSRS.cs, value: word(SELECTOR.kernelCode) },
  { op: 'wrmsr', msr: SYSENTER_MSRS.esp, value: word(KERNEL_STACK_TOP) },
  { op: 'wrmsr', msr: SYSENTER_MSRS.eip, value: word(AT.kernelCode) },
]

/** Task priority: CR8 in 64-bit mode, the APIC's register elsewhere. */
export const setTaskPriority = (bits: Bits, priority: number): Operation =>
  bits === 64
    ? { op: 'movToCr', cr: 8, value: word(priority) }
    : apicWrite(APIC_REGISTER.taskPriority, priority << 4)

export const switchProcess = (process: number): Operation => ({
  op: 'movToCr',
  cr: 3,
  value: word(rootOf(process)),
})

/** A frame built on the kernel stack and IRET through it, to user mode with interrupts on. */
export function enterUser(bits: Bits): Operation[] {
  const size = wordBytes(bits)
  const frame = KERNEL_STACK_TOP - 5 * size
  const values = [
    AT.userCode,
    SELECTOR.userCode[bits],
    FLAGS_FIXED | FLAGS_IF,
    USER_STACK_TOP,
    SELECTOR.userData[bits],
  ]
  return [
    ...values.map(
      (value, i): Operation => ({
        op: 'writeLinear',
        address: word(frame + i * size),
        width: size as 4 | 8,
        value: word(value),
      }),
    ),
    { op: 'movToSp', value: word(frame) },
    { op: 'iretFrame' },
  ]
}

/** What a system call does before it returns. */
const systemCallBody = (bits: Bits, number: number): Operation[] => [
  { op: 'readLinear', address: word(AT.kernelData + (number % 64) * 8), width: wordBytes(bits) as 4 | 8 },
  { op: 'writeLinear', address: word(AT.kernelData + (number % 64) * 8), width: 4, value: word(number) },
]

export const interruptSystemCall = (bits: Bits, number: number): Operation[] => [
  ...systemCallBody(bits, number),
  { op: 'iretFrame' },
]

export const fastSystemCall = (bits: Bits, number: number): Operation[] => [
  ...systemCallBody(bits, number),
  { op: 'sti' },
  { op: 'sysexit', rip: word(AT.userCode), rsp: word(USER_STACK_TOP) },
]

export const isDeviceVector = (vector: number): boolean => vector >= FIRST_DEVICE_VECTOR && vector !== 0x80

/** A device's handler counts the interrupt in memory and ends it. */
export const deviceHandler = (vector: number, count: number): Operation[] => [
  {
    op: 'writeLinear',
    address: word(AT.kernelData + PAGE + (vector & 0xff) * 4),
    width: 4,
    value: word(count),
  },
  apicWrite(APIC_REGISTER.endOfInterrupt, 0),
  { op: 'iretFrame' },
]

const isLazy = (address: number): boolean =>
  address >= AT.lazy && address < AT.lazy + LAZY_PAGES * PAGE && address < AT.apicWindow

/** Whether the page-fault handler maps the page; else the access was wrong, and the program goes on without it. */
export const isDemandFault = (error: number, address: number): boolean => (error & 1) === 0 && isLazy(address)

export function mapPage(bits: Bits, process: number, address: number): Operation {
  const linear = address - (address % PAGE)
  const low = (linear | FRESH_USER) >>> 0
  return {
    op: 'writeLinear',
    address: word(entryAddress(bits, process, linear)),
    width: wordBytes(bits) as 4 | 8,
    value: word(low),
  }
}

export const unmapPage = (bits: Bits, process: number, address: number): Operation[] => [
  {
    op: 'writeLinear',
    address: word(entryAddress(bits, process, address)),
    width: wordBytes(bits) as 4 | 8,
    value: word(0),
  },
  { op: 'invlpg', address: word(address) },
]

/** Return from an exception; `hasError`: its error code is popped first. */
export const returnFromException = (bits: Bits, hasError: boolean): Operation => ({
  op: 'iretFrame',
  ...(hasError && { pop: wordBytes(bits) }),
})

/** Vectors of exceptions that push an error code. */
const WITH_ERROR = [8, 10, 11, 12, 13, 14, 17]
export const hasErrorCode = (vector: number): boolean => WITH_ERROR.includes(vector)

export { VECTOR }
