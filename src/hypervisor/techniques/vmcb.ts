/** The VMCB of a stream's guest, which is plain memory: what its fields hold at the start. */
import type { PageNumber } from '../../core/index.ts'
import {
  EFER_SVME,
  INTERCEPT1,
  INTERCEPT2,
  TLB_CONTROL,
  VIRTUAL_INTERRUPT,
  VMCB,
} from '../../vmx/formats/amd-v.ts'
import { RFLAGS } from '../../vmx/formats/msrs.ts'
import { PAGING_CR0, pagingCr4 } from './processor-boot.ts'
import { addressOf, type GuestStart, type TechniqueHost } from './technique.ts'

const PAGE_FAULT = 14
const ASID = 1
const ATTRIBUTES = { code: { 32: 0xc9b, 64: 0xa9b }, data: 0xc93, task: 0x08b } as const
const FLAT = 0xffff_ffff
const EFER_GUEST = { 32: 0, 64: 0xd01 } as const

export class Vmcb {
  readonly page: PageNumber
  readonly #host: TechniqueHost

  constructor(host: TechniqueHost) {
    this.#host = host
    this.page = host.allocate()
  }

  read(offset: number): number {
    return this.#host.machine.readDword(addressOf(this.page) + offset)
  }

  write(offset: number, low: number, high?: number): void {
    const address = addressOf(this.page) + offset
    this.#host.machine.writeDword(address, low >>> 0)
    if (high !== undefined) this.#host.machine.writeDword(address + 4, high >>> 0)
  }

  /** Which events exit, how memory is translated, and the guest's registers. `root`: of shadow or nested tables. */
  initialize(start: GuestStart, nested: boolean, root: number, ioPermissions: PageNumber): void {
    const { bits } = this.#host
    const crs = nested ? [8, 16 + 8] : [3, 8, 16 + 3, 16 + 8]
    this.write(VMCB.interceptCr, mask(crs))
    this.write(VMCB.interceptExceptions, nested ? 0 : 1 << PAGE_FAULT)
    const { intr, nmi, cpuid, invd, hlt, invlpg, ioio, msr } = INTERCEPT1
    this.write(
      VMCB.interceptMisc1,
      mask([intr, nmi, cpuid, invd, hlt, ioio, msr, ...(nested ? [] : [invlpg])]),
    )
    this.write(VMCB.interceptMisc2, mask(Object.values(INTERCEPT2)))
    this.write(VMCB.ioPermissions, addressOf(ioPermissions), 0)
    this.write(VMCB.msrPermissions, addressOf(ioPermissions + 3), 0)
    this.write(VMCB.asid, ASID)
    this.write(VMCB.tlbControl, TLB_CONTROL.all)
    this.write(VMCB.virtualInterrupt, VIRTUAL_INTERRUPT.masking)
    this.write(VMCB.nestedControl, nested ? 1 : 0)
    this.write(VMCB.nestedCr3, nested ? root : 0, 0)
    this.write(VMCB.efer, EFER_GUEST[bits] | EFER_SVME, 0)
    this.write(VMCB.cr0, PAGING_CR0, 0)
    this.write(VMCB.cr3, nested ? start.cr3 : root, 0)
    this.write(VMCB.cr4, pagingCr4(bits), 0)
    this.write(VMCB.dr6, 0xffff_0ff0, 0)
    this.write(VMCB.dr7, 0x400, 0)
    this.write(VMCB.rflags, RFLAGS.fixed1, 0)
    this.write(VMCB.rip, start.rip, 0)
    this.write(VMCB.rsp, start.rsp, 0)
    this.#segment(VMCB.cs, start.code, ATTRIBUTES.code[bits], FLAT, 0)
    for (const offset of [VMCB.ss, VMCB.ds, VMCB.es, VMCB.fs, VMCB.gs]) {
      this.#segment(offset, start.data, ATTRIBUTES.data, FLAT, 0)
    }
    this.#segment(VMCB.tr, start.task, ATTRIBUTES.task, 0x67, start.taskBase)
    this.#segment(VMCB.ldtr, 0, 0, 0, 0)
    this.#segment(VMCB.gdtr, 0, 0, start.gdt.limit, start.gdt.base)
    this.#segment(VMCB.idtr, 0, 0, start.idt.limit, start.idt.base)
  }

  #segment(offset: number, selector: number, attributes: number, limit: number, base: number): void {
    this.write(offset, (attributes << 16) | selector, limit)
    this.write(offset + 8, base, 0)
  }
}

const mask = (bits: readonly number[]): number => bits.reduce((all, bit) => all | (1 << bit), 0) >>> 0
