/** The remapping unit of the virtual board: where its registers are, and what the two kinds of it can do. */
import { type Fields, set } from '../../core/index.ts'
import { CAP, ECAP } from '../../vtd/formats/index.ts'

/** Guest-physical address of the registers, as on many a real board. */
export const VIRTUAL_UNIT_BASE = 0xfed9_0000

/**
 * `shadow`: legacy mode with caching mode; the host keeps a copy of what the guest's tables map. `nested`: scalable mode
 * with first-stage tables, which the host's unit walks where they are, over the second stage of the host.
 */
export const VIRTUAL_UNIT_MODES = ['shadow', 'nested'] as const
export type VirtualUnitMode = (typeof VIRTUAL_UNIT_MODES)[number]

const word64 = (fields: Fields, values: Readonly<Record<string, number>>): [number, number] => {
  const words = new Uint32Array(2)
  for (const [name, value] of Object.entries(values)) set(fields[name]!, words, value)
  return [words[0]!, words[1]!]
}

/** 65,536 domain ids; 48-bit addresses; fault records at 400h, eight of them; IOTLB registers at 500h. */
const COMMON_CAP = {
  ND: 6,
  SAGAW: 0b0110,
  MGAW: 47,
  ZLR: 1,
  FRO: 0x40,
  PSI: 1,
  NFR: 7,
  MAMV: 18,
  DWD: 1,
  DRD: 1,
}
const COMMON_ECAP = { C: 1, QI: 1, IR: 1, EIM: 1, PT: 1, IRO: 0x50, MHMV: 15 }

/** CAP and ECAP of each kind. */
export const VIRTUAL_UNIT_CAPABILITIES = {
  shadow: {
    cap: word64(CAP.f, { ...COMMON_CAP, CM: 1, SSLPS: 0b0011, ESIRTPS: 1, ESRTPS: 1 }),
    ecap: word64(ECAP.f, { ...COMMON_ECAP, SC: 1 }),
  },
  nested: {
    cap: word64(CAP.f, { ...COMMON_CAP, CM: 1, FS1GP: 1, ESIRTPS: 1, ESRTPS: 1 }),
    ecap: word64(ECAP.f, { ...COMMON_ECAP, SMTS: 1, FSTS: 1, SMPWCS: 1 }),
  },
} as const

/** Version 1.0 of the architecture. */
export const VIRTUAL_UNIT_VERSION = 0x10
