/** The kernel's interrupt vectors: handed out per processor, dispatched, and ended with EOI. */
import { assert, NorthbridgeError } from '../core/index.ts'
import { APIC_BASE, LOCAL_APIC, SVR, XAPIC_BASE, x2apicMsr } from '../interrupts/formats/local-apic.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { MSR } from '../vmx/formats/msrs.ts'
import type { Operation, OperationResult } from '../vmx/formats/operations.ts'

/** Below are exceptions and vectors kept for the kernel itself; above, those of processors to each other. */
const FIRST_VECTOR = 0x30
const LAST_VECTOR = 0xee
const SPURIOUS_VECTOR = 0xff
/** Vectors that each processor has for devices. */
export const VECTORS = LAST_VECTOR - FIRST_VECTOR + 1

/** A vector on a processor: where a message-signalled interrupt is to go. */
export interface HostVector {
  readonly processor: number
  readonly apicId: number
  readonly vector: number
}

interface Line {
  readonly name: string
  readonly handler: (processor: number) => void
  count: number
}

export class HostInterrupts {
  readonly #machine: MachinePort
  #x2apic = false
  #apicIds: number[] = []
  /** By processor, then by vector. */
  readonly #lines: readonly Map<number, Line>[]
  /** The same for vectors that are the kernel's own. */
  readonly #own: readonly Map<number, Line>[]
  #unexpected = 0

  constructor(machine: MachinePort) {
    this.#machine = machine
    this.#lines = machine.processors.map(() => new Map())
    this.#own = machine.processors.map(() => new Map())
  }

  /** Switches every local APIC on, to x2APIC mode if `x2apic`, and lets the processors be interrupted. */
  enable(x2apic: boolean): void {
    this.#x2apic = x2apic
    this.#apicIds = this.#machine.processors.map(({ number }) => {
      const base = this.#execute(number, { op: 'rdmsr', msr: MSR.IA32_APIC_BASE })
      const mode = APIC_BASE.EN | (x2apic ? APIC_BASE.EXTD : 0)
      const value = [(base.low | mode) >>> 0, base.high] as const
      this.#execute(number, { op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value })
      this.#writeApic(number, LOCAL_APIC.TPR, 0)
      this.#writeApic(number, LOCAL_APIC.SVR, SVR.enable | SPURIOUS_VECTOR)
      const id = this.#readApic(number, LOCAL_APIC.ID)
      this.#execute(number, { op: 'sti' })
      return x2apic ? id >>> 0 : id >>> 24
    })
  }

  /** Whether the local APICs are in x2APIC mode. */
  get x2apic(): boolean {
    return this.#x2apic
  }

  apicId(processor: number): number {
    return this.#apicIds[processor]!
  }

  /** Keeps a vector of the kernel's own on every processor; it is none of those that devices get. */
  reserve(vector: number, name: string, handler: (processor: number) => void): void {
    assert(vector > LAST_VECTOR && vector < SPURIOUS_VECTOR, 'the kernel has vectors above those of devices')
    for (const lines of this.#own) lines.set(vector, { name, handler, count: 0 })
  }

  /** Sends a fixed interrupt from one processor, which is in root operation, to another. */
  send(from: number, to: number, vector: number): void {
    const destination = this.apicId(to)
    if (this.#x2apic) {
      const value = [vector, destination] as const
      this.#execute(from, { op: 'wrmsr', msr: x2apicMsr(LOCAL_APIC.ICR_LOW), value })
    } else {
      this.#writeApic(from, LOCAL_APIC.ICR_HIGH, (destination << 24) >>> 0)
      this.#writeApic(from, LOCAL_APIC.ICR_LOW, vector)
    }
  }

  /** Vectors of a processor that are free. */
  free(processor: number): number {
    return VECTORS - this.#lines[processor]!.size
  }

  /** The processor with the fewest vectors in use. */
  leastLoaded(): number {
    let best = 0
    for (const [processor, lines] of this.#lines.entries()) {
      if (lines.size < this.#lines[best]!.size) best = processor
    }
    return best
  }

  /** Takes a free vector of a processor. Throws `invalidArgument`, `outOfResources`. */
  allocate(processor: number, name: string, handler: () => void): HostVector {
    const lines = this.#lines[processor]
    if (lines === undefined) {
      throw new NorthbridgeError('invalidArgument', `there is no logical processor ${processor}`)
    }
    for (let vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector++) {
      if (lines.has(vector)) continue
      lines.set(vector, { name, handler, count: 0 })
      return { processor, apicId: this.apicId(processor), vector }
    }
    throw new NorthbridgeError('outOfResources', `every interrupt vector of processor ${processor} is in use`)
  }

  release({ processor, vector }: HostVector): void {
    this.#lines[processor]!.delete(vector)
  }

  /** The interrupt entry: runs the handler and signals EOI. A vector without handler is counted and ended too. */
  dispatch(processor: number, vector: number): void {
    const line = this.#lines[processor]?.get(vector) ?? this.#own[processor]?.get(vector)
    if (line === undefined) {
      this.#unexpected++
    } else {
      line.count++
      line.handler(processor)
    }
    // "Spurious Interrupt": no bit of ISR was set, so none is to be cleared.
    if (vector !== SPURIOUS_VECTOR) this.#writeApic(processor, LOCAL_APIC.EOI, 0)
  }

  /** Takes whatever is deliverable on processors outside non-root operation. Returns how many interrupts came. */
  takeAll(): number {
    let taken = 0
    for (const processor of this.#machine.processors) {
      for (let vector = processor.takeInterrupt(); vector >= 0; vector = processor.takeInterrupt()) {
        this.dispatch(processor.number, vector)
        taken++
      }
    }
    return taken
  }

  save(): {
    readonly unexpected: number
    readonly lines: readonly string[]
    readonly own: readonly string[]
  } {
    return { unexpected: this.#unexpected, lines: listed(this.#lines), own: listed(this.#own) }
  }

  #readApic(processor: number, offset: number): number {
    return this.#x2apic
      ? this.#execute(processor, { op: 'rdmsr', msr: x2apicMsr(offset) }).low
      : this.#execute(processor, { op: 'read', address: XAPIC_BASE + offset, width: 4 }).low
  }

  #writeApic(processor: number, offset: number, low: number): void {
    const value = [low, 0] as const
    if (this.#x2apic) this.#execute(processor, { op: 'wrmsr', msr: x2apicMsr(offset), value })
    else this.#execute(processor, { op: 'write', address: XAPIC_BASE + offset, width: 4, value })
  }

  #execute(processor: number, operation: Operation): OperationResult {
    const result = this.#machine.processors[processor]!.execute(operation)
    assert(result.outcome === 'done', `${operation.op} of the kernel completes in root operation`)
    return result
  }
}

const listed = (all: readonly Map<number, Line>[]): string[] =>
  all.flatMap((lines, processor) =>
    [...lines]
      .sort(([a], [b]) => a - b)
      .map(([vector, { name, count }]) => `${processor}:${vector}:${name}:${count}`),
  )
