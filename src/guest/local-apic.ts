/**
 * The driver of a virtual processor's local APIC: x2APIC where CPUID offers it, else the xAPIC page. Programs that
 * change the mode behind its back lose their interrupts, as they would on silicon.
 */
import { opened, type Saved } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { APIC_BASE, LOCAL_APIC, SVR, XAPIC_BASE, x2apicMsr } from '../interrupts/formats/local-apic.ts'
import { MSR } from '../vmx/formats/msrs.ts'
import type { Operation } from '../vmx/formats/operations.ts'
import type { GuestPort } from './guest-port.ts'

/** CPUID.1:ECX.x2APIC */
const CPUID_X2APIC = 1 << 21
const SPURIOUS_VECTOR = 0xff

const EOI_BY_MSR: Operation = { op: 'wrmsr', msr: x2apicMsr(LOCAL_APIC.EOI), value: [0, 0] }
const EOI_BY_MEMORY: Operation = {
  op: 'write',
  address: XAPIC_BASE + LOCAL_APIC.EOI,
  width: 4,
  value: [0, 0],
}

export class LocalApicDriver {
  readonly #port: GuestPort
  #x2apic = false
  #id = 0

  constructor(port: GuestPort) {
    this.#port = port
  }

  /** Valid once enabled. */
  get id(): number {
    return this.#id
  }

  *enable(): Software {
    const { ecx } = yield* this.#port.execute({ op: 'cpuid', leaf: 1 })
    this.#x2apic = (ecx & CPUID_X2APIC) !== 0
    if (this.#x2apic) {
      const { low, high } = yield* this.#port.execute({ op: 'rdmsr', msr: MSR.IA32_APIC_BASE })
      const value = [(low | APIC_BASE.EXTD) >>> 0, high] as const
      yield* this.#port.execute({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value })
    }
    const id = yield* this.#read(LOCAL_APIC.ID)
    this.#id = this.#x2apic ? id : id >>> 24
    yield* this.#write(LOCAL_APIC.TPR, 0)
    yield* this.#write(LOCAL_APIC.SVR, SVR.enable | SPURIOUS_VECTOR)
  }

  *endOfInterrupt(): Software {
    yield* this.#port.execute(this.#x2apic ? EOI_BY_MSR : EOI_BY_MEMORY)
  }

  *#read(offset: number): Software<number> {
    const { low } = yield* this.#port.execute(
      this.#x2apic
        ? { op: 'rdmsr', msr: x2apicMsr(offset) }
        : { op: 'read', address: XAPIC_BASE + offset, width: 4 },
    )
    return low
  }

  *#write(offset: number, value: number): Software {
    yield* this.#port.execute(
      this.#x2apic
        ? { op: 'wrmsr', msr: x2apicMsr(offset), value: [value, 0] }
        : { op: 'write', address: XAPIC_BASE + offset, width: 4, value: [value, 0] },
    )
  }

  save(): Saved {
    return { version: 1, x2apic: this.#x2apic, id: this.#id }
  }

  load(saved: Saved): void {
    const { x2apic, id } = opened<{ x2apic: boolean; id: number }>(saved, 'the APIC driver of a guest', 1)
    this.#x2apic = x2apic
    this.#id = id
  }
}
