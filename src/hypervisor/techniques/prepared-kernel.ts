/**
 * A deprivileged kernel whose code is not its original: translated, or written for the hypervisor. Its RIP is the one that
 * the original would have; it calls the hypervisor by a gate of its own instead of trapping.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { RFLAGS } from '../../vmx/formats/msrs.ts'
import { LENGTH } from '../../vmx/formats/operation-lengths.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { Deprivileged } from './deprivileged.ts'
import type { InlineState } from './inline-operations.ts'
import type { OutcomeRecord } from './technique.ts'
import type { VirtualCpu } from './virtual-cpu.ts'

export abstract class PreparedKernel extends Deprivileged implements InlineState {
  #rip = 0

  protected override enterGuest(): boolean {
    if (this.monitor.virtualLevel === 0) this.#rip = this.monitor.frame.rip
    this.monitor.resume(false)
    this.inGuest = true
    return true
  }

  protected override takeFrame(hasError: boolean): void {
    this.monitor.readFrame(hasError)
    // A table of the translator, or padding at the patched place, gives the original address.
    if (this.monitor.virtualLevel === 0) this.monitor.frame.rip = this.#rip
  }

  /** Through the kernel's own gate into the hypervisor. */
  protected callHypervisor(vector: number): void {
    this.host.processor.execute({ op: 'int', vector })
    this.inGuest = false
    this.takeFrame(false)
  }

  /** A virtual interrupt that the kernel would take now. */
  protected get interruptWaits(): boolean {
    return this.cpu.interruptFlag && !this.cpu.blocked && this.board.apic.deliverable >= 0
  }

  /**
   * What stands for an operation of the kernel is over, without the hypervisor. That was other operations of the processor, and
   * the first of them cleared RF ("Instruction-Breakpoint Exception Condition").
   */
  protected passed(operation: Operation): void {
    if (this.inGuest) this.host.processor.execute({ op: 'nop' })
    else this.monitor.frame.flags &= ~RFLAGS.RF
    this.#over(operation)
  }

  #over({ op }: Operation): void {
    this.#rip = (this.#rip + LENGTH[op]) >>> 0
    if (op !== 'sti') this.cpu.blocked = false
  }

  protected nativeInKernel(operation: Operation): OutcomeRecord | undefined {
    const outcome = this.native(operation)
    if (this.inGuest) this.#over(operation)
    return outcome
  }

  realFlags(): number {
    return this.host.processor.execute({ op: 'pushf' }).low
  }

  loadStatusFlags(flags: number): void {
    this.host.processor.execute({ op: 'popf', flags })
  }

  get virtualCpu(): VirtualCpu {
    return this.cpu
  }

  get record(): OutcomeRecord {
    return this.outcome
  }

  /** A descriptor of the guest's GDT: low and high word. */
  descriptor(selector: number): readonly [number, number] {
    const { cr3, cr0, gdt } = this.cpu
    const linear = gdt.base + (selector & 0xfff8)
    const walk = this.space.walk(cr3, cr0, linear, 0, { write: false, user: false }, true)
    if (walk.kind === 'fault' || (selector & 0xfff8) + 7 > gdt.limit) return [0, 0]
    const address = walk.page * PAGE_SIZE + (linear % PAGE_SIZE)
    return [this.space.read(address), this.space.read(address + 4)]
  }

  /** Selectors of the guest's kernel, as it would read them. */
  kernelSelector(segment: 'cs' | 'ss'): number {
    return segment === 'cs' ? 0x08 : 0x10
  }
}
