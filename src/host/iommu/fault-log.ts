/** Reads and clears primary faults of one unit ("Primary Fault Logging"), and keeps the newest. */
import { formatFunctionAddress, get, hex, type RequesterId } from '../../core/index.ts'
import { FSTS, faultRecordingRegister } from '../../vtd/formats/index.ts'
import type { BlockedRequest, HostFault } from '../types.ts'
import type { UnitRegisters } from './unit-registers.ts'

const KEPT = 256
/** Reasons from here to 0x2F are of interrupt requests, whose record holds an index instead of an address. */
const FIRST_INTERRUPT_REASON = 0x20
const LAST_INTERRUPT_REASON = 0x2f

export type SavedFault = { readonly [Key in keyof HostFault]: HostFault[Key] }

export class FaultLog {
  readonly #unit: string
  readonly #segment: number
  readonly #faults: HostFault[] = []

  constructor(unit: string, segment: number) {
    this.#unit = unit
    this.#segment = segment
  }

  /** Oldest first. */
  get faults(): readonly HostFault[] {
    return this.#faults
  }

  save(): readonly SavedFault[] {
    return this.#faults.map(fault => ({ ...fault }))
  }

  load(saved: readonly SavedFault[]): void {
    this.#faults.splice(0, this.#faults.length, ...saved.map(fault => ({ ...fault })))
  }

  /**
   * The fault event handler: takes every record out of the registers. Returns them, oldest first.
   *
   * @param each told of DMA requests, as they were
   */
  drain(registers: UnitRegisters, each?: (request: BlockedRequest) => void): readonly HostFault[] {
    const { FRO, NFR } = registers.cap
    const taken: HostFault[] = []
    const first = registers.field(FSTS, FSTS.f.FRI)
    for (let i = 0; i <= NFR; i++) {
      const register = faultRecordingRegister(FRO, (first + i) % (NFR + 1))
      const words = registers.words(register)
      if (!get(register.f.F, words)) break
      taken.push(this.#decode(register.f, words))
      if (!isOfInterrupt(get(register.f.FR, words))) each?.(this.#request(register.f, words))
      registers.write(register.offset + 12, register.f.F.mask)
    }
    registers.write(FSTS.offset, FSTS.f.PFO.mask)
    this.#faults.push(...taken)
    this.#faults.splice(0, this.#faults.length - KEPT)
    return taken
  }

  #decode(f: RecordFields, words: readonly number[]): HostFault {
    const reason = get(f.FR, words)
    const address = isOfInterrupt(reason)
      ? hex(words[1]! >>> 16)
      : `0x${((BigInt(words[1]!) << 32n) | BigInt((words[0]! & ~0xfff) >>> 0)).toString(16)}`
    return {
      unit: this.#unit,
      reason,
      source: formatFunctionAddress(this.#segment, get(f.SID, words) as RequesterId),
      address,
      // T1 and T2: 00 is a write, 01 a page request, 10 a read, 11 an atomic access, which writes too.
      write: get(f.T1, words) === get(f.T2, words),
    }
  }

  #request(f: RecordFields, words: readonly number[]): BlockedRequest {
    const prefixed = get(f.PP, words) === 1
    return {
      segment: this.#segment,
      requesterId: get(f.SID, words) as RequesterId,
      page: get(f.FI, words),
      write: get(f.T1, words) === get(f.T2, words),
      atomic: (get(f.T1, words) & get(f.T2, words)) === 1,
      pasid: prefixed ? get(f.PV, words) : -1,
      privileged: prefixed && get(f.PRIV, words) === 1,
      execute: prefixed && get(f.EXE, words) === 1,
      reason: get(f.FR, words),
    }
  }
}

type RecordFields = ReturnType<typeof faultRecordingRegister>['f']

const isOfInterrupt = (reason: number): boolean =>
  reason >= FIRST_INTERRUPT_REASON && reason <= LAST_INTERRUPT_REASON
