/**
 * The checks of a VM entry once more: slow, in bigints over whole 64-bit values, written from the specification's text
 * area by area. It shares no code and no table with the processor; numbers are written out.
 */

/** Fields by encoding; what was never written is 0. */
export type Fields = ReadonlyMap<number, bigint>

export interface World {
  readonly fields: Fields
  /** A dword of memory; all ones where there is none. */
  readonly dword: (address: bigint) => bigint
  readonly currentVmcs: bigint
}

export type Verdict =
  | { readonly kind: 'entered' }
  | { readonly kind: 'fails'; readonly error: 7 | 8 }
  | { readonly kind: 'guestState'; readonly qualification: number }
  | { readonly kind: 'msrLoading' }

const WIDTH = 46n
const REVISION = 0x4e42n
const ALL = (1n << 64n) - 1n
const bit = (value: bigint, at: number): boolean => ((value >> BigInt(at)) & 1n) === 1n
const bits = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n)
const fits = (address: bigint): boolean => address >> WIDTH === 0n
const aligned = (address: bigint, power: number): boolean => bits(address, power - 1, 0) === 0n
const page = (address: bigint): boolean => aligned(address, 12) && fits(address)
const canonical = (address: bigint): boolean => {
  const top = address >> 47n
  return top === 0n || top === (1n << 17n) - 1n
}
const within = (value: bigint, mustBe1: bigint, mayBe1: bigint): boolean =>
  (value & mustBe1) === mustBe1 && (value & ~mayBe1 & ALL) === 0n

const patLegal = (pat: bigint): boolean => {
  for (let i = 0; i < 8; i++) {
    if (![0n, 1n, 4n, 5n, 6n, 7n].includes(bits(pat, i * 8 + 7, i * 8))) return false
  }
  return true
}
const eferReserved = (efer: bigint): boolean => (efer & ~0xd01n & ALL) !== 0n
const counterReserved = (value: bigint): boolean => (value & ~0x7_0000_000fn & ALL) !== 0n

export function judge(world: World): Verdict {
  const get = (encoding: number): bigint => world.fields.get(encoding) ?? 0n
  const control = controlsOf(get)
  if (!controlsLegal(get, control, world)) return { kind: 'fails', error: 7 }
  if (!hostLegal(get, control)) return { kind: 'fails', error: 8 }
  const qualification = guestProblem(get, control, world)
  if (qualification !== undefined) return { kind: 'guestState', qualification }
  if (get(0x4014) > 0n) return { kind: 'msrLoading' }
  return { kind: 'entered' }
}

type Get = (encoding: number) => bigint
interface Controls {
  readonly pin: bigint
  readonly primary: bigint
  readonly secondary: bigint
  readonly exit: bigint
  readonly entry: bigint
}

function controlsOf(get: Get): Controls {
  const primary = get(0x4002)
  return {
    pin: get(0x4000),
    primary,
    secondary: bit(primary, 31) ? get(0x401e) : 0n,
    exit: get(0x400c),
    entry: get(0x4012),
  }
}

const listLegal = (address: bigint, count: bigint): boolean =>
  count === 0n || (aligned(address, 4) && fits(address) && fits(address + 16n * count - 1n))

function eptpLegal(eptp: bigint): boolean {
  const type = bits(eptp, 2, 0)
  const walk = bits(eptp, 5, 3)
  return (
    (type === 0n || type === 6n) && (walk === 3n || walk === 4n) && bits(eptp, 11, 7) === 0n && fits(eptp)
  )
}

function controlsLegal(
  get: Get,
  { pin, primary, secondary, exit, entry }: Controls,
  { dword }: World,
): boolean {
  if (!within(pin, 0x16n, 0xffn)) return false
  if (!within(primary, 0x0400_6172n, 0xfffb_fffen)) return false
  if (!within(secondary, 0n, 0x0657_7fffn)) return false
  if (bit(primary, 17) && (get(0x2034) & ~0x10n) !== 0n) return false
  if (get(0x400a) > 4n) return false
  if (bit(primary, 25) && !(page(get(0x2000)) && page(get(0x2002)))) return false
  if (bit(primary, 28) && !page(get(0x2004))) return false
  if (bit(pin, 5) && !bit(pin, 3)) return false
  if (bit(primary, 22) && !bit(pin, 5)) return false
  if (bit(secondary, 14) && !(page(get(0x2026)) && page(get(0x2028)))) return false
  if (bit(secondary, 18) && !page(get(0x202a))) return false
  const delivery = bit(secondary, 9)
  if (bit(primary, 21)) {
    if (!page(get(0x2012))) return false
    if (!delivery) {
      if (get(0x401c) >> 4n !== 0n) return false
      if (!bit(secondary, 0) && get(0x401c) > bits(dword(get(0x2012) + 0x80n), 7, 4)) return false
    }
  } else if (bit(secondary, 4) || bit(secondary, 8) || delivery) return false
  if (bit(secondary, 0) && (!page(get(0x2014)) || bit(secondary, 4))) return false
  if (delivery && !bit(pin, 0)) return false
  if (bit(pin, 7)) {
    if (!delivery || !bit(exit, 15)) return false
    if (get(0x0002) > 255n || !aligned(get(0x2016), 6) || !fits(get(0x2016))) return false
  }
  if (bit(primary, 17) && bit(get(0x2034), 4)) {
    if (!bit(primary, 21) || !aligned(get(0x2042), 3) || !fits(get(0x2042))) return false
  }
  if (bit(secondary, 5) && get(0x0000) === 0n) return false
  const ept = bit(secondary, 1)
  if (ept && !eptpLegal(get(0x201a))) return false
  if (!ept && (bit(secondary, 7) || bit(secondary, 17) || bit(secondary, 22))) return false
  if (bit(secondary, 17) && !page(get(0x200e))) return false
  if (bit(secondary, 13)) {
    if (get(0x2018) > 1n) return false
    if (get(0x2018) === 1n && !(ept && page(get(0x2024)))) return false
  }
  if (bit(secondary, 25) && get(0x2032) === 0n) return false
  if (!within(exit, 0x0003_6dfbn, EXIT_MAY)) return false
  if (bit(exit, 22) && !bit(pin, 6)) return false
  if (!listLegal(get(0x2006), get(0x400e)) || !listLegal(get(0x2008), get(0x4010))) return false
  if (!within(entry, 0x11fbn, 0xffffn) || bit(entry, 10) || bit(entry, 11)) return false
  return listLegal(get(0x200a), get(0x4014)) && injectionLegal(get, secondary)
}

/** Exit controls 2, 9, 12, 15 and 18 to 22 beside those that are always 1. */
const EXIT_MAY = 0x0003_6dffn | (1n << 9n) | (1n << 12n) | (1n << 15n) | (0x1fn << 18n)

function injectionLegal(get: Get, secondary: bigint): boolean {
  const information = get(0x4016)
  if (!bit(information, 31)) return true
  const vector = bits(information, 7, 0)
  const type = bits(information, 10, 8)
  if (type === 1n || bits(information, 30, 12) !== 0n) return false
  if (type === 7n && vector !== 0n) return false
  if (type === 2n && vector !== 2n) return false
  if (type === 3n && vector > 31n) return false
  const protectedMode = !bit(secondary, 7) || bit(get(0x6800), 0)
  const hasCode = type === 3n && protectedMode && [8n, 10n, 11n, 12n, 13n, 14n, 17n].includes(vector)
  if (bit(information, 11) !== hasCode) return false
  if (hasCode && get(0x4018) >> 16n !== 0n) return false
  return !(type === 4n || type === 5n || type === 6n) || (get(0x401a) >= 1n && get(0x401a) <= 15n)
}

const CR0_FIXED = 0x8000_0021n
const CR4_MAY = 0x0037_6fffn

function hostLegal(get: Get, { exit }: Controls): boolean {
  // The processor of the fuzz is in IA-32e mode.
  if (!bit(exit, 9)) return false
  const cr4 = get(0x6c04)
  if (!bit(cr4, 5) || !bit(cr4, 13) || (cr4 & ~CR4_MAY & ALL) !== 0n) return false
  if (!within(get(0x6c00), CR0_FIXED, 0xffff_ffffn) || !fits(get(0x6c02))) return false
  for (const selector of [0x0c00, 0x0c02, 0x0c04, 0x0c06, 0x0c08, 0x0c0a, 0x0c0c]) {
    if (bits(get(selector), 2, 0) !== 0n) return false
  }
  if (get(0x0c02) === 0n || get(0x0c0c) === 0n) return false
  for (const address of [0x6c06, 0x6c08, 0x6c0a, 0x6c0c, 0x6c0e, 0x6c10, 0x6c12, 0x6c16]) {
    if (!canonical(get(address))) return false
  }
  if (bit(exit, 19) && !patLegal(get(0x2c00))) return false
  if (bit(exit, 12) && counterReserved(get(0x2c04))) return false
  if (!bit(exit, 21)) return true
  const efer = get(0x2c02)
  return !eferReserved(efer) && bit(efer, 8) && bit(efer, 10)
}

/** Exit qualification of the first problem, or undefined. */
function guestProblem(get: Get, control: Controls, world: World): number | undefined {
  if (!registersLegal(get, control) || !segmentsLegal(get, control) || !modelSpecificLegal(get, control))
    return 0
  const { entry } = control
  const code64 = bit(entry, 9) && bit(get(0x4816), 13)
  const rip = get(0x681e)
  if (code64 ? !canonical(rip) : rip >> 32n !== 0n) return 0
  if (!linkLegal(get, control, world)) return 4
  if (!otherStateLegal(get, control)) return 0
  return pdptesLegal(get, control, world) ? undefined : 2
}

function registersLegal(get: Get, { secondary, entry }: Controls): boolean {
  const flags = get(0x6820)
  const cr0 = get(0x6800)
  const cr4 = get(0x6804)
  if (flags >> 22n !== 0n || bit(flags, 15) || bit(flags, 5) || bit(flags, 3) || !bit(flags, 1)) return false
  if (bit(flags, 17) && (bit(entry, 9) || !bit(cr0, 0))) return false
  const information = get(0x4016)
  if (bit(information, 31) && bits(information, 10, 8) === 0n && !bit(flags, 9)) return false
  const fixed = bit(secondary, 7) ? 0x20n : CR0_FIXED
  if (!within(cr0, fixed, 0xffff_ffffn) || (bit(cr0, 31) && !bit(cr0, 0))) return false
  if (!fits(get(0x6802)) || !within(cr4, 0x2000n, CR4_MAY)) return false
  if (bit(entry, 9) ? !(bit(cr0, 31) && bit(cr4, 5)) : bit(cr4, 17)) return false
  return !bit(entry, 2) || (get(0x681a) >> 32n === 0n && (get(0x2802) & ~3n) === 0n)
}

interface Segment {
  readonly selector: bigint
  readonly base: bigint
  readonly limit: bigint
  readonly rights: bigint
}
const segmentOf = (get: Get, index: number): Segment => ({
  selector: get(0x0800 + index * 2),
  base: get(0x6806 + index * 2),
  limit: get(0x4800 + index * 2),
  rights: get(0x4814 + index * 2),
})
const usable = ({ rights }: Segment): boolean => !bit(rights, 16)
const type = ({ rights }: Segment): bigint => bits(rights, 3, 0)
const dpl = ({ rights }: Segment): bigint => bits(rights, 6, 5)
const rpl = ({ selector }: Segment): bigint => bits(selector, 1, 0)
const reservedRights = ({ rights }: Segment): boolean =>
  bits(rights, 11, 8) !== 0n || bits(rights, 31, 17) !== 0n
const granularityFits = ({ limit, rights }: Segment): boolean => {
  if (bits(limit, 11, 0) !== 0xfffn && bit(rights, 15)) return false
  return bits(limit, 31, 20) === 0n || bit(rights, 15)
}

function segmentsLegal(get: Get, { secondary, entry }: Controls): boolean {
  const [es, cs, ss, ds, fs, gs, ldtr, tr] = [0, 1, 2, 3, 4, 5, 6, 7].map(i => segmentOf(get, i)) as [
    Segment,
    Segment,
    Segment,
    Segment,
    Segment,
    Segment,
    Segment,
    Segment,
  ]
  const unrestricted = bit(secondary, 7)
  const v86 = bit(get(0x6820), 17)
  if (!canonical(fs.base) || !canonical(gs.base)) return false
  if (cs.base >> 32n !== 0n) return false
  for (const segment of [ss, ds, es]) if (usable(segment) && segment.base >> 32n !== 0n) return false
  if (v86) {
    for (const segment of [cs, ss, ds, es, fs, gs]) {
      if (segment.base !== segment.selector << 4n || segment.limit !== 0xffffn || segment.rights !== 0xf3n)
        return false
    }
  } else {
    if (!unrestricted && rpl(ss) !== rpl(cs)) return false
    const codeTypes = unrestricted ? [3n, 9n, 11n, 13n, 15n] : [9n, 11n, 13n, 15n]
    if (!codeTypes.includes(type(cs))) return false
    if (usable(ss) && ![3n, 7n].includes(type(ss))) return false
    for (const segment of [ds, es, fs, gs]) {
      if (!usable(segment)) continue
      if (!bit(segment.rights, 0) || (bit(segment.rights, 3) && !bit(segment.rights, 1))) return false
      if (!unrestricted && type(segment) <= 11n && dpl(segment) < rpl(segment)) return false
    }
    for (const segment of [cs, ss, ds, es, fs, gs]) {
      if (segment !== cs && !usable(segment)) continue
      if (!bit(segment.rights, 4) || !bit(segment.rights, 7) || reservedRights(segment)) return false
      if (!granularityFits(segment)) return false
    }
    if (type(cs) === 3n && dpl(cs) !== 0n) return false
    if ([9n, 11n].includes(type(cs)) && dpl(cs) !== dpl(ss)) return false
    if ([13n, 15n].includes(type(cs)) && dpl(cs) > dpl(ss)) return false
    if (!unrestricted && dpl(ss) !== rpl(ss)) return false
    if ((type(cs) === 3n || !bit(get(0x6800), 0)) && dpl(ss) !== 0n) return false
    if (bit(entry, 9) && bit(cs.rights, 13) && bit(cs.rights, 14)) return false
  }
  if (!canonical(get(0x6816)) || !canonical(get(0x6818))) return false
  if (get(0x4810) >> 16n !== 0n || get(0x4812) >> 16n !== 0n) return false
  if (usable(ldtr)) {
    if (bit(ldtr.selector, 2) || !canonical(ldtr.base) || type(ldtr) !== 2n) return false
    if (bit(ldtr.rights, 4) || !bit(ldtr.rights, 7) || reservedRights(ldtr) || !granularityFits(ldtr))
      return false
  }
  if (bit(tr.selector, 2) || !canonical(tr.base) || !usable(tr)) return false
  if (!(type(tr) === 11n || (type(tr) === 3n && !bit(entry, 9)))) return false
  return !bit(tr.rights, 4) && bit(tr.rights, 7) && !reservedRights(tr) && granularityFits(tr)
}

function modelSpecificLegal(get: Get, { entry }: Controls): boolean {
  if (!canonical(get(0x6824)) || !canonical(get(0x6826))) return false
  if (bit(entry, 14) && !patLegal(get(0x2804))) return false
  if (bit(entry, 13) && counterReserved(get(0x2808))) return false
  if (!bit(entry, 15)) return true
  const efer = get(0x2806)
  if (eferReserved(efer) || bit(efer, 10) !== bit(entry, 9)) return false
  return !bit(get(0x6800), 31) || bit(efer, 10) === bit(efer, 8)
}

function linkLegal(get: Get, { secondary }: Controls, { dword, currentVmcs }: World): boolean {
  const link = get(0x2800)
  if (link === ALL) return true
  if (!page(link) || link === currentVmcs) return false
  const first = dword(link)
  return first === (bit(secondary, 14) ? REVISION | 0x8000_0000n : REVISION)
}

function otherStateLegal(get: Get, { pin }: Controls): boolean {
  const pending = get(0x6822)
  const activity = get(0x4826)
  const blocking = get(0x4824)
  const flags = get(0x6820)
  const sti = bit(blocking, 0)
  const movSs = bit(blocking, 1)
  if ((pending & ~0x500fn) !== 0n) return false
  if (sti || movSs || activity === 1n) {
    if (bit(pending, 14) !== (bit(flags, 8) && !bit(get(0x2802), 1))) return false
  }
  if (activity > 3n) return false
  if (activity === 1n && bits(get(0x4818), 6, 5) !== 0n) return false
  if (activity !== 0n && (sti || movSs)) return false
  const information = get(0x4016)
  const injected = bit(information, 31) ? Number(bits(information, 10, 8)) : -1
  const vector = Number(bits(information, 7, 0))
  if (injected >= 0) {
    if (activity === 1n && !([0, 2, 7].includes(injected) || (injected === 3 && [1, 18].includes(vector))))
      return false
    if (activity === 2n && !(injected === 2 || (injected === 3 && vector === 18))) return false
    if (activity === 3n) return false
  }
  if ((blocking & ~0xbn) !== 0n || (sti && movSs) || (sti && !bit(flags, 9))) return false
  if (injected === 0 && (sti || movSs)) return false
  return !(injected === 2 && (movSs || (bit(pin, 5) && bit(blocking, 3))))
}

function pdptesLegal(get: Get, { secondary, entry }: Controls, { dword }: World): boolean {
  if (!bit(get(0x6800), 31) || !bit(get(0x6804), 5) || bit(entry, 9)) return true
  for (let i = 0; i < 4; i++) {
    const at = (get(0x6802) & ~0x1fn) + BigInt(i * 8)
    const pdpte = bit(secondary, 1) ? get(0x280a + i * 2) : (dword(at + 4n) << 32n) | dword(at)
    if (bit(pdpte, 0) && (bits(pdpte, 2, 1) !== 0n || bits(pdpte, 8, 5) !== 0n || !fits(pdpte))) return false
  }
  return true
}
