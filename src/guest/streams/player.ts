/**
 * Runs a stream on a port: offers its operations one after another, and for each event that the processor delivers runs
 * the kernel's handler, as deep as events nest. Everything the guest can see goes into its record of observations.
 */
import type { Operation } from '../../vmx/formats/operations.ts'
import {
  deviceHandler,
  fastSystemCall,
  hasErrorCode,
  interruptSystemCall,
  isDemandFault,
  isDeviceVector,
  mapPage,
  returnFromException,
  VECTOR,
} from './kernel-routines.ts'
import { AT, type Bits, KERNEL_STACK_TOP } from './layout.ts'
import type { StreamPort, StreamResult } from './stream-port.ts'

/** One thing that happens next. */
export type Step =
  | { readonly kind: 'operation'; readonly operation: Operation; readonly at: number }
  /** A device raises an interrupt. */
  | { readonly kind: 'interrupt'; readonly vector: number }
  /** The user program calls the kernel, which does not return to it. */
  | { readonly kind: 'leaveUser' }

/** What the outside world does while a stream runs. */
export interface World {
  raise(vector: number): void
}

const MOST_NESTING = 16
/** Times that one operation may be tried again: after its page was mapped, after interrupts. */
const MOST_RETRIES = 32
/** Bytes of a handler's code. */
const HANDLER_BYTES = 16
/** Operations lie this far apart in the program's code. */
export const OPERATION_BYTES = 4
/** Bits of RSP and time that are no part of the record. */
const UNOBSERVED: readonly Operation['op'][] = ['rdtsc', 'rdtscp']

export class Player {
  readonly #bits: Bits
  readonly #port: StreamPort
  readonly #world: World
  readonly #counts = new Map<number, number>()
  #process = 0
  #depth = 0
  #calls = 0
  #leaving = false
  /** Values that operations yielded, and events as they came, in order. */
  readonly observations: number[] = []
  /** Vectors delivered, in order. */
  readonly delivered: number[] = []
  failed = false

  constructor(bits: Bits, port: StreamPort, world: World) {
    this.#bits = bits
    this.#port = port
    this.#world = world
  }

  play(steps: readonly Step[]): void {
    for (const step of steps) {
      if (this.failed) return
      if (step.kind === 'interrupt') this.#world.raise(step.vector)
      else if (step.kind === 'leaveUser') this.#leaveUser()
      else this.run(step.operation, step.at)
    }
  }

  /** Executes an operation to its end; returns the last result. */
  run(operation: Operation, at: number): StreamResult {
    for (let tries = 0; ; tries++) {
      const result = this.#port.execute(operation, at)
      if (result.outcome === 'failed' || tries > MOST_RETRIES) {
        this.failed = true
        return result
      }
      if (result.outcome !== 'event') {
        this.#observe(operation, result)
        return result
      }
      if (!this.#handle(result, operation)) return result
    }
  }

  #observe(operation: Operation, { low, high, eax, ebx, ecx, edx }: StreamResult): void {
    if (operation.op === 'movToCr' && operation.cr === 3) {
      this.#process = (operation.value[0] - AT.tables) / 0x4000
    }
    if (operation.op === 'sysenter') this.#list(fastSystemCall(this.#bits, this.#calls++), AT.kernelCode)
    if (UNOBSERVED.includes(operation.op)) return
    this.observations.push(low, high, eax, ebx, ecx, edx)
  }

  /** A system call whose handler switches to the kernel's own work: its frame is dropped from the stack. */
  #leaveUser(): void {
    this.#leaving = true
    this.run({ op: 'int', vector: VECTOR.systemCall }, AT.userCode + 0x2000)
    this.#leaving = false
    const stack: Operation = { op: 'movToSp', value: [KERNEL_STACK_TOP, 0] }
    this.run(stack, AT.kernelCode + 0x4000)
    this.run({ op: 'sti' }, AT.kernelCode + 0x4004)
  }

  /** Runs the handler of a delivered event; true: the operation is to be tried again. */
  #handle({ vector, error }: StreamResult, operation: Operation): boolean {
    this.delivered.push(vector)
    this.observations.push(-1 - vector, hasErrorCode(vector) ? error : 0)
    if (++this.#depth > MOST_NESTING) {
      this.failed = true
      return false
    }
    const at = AT.kernelCode + vector * HANDLER_BYTES
    const software = operation.op === 'int' && operation.vector === vector
    let again = true
    if (isDeviceVector(vector) && !software) {
      const count = (this.#counts.get(vector) ?? 0) + 1
      this.#counts.set(vector, count)
      this.#list(deviceHandler(vector, count), at)
    } else if (vector === VECTOR.pageFault) again = this.#pageFault(error, at)
    else if (software && this.#leaving) again = false
    else if (software) {
      this.#list(interruptSystemCall(this.#bits, this.#calls++), at)
      again = false
    } else {
      this.#list([returnFromException(this.#bits, hasErrorCode(vector))], at)
      again = false
    }
    this.#depth--
    return again && !this.failed
  }

  #pageFault(error: number, at: number): boolean {
    const { low, high } = this.run({ op: 'movFromCr', cr: 2 }, at)
    const demand = high === 0 && isDemandFault(error, low)
    if (demand) this.run(mapPage(this.#bits, this.#process, low), at + OPERATION_BYTES)
    this.run(returnFromException(this.#bits, true), at + 2 * OPERATION_BYTES)
    return demand
  }

  #list(operations: readonly Operation[], at: number): void {
    for (const [i, operation] of operations.entries()) {
      if (!this.failed) this.run(operation, at + i * OPERATION_BYTES)
    }
  }
}
