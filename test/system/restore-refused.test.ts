/** What cannot be restored is refused, naming the room, and nothing has changed. */
import { describe, expect, it } from 'vitest'
import { digest, NorthbridgeError, type Saved } from '../../src/core/index.ts'
import { drive } from '../../src/engine/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import { RandomWorld, TOPOLOGIES } from './random-world.ts'

type Tree = { [key: string]: unknown }

const document = TOPOLOGIES[0]!()

function world(): RandomWorld {
  const made = RandomWorld.create(document)
  made.run(made.platform.host.setNumVfs('0000:01:00.0', 2))
  made.run(made.platform.hypervisor.createVm({ name: 'a', vcpus: 1, memoryMiB: 2 }))
  made.run(made.platform.hypervisor.attach('a', '0000:01:10.0'))
  return made
}

/** The saved platform with something changed at a path, and a digest that says so (or not). */
function changed(saved: Saved, path: string, value: unknown, resealed = true): Saved {
  const copy = structuredClone(saved) as Tree
  const steps = path.split('/')
  const last = steps.pop()!
  let at = copy
  for (const step of steps) at = at[step] as Tree
  expect(at[last]).toBeDefined()
  at[last] = value
  if (resealed) copy['hash'] = digest(copy['state'] as Saved)
  return copy as Saved
}

const fork = (saved: Saved): SimulatedPlatform =>
  drive(SimulatedPlatform.restore(document, { id: 'p', name: 'p' }, saved), () => false)

describe('a saved platform', () => {
  const { platform } = world()
  const saved = platform.save()

  it.each([
    ['version', 9, 'a platform has version 9'],
    ['state/version', 1, 'the state of a platform has version 1'],
    ['state/engine/version', 7, 'the event queue has version 7'],
    ['state/trace/version', 7, 'the trace has version 7'],
    ['state/hardware/version', 7, 'hardware has version 7'],
    ['state/hardware/units/0/version', 7, 'hardware/units/0 has version 7'],
    ['state/hardware/memory/version', 7, 'hardware/memory has version 7'],
    ['state/host/version', 1, 'the host kernel has version 1'],
    ['state/host/iommu/version', 7, 'the IOMMU driver has version 7'],
    ['state/host/hotplug/version', 7, 'the hot-plug driver has version 7'],
    ['state/host/errors/version', 7, 'the error service has version 7'],
    ['state/host/dma/version', 7, 'the DMA interface of the kernel has version 7'],
    ['state/hypervisor/version', 7, 'the hypervisor has version 7'],
    ['state/hypervisor/processors/0/version', 7, 'a host processor under the hypervisor has version 7'],
    ['state/hypervisor/machines/0/version', 1, 'a virtual machine has version 1'],
    ['state/hypervisor/machines/0/memory/pages/version', 7, 'the memory of a virtual machine has version 7'],
    ['state/hypervisor/machines/0/bus/version', 7, 'a virtual bus has version 7'],
    ['state/hypervisor/machines/0/vcpus/0/version', 2, 'a virtual processor has version 2'],
    ['state/hypervisor/machines/0/vcpus/0/apic/version', 7, 'a virtual APIC has version 7'],
    ['state/hypervisor/machines/0/vcpus/0/software/version', 7, 'a guest kernel has version 7'],
    ['state/hypervisor/machines/0/devices/0/version', 1, 'an assigned function in a guest has version 1'],
  ])('of another version at %s is refused', (path, value, words) => {
    const other = changed(saved, path, value)
    const before = platform.stateHash()
    expect(() => platform.load(other)).toThrow(NorthbridgeError)
    expect(() => platform.load(other)).toThrow(words)
    expect(platform.stateHash()).toBe(before)
    expect(() => fork(other)).toThrow(words)
  })

  it.each([
    ['state/host/memory/free', []],
    ['state/engine/now', 1],
    ['state/hardware/powered', false],
    ['state/random', [1, 2, 3, 4]],
  ])('that was damaged at %s is refused', (path, value) => {
    const damaged = changed(saved, path, value, false)
    const before = platform.stateHash()
    expect(() => platform.load(damaged)).toThrow(/damaged/)
    expect(platform.stateHash()).toBe(before)
    expect(() => fork(damaged)).toThrow(/damaged/)
  })

  it.each([
    ['state/host/functions', []],
    ['state/host/iommu/domains', []],
    ['state/host/interrupts/lines', [[], [], [], []]],
    ['state/hypervisor/machines/0/vcpus', null],
    ['state/hardware/units', []],
  ])('whose parts do not fit together at %s is refused, and everything is as it was', (path, value) => {
    const other = changed(saved, path, value)
    const before = platform.stateHash()
    expect(() => platform.load(other)).toThrow(NorthbridgeError)
    expect(platform.stateHash()).toBe(before)
  })

  it('of another topology is refused', () => {
    const other = RandomWorld.create(TOPOLOGIES[1]!()).platform.save()
    expect(() => platform.load(other)).toThrow(/another topology/)
  })

  it('is a copy: what happens later does not change it', () => {
    const { platform: one, ...rest } = { ...world(), platform: world().platform }
    const state = one.save()
    const hash = digest(state)
    expect(rest).toBeDefined()
    drive(one.power('reset'), one.engine.advance)
    one.load(state)
    drive(one.power('off'), one.engine.advance)
    expect(digest(state)).toBe(hash)
  })

  it('keeps those who follow the trace, which goes on where it was', () => {
    const { platform: one } = world()
    const told: number[] = []
    one.engine.trace.follow(({ sequence }) => told.push(sequence))
    const state = one.save()
    const { last } = one.engine.trace
    drive(one.power('off'), one.engine.advance)
    one.load(state)
    expect(one.engine.trace.last).toBe(last)
    told.length = 0
    drive(one.power('off'), one.engine.advance)
    expect(told).toEqual([last + 1])
    expect(one.engine.trace.since(last).map(({ sequence }) => sequence)).toEqual([last + 1])
  })
})
