/** The data sheets in `devices/`, and the configuration spaces made from them. */
import { describe, expect, it } from 'vitest'
import { NorthbridgeError, parseDocument } from '../../src/core/index.ts'
import {
  dataSheetNames,
  dataSheetSchema,
  defaultVfImage,
  definitionFromDataSheet,
  definitionsFromDataSheet,
  loadDataSheet,
} from '../../src/devices/index.ts'
import { capabilityName, listCapabilities } from '../../src/pcie/formats/index.ts'
import { Machine } from '../pcie/machine.ts'

const dword = (image: Uint8Array, offset: number): number =>
  new DataView(image.buffer, image.byteOffset).getUint32(offset, true)
const chain = (image: Uint8Array): string[] =>
  listCapabilities(offset => dword(image, offset), image.length).map(
    ({ id, extended, offset }) => `${offset.toString(16)} ${capabilityName(id, extended)}`,
  )

describe.each(dataSheetNames())('%s', name => {
  const sheet = loadDataSheet(name)

  it('keeps the schema, is named like its file and explains its sources', () => {
    expect(sheet.name).toBe(name)
    const used = [...JSON.stringify(sheet).matchAll(/"source":"([^"]*)"/g)].map(([, key]) => key)
    expect(used.filter(key => sheet.sources[key!] === undefined)).toEqual([])
  })

  it('MSI-X tables and pending bits lie inside memory BARs, apart from each other', () => {
    for (const fn of sheet.functions) {
      const places = [
        [fn.capabilities, fn.bars] as const,
        [fn.sriov?.virtualFunction.capabilities ?? [], fn.sriov?.bars ?? []] as const,
      ]
      for (const [capabilities, bars] of places) {
        for (const capability of capabilities) {
          if (capability.capability !== 'msiX') continue
          const { table, pendingBits, vectors } = capability
          const sizeOf = (index: number) =>
            bars.find(bar => bar.index === index && bar.kind !== 'io')?.sizeBytes ?? 0
          const [start, pending] = [Number(table.offset), Number(pendingBits.offset)]
          const pendingBytes = Math.ceil(vectors / 64) * 8
          expect(start + vectors * 16).toBeLessThanOrEqual(sizeOf(table.bar))
          expect(pending + pendingBytes).toBeLessThanOrEqual(sizeOf(pendingBits.bar))
          expect(start >= pending + pendingBytes || pending >= start + vectors * 16).toBe(true)
        }
      }
    }
  })

  it('BARs do not overlap', () => {
    for (const fn of sheet.functions) {
      for (const bars of [fn.bars, fn.sriov?.bars ?? []]) {
        const used = bars.flatMap(({ index, kind }) => (kind === 'memory64' ? [index, index + 1] : [index]))
        expect(new Set(used).size).toBe(used.length)
        expect(Math.max(0, ...used)).toBeLessThan(6)
      }
    }
  })

  it('makes configuration spaces whose lists hold every capability of the sheet', () => {
    for (const [i, { image }] of definitionsFromDataSheet(sheet).entries()) {
      const fn = sheet.functions[i]!
      expect(chain(image)).toHaveLength(fn.capabilities.length + Number(fn.sriov !== undefined))
    }
  })
})

describe('Intel 82576', () => {
  const [first, second] = definitionsFromDataSheet(loadDataSheet('intel-82576'))

  it('has the capability lists of the real part', () => {
    expect(chain(first!.image)).toEqual([
      '40 PM',
      '50 MSI',
      '70 MSI-X',
      'a0 PCIe',
      '100 AER',
      '140 DSN',
      '150 ARI',
      '160 SR-IOV',
    ])
  })

  it('has its registers', () => {
    const { image } = first!
    expect(dword(image, 0x00)).toBe(0x10c9_8086)
    expect(dword(image, 0x08)).toBe(0x0200_0001)
    expect(dword(image, 0x50)).toBe(0x0180_7005) // 64-bit, maskable, one message, next 70h
    expect(dword(image, 0x70)).toBe(0x0009_a011) // ten vectors
    expect([dword(image, 0x74), dword(image, 0x78)]).toEqual([0x0000_0003, 0x0000_2003])
    expect(dword(image, 0xac) & 0x3ff).toBe(0x41) // x4 at 2.5 GT/s
    expect(dword(image, 0xa4) & 0x1000_0007).toBe(0x1000_0002) // FLR, 512 bytes
    expect(dword(image, 0x100)).toBe(0x1401_0001)
    expect(dword(image, 0x160)).toBe(0x0001_0010)
    expect(dword(image, 0x16c)).toBe(0x0008_0008)
    expect(dword(image, 0x178)).toBe(0x10ca_0000)
    expect(dword(image, 0x17c)).toBe(0x553)
  })

  it('links its two functions by ARI', () => {
    expect([first!, second!].map(({ image }) => image[0x155])).toEqual([1, 0])
  })
})

describe('data sheets that are wrong', () => {
  it('an unknown name is not found, even one that looks like a path', () => {
    for (const name of ['intel-0000', '../package', 'a/../intel-82576']) {
      expect(() => loadDataSheet(name)).toThrow(NorthbridgeError)
    }
  })

  it('wrong fields are named by their path', () => {
    const sheet = structuredClone(loadDataSheet('intel-82574l')) as unknown as {
      functions: [{ bars: [{ sizeBytes: number }] }]
    }
    sheet.functions[0].bars[0].sizeBytes = 3000
    expect(() => parseDocument(dataSheetSchema, sheet, 'data sheet')).toThrow('/functions/0/bars/0/sizeBytes')
  })
})

describe('a virtual function that was never captured', () => {
  const pf = definitionFromDataSheet(loadDataSheet('intel-82599'))
  const image = defaultVfImage(pf.image, { vectors: 3, bar: 3, tableOffset: 0, pendingOffset: 0x2000 })

  it('has FLR, MSI-X and ARI, and the class and subsystem of its physical function', () => {
    expect(chain(image)).toEqual(['70 PCIe', 'b0 MSI-X', '100 ARI'])
    expect([0x00, 0x08, 0x2c].map(at => dword(image, at))).toEqual([
      0xffff_ffff,
      dword(pf.image, 0x08),
      dword(pf.image, 0x2c),
    ])
    expect(dword(image, 0x74) & 0x1000_0000).toBe(0x1000_0000)
    expect([dword(image, 0xb0), dword(image, 0xb4), dword(image, 0xb8)]).toEqual([0x0002_0011, 3, 0x2003])
  })

  it('makes a virtual function that can be reset and interrupts', () => {
    const machine = new Machine()
    const fn = machine.plug({ ...pf, sriov: { ...pf.sriov!, image } }, '3.0')
    fn.writeConfig(0x170, 1, 0xffff)
    fn.writeConfig(0x168, 0x11, 0xffff)
    const vf = fn.virtualFunctions[0]!
    vf.writeConfig(0x04, 4, 0xffff)
    vf.writeConfig(0x78, 0x8000, 0xffff)
    expect(vf.busMasterEnabled).toBe(false)
  })
})
