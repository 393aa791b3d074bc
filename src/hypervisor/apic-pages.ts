/** The pages behind the virtualized interrupts of one virtual machine: taken together, given back together. */
import { PAGE_SIZE, type PageNumber } from '../core/index.ts'
import { LOCAL_APIC, x2apicMsr } from '../interrupts/formats/local-apic.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { HostPages } from './host-pages.ts'
import { DESCRIPTOR_SIZE, PostedDescriptor } from './posted-descriptor.ts'

const WORDS = PAGE_SIZE / 4
/** Bytes of the MSR-bitmap page from which writes of low MSRs are told. */
const WRITE_MAP = 0x800

const { EOI, TPR, SELF_IPI, ICR_LOW, TIMER_CURRENT } = LOCAL_APIC
/** x2APIC registers that a guest writes without VM exit; and those that it cannot read without. */
const WRITTEN = [TPR, EOI, SELF_IPI]
/** The high half of ICR lies elsewhere in x2APIC mode; the current count is nowhere. */
const NOT_READ: readonly number[] = [ICR_LOW, TIMER_CURRENT]

const X2APIC_FIRST = 0x800
const X2APIC_REGISTERS = 0x40

export type SavedApicPages = {
  readonly accessPage: PageNumber
  readonly msrBitmaps: PageNumber
  readonly taken: readonly PageNumber[]
  readonly descriptors: PageNumber | null
}

export class ApicPages {
  readonly accessPage: PageNumber
  readonly msrBitmaps: PageNumber
  readonly #machine: MachinePort
  readonly #pages: HostPages
  readonly #taken: PageNumber[] = []
  #descriptors: PageNumber | undefined

  /**
   * Throws `outOfMemory`, having taken nothing.
   *
   * @param saved what it has taken already; it is in memory as it was
   */
  constructor(machine: MachinePort, pages: HostPages, saved?: SavedApicPages) {
    this.#machine = machine
    this.#pages = pages
    if (saved !== undefined) {
      this.accessPage = saved.accessPage
      this.msrBitmaps = saved.msrBitmaps
      this.#taken.push(...saved.taken)
      this.#descriptors = saved.descriptors ?? undefined
      return
    }
    try {
      this.accessPage = this.#take()
      this.msrBitmaps = this.#take()
    } catch (error) {
      this.free()
      throw error
    }
    this.#fillBitmaps()
  }

  #take(): PageNumber {
    const page = this.#pages.allocate()
    this.#taken.push(page)
    return page
  }

  /** Every MSR exits but the x2APIC registers that the virtual-APIC page answers. */
  #fillBitmaps(): void {
    const words = new Uint32Array(WORDS).fill(0xffff_ffff)
    const pass = (map: number, msr: number): void => {
      words[(map >>> 2) + (msr >>> 5)]! &= ~(1 << (msr & 31))
    }
    for (let i = 0; i < X2APIC_REGISTERS; i++) {
      if (!NOT_READ.includes(i << 4)) pass(0, X2APIC_FIRST + i)
    }
    for (const offset of WRITTEN) pass(WRITE_MAP, x2apicMsr(offset))
    for (const [i, word] of words.entries())
      this.#machine.writeDword(this.msrBitmaps * PAGE_SIZE + i * 4, word)
  }

  /** A virtual-APIC page. Throws `outOfMemory`. */
  virtualApicPage(): PageNumber {
    return this.#take()
  }

  /** The descriptor of a virtual processor: 64 of them share a page. Throws `outOfMemory`. */
  descriptor(vcpu: number): PostedDescriptor {
    this.#descriptors ??= this.#take()
    return new PostedDescriptor(this.#machine, this.#descriptors * PAGE_SIZE + vcpu * DESCRIPTOR_SIZE)
  }

  save(): SavedApicPages {
    return {
      accessPage: this.accessPage,
      msrBitmaps: this.msrBitmaps,
      taken: [...this.#taken],
      descriptors: this.#descriptors ?? null,
    }
  }

  free(): void {
    for (const page of this.#taken) this.#pages.free(page)
    this.#taken.length = 0
  }
}
