/** The servers that ship, booted: what each of them teaches is true. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { KernelVersion } from '../../src/host/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { type Booted, boot } from './machine.ts'

const FOLDER = new URL('../../topologies/', import.meta.url)
const files = readdirSync(FOLDER).filter(file => file.endsWith('.json'))
const read = (name: string): TopologyDocument =>
  JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8'))

const started = new Map<string, Booted>()
function machine(name: string, kernel?: KernelVersion): Booted {
  const key = `${name} ${kernel}`
  const known = started.get(key)
  if (known !== undefined) return known
  const booted = boot(read(name), kernel === undefined ? {} : { kernel })
  started.set(key, booted)
  return booted
}

const shared = (name: string, kernel?: KernelVersion): string[] =>
  machine(name, kernel)
    .host.groups()
    .filter(({ functions }) => functions.length > 1)
    .map(({ functions }) => functions.map(address => address.slice(-7)).join(' '))
const CHIPSET = '00:1f.0 00:1f.2 00:1f.3'

it('at least a dozen realistic servers ship', () => expect(files.length).toBeGreaterThanOrEqual(20))

describe.each(files.map(file => file.slice(0, -'.json'.length)))('%s', name => {
  it('boots; every function that a unit covers is in one group, and the others in none', () => {
    const { host } = machine(name)
    const members = host.groups().flatMap(({ functions }) => functions)
    expect(new Set(members).size).toBe(members.length)
    const covered = host.functions().filter(({ remappingUnit }) => remappingUnit !== null)
    expect(members.sort()).toEqual(covered.map(({ address }) => address).sort())
  })

  it('has an address for every BAR, and all VFs that it asks for', () => {
    const { host } = machine(name)
    for (const { address, bars } of host.functions()) {
      for (const bar of bars) expect(bar.address, `${address} BAR ${bar.index}`).toBeGreaterThan(0)
    }
  })
})

describe('what they teach', () => {
  it('dual-socket-xeon: each function is served by the unit of its socket', () => {
    const { host } = machine('dual-socket-xeon')
    const byBridge = Map.groupBy(host.functions(), ({ rid }) => rid >>> 14)
    expect([...byBridge.keys()].sort()).toEqual([0, 1, 2, 3])
    const units = [...byBridge.values()].map(functions => {
      expect(new Set(functions.map(({ numaNode }) => numaNode)).size).toBe(1)
      const [first] = functions
      expect(functions.every(({ remappingUnit }) => remappingUnit === first!.remappingUnit)).toBe(true)
      return first!.remappingUnit
    })
    expect(new Set(units).size).toBe(4)
  })

  it('gpu-box: today each GPU shares with its port only; the reworked rules join all of a switch', () => {
    const today = shared('gpu-box').filter(group => group !== CHIPSET)
    expect(today).toHaveLength(6)
    expect(today.every(group => group.split(' ').length === 2)).toBe(true)
    const reworked = shared('gpu-box', '7.2+bus-isolation')
    expect(reworked.map(group => group.split(' ').length)).toEqual([6, 6])
    expect(shared('gpu-box-isolated')).toEqual([CHIPSET])
    expect(shared('gpu-box-isolated', '7.2+bus-isolation')).toEqual([])
  })

  it('desktop: everything on the chipset ports is one group, and the graphics card comes with its port', () => {
    const groups = shared('desktop').map(group => group.split(' ').length)
    expect(groups.sort((a, b) => a - b)).toEqual([2, 3, 7])
  })

  it('pci-backplane: one group below the bridge on the root bus, and no repair', () => {
    const { host, run } = machine('pci-backplane')
    const { id, functions } = host.groups().find(group => group.functions.includes('0000:00:1e.0'))!
    expect(functions).toHaveLength(7)
    expect(run(host.groupRepairs(id)).repairs).toEqual([])
  })

  it('hyper-dense-sriov: 2,016 virtual functions, each alone', () => {
    const { host } = machine('hyper-dense-sriov')
    expect(host.functions().filter(({ kind }) => kind === 'VF')).toHaveLength(2016)
    expect(shared('hyper-dense-sriov')).toEqual([CHIPSET])
  })

  it('four-segments: the same addresses in four segments, grouped apart', () => {
    const { host } = machine('four-segments')
    const nics = [0, 1, 2, 3].map(segment => host.find(`000${segment}:01:00.0`))
    expect(new Set(nics.map(({ group }) => group)).size).toBe(4)
    expect(new Set(nics.map(({ remappingUnit }) => remappingUnit)).size).toBe(4)
  })

  it('joints: one of each rule', () => {
    const rules = machine('joints')
      .host.groups()
      .flatMap(({ why }) => why.map(({ rule }) => rule))
    expect(new Set(rules)).toEqual(new Set(['founder', 'alias', 'unisolatedPath', 'multifunction']))
  })

  it('edge-1u, nvme-jbof, telco-dpdk, cxl-era-server, virtio-guest: nothing but the chipset is shared', () => {
    for (const name of ['edge-1u', 'nvme-jbof', 'telco-dpdk', 'cxl-era-server', 'virtio-guest']) {
      expect(shared(name), name).toEqual([CHIPSET])
    }
  })
})
