/** The kernel's interrupt vectors: handed out per processor, dispatched, and ended with EOI. */
import { assert, NorthbridgeError } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
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

/** Returns false if the interrupt was for somebody else, or for nobody. */
type Handler = (processor: number) => unknown

interface Line {
  readonly name: string
  handler: Handler
  count: number
  /** Interrupts since the last look, and how many of them nobody wanted. */
  recent: number
  unhandled: number
  disabled: boolean
}

const line = (name: string, handler: Handler): Line => ({
  name,
  handler,
  count: 0,
  recent: 0,
  unhandled: 0,
  disabled: false,
})

/** One row of what Linux shows as `/proc/interrupts`. */
export interface InterruptLine {
  readonly processor: number
  readonly vector: number
  readonly name: string
  readonly count: number
  /** Nobody cared: its handler does not run any more. */
  readonly disabled: boolean
}

/** As Linux's `note_interrupt`: of so many interrupts, more than so many that no handler wanted. */
const LOOKED_AT = 100_000
const TOO_MANY_UNHANDLED = 99_900

export class HostInterrupts {
  readonly #machine: MachinePort
  readonly #trace: Trace
  #x2apic = false
  #apicIds: number[] = []
  /** By processor, then by vector. */
  readonly #lines: readonly Map<number, Line>[]
  /** The same for vectors that are the kernel's own. */
  readonly #own: readonly Map<number, Line>[]
  #unexpected = 0

  constructor(machine: MachinePort, trace: Trace) {
    this.#machine = machine
    this.#trace = trace
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
  reserve(vector: number, name: string, handler: Handler): void {
    assert(vector > LAST_VECTOR && vector < SPURIOUS_VECTOR, 'the kernel has vectors above those of devices')
    for (const lines of this.#own) lines.set(vector, line(name, handler))
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
  allocate(processor: number, name: string, handler: () => unknown): HostVector {
    const lines = this.#lines[processor]
    if (lines === undefined) {
      throw new NorthbridgeError('invalidArgument', `there is no logical processor ${processor}`)
    }
    for (let vector = FIRST_VECTOR; vector <= LAST_VECTOR; vector++) {
      if (lines.has(vector)) continue
      lines.set(vector, line(name, handler))
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
      if (!line.disabled) this.#handle(line, processor)
    }
    // "Spurious Interrupt": no bit of ISR was set, so none is to be cleared.
    if (vector !== SPURIOUS_VECTOR) this.#writeApic(processor, LOCAL_APIC.EOI, 0)
  }

  /** An interrupt that comes and comes while its handler wants none of it is switched off. */
  #handle(line: Line, processor: number): void {
    if (line.handler(processor) === false) line.unhandled++
    if (++line.recent < LOOKED_AT) return
    line.disabled = line.unhandled > TOO_MANY_UNHANDLED
    if (line.disabled) {
      this.#trace.emit('host', `nobody cared about ${line.name}: disabled on processor ${processor}`, {
        line: line.name,
        processor,
      })
    }
    line.recent = 0
    line.unhandled = 0
  }

  /** Every vector in use, by processor and number. */
  lines(): readonly InterruptLine[] {
    return this.#lines.flatMap((lines, processor) =>
      [...lines]
        .sort(([a], [b]) => a - b)
        .map(([vector, { name, count, disabled }]) => ({ processor, vector, name, count, disabled })),
    )
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

  save(): SavedInterrupts {
    return {
      x2apic: this.#x2apic,
      apicIds: [...this.#apicIds],
      unexpected: this.#unexpected,
      lines: this.#lines.map(listed),
      own: this.#own.map(listed),
    }
  }

  /** Vectors of devices have no handlers then, until their owners {@link resume}. */
  load(saved: SavedInterrupts): void {
    this.#x2apic = saved.x2apic
    this.#apicIds = [...saved.apicIds]
    this.#unexpected = saved.unexpected
    for (const [processor, lines] of saved.lines.entries()) {
      for (const state of lines) this.#lines[processor]!.set(state[0], lineOf(state, unowned))
    }
    for (const [processor, lines] of saved.own.entries()) {
      const own = this.#own[processor]!
      for (const state of lines) own.set(state[0], lineOf(state, own.get(state[0])!.handler))
    }
  }

  /** Gives a vector that was loaded its handler again. */
  resume(processor: number, name: string, handler: () => unknown): void {
    const held = [...this.#lines[processor]!.values()].find(line => line.name === name)
    assert(held !== undefined, `processor ${processor} has a vector for ${name}`)
    held.handler = handler
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

type SavedLine = readonly [
  vector: number,
  name: string,
  count: number,
  recent: number,
  unhandled: number,
  disabled: boolean,
]

export type SavedInterrupts = {
  readonly x2apic: boolean
  readonly apicIds: readonly number[]
  readonly unexpected: number
  /** By processor, then ascending by vector. */
  readonly lines: readonly (readonly SavedLine[])[]
  readonly own: readonly (readonly SavedLine[])[]
}

const listed = (lines: ReadonlyMap<number, Line>): SavedLine[] =>
  [...lines]
    .sort(([a], [b]) => a - b)
    .map(([vector, { name, count, recent, unhandled, disabled }]) => [
      vector,
      name,
      count,
      recent,
      unhandled,
      disabled,
    ])

const lineOf = ([, name, count, recent, unhandled, disabled]: SavedLine, handler: Handler): Line => ({
  name,
  handler,
  count,
  recent,
  unhandled,
  disabled,
})

const unowned: Handler = () => assert(false, 'every vector that was loaded has got its handler')
