/** The registers that a unit with given capabilities has, with bits of absent features hardwired to 0. */
import { type Register, RegisterFile } from '../core/index.ts'
import { capabilityWords, registerSizeOf, type UnitCapabilities } from './capabilities.ts'
import * as R from './formats/registers.ts'
import type { Quirks } from './quirks.ts'

export interface RegisterBlock {
  readonly file: RegisterFile
  readonly registers: readonly Register[]
  readonly IVA: ReturnType<typeof R.ivaRegister>
  readonly IOTLB: ReturnType<typeof R.iotlbRegister>
  /** Fault recording registers, in order. */
  readonly FRCD: readonly ReturnType<typeof R.faultRecordingRegister>[]
}

export function buildRegisterBlock(
  c: UnitCapabilities,
  hostAddressWidth: number,
  quirks: Quirks,
): RegisterBlock {
  const IVA = R.ivaRegister(c.IRO)
  const IOTLB = R.iotlbRegister(c.IRO)
  const FRCD = Array.from({ length: c.NFR + 1 }, (_, n) => R.faultRecordingRegister(c.FRO, n))
  const registers: Register[] = [
    ...[R.VER, R.CAP, R.ECAP, R.GCMD, R.GSTS, R.RTADDR, R.CCMD],
    ...[R.FSTS, R.FECTL, R.FEDATA, R.FEADDR, R.FEUADDR],
    ...(c.AFL ? [R.AFLOG] : []),
    ...(c.PLMR || c.PHMR ? [R.PMEN] : []),
    ...(c.PLMR ? [R.PLMBASE, R.PLMLIMIT] : []),
    ...(c.PHMR ? [R.PHMBASE, R.PHMLIMIT] : []),
    ...(c.QI ? [R.IQH, R.IQT, R.IQA, R.ICS, R.IECTL, R.IEDATA, R.IEADDR, R.IEUADDR, R.IQERCD] : []),
    ...(c.IR ? [R.IRTA] : []),
    ...(c.PRS ? [R.PQH, R.PQT, R.PQA, R.PRS, R.PECTL, R.PEDATA, R.PEADDR, R.PEUADDR] : []),
    ...(c.MTS ? R.MTRR_REGISTERS : []),
    ...[IVA, IOTLB],
    ...FRCD,
  ]
  const file = new RegisterFile(registerSizeOf(c), registers)
  if (!c.EIM) {
    for (const upper of [R.FEUADDR, R.IEUADDR, R.PEUADDR]) file.hardwire(upper.at, upper.f.MUA.mask)
    if (!quirks.eimeWritableWithoutEim) file.hardwire(R.IRTA.at, R.IRTA.f.EIME.mask)
  }
  const beyondHost = (~0 << (hostAddressWidth - 32)) >>> 0
  for (const { at } of [R.PHMBASE, R.PHMLIMIT]) file.hardwire(at + 1, beyondHost)
  return { file, registers, IVA, IOTLB, FRCD }
}

/** Reset values: zeros, but for capabilities and event masks. */
export function resetRegisters({ file: { words } }: RegisterBlock, c: UnitCapabilities): void {
  const { cap, ecap, version } = capabilityWords(c)
  words.fill(0)
  words[R.VER.at] = version
  words.set(cap, R.CAP.at)
  words.set(ecap, R.ECAP.at)
  words[R.FECTL.at] = R.FECTL.f.IM.mask
  if (c.QI) words[R.IECTL.at] = R.IECTL.f.IM.mask
  if (c.PRS) words[R.PECTL.at] = R.PECTL.f.IM.mask
}
