/** A virtual machine as a document: what its guest could find out, on whatever host it goes on. */
import { describe, expect, it } from 'vitest'
import type { Saved } from '../../../src/core/index.ts'
import { within } from '../../../src/engine/index.ts'
import { INTERRUPT_DELIVERY } from '../../../src/hypervisor/index.ts'
import { captureVm, checkVmDocument, placeVm } from '../../../src/system/index.ts'
import { done, MovingWorld, seenOf, shipped } from './moving-world.ts'

const VM = 'vm0'

function worldWithVm(interrupts: (typeof INTERRUPT_DELIVERY)[number] = 'emulated') {
  const world = new MovingWorld()
  const a = world.add('a')
  world.run('createVm', { platform: 'a', name: VM, vcpus: 2, memoryMiB: 8, interrupts })
  world.run('createSwitch', { platform: 'a', name: 'vs0', uplinks: [] })
  world.run('addNetworkDevice', {
    platform: 'a',
    vm: VM,
    model: 'paravirtual',
    mac: '02:00:00:00:00:01',
    switch: 'vs0',
    vlan: 7,
  })
  world.run('openDisk', { platform: 'a', vm: VM, model: 'paravirtual' })
  world.run('writeBlocks', { platform: 'a', vm: VM, sector: 9, data: 'ab'.repeat(512) })
  world.run('writeMemory', { platform: 'a', vm: VM, address: '0x400000', data: '00112233' })
  return { world, a }
}

describe('a virtual machine as a document', () => {
  for (const interrupts of INTERRUPT_DELIVERY) {
    it(`goes on elsewhere with ${interrupts} interrupts: memory, processors, devices, disk`, () => {
      const { world, a } = worldWithVm(interrupts)
      const document = done(within(a.engine, captureVm(a, VM)))
      expect(done(within(a.engine, captureVm(a, VM))).hash).toBe(document.hash)
      // Another kind of server, with another map of memory and another clock.
      const b = world.add('b', shipped('nvme-sriov'))
      world.run('createSwitch', { platform: 'b', name: 'vs0', uplinks: [] })
      done(within(b.engine, placeVm(b, document)))
      expect(b.hypervisor.moves.isPaused(VM)).toBe(true)
      expect(seenOf(b, VM)).toEqual(seenOf(a, VM))
      expect(done(within(b.engine, captureVm(b, VM))).hash).toBe(document.hash)
      done(within(b.engine, b.hypervisor.moves.resume(VM)))
      const read = { vm: VM, sector: 9, count: 1 }
      expect(world.run('readBlocks', { platform: 'b', ...read })).toEqual(
        world.run('readBlocks', { platform: 'a', ...read }),
      )
      const memoryOf = ({ hypervisor }: typeof a) => Buffer.from(hypervisor.readGuest(VM, 0, 8 << 20))
      expect(memoryOf(b).equals(memoryOf(a))).toBe(true)
      expect(b.networking.device(VM).switch).toBe('vs0')
      expect(seenOf(b, VM)).toEqual(seenOf(a, VM))
    })
  }

  it('is taken of memory that is swapped out, and leaves it there', () => {
    const world = new MovingWorld()
    const platform = world.add('a')
    world.run('createVm', { platform: 'a', name: VM, vcpus: 1, memoryMiB: 4, backing: 'paged' })
    world.run('useMemory', { platform: 'a', vm: VM, mebibytes: 1 })
    world.run('swapOut', { platform: 'a', vm: VM, mebibytes: 4 })
    const before = platform.hypervisor.memory.view(VM)
    expect(before.swapped).toBeGreaterThanOrEqual(256)
    const { memory } = done(within(platform.engine, captureVm(platform, VM)))
    expect(memory.pages.length).toBeGreaterThanOrEqual(256)
    expect(
      world.run('readMemory', { platform: 'a', vm: VM, address: '0x200000', length: 8192 }).data,
    ).toMatch(/[1-9a-f]/)
    expect(platform.hypervisor.memory.view(VM)).toEqual(before)
  })

  it('takes interrupts that were requested and not yet taken with it', () => {
    const { world, a } = worldWithVm('posted')
    a.hypervisor.moves.pause(VM)
    done(within(a.engine, a.hypervisor.interruptVcpu(VM, 1, 0x61)))
    expect(a.hypervisor.vcpu(VM, 1).pending).toContain(0x61)
    const document = done(within(a.engine, captureVm(a, VM)))
    const b = world.add('b')
    world.run('createSwitch', { platform: 'b', name: 'vs0', uplinks: [] })
    done(within(b.engine, placeVm(b, document)))
    expect(b.hypervisor.vcpu(VM, 1).pending).toContain(0x61)
    done(within(b.engine, b.hypervisor.moves.resume(VM)))
    expect(b.hypervisor.vcpu(VM, 1).pending).toEqual([])
    expect(b.hypervisor.vcpu(VM, 1).delivered).toHaveProperty('0x61')
  })

  it('has its guest’s clock go on where it was, whatever the host’s shows', () => {
    const { world, a } = worldWithVm()
    done(within(a.engine, a.elapse(5_000_000)))
    const time = (platform: typeof a): number => {
      const { results } = done(within(platform.engine, platform.hypervisor.runVcpu(VM, 0, [{ op: 'rdtsc' }])))
      return results[0]!.low + results[0]!.high * 2 ** 32
    }
    const before = time(a)
    const document = done(within(a.engine, captureVm(a, VM)))
    const b = world.add('b')
    world.run('createSwitch', { platform: 'b', name: 'vs0', uplinks: [] })
    const early = b.engine.now
    done(within(b.engine, placeVm(b, document)))
    done(within(b.engine, b.hypervisor.moves.resume(VM)))
    expect(early).toBeLessThan(before)
    expect(time(b)).toBe(before)
    done(within(b.engine, b.elapse(777)))
    expect(time(b)).toBe(before + 777)
  })

  it('is refused for a machine with a function of the host, naming it', () => {
    const { world, a } = worldWithVm()
    world.run('setNumVfs', { platform: 'a', function: '0000:03:00.0', numVfs: 1 })
    const vf = a.host.functions().find(({ kind }) => kind === 'VF')!.address
    world.run('attach', { platform: 'a', vm: VM, function: vf })
    const hash = a.stateHash()
    expect(() => done(within(a.engine, captureVm(a, VM)))).toThrow(
      expect.objectContaining({
        code: 'notMigratable',
        details: { obstacles: [expect.objectContaining({ what: vf })] },
      }),
    )
    expect(a.stateHash()).toBe(hash)
  })

  it('is refused if it was damaged', () => {
    const { a } = worldWithVm()
    const document = done(within(a.engine, captureVm(a, VM)))
    const { machine } = document
    const damaged = { ...document, machine: { ...machine, clock: machine.clock + 1 } } as unknown as Saved
    expect(() => checkVmDocument(damaged)).toThrow(expect.objectContaining({ code: 'invalidDocument' }))
    expect(checkVmDocument(document as unknown as Saved).hash).toBe(document.hash)
  })
})
