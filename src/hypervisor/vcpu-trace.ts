/** What a virtual processor shows of its local APIC, and what it tells the world's trace: its machine, its number, and the processor under it. */
import type { Trace, TraceKind } from '../engine/index.ts'
import type { VirtualApic } from './virtual-apic.ts'

export class VcpuTrace {
  readonly #trace: Trace
  readonly #vm: string
  readonly #vcpu: number

  constructor(trace: Trace, vm: string, vcpu: number) {
    this.#trace = trace
    this.#vm = vm
    this.#vcpu = vcpu
  }

  get enabled(): boolean {
    return this.#trace.enabled
  }

  emit(processor: number, kind: TraceKind, message: string, detail: Readonly<Record<string, unknown>>): void {
    this.#trace.emit(kind, `${this.#vm} vCPU ${this.#vcpu} ${message}`, {
      vm: this.#vm,
      vcpu: this.#vcpu,
      processor,
      ...detail,
    })
  }
}

export const apicView = (apic: VirtualApic) => ({
  pending: apic.pending,
  inService: apic.inService,
  taskPriority: apic.taskPriority,
  processorPriority: apic.processorPriority,
})
