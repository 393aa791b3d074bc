/** What a document states of single bits counts for the function that is built from it, and for its virtual functions. */
import { describe, expect, it } from 'vitest'
import { dataSheetSchema, definitionFromDataSheet, loadDataSheet } from '../../src/devices/index.ts'
import { drive, Engine } from '../../src/engine/index.ts'
import { Platform, parseTopology } from '../../src/platform/index.ts'
import { ALL, Machine, part } from '../pcie/machine.ts'

const overrides = [
  // Device Control after reset, and No Snoop that does not exist.
  { offset: '0xa8', readOnly: '0x00000800', reset: { mask: '0x0000ffff', value: '0x00000000' } },
  // Subsystem ID that software may write, and a status bit of the maker's.
  { offset: '0x2c', readWrite: '0xffff0000', reset: { mask: '0xffff0000', value: '0x43210000' } },
  { offset: '0xf0', clearable: '0x00000001' },
  // Links of the capability list cannot be overridden.
  { offset: '0xa0', readWrite: '0xffffffff' },
]

describe('overrides', () => {
  const sheet = loadDataSheet('intel-82576')
  const changed = dataSheetSchema.parse({
    ...structuredClone(sheet),
    functions: [
      {
        ...structuredClone(sheet.functions[0]!),
        overrides,
        sriov: {
          ...structuredClone(sheet.functions[0]!.sriov!),
          enableTimeNs: 7,
          virtualFunction: { ...sheet.functions[0]!.sriov!.virtualFunction, overrides: [overrides[1]] },
        },
      },
    ],
  })

  it('of a data sheet change access and reset value of the bits that they name', () => {
    const nic = new Machine().plug(definitionFromDataSheet(changed), '1.0')
    expect([nic.readConfig(0xa8) & 0xffff, nic.readConfig(0x2c) >>> 16]).toEqual([0, 0x4321])
    nic.writeConfig(0xa8, 0x7fff, 0xffff)
    expect(nic.readConfig(0xa8) & 0x0810).toBe(0x0010)
    nic.writeConfig(0x2c, ALL, ALL)
    expect(nic.readConfig(0x2c) >>> 0).toBe(0xffff_8086)
    nic.words[0xf0 >>> 2] = 1
    nic.writeConfig(0xf0, 1, ALL)
    expect(nic.readConfig(0xf0)).toBe(0)
    nic.writeConfig(0xa0, ALL, ALL)
    expect(nic.readConfig(0xa0) & 0xffff).toBe(
      part('intel-82576').image[0xa0]! | (part('intel-82576').image[0xa1]! << 8),
    )
  })

  it('of virtual functions are theirs', () => {
    const made = definitionFromDataSheet(changed)
    expect(made.sriov!.enableTimeNs).toBe(7)
    const nic = new Machine().plug(made, '1.0')
    nic.writeConfig(0x170, 1, ALL)
    nic.writeConfig(0x168, 1, ALL)
    expect(nic.virtualFunctions[0]!.readConfig(0x2c) >>> 16).toBe(0x4321)
  })

  it('of an imported function work alike', () => {
    const { image, kind } = part('intel-82574l')
    const imported = {
      name: 'one',
      kind,
      image: Buffer.from(image).toString('hex'),
      configSizeBytes: 4096 as const,
      overrides: [{ offset: '0x08', reset: { mask: '0xff', value: '0x7e' } }],
    }
    const topology = parseTopology({
      name: 'one',
      iommu: { kind: 'none' },
      hostBridges: [{ devices: [{ at: '01.0', imported }] }],
    })
    const platform = drive(Platform.build(topology, new Engine()), () => false)
    expect(platform.fabric.functions()[0]!.readConfig(0x08) & 0xff).toBe(0x7e)
  })
})
