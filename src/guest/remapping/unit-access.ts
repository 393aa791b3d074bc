/** The registers of the remapping unit as the guest's driver reaches them: every access is a load or store of its own. */
import { decode } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { VIRTUAL_UNIT_BASE } from '../../hypervisor/formats/virtual-unit.ts'
import { CAP, ECAP, GCMD, GSTS, VER } from '../../vtd/formats/index.ts'
import type { GuestAccess } from '../guest-access.ts'

export type Capabilities = Readonly<Record<keyof typeof CAP.f | keyof typeof ECAP.f, number>>

const ALL_ONES = 0xffff_ffff
/** Bits of GCMD that are levels: GSTS has them in the same places. */
const LEVELS = (GSTS.f.TES.mask | GSTS.f.QIES.mask | GSTS.f.IRES.mask | GSTS.f.CFIS.mask) >>> 0

export class UnitAccess {
  readonly #access: GuestAccess

  constructor(access: GuestAccess) {
    this.#access = access
  }

  /** Undefined if the board has no unit. */
  *capabilities(): Software<Capabilities | undefined> {
    if ((yield* this.read(VER.offset)) === ALL_ONES) return undefined
    const read = this.read.bind(this)
    const cap = [yield* read(CAP.offset), yield* read(CAP.offset + 4)]
    const ecap = [yield* read(ECAP.offset), yield* read(ECAP.offset + 4)]
    return { ...decode(CAP.f, cap), ...decode(ECAP.f, ecap) } as Capabilities
  }

  *read(offset: number): Software<number> {
    return yield* this.#access.read32(VIRTUAL_UNIT_BASE + offset)
  }

  *write(offset: number, value: number): Software {
    yield* this.#access.write32(VIRTUAL_UNIT_BASE + offset, value)
  }

  *write64(offset: number, low: number, high: number): Software {
    yield* this.#access.write64(VIRTUAL_UNIT_BASE + offset, low, high)
  }

  /** "Global Command Register": one command at a time, the other levels as they are; returns when GSTS shows it. */
  *command(command: keyof typeof GCMD.f, on = true): Software {
    const bit = GCMD.f[command].mask
    const levels = ((yield* this.read(GSTS.offset)) & LEVELS) >>> 0
    yield* this.write(GCMD.offset, (on ? levels | bit : levels & ~bit) >>> 0)
    while ((((yield* this.read(GSTS.offset)) & bit) !== 0) !== on) yield
  }
}
