/**
 * Events of a deprivileged guest, delivered and ended in software through the guest's own IDT, TSS and stack, with the
 * selectors and flags that the guest believes in.
 */
import { PAGE_SIZE } from '../../core/index.ts'
import { RFLAGS } from '../../vmx/formats/msrs.ts'
import type { GuestSpace } from './guest-space.ts'
import type { RingMonitor } from './ring-monitor.ts'
import type { Bits } from './technique.ts'
import type { VirtualCpu } from './virtual-cpu.ts'

/** How far in the guest the delivery of an event got. */
export type Delivery = 'delivered' | 'generalProtection' | 'failed'

export class EventFrames {
  readonly #bits: Bits
  readonly #space: GuestSpace
  readonly #cpu: VirtualCpu
  readonly #monitor: RingMonitor

  constructor(bits: Bits, space: GuestSpace, cpu: VirtualCpu, monitor: RingMonitor) {
    this.#bits = bits
    this.#space = space
    this.#cpu = cpu
    this.#monitor = monitor
  }

  /** Guest-physical address of a linear one, for the processor's own accesses; -1: not mapped. */
  #address(linear: number, write: boolean): number {
    const { cr3, cr0 } = this.#cpu
    const walk = this.#space.walk(cr3, cr0, linear >>> 0, 0, { write, user: false }, true)
    return walk.kind === 'mapped' ? walk.page * PAGE_SIZE + (linear % PAGE_SIZE) : -1
  }

  #read(linear: number): number {
    const address = this.#address(linear, false)
    return address < 0 ? 0 : this.#space.read(address)
  }

  #push(value: number, high = 0): boolean {
    const { frame } = this.#monitor
    const size = this.#bits / 8
    frame.rsp = (frame.rsp - size) >>> 0
    const address = this.#address(frame.rsp, true)
    if (address < 0) return false
    this.#space.write(address, value)
    if (size === 8) this.#space.write(address + 4, high)
    return true
  }

  /** Through the guest's gate to its kernel. `software`: by INT n, whose gate must allow the caller's level. */
  deliver(vector: number, error: number | undefined, software: boolean): Delivery {
    const long = this.#bits === 64
    const cpu = this.#cpu
    const monitor = this.#monitor
    const { frame } = monitor
    const gate = cpu.idt.base + vector * (long ? 16 : 8)
    const low = this.#read(gate)
    const high = this.#read(gate + 4)
    const level = monitor.virtualLevel
    if (software && ((high >>> 13) & 3) < level) return 'generalProtection'
    if ((high & 0x8000) === 0) return 'failed'
    const { rip, rsp } = frame
    const flags = cpu.flags(frame.flags) | (!software && error !== undefined ? RFLAGS.RF : 0)
    const cs = level === 0 ? frame.cs & ~3 : frame.cs
    const ss = level === 0 ? frame.ss & ~3 : frame.ss
    if (level === 3) frame.rsp = this.#read(cpu.taskBase + 4)
    if (long) frame.rsp = (frame.rsp & ~15) >>> 0
    const stacked = (!long && level === 0) || (this.#push(ss) && this.#push(rsp))
    const pushed = stacked && this.#push(flags) && this.#push(cs) && this.#push(rip)
    if (!pushed || (error !== undefined && !this.#push(error))) return 'failed'
    frame.rip = ((high & 0xffff_0000) | (low & 0xffff)) >>> 0
    frame.cs = monitor.realSelector((low >>> 16) & ~3)
    if (level === 3) frame.ss = monitor.realSelector(long ? 0x10 : this.#read(cpu.taskBase + 8) & 0xffff)
    frame.flags &= ~(RFLAGS.TF | RFLAGS.NT | RFLAGS.RF)
    cpu.interruptFlag = false
    cpu.blocked = false
    return 'delivered'
  }

  /** IRET of the guest's kernel, emulated: the frame is the guest's own. */
  return(skipped: number): void {
    const { frame } = this.#monitor
    const long = this.#bits === 64
    const size = this.#bits / 8
    const base = frame.rsp + skipped
    const [rip, cs, flags] = [0, 1, 2].map(i => this.#read(base + i * size)) as [number, number, number]
    const outer = (cs & 3) !== 0
    const rsp = long || outer ? this.#read(base + 3 * size) : base + 3 * size
    const ss = long || outer ? this.#read(base + 4 * size) : frame.ss
    frame.rip = rip
    frame.cs = this.#monitor.realSelector(cs & 0xffff)
    frame.flags = flags
    frame.rsp = rsp
    frame.ss = outer ? ss & 0xffff : this.#monitor.realSelector(0x10)
    this.#cpu.setFlags(flags)
    this.#cpu.blocked = false
  }
}
