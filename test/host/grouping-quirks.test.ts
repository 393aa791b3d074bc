/** Makers' words that config space does not show: Linux's tables, row by row where a row behaves differently. */
import { describe, expect, it } from 'vitest'
import { missingIsolation } from '../../src/host/grouping/isolation.ts'
import data from '../../src/host/grouping/quirks.json' with { type: 'json' }
import {
  hasPeerDecodeWorkaround,
  hasWideAccessControl,
  quirkAccessControl,
  quirkAliasesOf,
} from '../../src/host/grouping/quirks.ts'
import { bridge, fn, ON, TYPE } from './sketches.ts'

interface Row {
  readonly vendor: string
  readonly types?: readonly string[]
  readonly devices?: readonly string[]
}

const port = (vendorId: number, deviceId: number, more = {}) =>
  bridge('00:1c.0', 1, TYPE.rootPort, { vendorId, deviceId, ...more })

describe('the file of quirks', () => {
  it('names a source that it explains in every row', () => {
    for (const { title, source } of [...data.accessControl, ...data.aliases, ...data.bridgesInDisguise]) {
      expect(
        source.split(' ').filter(key => !Object.hasOwn(data.sources, key)),
        title,
      ).toEqual([])
    }
  })

  it('has no id twice for one vendor and type', () => {
    for (const rows of [data.accessControl, data.aliases, data.bridgesInDisguise]) {
      const seen = new Set<string>()
      for (const { vendor, types = [], devices = [] } of rows as readonly Row[]) {
        for (const range of devices) {
          const [first, last = first] = range.split('-').map(Number)
          for (let id = first!; id <= last!; id++) {
            const key = `${vendor}:${id.toString(16)} ${types}`
            expect(seen.has(key), key).toBe(false)
            seen.add(key)
          }
        }
      }
    }
  })
})

describe('a maker vouches', () => {
  it.each([
    ['I350', 0x8086, 0x1521],
    ['82599', 0x8086, 0x10fb],
    ['I219, which is conventional PCI', 0x8086, 0x15b8],
    ['BCM57414', 0x14e4, 0x16d7],
    ['Solarflare', 0x1924, 0x0a03],
    ['Emulex Skyhawk', 0x10df, 0x0720],
  ])('for functions of %s', (_name, vendorId, deviceId) => {
    for (const expressType of [TYPE.endpoint, TYPE.conventional]) {
      expect(missingIsolation(fn({ at: '01:00.1', vendorId, deviceId, expressType }))).toEqual([])
    }
  })

  it('not for X540, X550, X710 and E810, whose capability speaks for itself', () => {
    for (const deviceId of [0x1528, 0x1563, 0x1572, 0x1592]) {
      expect(quirkAccessControl(fn({ at: '01:00.1', vendorId: 0x8086, deviceId }))).toBeUndefined()
    }
  })

  it.each([
    ['Cavium ThunderX', 0x177d, 0xa302],
    ['Ampere', 0x1def, 0xe00a],
    ['Annapurna Labs', 0x1c36, 0x0031],
    ['Loongson', 0x0014, 0x7a29],
    ['Zhaoxin', 0x1d17, 0x0718],
    ['NXP', 0x1957, 0x8d90],
  ])('for root ports of %s without a capability', (_name, vendorId, deviceId) => {
    expect(missingIsolation(port(vendorId, deviceId))).toEqual([])
  })

  it('for AMD south bridge functions only beside an AMD IOMMU, on the root bus, in a device of several', () => {
    const sketch = { at: '00:14.0', vendorId: 0x1002, deviceId: 0x4385, expressType: TYPE.conventional }
    expect(missingIsolation(fn({ ...sketch, multifunction: true, besideAmdIommu: true }))).toEqual([])
    expect(missingIsolation(fn({ ...sketch, multifunction: true }))).toEqual(['ACS'])
    expect(missingIsolation(fn({ ...sketch, besideAmdIommu: true }))).toEqual(['ACS'])
    const above = port(0x1022, 0x1483)
    expect(missingIsolation(fn({ ...sketch, multifunction: true, besideAmdIommu: true, above }))).toEqual([
      'ACS',
    ])
  })
})

describe('the last word of a quirk', () => {
  it('is that other Zhaoxin ports do not isolate, whatever their registers say', () => {
    expect(missingIsolation(port(0x1d17, 0x0722, { acs: ON }))).not.toEqual([])
  })

  it('is that PCH root ports isolate only after the workaround', () => {
    const sketch = port(0x8086, 0x1c10)
    expect(hasPeerDecodeWorkaround(sketch)).toBe(true)
    expect(missingIsolation(sketch)).toEqual(['ACS'])
    expect(missingIsolation({ ...sketch, peerDecodesDisabled: true })).toEqual([])
    expect(hasPeerDecodeWorkaround(port(0x8086, 0x2030))).toBe(false)
  })

  it('is the doubleword behind the capability for 100 series PCH root ports', () => {
    const acs = { capability: 0x0f, control: 0 }
    const sketch = (nextDword: number) => port(0x8086, 0xa110, { acs: { ...acs, nextDword } })
    expect(hasWideAccessControl(sketch(0))).toBe(true)
    expect(missingIsolation(sketch(0))).toEqual(['SV', 'RR', 'CR'])
    // UF is not offered there, which counts as on.
    expect(missingIsolation(sketch(0x0d))).toEqual([])
    expect(missingIsolation(port(0x8086, 0xa110))).toEqual(['ACS'])
  })
})

describe('foreign requester ids', () => {
  const aliases = (vendorId: number, deviceId: number, rid: number, subsystem = [0, 0]) =>
    quirkAliasesOf({ vendorId, deviceId, rid, subsystemVendorId: subsystem[0]!, subsystemId: subsystem[1]! })

  it('are of function 1 for Marvell SATA controllers, of function 0 for Ricoh card readers', () => {
    expect(aliases(0x1b4b, 0x9230, 0x0300)).toEqual([0x0301])
    expect(aliases(0x1b4b, 0x9230, 0x0301)).toEqual([])
    expect(aliases(0x1180, 0xe832, 0x0304)).toEqual([0x0300])
    expect(aliases(0x197b, 0x2392, 0x0300)).toEqual([0x0301])
  })

  it('are of fixed places for some, by subsystem too', () => {
    expect(aliases(0x8086, 0x2260, 0x0500)).toEqual([0x0580, 0x0588, 0x0593])
    expect(aliases(0x9005, 0x0285, 0x0570, [0x9005, 0x02bb])).toEqual([0x0508])
    expect(aliases(0x9005, 0x0285, 0x0570, [0x9005, 0x02b0])).toEqual([])
  })

  it('are all of the bus, or five of each device, behind non-transparent bridges', () => {
    expect(aliases(0x10b5, 0x87b0, 0x0400)).toHaveLength(255)
    expect(aliases(0x8086, 0x2956, 0x0400)).toHaveLength(32 * 5 - 1)
  })
})
