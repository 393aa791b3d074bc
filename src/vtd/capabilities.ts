/**
 * What a unit can do, by the field names of CAP, ECAP and VER and in their encodings (`MGAW: 47` is 48 bits,
 * `NFR: 7` is 8 records): one set of names for configuration, register and display.
 */
import { decode, type Fields, NorthbridgeError, set } from '../core/index.ts'
import { CAP, ECAP, VER } from './formats/registers.ts'

type CapabilityName = keyof typeof CAP.f | keyof typeof ECAP.f | 'MAJOR' | 'MINOR'
/** Every field of CAP and ECAP, and VER.MAX and VER.MIN as MAJOR and MINOR. */
export type UnitCapabilities = Readonly<Record<CapabilityName, number>>

/** CAP, ECAP and VER as they read; 64-bit registers as `[low, high]`. */
export interface CapabilityWords {
  readonly cap: readonly [low: number, high: number]
  readonly ecap: readonly [low: number, high: number]
  readonly version: number
}

const none = Object.fromEntries(
  [...Object.keys(CAP.f), ...Object.keys(ECAP.f), 'MAJOR', 'MINOR'].map(name => [name, 0]),
) as UnitCapabilities

/** A unit as server chipsets have it, legacy mode. */
export const SERVER_CAPABILITIES: UnitCapabilities = Object.freeze({
  ...none,
  MAJOR: 1,
  ND: 6,
  PLMR: 1,
  PHMR: 1,
  SAGAW: 0b0110,
  MGAW: 47,
  ZLR: 1,
  FRO: 0x40,
  SSLPS: 0b0011,
  PSI: 1,
  NFR: 7,
  MAMV: 18,
  DWD: 1,
  DRD: 1,
  ESIRTPS: 1,
  ESRTPS: 1,
  C: 1,
  QI: 1,
  IR: 1,
  EIM: 1,
  PT: 1,
  SC: 1,
  IRO: 0x50,
  MHMV: 15,
})

export function capabilitiesFromWords({ cap, ecap, version }: CapabilityWords): UnitCapabilities {
  return {
    ...(decode(CAP.f, cap) as Record<keyof typeof CAP.f, number>),
    ...(decode(ECAP.f, ecap) as Record<keyof typeof ECAP.f, number>),
    MAJOR: version >>> 4,
    MINOR: version & 15,
  }
}

export function capabilityWords(capabilities: UnitCapabilities): CapabilityWords {
  const word = (fields: Fields): [number, number] => {
    const words = new Uint32Array(2)
    for (const [name, f] of Object.entries(fields)) set(f, words, capabilities[name as CapabilityName])
    return [words[0]!, words[1]!]
  }
  return {
    cap: word(CAP.f),
    ecap: word(ECAP.f),
    version: (capabilities.MAJOR << 4) | capabilities.MINOR,
  }
}

/** "reported as 0 if … is 0": a capability and those it cannot be without. */
const REQUIRES: readonly (readonly [CapabilityName, ...CapabilityName[]])[] = [
  ['DT', 'QI'],
  ['IR', 'QI'],
  ['EIM', 'IR'],
  ['PI', 'IR'],
  ['SMTS', 'QI'],
  ['MTS', 'SMTS'],
  ['NEST', 'SMTS', 'FSTS', 'SSTS'],
  ['PASID', 'SMTS'],
  ['PRS', 'DT', 'SMTS'],
  ['ERS', 'PASID'],
  ['SRS', 'SMTS'],
  ['NWFS', 'DT'],
  ['EAFS', 'FSTS', 'SMPWCS'],
  ['PDS', 'DT'],
  ['SSADS', 'SMPWCS'],
  ['RPRIVS', 'SRS'],
  ['PMS', 'ECMDS'],
]

/** Further rules: the condition that breaks one, and the rule in words. */
const RULES: readonly (readonly [(c: UnitCapabilities) => boolean, string])[] = [
  [c => c.ND === 7, 'ND encoding 7 is reserved'],
  [c => (c.SAGAW & 0b10001) !== 0, 'bits 0 and 4 of SAGAW are reserved'],
  [c => c.SAGAW === 0, 'SAGAW names at least one address width'],
  [c => (c.SSLPS & 0b1100) !== 0, 'bits 2 and 3 of SSLPS are reserved'],
  [c => c.SSLPS === 0b10, 'a unit with 1-GiB pages (SSLPS) has 2-MiB pages too'],
  [c => c.SMTS === 1 && c.FSTS + c.SSTS + c.PT === 0, 'SMTS requires one of FSTS, SSTS and PT'],
  [c => overlaps(c), 'the registers at FRO, those at IRO and the fixed ones do not overlap'],
]

/** Features of the architecture that this model has not; a unit cannot be configured to report them. */
const NOT_MODELLED: readonly CapabilityName[] = ['AFL', 'ECMDS', 'VCS', 'TDXIO']

/** First byte behind the registers with fixed offsets that a unit with these capabilities has. */
const endOfFixed = (c: UnitCapabilities): number => (c.MTS ? 0x220 : 0xf0)

function overlaps(c: UnitCapabilities): boolean {
  const faults = [c.FRO * 16, (c.FRO + c.NFR + 1) * 16] as const
  const iotlb = [c.IRO * 16, c.IRO * 16 + 16] as const
  const end = endOfFixed(c)
  return faults[0] < end || iotlb[0] < end || (faults[0] < iotlb[1] && iotlb[0] < faults[1])
}

/** Bytes of register space, whole pages. */
export const registerSizeOf = (c: UnitCapabilities): number =>
  Math.ceil(Math.max(c.IRO * 16 + 16, (c.FRO + c.NFR + 1) * 16) / 4096) * 4096

/**
 * Completes a set of capabilities with those of {@link SERVER_CAPABILITIES} and checks it. Throws
 * `invalidArgument` for a value that its field cannot hold, `topologyConflict` for a contradiction, `unsupported` for
 * a feature that is not modelled; each names the fields.
 */
export function resolveCapabilities(chosen: Partial<UnitCapabilities> = {}): UnitCapabilities {
  const capabilities: UnitCapabilities = { ...SERVER_CAPABILITIES, ...chosen }
  const widths: Fields = { ...CAP.f, ...ECAP.f, MAJOR: VER.f.MAX, MINOR: VER.f.MIN }
  for (const [name, value] of Object.entries(capabilities)) {
    const f = widths[name]
    if (f === undefined) throw new NorthbridgeError('invalidArgument', `CAP and ECAP have no field ${name}`)
    const limit = 2 ** (f.high - f.low + 1)
    if (!Number.isInteger(value) || value < 0 || value >= limit) {
      throw new NorthbridgeError(
        'invalidArgument',
        `${name} must be a whole number below ${limit}, not ${value}`,
      )
    }
  }
  for (const name of NOT_MODELLED) {
    if (capabilities[name] !== 0) throw new NorthbridgeError('unsupported', `${name} is not modelled`)
  }
  for (const [name, ...needed] of REQUIRES) {
    const missing = capabilities[name] === 0 ? undefined : needed.find(other => capabilities[other] === 0)
    if (missing !== undefined) throw new NorthbridgeError('topologyConflict', `${name} requires ${missing}`)
  }
  for (const [broken, rule] of RULES) {
    if (broken(capabilities)) throw new NorthbridgeError('topologyConflict', `remapping unit: ${rule}`)
  }
  return capabilities
}
