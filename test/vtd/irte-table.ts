/** The rules by which an interrupt request becomes an interrupt, one after the other. */
import { IRT, NOWHERE, SID, TestUnit } from './fixture.ts'

export interface InterruptRule {
  readonly name: string
  /** Reason code, or 0 and what of the message counts. */
  readonly expect: Readonly<Record<string, number | boolean>>
  run(): Readonly<Record<string, number | boolean>>
}

interface Situation {
  readonly entry?: bigint
  readonly validation?: bigint
  readonly address?: number
  readonly high?: number
  readonly data?: number
  readonly sid?: number
  readonly eime?: boolean
  readonly cfi?: boolean
  readonly enabled?: boolean
  readonly table?: bigint
  readonly capabilities?: Readonly<Record<string, number>>
  readonly prepare?: (t: TestUnit) => void
}

const REMAPPABLE = 0xfee0_00b0

const situation = (what: Situation) => (): Readonly<Record<string, number | boolean>> => {
  const t = new TestUnit({ capabilities: what.capabilities ?? {} })
  t.store(IRT + 80, what.entry ?? 0x0000_0300_0041_0001n)
  t.store(IRT + 88, what.validation ?? 0n)
  if (what.cfi) t.command(23)
  if (what.enabled ?? true) t.enableInterruptRemapping({ eime: what.eime ?? false })
  if (what.table !== undefined) {
    t.write64(0xb8, what.table)
    t.command(24)
  }
  what.prepare?.(t)
  const reason = t.interrupt(what.address ?? REMAPPABLE, what.data ?? 0, {
    sid: what.sid ?? SID,
    addressHigh: what.high ?? 0,
  })
  if (reason !== 0) return { reason }
  const { destination, logical, redirectionHint, deliveryMode, vector, levelTriggered } = t.message
  return { reason, destination, logical, redirectionHint, deliveryMode, vector, levelTriggered }
}

const rule = (name: string, expected: InterruptRule['expect'], what: Situation): InterruptRule => ({
  name,
  expect: expected,
  run: situation(what),
})
const done = (more: InterruptRule['expect'] = {}): InterruptRule['expect'] => ({ reason: 0, ...more })
const fault = (reason: number): InterruptRule['expect'] => ({ reason })

/** Entry 0x41 with other bits: of the lower half. */
const with0 = (bits: bigint): bigint => 0x0000_0300_0041_0001n | bits
/** SVT, SQ and SID. */
const validate = (svt: number, sq: number, sid: number): bigint => BigInt((svt << 18) | (sq << 16) | sid)

/** Source-ids that agree with 0311h under each SQ, and the nearest that do not. */
const qualifiers: readonly (readonly [sq: number, agree: number, differ: number])[] = [
  [0, 0x0311, 0x0315],
  [1, 0x0315, 0x0313],
  [2, 0x0317, 0x0310],
  [3, 0x0316, 0x0319],
]

const DESCRIPTOR = 0x1_0005_0000
/** IM, vector 41h, the descriptor's address; further bits of the lower half. */
const postedEntry = (bits = 0n): bigint => (BigInt(DESCRIPTOR % 2 ** 32) << 32n) | 0x41_8001n | bits
const posted = (
  name: string,
  expected: InterruptRule['expect'],
  status: bigint,
  after: bigint,
  urgent = 0n,
) =>
  ({
    name,
    expect: { ...expected, pir: 2, status: Number(after) },
    run: () => {
      const t = new TestUnit({ capabilities: { PI: 1 } })
      t.enableInterruptRemapping()
      t.store(IRT + 80, postedEntry(urgent))
      t.store(IRT + 88, 2n ** 32n)
      t.store(DESCRIPTOR + 32, status | 0x0000_0200_00e0_0000n)
      const reason = t.interrupt(REMAPPABLE)
      const { posted: isPosted, notified } = t.request.interrupt
      return {
        reason,
        posted: isPosted,
        notified,
        ...(notified ? { vector: t.message.vector, destination: t.message.destination } : {}),
        pir: Number(t.load(DESCRIPTOR + 8)),
        status: Number(t.load(DESCRIPTOR + 32) & 3n),
      }
    },
  }) satisfies InterruptRule
const told = { reason: 0, posted: true, notified: true, vector: 0xe0, destination: 2 }
const quiet = { reason: 0, posted: true, notified: false }

export const INTERRUPT_RULES: readonly InterruptRule[] = [
  rule('disabled: any format passes', done({ vector: 0x31, destination: 1 }), {
    enabled: false,
    address: 0xfee0_1000,
    data: 0x31,
  }),
  rule('disabled: even a remappable one', done({ vector: 0x31 }), { enabled: false, data: 0x31 }),
  rule('compatibility format is blocked', fault(0x25), { address: 0xfee0_1000 }),
  rule('compatibility format with CFIS passes', done({ vector: 0x31 }), {
    address: 0xfee0_1000,
    data: 0x31,
    cfi: true,
  }),
  rule('compatibility format with CFIS and EIME is blocked', fault(0x25), {
    address: 0xfee0_1000,
    cfi: true,
    eime: true,
  }),
  rule('upper address', fault(0x20), { high: 1 }),
  rule('upper data with a subhandle', fault(0x20), { address: REMAPPABLE | 8, data: 0x1_0000 }),
  rule('upper data without a subhandle is ignored', done(), { data: 0x1_0000 }),
  rule('handle plus subhandle', done(), { address: 0xfee0_0018 | (3 << 5), data: 2 }),
  rule('without SHV the data is no subhandle', done(), { data: 7 }),
  rule('handle bit 15 is address bit 2', fault(0x21), { address: REMAPPABLE | 4 }),
  rule('the index does not wrap at 16 bits', fault(0x21), {
    address: 0xfeef_fffc,
    data: 0xffff,
    table: BigInt(IRT) + 15n,
  }),
  rule('beyond the table', fault(0x21), { table: BigInt(IRT) + 1n }),
  rule('a table that is not there', fault(0x23), { table: BigInt(NOWHERE) + 7n }),
  rule('not present', fault(0x22), { entry: 0n }),
  rule('not present comes before reserved bits', fault(0x22), { entry: 0x1000n }),
  rule('reserved bits come before source validation', fault(0x24), {
    entry: with0(0x1000n),
    validation: validate(1, 0, 0),
  }),
  ...[3, 6].map(dlm =>
    rule(`delivery mode ${dlm} is reserved`, fault(0x24), { entry: with0(BigInt(dlm << 5)) }),
  ),
  ...[0, 1, 2, 4, 5, 7].map(dlm =>
    rule(`delivery mode ${dlm}`, done({ deliveryMode: dlm }), { entry: with0(BigInt(dlm << 5)) }),
  ),
  rule('DM', done({ logical: true }), { entry: with0(4n) }),
  rule('RH', done({ redirectionHint: true }), { entry: with0(8n) }),
  rule('TM', done({ levelTriggered: true }), { entry: with0(16n) }),
  rule('bits for software', done({ vector: 0x41 }), { entry: with0(0xf00n) }),
  rule('an xAPIC destination', done({ destination: 3 }), {}),
  rule('an x2APIC destination', done({ destination: 0x1234_5678 }), {
    entry: 0x1234_5678_0041_0001n,
    eime: true,
  }),
  rule('SVT 0 checks nothing', done(), { sid: 0xffff, validation: validate(0, 3, 0x0311) }),
  ...qualifiers.flatMap(([sq, agree, differ]) => [
    rule(`SVT 1, SQ ${sq}: agrees`, done(), { sid: agree, validation: validate(1, sq, 0x0311) }),
    rule(`SVT 1, SQ ${sq}: differs`, fault(0x26), { sid: differ, validation: validate(1, sq, 0x0311) }),
  ]),
  ...(
    [
      [0x0200, 0x26],
      [0x0300, 0],
      [0x05ff, 0],
      [0x0600, 0x26],
    ] as const
  ).map(([sid, reason]) =>
    rule(`SVT 2, buses 3 to 5: bus ${sid >>> 8}`, { reason }, { sid, validation: validate(2, 0, 0x0305) }),
  ),
  rule('SQ counts with SVT 1 only', fault(0x26), { sid: 0x0600, validation: validate(2, 3, 0x0305) }),
  rule('SVT 3 is reserved', fault(0x24), { validation: validate(3, 0, 0) }),
  rule('IM without CAP.PI', fault(0x24), { entry: with0(0x8000n) }),
  posted('posted: PIR, ON, notification', told, 0n, 1n),
  posted('posted: not again while ON', quiet, 1n, 1n),
  posted('posted: not while SN', quiet, 2n, 2n),
  posted('posted: URG overrides SN', told, 2n, 3n, 0x4000n),
  posted('posted: URG does not override ON', quiet, 1n, 1n, 0x4000n),
]
