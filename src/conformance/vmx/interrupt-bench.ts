/**
 * Processors with their local APICs, an I/O APIC and memory, for the cases on interrupts: programs act on them by the
 * operations of a processor and by pins. What a case finds different is kept, the first difference first.
 */
import { hex } from '../../core/index.ts'
import { Engine } from '../../engine/index.ts'
import { APIC_BASE, LOCAL_APIC, SVR, XAPIC_BASE, x2apicMsr } from '../../interrupts/formats/local-apic.ts'
import { ApicBus, decodeCompatibility, InterruptMessage, IoApic } from '../../interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../../memory/index.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import type { Operation, OperationResult, Word64 } from '../../vmx/formats/operations.ts'
import { LogicalProcessor } from '../../vmx/index.ts'
import type { ProcessorCase } from './case.ts'

const MEMORY = 0x400_0000
const SPURIOUS = 0xff

export class InterruptBench {
  readonly engine = new Engine()
  readonly memory = new PhysicalMemory([{ base: 0, size: MEMORY }])
  readonly map = new SystemAddressMap(this.memory)
  readonly bus = new ApicBus()
  readonly processors: readonly LogicalProcessor[]
  readonly ioApic: IoApic
  readonly #message = new InterruptMessage()
  difference: string | undefined
  #waits = 0

  constructor(processors: number) {
    this.engine.trace.enabled = false
    const ports = { in: () => 0xffff_ffff, out: () => undefined }
    this.processors = Array.from(
      { length: processors },
      (_, number) =>
        new LogicalProcessor(
          { number, apicId: number },
          { map: this.map, bus: this.bus, ports, engine: this.engine },
        ),
    )
    this.ioApic = new IoApic({
      id: 0,
      entries: 24,
      send: (address, data) => {
        decodeCompatibility(address, data, this.#message)
        this.bus.deliver(this.#message)
      },
    })
    this.bus.addListener(this.ioApic)
    for (const { number } of this.processors) {
      this.writeApic(LOCAL_APIC.SVR, SVR.enable | SPURIOUS, number)
      this.run({ op: 'sti' }, number)
      this.run({ op: 'nop' }, number)
    }
  }

  run(operation: Operation, processor = 0): OperationResult {
    return this.processors[processor]!.execute(operation)
  }

  readMsr(msr: number, processor = 0): number {
    return this.run({ op: 'rdmsr', msr }, processor).low
  }

  /** Whether WRMSR raises #GP. */
  msrFaults(msr: number, low: number, high = 0, processor = 0): boolean {
    const { outcome, vector } = this.run({ op: 'wrmsr', msr, value: [low >>> 0, high >>> 0] }, processor)
    return outcome === 'exception' && vector === 13
  }

  isX2apic(processor = 0): boolean {
    return (this.readMsr(MSR.IA32_APIC_BASE, processor) & APIC_BASE.EXTD) !== 0
  }

  toX2apic(): void {
    for (const { number } of this.processors) {
      const low = this.readMsr(MSR.IA32_APIC_BASE, number)
      this.run({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value: [(low | APIC_BASE.EXTD) >>> 0, 0] }, number)
    }
  }

  readApic(offset: number, processor = 0): number {
    return this.isX2apic(processor)
      ? this.readMsr(x2apicMsr(offset), processor)
      : this.run({ op: 'read', address: XAPIC_BASE + offset, width: 4 }, processor).low
  }

  writeApic(offset: number, value: number, processor = 0): void {
    const word: Word64 = [value >>> 0, 0]
    if (this.isX2apic(processor)) this.run({ op: 'wrmsr', msr: x2apicMsr(offset), value: word }, processor)
    else this.run({ op: 'write', address: XAPIC_BASE + offset, width: 4, value: word }, processor)
  }

  /** Writes the interrupt command register of a processor, in the form of its mode. */
  command(command: number, destination: number, processor = 0): void {
    if (this.isX2apic(processor)) {
      const value: Word64 = [command >>> 0, destination >>> 0]
      this.run({ op: 'wrmsr', msr: x2apicMsr(LOCAL_APIC.ICR_LOW), value }, processor)
    } else {
      this.writeApic(LOCAL_APIC.ICR_HIGH, destination << 24, processor)
      this.writeApic(LOCAL_APIC.ICR_LOW, command, processor)
    }
  }

  /** The vector that a processor takes now, or -1. */
  taken(processor = 0): number {
    return this.processors[processor]!.takeInterrupt()
  }

  /** Takes every interrupt and ends it; how often it was one of a vector, whose handler runs before its end. */
  handled(vector: number, processor = 0, handler: () => void = () => undefined): number {
    let times = 0
    for (let found = this.taken(processor); found >= 0; found = this.taken(processor)) {
      if (found === vector) {
        times++
        handler()
      }
      this.writeApic(LOCAL_APIC.EOI, 0, processor)
    }
    return times
  }

  /** Runs queued events up to a moment, in nanoseconds from now. */
  pass(nanoseconds: number): void {
    let over = false
    const kind = `end of wait ${this.#waits++}`
    this.engine.handle(kind, () => {
      over = true
    })
    this.engine.schedule(nanoseconds, kind, kind)
    while (!over && this.engine.advance());
  }

  same(what: string, actual: number | boolean | string, expected: number | boolean | string): void {
    if (actual === expected) return
    const show = (value: number | boolean | string): string =>
      typeof value === 'number' && value >= 0 ? hex(value) : String(value)
    this.difference ??= `${what}: ${show(actual)} instead of ${show(expected)}`
  }
}

/** A case that runs on a bench of its own. */
export const interruptCase = (
  id: string,
  source: string,
  states: string,
  act: (bench: InterruptBench) => void,
  processors = 1,
): ProcessorCase => ({
  id,
  source,
  states,
  run: () => {
    const bench = new InterruptBench(processors)
    act(bench)
    return bench.difference
  },
})
