/** "Primary Fault Logging" in the guest: reads fault records, clears them, and keeps the newest. */
import { decode, formatRequesterId, get, hex, type RequesterId } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { FSTS, faultRecordingRegister } from '../../vtd/formats/index.ts'
import type { Capabilities, UnitAccess } from './unit-access.ts'

const KEPT = 64
const CLEARED = (FSTS.f.PFO.mask | FSTS.f.IQE.mask | FSTS.f.ICE.mask | FSTS.f.ITE.mask) >>> 0

/** A fault that the guest has read. */
export type GuestFault = {
  readonly reason: number
  /** `bb:dd.f` in the guest. */
  readonly source: string
  readonly address: string
  readonly write: boolean
}

export class FaultHandler {
  readonly #unit: UnitAccess
  readonly #capabilities: Pick<Capabilities, 'FRO' | 'NFR'>
  #faults: readonly GuestFault[]

  constructor(
    unit: UnitAccess,
    capabilities: Pick<Capabilities, 'FRO' | 'NFR'>,
    faults: readonly GuestFault[],
  ) {
    this.#unit = unit
    this.#capabilities = capabilities
    this.#faults = faults
  }

  /** Oldest first. */
  get faults(): readonly GuestFault[] {
    return this.#faults
  }

  *interrupt(): Software {
    const status = decode(FSTS.f, [yield* this.#unit.read(FSTS.offset)])
    const { FRO, NFR } = this.#capabilities
    for (let i = 0; i <= NFR; i++) {
      const record = faultRecordingRegister(FRO, (Number(status['FRI']) + i) % (NFR + 1))
      const words = new Uint32Array(4)
      for (let word = 0; word < 4; word++) words[word] = yield* this.#unit.read(record.offset + word * 4)
      const { F, FR, SID, FI, T1, T2 } = record.f
      if (get(F, words) === 0) break
      this.#keep({
        reason: get(FR, words),
        source: formatRequesterId(get(SID, words) as RequesterId),
        address: `${hex(get(FI, words))}000`,
        write: get(T1, words) === get(T2, words),
      })
      yield* this.#unit.write(record.offset + 12, F.mask)
    }
    yield* this.#unit.write(FSTS.offset, CLEARED)
  }

  #keep(fault: GuestFault): void {
    this.#faults = [...this.#faults, fault].slice(-KEPT)
  }
}
