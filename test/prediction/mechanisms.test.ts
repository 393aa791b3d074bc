/** What the mechanisms say about machines that nobody has measured: relations, not numbers. */
import { describe, expect, it } from 'vitest'
import { isModelled, type Modelled, predict, shippedCostBook } from '../../src/prediction/index.ts'
import { record } from './records.ts'

const book = shippedCostBook()

function modelled(fields: Readonly<Record<string, unknown>>): Modelled {
  const [answer] = predict([record(fields)], book)
  if (!isModelled(answer!)) throw new Error(answer!.notModelled)
  return answer
}
const value = (fields: Readonly<Record<string, unknown>>): number => modelled(fields).value

const stream = (mode: string, more: Readonly<Record<string, unknown>> = {}, fields = {}) =>
  modelled({
    metric: 'throughput',
    year: 2018,
    ...fields,
    configuration: { mode, linkGbps: 10, vms: 1, ...more },
  })

describe('a stream', () => {
  it('is held back by the wire where a virtual function carries it', () => {
    const { value: gigabits, breakdown } = stream('sriov')
    expect(breakdown.bottleneck).toMatch(/^wire/)
    // 1448 bytes of payload in 1538 on the wire.
    const payload = (10 * 1448) / 1538
    expect(gigabits).toBeGreaterThan(0.98 * payload)
    expect(gigabits).toBeLessThan(1.02 * payload)
  })

  it('comes nearer to the wire, the less of it software sees', () => {
    const modes = ['emulated', 'paravirtual', 'vmdq', 'sriov']
    const rates = modes.map(mode => stream(mode, { linkGbps: 100 }).value)
    expect(rates).toEqual([...rates].sort((a, b) => a - b))
  })

  it('jumps to the line rate when the adapter sorts in the place of one processor of 2008', () => {
    const server = { system: 'VMware ESX 3.5', year: 2008 }
    expect(stream('paravirtual', { vms: 4 }, server).breakdown.bottleneck).toMatch(/^processor/)
    expect(stream('vmdq', { vms: 4 }, server).breakdown.bottleneck).toMatch(/^wire/)
  })

  it('needs one packet for what large frames hold', () => {
    const server = { system: 'VMware ESX 3.5', year: 2008 }
    expect(stream('paravirtual', { mtu: 9000 }, server).value).toBeGreaterThan(
      2 * stream('paravirtual', { mtu: 1500 }, server).value,
    )
  })

  it('loses nothing to a static map, some to deferred, more to strict invalidation', () => {
    const rate = (invalidation: string) =>
      stream('native', { iommu: 'on', invalidation, linkGbps: 100, mtu: 4096, cores: 4 }).value
    expect(rate('strict')).toBeLessThan(rate('deferred'))
    expect(rate('deferred')).toBeLessThan(rate('none (static map)'))
  })
})

describe('a record that says how buffers are unmapped', () => {
  it('means a machine whose IOMMU is on, whether it says so or not', () => {
    const asked = {
      metric: 'map_unmap_rate_per_cpu',
      configuration: { mode: 'native', invalidation: 'strict', cpus: 8 },
    }
    const on = { ...asked, configuration: { ...asked.configuration, iommu: 'on' } }
    expect(value(asked)).toBe(value(on))
    const misses = {
      metric: 'iotlb_misses_per_4KB',
      year: 2024,
      configuration: { mode: 'native', invalidation: 'strict' },
    }
    expect(value(misses)).toBeGreaterThan(0.5)
  })
})

describe('processors that unmap strictly', () => {
  const rate = (cpus: number, invalidation = 'strict') =>
    value({
      metric: 'map_unmap_rate_per_cpu',
      x: { name: 'cpus', value: cpus },
      system: 'SMMUv3',
      configuration: { mode: 'native', iommu: 'on', invalidation, cpus },
    })

  it('get less each, and beyond a few less together', () => {
    expect(rate(64) * 64).toBeLessThan(rate(8) * 8)
    expect(rate(8)).toBeLessThan(rate(1))
  })

  it('do not disturb each other if they defer', () => {
    expect(rate(32, 'deferred') / rate(1, 'deferred')).toBeCloseTo(1, 1)
  })
})

describe('a VM exit', () => {
  const cost = (op: string, more: Readonly<Record<string, unknown>> = {}) =>
    value({
      metric: 'operation_cost',
      cpu: 'Xeon E5-2450',
      x: { name: 'op', value: op },
      configuration: { mode: 'hardware-assisted', ...more },
    })

  it('costs more, the further up it is handled', () => {
    expect(cost('null hypercall')).toBeLessThan(cost('exit handled in host kernel'))
    expect(cost('exit handled in host kernel')).toBeLessThan(cost('exit handled in host user space'))
  })

  it('of a nested guest costs several times as much', () => {
    expect(cost('vmcall', { nested: true })).toBeGreaterThan(5 * cost('vmcall'))
  })

  it('is not made where binary translation answers, nor without a monitor', () => {
    const old = {
      metric: 'operation_cost',
      cpu: 'Pentium 4',
      system: 'software VMM',
      x: { name: 'op', value: 'in (port 0x80)' },
    }
    const translated = modelled({ ...old, configuration: { mode: 'software-vmm' } })
    const native = modelled({ ...old, configuration: { mode: 'native' } })
    for (const { breakdown } of [translated, native]) {
      expect(breakdown.parts.map(({ cause }) => cause)).not.toContain('VM exit and entry')
    }
    expect(translated.value).toBeLessThan(native.value)
  })

  it('that no list of operations has is refused by its name', () => {
    const [answer] = predict(
      [
        record({
          metric: 'operation_cost',
          x: { name: 'op', value: 'fsqrt' },
          configuration: { mode: 'native' },
        }),
      ],
      book,
    )
    expect(answer).toMatchObject({ notModelled: expect.stringContaining('"fsqrt"') })
  })
})

describe('interrupts of an assigned device', () => {
  const fraction = (metric: string) =>
    value({
      metric,
      cpu: 'Xeon X5550',
      year: 2012,
      configuration: { mode: 'direct', linkGbps: 10, iommu: 'on' },
    })

  it('cost a server of small requests more than a stream, and without exits almost nothing', () => {
    const low = fraction('baseline_fraction_of_bare_metal_low')
    const high = fraction('baseline_fraction_of_bare_metal_high')
    expect(low).toBeLessThan(high)
    expect(fraction('eli_fraction_of_bare_metal_low')).toBeGreaterThan(high)
  })
})

describe('a message and its answer', () => {
  const latency = (mode: string, system = '') =>
    value({
      metric: 'latency_p50',
      unit: 'us',
      system,
      year: 2020,
      configuration: { mode, linkGbps: 25, vms: 1, msgBytes: 64 },
    })

  it('wait for every processor that must be woken', () => {
    const ways = [
      latency('native'),
      latency('sriov'),
      latency('paravirtual', 'vhost'),
      latency('paravirtual', 'QEMU backend'),
    ]
    expect(ways).toEqual([...ways].sort((a, b) => a - b))
  })
})

describe('a fast disk', () => {
  it('is waited for by polling in less time than by interrupts', () => {
    const read = (completion: string) =>
      value({
        metric: 'sync_4k_read_latency',
        unit: 'us',
        system: 'fast NVM block device',
        x: { name: 'completion', value: completion },
        configuration: { mode: 'native', msgBytes: 4096 },
      })
    expect(read('poll')).toBeLessThan(read('interrupt'))
  })
})

describe('a walk of page tables', () => {
  it('of four levels reads 4 entries, and with nested paging 24', () => {
    const configuration = { mode: 'hardware-assisted' }
    expect(value({ metric: 'native_walk_memory_refs_worst', configuration })).toBe(4)
    expect(value({ metric: 'two_dimensional_walk_memory_refs_worst', configuration })).toBe(24)
  })
})

describe('memory that is pinned', () => {
  it('is not known if the record does not say how much there is', () => {
    const [answer] = predict(
      [record({ metric: 'free_memory_static_pinning', configuration: { mode: 'direct', vms: 8 } })],
      book,
    )
    expect(answer).toHaveProperty('notModelled')
  })

  it('is all of the guests without help, and little of it on demand', () => {
    const asked = { system: '128 GB host, 8 GB guests', configuration: { mode: 'direct', vms: 8 } }
    expect(value({ ...asked, metric: 'free_memory_static_pinning' })).toBe(64)
    expect(value({ ...asked, metric: 'free_memory_coiommu' })).toBeGreaterThan(127)
  })
})
