/**
 * A unit in scalable mode with tables for one function: first stage maps IOVA, second stage maps GPA; nested, IOVA leads
 * to GPA through first-stage tables that lie in guest memory mapped one to one. Offsets and bits are written out.
 */
import type { RemappingUnitOptions } from '../../src/vtd/index.ts'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

export const { ROOT, CONTEXT, NOWHERE, SID, TARGET, IOVA } = F
export const DIRECTORY = 0x1_0010_0000
export const PASIDS = 0x1_0011_0000
/** First-stage tables by level, entries used by IOVA 0x2_4060_7000. */
export const FS = [0, 0x1_0012_1000, 0x1_0012_2000, 0x1_0012_3000, 0x1_0012_4000, 0x1_0012_5000] as const
export const FSE = [0, FS[1] + 7 * 8, FS[2] + 3 * 8, FS[3] + 9 * 8, FS[4], FS[5]] as const
/** Second-stage tables by level, entries used by GPA 0x40_7000. */
export const SS = [0, 0x1_0013_1000, 0x1_0013_2000, 0x1_0013_3000, 0x1_0013_4000, 0x1_0013_5000] as const
export const SSE = [0, SS[1] + 7 * 8, SS[2] + 2 * 8, SS[3], SS[4], SS[5]] as const
/** Second-stage table for guest addresses from 4 GiB on: the first 2 MiB, where all tables lie, one to one. */
export const SS_TABLES = 0x1_0013_6000
export const GPA = 0x40_7000
export const DID = 9
export const PASID = 0x12345
export const CONTEXT_ENTRY = CONTEXT + 0x11 * 32

export const CAPABILITIES = {
  SMTS: 1,
  FSTS: 1,
  SSTS: 1,
  NEST: 1,
  PT: 1,
  PASID: 1,
  PSS: 19,
  RPS: 1,
  SRS: 1,
  RPRIVS: 1,
  ERS: 1,
  EAFS: 1,
  SMPWCS: 1,
  SSADS: 1,
  FS1GP: 1,
  FS5LP: 1,
  DT: 1,
  PRS: 1,
  NWFS: 1,
  SAGAW: 0b1110,
  MGAW: 56,
}

export const FIRST = 1
export const SECOND = 2
export const NESTED = 3
export const PASS_THROUGH = 4

/** First-stage P, R/W, U/S, A, D; second-stage R, W. */
export const FS_ALL = 0x67
export const SS_ALL = 3
/** Bits of the quadwords of a PASID-table entry. */
export const SSADE = 1n << 9n
export const SLEE = 1n << 5n
export const PWSNP = 1n << 23n
export const PGSNP = 1n << 24n
export const SRE = 1n
export const ERE = 2n
export const FIVE_LEVELS = 4n
export const WPE = 16n
export const NXE = 32n
export const SMEP = 64n
export const EAFE = 128n

interface Entry {
  readonly pgtt: number
  readonly pasid?: number
  readonly aw?: number
  readonly did?: number
  /** Bits added to quadwords 0, 1 and 2. */
  readonly q0?: bigint
  readonly q1?: bigint
  readonly q2?: bigint
}

export interface Asked {
  readonly write?: boolean
  readonly pasid?: number
  readonly sid?: number
  readonly addressType?: number
  readonly privileged?: boolean
  readonly execute?: boolean
  readonly atomic?: boolean
  readonly zeroLength?: boolean
}

export const pasidEntry = (pasid: number): number => PASIDS + (pasid & 63) * 64

export class ScalableUnit extends TestUnit {
  constructor(options: Partial<RemappingUnitOptions> = {}) {
    super({ ...options, capabilities: { ...CAPABILITIES, ...options.capabilities } })
    this.store(ROOT + 3 * 16, CONTEXT + 1)
    // PASIDE, PRE and DTE as far as the unit has them; PDTS 7: all PASIDs.
    const c = this.unit.capabilities
    this.store(CONTEXT_ENTRY, DIRECTORY + 0xe00 + c.PRS * 16 + c.PASID * 8 + c.DT * 4 + 1)
    this.store(DIRECTORY, PASIDS + 1)
    this.store(DIRECTORY + (PASID >> 6) * 8, PASIDS + 1)
    for (const level of [5, 4, 3, 2]) this.store(FSE[level]!, FS[level - 1]! + FS_ALL)
    this.store(FSE[1], TARGET + FS_ALL)
    for (const level of [5, 4, 3, 2]) this.store(SSE[level]!, SS[level - 1]! + SS_ALL)
    this.store(SSE[1], TARGET + SS_ALL)
    this.store(SS[3] + 4 * 8, SS_TABLES + SS_ALL)
    this.store(SS_TABLES, 0x1_0000_0000 + 0x83)
    this.write64(0x20, ROOT + 0x400)
    this.command(30)
    this.command(31)
  }

  bind({ pgtt, pasid = PASID, aw = 2, did = DID, q0 = 0n, q1 = 0n, q2 = 0n }: Entry): this {
    const at = pasidEntry(pasid)
    const top = SS[aw + 2] ?? SS[4]
    this.store(at, BigInt(top) + BigInt(pgtt * 64 + aw * 4 + 1) + q0)
    this.store(at + 8, BigInt(did) | q1)
    this.store(at + 16, BigInt(q2 & FIVE_LEVELS ? FS[5] : FS[4]) + q2)
    if (pgtt === NESTED) this.store(FSE[1], GPA + FS_ALL)
    return this
  }

  /** One request; the host address, minus the reason code, or null if just blocked. */
  ask(address: number | bigint, asked: Asked = {}): number | null {
    const { request } = this
    request.begin()
    request.requesterId = asked.sid ?? SID
    request.write = asked.write ?? false
    request.page = Number(BigInt(address) >> 12n)
    request.offset = Number(BigInt(address) & 0xfffn)
    request.length = 4
    request.addressType = asked.addressType ?? 0
    request.pasid = asked.pasid ?? PASID
    request.privileged = asked.privileged ?? false
    request.execute = asked.execute ?? false
    request.atomic = asked.atomic ?? false
    request.zeroLength = asked.zeroLength ?? false
    if (this.unit.translate(request)) return request.physicalPage * 4096 + request.offset
    return request.faultReason === 0 ? null : -request.faultReason
  }

  /** The same without PASID. */
  plain(address: number | bigint, asked: Asked = {}): number | null {
    return this.ask(address, { ...asked, pasid: -1 })
  }

  /** The outcome as explaining foretells it: as {@link ask}, and the last step. */
  foretold(address: number | bigint, asked: Asked = {}) {
    const { write = false, sid = SID, pasid = PASID, ...rest } = asked
    const page = Number(BigInt(address) >> 12n)
    const offset = Number(BigInt(address) & 0xfffn)
    const told = this.unit.explain(sid, page, offset, write, { pasid, ...rest })
    const answer =
      told.fault === undefined
        ? told.physicalAddress === undefined
          ? null
          : Number(told.physicalAddress)
        : -Number(told.fault.reason)
    return { answer, told, last: told.steps.at(-1)! }
  }

  /** Everything cached is dropped: global context, PASID and IOTLB invalidation, through the queue. */
  invalidateAll(): void {
    this.write64(0x20, this.read64(0x20))
    this.command(30)
  }
}
