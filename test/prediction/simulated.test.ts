/** Where both can answer, simulation and closed form say the same; the fit may use the one for the other. */
import { describe, expect, it } from 'vitest'
import { isModelled, type Modelled, shippedCostBook } from '../../src/prediction/index.ts'
import { estimateScenario, predictScenario } from '../../src/prediction/predict.ts'
import { scenarioOf } from '../../src/prediction/scenario.ts'
import { record } from './records.ts'

const book = shippedCostBook()

function both(fields: Readonly<Record<string, unknown>>): { simulated: Modelled; closed: Modelled } {
  const scenario = scenarioOf(record(fields))
  const [simulated, closed] = [predictScenario(scenario, book), estimateScenario(scenario, book)]
  if (!isModelled(simulated) || !isModelled(closed)) throw new Error('not modelled')
  return { simulated, closed }
}

const nfp = { system: 'Netronome NFP6000, PCIe gen3 x8', cpu: 'Xeon E5-2630v4 (Broadwell)' }
const transfer = (metric: string, direction: string, msgBytes: number, more = {}) =>
  both({
    ...nfp,
    metric,
    configuration: {
      mode: 'native',
      direction,
      msgBytes,
      pcie: 'gen3 x8',
      iommu: 'off',
      windowBytes: 8192,
      ...more,
    },
  })

const ratio = ({ simulated, closed }: ReturnType<typeof both>): number => simulated.value / closed.value

describe('bandwidth of a device', () => {
  it.each(['rd', 'wr'])('is within 15 % for transfers of every size: %s', direction => {
    for (const bytes of [64, 128, 256, 512, 1024, 2048]) {
      const off = ratio(transfer('dma_bandwidth', direction, bytes))
      expect(off, `${bytes} bytes`).toBeGreaterThan(0.85)
      expect(off, `${bytes} bytes`).toBeLessThan(1.15)
    }
  })

  it('is within 20 % for windows that the IOTLB holds, and for those that it does not', () => {
    for (const windowBytes of [65_536, 4 << 20, 16 << 20]) {
      const off = ratio(transfer('dma_bandwidth', 'rd', 64, { windowBytes, iommu: 'on, 4KiB pages only' }))
      expect(Math.abs(off - 1), `${windowBytes} bytes`).toBeLessThan(0.2)
    }
  })
})

describe('latency of a device', () => {
  it('is within 10 % for transfers of every size', () => {
    for (const bytes of [8, 64, 512, 2048]) {
      expect(Math.abs(ratio(transfer('dma_latency_median', 'rd', bytes)) - 1)).toBeLessThan(0.1)
    }
  })
})

describe('a stream of a host', () => {
  const stream = (invalidation: string, cores: number, linkGbps: number, direction: 'rx' | 'tx') =>
    both({
      metric: `${direction}_throughput`,
      cpu: 'Xeon E5-2640 v3',
      year: 2016,
      x: { name: 'cores', value: cores },
      configuration: {
        mode: 'native',
        linkGbps,
        cores,
        invalidation,
        iommu: invalidation === 'off' ? 'off' : 'on',
      },
    })

  it.each(['rx', 'tx'] as const)('is within a quarter, whatever holds it back: %s', direction => {
    for (const invalidation of ['off', 'deferred', 'strict']) {
      for (const cores of [1, 16]) {
        const off = ratio(stream(invalidation, cores, 40, direction))
        expect(Math.abs(off - 1), `${invalidation}, ${cores} processors`).toBeLessThan(0.25)
      }
    }
  })
})

describe('streams of guests', () => {
  const at = (mode: string, direction: 'rx' | 'tx', more: object = {}) =>
    both({
      metric: `${direction}_throughput`,
      year: 2018,
      ...more,
      configuration: { mode, linkGbps: 40, vms: 1, iommu: 'off', ...more },
    })

  it.each(['paravirtual', 'vmdq', 'sriov', 'direct', 'paravirtual+sidecore'])(
    'are within a fifth, whoever stands between them and the wire: %s',
    mode => {
      for (const direction of ['rx', 'tx'] as const) {
        for (const vms of [1, 4]) {
          const off = ratio(at(mode, direction, { vms }))
          expect(Math.abs(off - 1), `${vms} machines, ${direction}`).toBeLessThan(0.2)
        }
      }
    },
  )

  it('are within a third where datagrams are not joined', () => {
    for (const mode of ['paravirtual', 'vmdq', 'sriov', 'native']) {
      const off = ratio(at(mode, 'rx', { conditions: 'UDP', msgBytes: 256 }))
      expect(Math.abs(off - 1), mode).toBeLessThan(1 / 3)
    }
  })

  it('are within a third for a hypervisor that sorts and copies in one piece', () => {
    for (const vms of [1, 4]) {
      const off = ratio(at('paravirtual', 'rx', { system: 'VMware ESX', year: 2008, vms }))
      expect(Math.abs(off - 1), `${vms} machines`).toBeLessThan(1 / 3)
    }
  })
})

describe('processors that map and unmap', () => {
  it('are within a third, however many compete', () => {
    for (const cpus of [1, 8, 32]) {
      const off = ratio(
        both({
          metric: 'map_unmap_rate_per_cpu',
          system: 'SMMUv3',
          year: 2020,
          x: { name: 'cpus', value: cpus },
          configuration: { mode: 'native', iommu: 'on (SMMUv3)', invalidation: 'strict', cpus },
        }),
      )
      expect(Math.abs(off - 1), `${cpus} processors`).toBeLessThan(1 / 3)
    }
  })
})

describe('a breakdown of a simulation', () => {
  it('sums to the mean time of an operation', () => {
    const { breakdown } = transfer('dma_bandwidth', 'rd', 256).simulated
    const sum = breakdown.parts.reduce((all, { amount }) => all + amount, 0)
    expect(sum).toBeCloseTo(breakdown.total, 3)
  })
})

describe('misses of the remapping unit', () => {
  const misses = (metric: string, invalidation: string) =>
    both({
      metric,
      cpu: 'Xeon Gold 6234',
      year: 2024,
      configuration: { mode: 'native', linkGbps: 100, mtu: 4096, cores: 5, iommu: 'on', invalidation },
    }).simulated.value

  it('are made by each page that is mapped for one use', () => {
    expect(misses('iotlb_misses_per_4KB', 'strict')).toBeGreaterThanOrEqual(1)
  })

  it('of the entries above the leaf go away where invalidations say that only leaves changed', () => {
    const gentle = 'strict, F&S (contiguous IOVA, PTcache preserved, batched invalidation)'
    expect(misses('ptcache_L3_misses_per_4KB', gentle)).toBeLessThan(
      misses('ptcache_L3_misses_per_4KB', 'strict') / 4,
    )
  })
})
