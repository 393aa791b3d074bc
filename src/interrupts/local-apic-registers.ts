/** Which registers a local APIC has in each mode, and which of their bits software may write. */
import { LOCAL_APIC } from './formats/local-apic.ts'

/** Word of a register: they lie 16 bytes apart in the page, and one MSR apart in x2APIC mode. */
export const at = (offset: number): number => offset >>> 4

interface Row {
  readonly offset: number
  /** How many registers of this kind follow each other. */
  readonly count?: number
  /** Writable bits; 0 for a read-only register. */
  readonly writable: number
  readonly writeOnly?: true
  readonly only?: 'xapic' | 'x2apic'
}

const {
  ID,
  VERSION,
  TPR,
  PPR,
  EOI,
  LDR,
  DFR,
  SVR,
  ISR,
  TMR,
  IRR,
  ESR,
  CMCI,
  ICR_LOW,
  ICR_HIGH,
  LVT_TIMER,
  LVT_THERMAL,
  LVT_PERFORMANCE,
  LVT_LINT0,
  LVT_LINT1,
  LVT_ERROR,
  TIMER_INITIAL,
  TIMER_CURRENT,
  TIMER_DIVIDE,
  SELF_IPI,
} = LOCAL_APIC

const ROWS: readonly Row[] = [
  { offset: ID, writable: 0 },
  { offset: VERSION, writable: 0 },
  { offset: TPR, writable: 0xff },
  { offset: PPR, writable: 0 },
  { offset: EOI, writable: 0, writeOnly: true },
  // Computed from the identifier in x2APIC mode.
  { offset: LDR, writable: 0xff00_0000, only: 'xapic' },
  { offset: LDR, writable: 0, only: 'x2apic' },
  { offset: DFR, writable: 0xf000_0000, only: 'xapic' },
  { offset: SVR, writable: 0x11ff },
  { offset: ISR, count: 8, writable: 0 },
  { offset: TMR, count: 8, writable: 0 },
  { offset: IRR, count: 8, writable: 0 },
  { offset: ESR, writable: 0 },
  { offset: CMCI, writable: 0x0001_07ff },
  { offset: ICR_LOW, writable: 0x000c_cfff },
  { offset: ICR_HIGH, writable: 0xff00_0000, only: 'xapic' },
  { offset: LVT_TIMER, writable: 0x0007_00ff },
  { offset: LVT_THERMAL, writable: 0x0001_07ff },
  { offset: LVT_PERFORMANCE, writable: 0x0001_07ff },
  { offset: LVT_LINT0, writable: 0x0001_a7ff },
  { offset: LVT_LINT1, writable: 0x0001_a7ff },
  { offset: LVT_ERROR, writable: 0x0001_00ff },
  { offset: TIMER_INITIAL, writable: 0xffff_ffff },
  { offset: TIMER_CURRENT, writable: 0 },
  { offset: TIMER_DIVIDE, writable: 0xb },
  { offset: SELF_IPI, writable: 0xff, writeOnly: true, only: 'x2apic' },
]

/** What may be done with each register of one mode, by word. */
export class RegisterAccess {
  readonly #readable = new Uint8Array(64)
  readonly #writable = new Uint32Array(64)
  readonly #present = new Uint8Array(64)

  constructor(mode: 'xapic' | 'x2apic') {
    for (const { offset, count = 1, writable, writeOnly, only } of ROWS) {
      if (only !== undefined && only !== mode) continue
      for (let i = at(offset); i < at(offset) + count; i++) {
        this.#present[i] = 1
        this.#readable[i] = writeOnly ? 0 : 1
        this.#writable[i] = writable
      }
    }
  }

  present(index: number): boolean {
    return this.#present[index] === 1
  }

  readable(index: number): boolean {
    return this.#readable[index] === 1
  }

  writable(index: number): number {
    return this.#writable[index]!
  }
}

export const XAPIC_ACCESS = new RegisterAccess('xapic')
export const X2APIC_ACCESS = new RegisterAccess('x2apic')
