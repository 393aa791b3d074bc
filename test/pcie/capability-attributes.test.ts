/** Access and reset value of the registers of each capability: every row is a register, its reset value, and what it
 * holds after all ones were written. Offsets and bits are literals. */
import { describe, expect, it } from 'vitest'
import { AT, definition, EXPRESS_AT, EXTENDED_AT, type ImageParts, plugged, written } from './images.ts'
import { ALL } from './machine.ts'

type Row = readonly [what: string, parts: ImageParts, offset: number, reset: number, ones: number]

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0')
const check = (_what: string, parts: ImageParts, offset: number, reset: number, ones: number): void => {
  const [before, after] = written(plugged(definition(parts)), offset)
  expect([hex(before), hex(after)]).toEqual([hex(reset), hex(ones)])
}

const express = (type: number, dwords: Readonly<Record<number, number>> = {}): ImageParts => ({
  type,
  express: dwords,
})
const ENDPOINT = 0
const ROOT = 4
const UPSTREAM = 5
const DOWNSTREAM = 6
const BRIDGE = 7
const INTEGRATED = 9

describe('PCI Express capability', () => {
  it.each<Row>([
    ['Device Control of a function that offers nothing', express(ENDPOINT), 0x48, 0x2810, 0x0000_7cff],
    [
      'with extended tags and FLR, which spares Max_Payload_Size and what is sticky',
      express(ENDPOINT, { 4: 0x1000_0020 }),
      0x48,
      0x2810,
      0x0000_2cf0,
    ],
    ['with phantom functions', express(ENDPOINT, { 4: 0x18 }), 0x48, 0x2810, 0x7eff],
    [
      'of a PCIe-to-PCI bridge: bit 15 is Bridge Configuration Retry Enable',
      express(BRIDGE),
      0x48,
      0x2810,
      0xfcff,
    ],
    ['Link Control of an endpoint', express(ENDPOINT, { 12: 0x0000_0411 }), 0x50, 0, 0x02cb],
    ['with clock power management', express(ENDPOINT, { 12: 0x0004_0411 }), 0x50, 0, 0x03cb],
    [
      'of an upstream port, whose link is trained',
      express(UPSTREAM, { 12: 0x411 }),
      0x50,
      0x0011_0000,
      0x0011_02c3,
    ],
    ['of an integrated endpoint, which has no link', express(INTEGRATED), 0x50, 0, 0],
    ['Device Control 2 where nothing is offered', express(ENDPOINT), 0x68, 0, 0x0340],
    ['with timeouts, LTR, 10-bit tags and OBFF', express(ENDPOINT, { 36: 0x0006_081f }), 0x68, 0, 0x775f],
    [
      'of a port with ARI forwarding and AtomicOp routing',
      express(DOWNSTREAM, { 36: 0x60 }),
      0x68,
      0,
      0x03a0,
    ],
    ['ARI forwarding is for downstream ports', express(ENDPOINT, { 36: 0x20 }), 0x68, 0, 0x0340],
    ['Link Control 2 begins with the highest speed', express(ENDPOINT, { 12: 0x413 }), 0x70, 0x3, 0xffbf],
  ])('%s', check)

  it('Link Control of a root port keeps its Read Completion Boundary', () => {
    const port = plugged(definition(express(ROOT, { 12: 0x0020_0411, 16: 0x0008 })))
    expect(port.readConfig(0x50) & 0xffff).toBe(0x0008)
    port.writeConfig(0x50, 0x0fc3, 0xffff)
    expect(port.readConfig(0x50) & 0xffff).toBe(0x0ecb)
  })

  it('Slot Control has what Slot Capabilities names, and begins with both indicators off while it is empty', () => {
    const bare = plugged(definition(express(ROOT, { 0: 0x0100_0000, 20: 0x0004_0000 })))
    expect(bare.readConfig(0x58) & 0xffff).toBe(0)
    bare.writeConfig(0x58, 0xffff, 0xffff)
    expect(bare.readConfig(0x58) & 0xffff).toBe(0x1028)
    const whole = plugged(definition(express(ROOT, { 0: 0x0100_0000, 20: 0x0002_007f })))
    expect(whole.readConfig(0x58) & 0x03c0).toBe(0x03c0)
  })

  it('Root Control enables RRS visibility where Root Capabilities offers it', () => {
    expect(written(plugged(definition(express(ROOT))), 0x5c)[1]).toBe(0x0f)
    expect(written(plugged(definition(express(ROOT, { 28: 0x1_0000 }))), 0x5c)[1]).toBe(0x1_001f)
    expect(written(plugged(definition(express(ENDPOINT))), 0x5c)[1]).toBe(0)
  })

  it('version 1 ends behind the root registers', () => {
    const image = definition(express(ENDPOINT))
    image.image[EXPRESS_AT + 2] = 0x01
    expect(written(plugged(image), 0x68)[1]).toBe(0)
  })
})

describe('PCI-compatible capabilities', () => {
  const capability = (id: number, control: number, ...dwords: number[]): ImageParts => ({
    capability: { id, control, dwords },
  })
  it.each<Row>([
    ['PMCSR of a function that signals no PME', capability(0x01, 0x0603), AT + 4, 0, 0x0003],
    ['PMCSR with PME from D3hot', capability(0x01, 0x4603, 0x8), AT + 4, 0x8, 0x010b],
    ['MSI Message Control', capability(0x05, 0x0084), AT, 0x0084_0005, 0x00f5_0005],
    ['Message Address', capability(0x05, 0x0080), AT + 4, 0, 0xffff_fffc],
    ['Message Upper Address', capability(0x05, 0x0080), AT + 8, 0, 0xffff_ffff],
    ['Message Data', capability(0x05, 0x0080), AT + 12, 0, 0xffff],
    ['Message Data of 32 bits', capability(0x05, 0x0280), AT + 12, 0, 0xffff_ffff],
    ['Mask Bits of four messages', capability(0x05, 0x0104), AT + 12, 0, 0xf],
    ['Pending Bits', capability(0x05, 0x0104), AT + 16, 0, 0],
    ['MSI-X Message Control', capability(0x11, 0x0007), AT, 0x0007_0011, 0xc007_0011],
    ['MSI-X Table Offset', capability(0x11, 0x0007, 0x2003), AT + 4, 0x2003, 0x2003],
    ['an unknown capability', capability(0x3f, 0x1234, 0xdead_beef), AT + 4, 0xdead_beef, 0xdead_beef],
  ])('%s', check)
})

describe('extended capabilities', () => {
  const extended = (id: number, dwords: readonly number[], type = ENDPOINT): ImageParts => ({
    type,
    express: { 12: 0x0000_0043 },
    extended: { id, dwords },
  })
  const at = (offset: number): number => EXTENDED_AT + offset
  const aer = [0, 0, 0x0046_2030, 0, 0, 0xa0]
  const acs = (bits: number): number[] => [bits]
  it.each<Row>([
    ['AER Uncorrectable Error Mask', extended(0x01, aer), at(0x08), 0, 0x0fff_f030],
    ['Severity is the maker’s after reset', extended(0x01, aer), at(0x0c), 0x0046_2030, 0x0fff_f030],
    [
      'Correctable Error Mask hides advisory and internal errors',
      extended(0x01, aer),
      at(0x14),
      0xe000,
      0xf1c1,
    ],
    ['ECRC is enabled where it is offered', extended(0x01, aer), at(0x18), 0xa0, 0x1e0],
    ['Header Log', extended(0x01, aer), at(0x1c), 0, 0],
    ['Root Error Command of an endpoint', extended(0x01, aer), at(0x2c), 0, 0],
    ['of a root port', extended(0x01, aer, ROOT), at(0x2c), 0, 7],
    ['ACS Control has the bits of ACS Capability', extended(0x0d, acs(0x1d), ROOT), at(4), 0x1d, 0x001d_001d],
    ['the enhanced ones of a root port', extended(0x0d, acs(0x9f), ROOT), at(4), 0x9f, 0x139f_009f],
    [
      'the enhanced ones of a downstream port',
      extended(0x0d, acs(0x9f), DOWNSTREAM),
      at(4),
      0x9f,
      0x1f9f_009f,
    ],
    ['Egress Control Vector of 5 bits', extended(0x0d, acs(0x0520)), at(8), 0, 0x1f],
    ['of 256 bits, coded as 0', extended(0x0d, acs(0x20)), at(0x24), 0, ALL],
    ['none without P2P Egress Control', extended(0x0d, acs(0x0500)), at(8), 0, 0],
    ['ARI Control without function groups', extended(0x0e, [0x0200]), at(4), 0x0200, 0x0200],
    ['with both', extended(0x0e, [0x0203]), at(4), 0x0203, 0x0073_0203],
    ['ATS Control', extended(0x0f, [0x25]), at(4), 0x25, 0x801f_0025],
    ['PASID Control', extended(0x1b, [0x1400]), at(4), 0x1400, 0x0001_1400],
    ['PASID Control with both modes', extended(0x1b, [0x1406]), at(4), 0x1406, 0x0007_1406],
    ['LTR latencies', extended(0x18, [0]), at(4), 0, 0x1fff_1fff],
    ['serial number', extended(0x03, [0x1234_5678, 0x9abc_def0]), at(8), 0x9abc_def0, 0x9abc_def0],
    ['TPH Requester Control', extended(0x17, [0x1]), at(8), 0, 0x307],
    [
      'TPH steering tags in the capability, ST Lower only',
      extended(0x17, [0x0002_0201]),
      at(12),
      0,
      0x00ff_00ff,
    ],
    ['three of them are a dword and a half', extended(0x17, [0x0002_0301]), at(16), 0, 0xffff],
    ['none in an MSI-X table’s place', extended(0x17, [0x0002_0401]), at(12), 0, 0],
    ['DPC Control of a port without extras', extended(0x1d, [0], ROOT), at(4), 0, 0x001f_0000],
    [
      'RP PIO Mask begins with everything masked',
      extended(0x1d, [0x20], ROOT),
      at(0x10),
      0x0007_0707,
      0x0007_0707,
    ],
    ['RP PIO Severity', extended(0x1d, [0x20], ROOT), at(0x14), 0, 0x0007_0707],
    ['L1 PM Substates Control 1 of an endpoint', extended(0x1e, [0x1a]), at(8), 0, 0xe3ff_000a],
    ['of a root port', extended(0x1e, [0x1f], ROOT), at(8), 0, 0xe3ff_ff0f],
    ['Control 2: T_POWER_ON is 10 us', extended(0x1e, [0x1f]), at(12), 0x28, 0xfb],
    ['PTM Control of a requester', extended(0x1f, [1]), at(8), 0, 0xff01],
    ['PTM Control of a root', extended(0x1f, [6], ROOT), at(8), 0, 3],
    ['VC0 Resource Control', extended(0x02, [0]), at(0x14), 0x8000_00ff, 0x800e_00ff],
    ['VC1 Resource Control', extended(0x02, [1]), at(0x20), 0, 0x870e_00fe],
    ['VC1 of a port that has VC0 alone', extended(0x02, [0]), at(0x20), 0, 0],
    ['Port VC Control', extended(0x02, [1]), at(0x0c), 0, 0x0e],
    ['an unknown extended capability', extended(0x7f, [0xdead_beef]), at(4), 0xdead_beef, 0xdead_beef],
  ])('%s', check)

  it('RW1C bits are cleared by the ones written, and by nothing else', () => {
    const fn = plugged(definition(extended(0x01, aer)))
    fn.words[at(4) >>> 2] = 0x0010_1000
    fn.writeConfig(at(4), 0x0000_1000, ALL)
    expect(fn.readConfig(at(4))).toBe(0x0010_0000)
    fn.writeConfig(at(4), 0x0010_0000, 0xffff)
    expect(fn.readConfig(at(4))).toBe(0x0010_0000)
  })
})
