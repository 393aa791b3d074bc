import { describe, expect, it } from 'vitest'
import { shippedCostBook } from '../../src/prediction/index.ts'
import { systemOf } from '../../src/prediction/known-systems.ts'
import { record } from './records.ts'

const book = shippedCostBook()
const system = (fields: Readonly<Record<string, unknown>>) => systemOf(record(fields))

describe('the machine of a record', () => {
  it('is known by its processor', () => {
    expect(system({ cpu: 'Xeon E5-2630v4 (Broadwell), Dell T430' })).toMatchObject({
      machine: 'broadwell',
      cores: 10,
    })
    expect(system({ cpu: 'Xeon E5-2630 v3' }).machine).toBe('haswell')
    expect(system({ cpu: 'Xeon E5-2630 (Sandy Bridge)' }).machine).toBe('sandy-bridge')
    expect(system({ system: 'ARM KVM, VHE-style' }).machine).toBe('arm-vhe')
    expect(system({ configuration: { iommu: 'on (SMMUv3)' } }).machine).toBe('arm-server')
  })

  it('is else one of its year', () => {
    expect(system({ year: 2008 }).machine).toBe('core2')
    expect(system({ year: 2019 }).machine).toBe('skylake')
    expect(system({}).machine).toBe(system({ year: 2018 }).machine)
  })

  it('has a device of its own if the words name one', () => {
    expect(system({ system: 'Netronome NFP6000 1.2GHz DMA engine' }).device).toBe('nfp6000')
    expect(system({ system: 'Intel 82599 10GbE' }).device).toBe('intel-ethernet')
    expect(system({ system: 'an adapter' })).not.toHaveProperty('device')
  })
})

describe('the cost book', () => {
  it('takes what a file does not say from the one that it extends, and from the device last', () => {
    const own = book.costs({ machine: 'broadwell', cores: 10 })
    const base = book.costs({ machine: 'default', cores: 16 })
    expect(own.contextSwitch).toBe(base.contextSwitch)
    expect(own.exitRoundTrip).not.toBe(base.exitRoundTrip)
    const device = book.costs({ machine: 'broadwell', cores: 10, device: 'nfp6000' })
    expect(device.deviceReadTags).not.toBe(own.deviceReadTags)
  })

  it('has every file that known systems name', () => {
    for (const year of [1999, 2005, 2009, 2013, 2017, 2020, 2026]) {
      expect(book.costs(system({ year })).clockGHz).toBeGreaterThan(0)
    }
  })

  it('tries other values without changing its own', () => {
    const other = book.with(new Map([['machines/default:contextSwitch', 1]]))
    expect(other.costs({ machine: 'broadwell', cores: 1 }).contextSwitch).toBe(1)
    expect(book.costs({ machine: 'broadwell', cores: 1 }).contextSwitch).toBeGreaterThan(1)
  })

  it('says by its name which file there is not', () => {
    expect(() => book.costs({ machine: 'abacus', cores: 1 })).toThrow('costs/machines/abacus.json')
  })
})
