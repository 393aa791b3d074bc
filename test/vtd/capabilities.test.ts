import { describe, expect, test } from 'vitest'
import { capabilitiesFromWords, capabilityWords, SERVER_CAPABILITIES } from '../../src/vtd/index.ts'
import { TestUnit } from './fixture.ts'

const code = (capabilities: Record<string, number>): string => {
  try {
    new TestUnit({ capabilities })
    return 'accepted'
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return `${code}: ${message}`
  }
}

describe('capabilities', () => {
  test('are computed from named fields, and named fields from raw words', () => {
    const words = {
      cap: [0x222f_0606, 0x80d2_008c],
      ecap: [0x00f0_0f4a, 0],
      version: 0x10,
    } as const
    const c = capabilitiesFromWords(words)
    expect(c).toMatchObject({ ND: 6, SAGAW: 6, MGAW: 47, FRO: 0x22, SSLPS: 3, PSI: 1, NFR: 0, MAMV: 18 })
    expect(c).toMatchObject({ ESRTPS: 1, QI: 1, IR: 1, EIM: 0, PT: 1, C: 0, IRO: 15, MHMV: 15, MAJOR: 1 })
    expect(capabilityWords(c)).toEqual(words)
    const t = new TestUnit({ capabilities: c })
    expect([t.read64(0x08), t.read64(0x10)]).toEqual([0x80d2_008c_222f_0606n, 0xf0_0f4an])
  })

  test.each<[Record<string, number>, string]>([
    [{ ND: 7 }, 'topologyConflict'],
    [{ SAGAW: 0 }, 'topologyConflict'],
    [{ SAGAW: 0b00101 }, 'topologyConflict'],
    [{ SSLPS: 0b0010 }, 'topologyConflict'],
    [{ SSLPS: 0b0111 }, 'topologyConflict'],
    [{ QI: 0 }, 'topologyConflict: IR requires QI'],
    [{ IR: 0 }, 'topologyConflict: EIM requires IR'],
    [{ DT: 1, QI: 0, IR: 0, EIM: 0 }, 'topologyConflict: DT requires QI'],
    [{ NWFS: 1 }, 'topologyConflict: NWFS requires DT'],
    [{ PASID: 1 }, 'topologyConflict: PASID requires SMTS'],
    [{ FRO: 0x50 }, 'topologyConflict'],
    [{ FRO: 0x01 }, 'topologyConflict'],
    [{ IRO: 0x47 }, 'topologyConflict'],
    [{ SMTS: 1, PT: 0 }, 'topologyConflict: remapping unit: SMTS requires one of FSTS, SSTS and PT'],
    [{ SMTS: 1, FSTS: 1, NEST: 1 }, 'topologyConflict: NEST requires SSTS'],
    [{ SMTS: 1, SSTS: 1, SSADS: 1 }, 'topologyConflict: SSADS requires SMPWCS'],
    [{ SMTS: 1, FSTS: 1, EAFS: 1 }, 'topologyConflict: EAFS requires SMPWCS'],
    [{ SMTS: 1, ERS: 1 }, 'topologyConflict: ERS requires PASID'],
    [{ SMTS: 1, PRS: 1 }, 'topologyConflict: PRS requires DT'],
    [{ SMTS: 1, RPRIVS: 1 }, 'topologyConflict: RPRIVS requires SRS'],
    [{ SMTS: 1, FSTS: 1, SSTS: 1, NEST: 1, PASID: 1, PSS: 19, SMPWCS: 1, SSADS: 1 }, 'accepted'],
    [{ PI: 1 }, 'accepted'],
    [{ AFL: 1 }, 'unsupported: AFL'],
    [{ MGAW: 64 }, 'invalidArgument: MGAW'],
    [{ NFR: 1.5 }, 'invalidArgument: NFR'],
    [{ XYZ: 1 }, 'invalidArgument'],
  ])('%j: %s', (capabilities, expected) => {
    expect(code(capabilities)).toContain(expected)
  })

  test('a host address width outside 32 to 52 bits is refused', () => {
    expect(() => new TestUnit({ hostAddressWidth: 53 })).toThrow('hostAddressWidth')
    expect(() => new TestUnit({ hostAddressWidth: 31 })).toThrow('hostAddressWidth')
  })

  test('the register window holds all fault records', () => {
    expect(new TestUnit({ capabilities: { FRO: 0x100, NFR: 255 } }).unit.registerSize).toBe(0x2000)
    expect(SERVER_CAPABILITIES.NFR).toBe(7)
  })
})
