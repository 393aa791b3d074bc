/**
 * A hypervisor at ring 0 and its guest in an outer ring of the same address space: its own GDT, IDT, TSS and stack in a
 * hole that it keeps for itself at the top; the way into the guest, which is IRET; and the way back, which is a trap.
 */
import type { PageNumber } from '../../core/index.ts'
import { ACCESS_RIGHTS } from '../../vmx/formats/events.ts'
import { CR4, MSR, RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Operation, OperationResult, Word64 } from '../../vmx/formats/operations.ts'
import { enterMode, loadSegments, must, pagingCr4, word } from './processor-boot.ts'
import { addressOf, type TechniqueHost } from './technique.ts'

const PAGE = 4096
const PARTS = { gdt: 0, idt: PAGE, tss: 2 * PAGE, stack: 3 * PAGE } as const
const STACK_TOP = 4 * PAGE
/** Selectors of the hypervisor, beyond those of the guest. */
const OWN = { code: 0x60, data: 0x68, task: 0x70 } as const
const GDT_LIMIT = 0x7f
const SUPERVISOR_TABLE = 0x23
/** The linear address space below the hole, in pages: the limit of the guest's segments. */
const GUEST_LIMIT_32 = 0xf_fbff

/** Where the hole is: the last entry of the root. */
const HOLE = {
  32: { index: 1023, low: 0xffc0_0000, high: 0 },
  64: { index: 511, low: 0, high: 0xffff_ff80 },
} as const

const { S, P, L, DB, G } = ACCESS_RIGHTS

/** What a trap pushed, and what IRET takes: the guest's registers. */
export interface Frame {
  rip: number
  cs: number
  flags: number
  rsp: number
  ss: number
}

export interface RingPlan {
  /** Ring of the guest's kernel: 1, or 3 where only page tables could protect the hypervisor. */
  readonly kernelRing: 1 | 3
  /** Vectors that the guest's kernel may call by INT n. */
  readonly openVectors: readonly number[]
}

export class RingMonitor {
  readonly frame: Frame = { rip: 0, cs: 0, flags: RFLAGS.fixed1, rsp: 0, ss: 0 }
  readonly #host: TechniqueHost
  readonly #plan: RingPlan
  readonly #parts: PageNumber
  /** Root entry of the hole. */
  readonly hole: { readonly index: number; readonly entry: number }

  constructor(host: TechniqueHost, plan: RingPlan) {
    this.#host = host
    this.#plan = plan
    this.#parts = host.allocate()
    for (let i = 1; i < 4; i++) host.allocate()
    this.hole = { index: HOLE[host.bits].index, entry: this.#buildHole() }
    this.#buildTables()
  }

  /** Tables below the root entry; the value of the entry. */
  #buildHole(): number {
    const { machine, bits } = this.#host
    let table = this.#host.allocate()
    for (let part = 0; part < 4; part++) {
      const entry = addressOf(this.#parts + part) | SUPERVISOR_TABLE | 0x40
      machine.writeDword(addressOf(table) + part * (bits / 8), entry)
    }
    for (let level = 2; bits === 64 && level < 4; level++) {
      const above = this.#host.allocate()
      machine.writeDword(addressOf(above), addressOf(table) | SUPERVISOR_TABLE)
      table = above
    }
    return addressOf(table) | SUPERVISOR_TABLE
  }

  #linear(part: number): Word64 {
    const { low, high } = HOLE[this.#host.bits]
    return word(low + part, high)
  }

  #write(part: number, offset: number, value: number): void {
    this.#host.machine.writeDword(addressOf(this.#parts) + part + offset, value >>> 0)
  }

  #buildTables(): void {
    const { bits } = this.#host
    const { kernelRing, openVectors } = this.#plan
    const long = bits === 64
    const segment = (selector: number, code: boolean, ring: number, limit: number): void => {
      const size = code && long ? L : DB
      const rights = (code ? 11 : 3) | S | P | (ring << 5) | size | G
      this.#write(PARTS.gdt, selector, 0xffff & limit)
      this.#write(PARTS.gdt, selector + 4, ((rights & 0xf0ff) << 8) | (limit & 0xf_0000))
    }
    const limit = long ? 0xf_ffff : GUEST_LIMIT_32
    for (const [selector, code, ring] of [
      [0x08, true, kernelRing],
      [0x10, false, kernelRing],
      [0x18, true, 3],
      [0x20, false, 3],
      [0x28, true, 3],
      [0x30, false, 3],
    ] as const) {
      segment(selector, code, ring, limit)
    }
    segment(OWN.code, true, 0, 0xf_ffff)
    segment(OWN.data, false, 0, 0xf_ffff)
    const [low, high] = this.#linear(PARTS.tss)
    this.#write(PARTS.gdt, OWN.task, ((low & 0xffff) << 16) | 0x67)
    this.#write(PARTS.gdt, OWN.task + 4, (low & 0xff00_0000) | 0x8900 | ((low >>> 16) & 0xff))
    this.#write(PARTS.gdt, OWN.task + 8, high)
    for (let vector = 0; vector < 256; vector++) {
      const gate = vector * (long ? 16 : 8)
      const rights = 0x8e00 | (openVectors.includes(vector) ? kernelRing << 13 : 0)
      this.#write(PARTS.idt, gate, (OWN.code << 16) | (vector * 16))
      this.#write(PARTS.idt, gate + 4, (this.#linear(0)[0] & 0xffff_0000) | rights)
      if (long) this.#write(PARTS.idt, gate + 8, this.#linear(0)[1])
    }
    const [top, topHigh] = this.#linear(STACK_TOP)
    this.#write(PARTS.tss, 4, top)
    this.#write(PARTS.tss, 8, long ? topHigh : OWN.data)
  }

  /** From boot to ring 0 of the hypervisor, on the first shadow of the guest. */
  boot(root: number): void {
    const { processor, bits, features } = this.#host
    must(processor, { op: 'write', address: 0xfee0_00f0, width: 4, value: word(0x1ff) })
    enterMode(processor, bits, word(root))
    if (features.umip) {
      must(processor, { op: 'movToCr', cr: 4, value: word(pagingCr4(bits) | CR4.UMIP) })
    }
    loadSegments(processor, {
      gdt: { base: this.#linear(PARTS.gdt), limit: GDT_LIMIT },
      idt: { base: this.#linear(PARTS.idt), limit: 256 * (bits / 4) - 1 },
      code: OWN.code,
      data: OWN.data,
      task: OWN.task,
      stack: this.#linear(STACK_TOP),
    })
    must(processor, { op: 'wrmsr', msr: MSR.IA32_SYSENTER_CS, value: word(OWN.code) })
    must(processor, { op: 'wrmsr', msr: MSR.IA32_SYSENTER_ESP, value: this.#linear(STACK_TOP) })
  }

  /** The selector of a guest segment as the processor must see it: kernel segments get the ring they run in. */
  realSelector(selector: number): number {
    return (selector & 3) === 0 && selector !== 0 ? selector | this.#plan.kernelRing : selector
  }

  /** Privilege level that the guest believes it runs at: its kernel's code segment is the first of the GDT. */
  get virtualLevel(): 0 | 3 {
    return (this.frame.cs & ~7) === 0x08 ? 0 : 3
  }

  /** After a trap: what it pushed. An error code lies below the frame. */
  readFrame(hasError: boolean): void {
    const { bits } = this.#host
    const size = bits / 8
    const bottom = STACK_TOP - (5 + (hasError ? 1 : 0)) * size + (hasError ? size : 0)
    const at = (i: number): number => this.#host.machine.readDword(addressOf(this.#parts) + bottom + i * size)
    this.frame.rip = at(0)
    this.frame.cs = at(1) & 0xffff
    this.frame.flags = at(2)
    this.frame.rsp = at(3)
    this.frame.ss = at(4) & 0xffff
  }

  /** Into the guest. Interrupts are on while it runs, whatever it believes, and IOPL is 0. */
  resume(singleStep: boolean): void {
    const { processor, bits } = this.#host
    const size = bits / 8
    const { rip, cs, flags, rsp, ss } = this.frame
    const real = (flags & ~(RFLAGS.IOPL | RFLAGS.TF)) | RFLAGS.IF | (singleStep ? RFLAGS.TF : 0)
    const bottom = STACK_TOP - 5 * size
    for (const [i, value] of [rip, cs, real, rsp, ss].entries()) {
      this.#write(bottom, i * size, value)
      if (size === 8) this.#write(bottom, i * size + 4, 0)
    }
    must(processor, { op: 'movToSp', value: this.#linear(bottom) })
    must(processor, { op: 'loadSegment', segment: 'ds', selector: bits === 64 ? 0x33 : 0x23 })
    must(processor, { op: 'iretFrame' })
  }

  /** The processor's own interrupt, ended at its local APIC. */
  endInterrupt(): void {
    must(this.#host.processor, { op: 'write', address: 0xfee0_00b0, width: 4, value: word(0) })
  }

  run(operation: Operation): OperationResult {
    return must(this.#host.processor, operation)
  }

  /** MOV to CR3: another shadow, or the same without cached translations. */
  loadRoot(root: number): void {
    this.run({ op: 'movToCr', cr: 3, value: word(root) })
  }
}
