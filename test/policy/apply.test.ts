import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { drive } from '../../src/engine/index.ts'
import type { PageAllocator } from '../../src/host/index.ts'
import { createNorthbridge, type Northbridge, NorthbridgeError } from '../../src/index.ts'
import {
  execute,
  type InputOf,
  installation,
  type OperationId,
  type OutputOf,
} from '../../src/operations/index.ts'

const policy = (select: string) => ({
  system: 'northbridge' as const,
  files: [{ name: 'own.yaml', text: JSON.stringify({ resources: [{ name: 'vf', select }] }) }],
})
const VFS = policy('device.role == "VF"')
const ANYTHING = policy('device.role != "bridge"')

function world(...names: string[]): Northbridge {
  const northbridge = createNorthbridge()
  for (const name of names) northbridge.createPlatform({ topology: 'two-socket-82599', name })
  return northbridge
}

const hashes = (northbridge: Northbridge): string[] =>
  northbridge.platforms().map(({ id }) => northbridge.platformState({ platform: id }).stateHash)

function refusalOf(run: () => unknown): NorthbridgeError {
  try {
    run()
  } catch (error) {
    if (error instanceof NorthbridgeError) return error
    throw error
  }
  throw new Error('it was not refused')
}

const CREATE = { vcpus: 1, memoryMiB: 4 }
const request = fc.record({
  vm: fc.constantFrom('a', 'b', 'c'),
  count: fc.integer({ min: 1, max: 5 }),
  platform: fc.constantFrom('one', 'two', undefined),
})
const command = fc.oneof(
  fc.record({
    do: fc.constant('apply' as const),
    requests: fc.array(request, { minLength: 1, maxLength: 3 }),
    all: fc.boolean(),
  }),
  fc.record({ do: fc.constant('delete' as const), vm: fc.constantFrom('a', 'b', 'c') }),
)

describe('applying a policy', () => {
  it('gives no function two owners, and a refusal leaves the state of every platform as it was', () => {
    let applied = 0
    let refused = 0
    fc.assert(
      fc.property(fc.array(command, { minLength: 3, maxLength: 5 }), commands => {
        const northbridge = world('one', 'two')
        for (const each of commands) {
          if (each.do === 'delete') {
            for (const platform of ['one', 'two'])
              if (northbridge.vms({ platform }).some(({ name }) => name === each.vm))
                northbridge.deleteVm({ platform, vm: each.vm })
            continue
          }
          const before = hashes(northbridge)
          const requests = each.requests.map(({ vm, count, platform: host }) => ({
            vm,
            needs: [{ resource: 'vf', count }],
            ...(host === undefined ? {} : { host }),
          }))
          try {
            const { placed } = northbridge.applyPolicy({
              platforms: ['one', 'two'],
              policy: each.all ? ANYTHING : VFS,
              requests,
              create: CREATE,
            })
            applied++
            for (const { vm, host, steps } of placed)
              for (const { attach } of steps)
                expect(northbridge.function({ platform: host, function: attach }).owner).toEqual({
                  kind: 'vm',
                  name: vm,
                })
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
            expect(error.message).not.toBe('')
            expect(hashes(northbridge)).toEqual(before)
            refused++
          }
          for (const { id: platform } of northbridge.platforms()) {
            const held = northbridge
              .vms({ platform })
              .flatMap(({ devices }) => devices.map(each => each.function))
            expect(new Set(held).size).toBe(held.length)
          }
        }
      }),
      { numRuns: 12, seed: 5 },
    )
    expect(applied).toBeGreaterThan(5)
    expect(refused).toBeGreaterThan(5)
  })

  it('is refused as a whole if one machine of several is', () => {
    const northbridge = world('one')
    const before = hashes(northbridge)
    const error = refusalOf(() =>
      northbridge.applyPolicy({
        platforms: ['one'],
        policy: VFS,
        create: CREATE,
        requests: [
          { vm: 'a', needs: [{ resource: 'vf', count: 8 }] },
          { vm: 'b', needs: [{ resource: 'vf', count: 1 }] },
        ],
      }),
    )
    expect(error).toMatchObject({
      code: 'policyRefused',
      message: 'b is refused: one: vf: 1 wanted, 0 fit and free',
    })
    expect(hashes(northbridge)).toEqual(before)
  })

  it('says what a policy grants and the kernel refuses, and does not do it', () => {
    const northbridge = world('one')
    const nova = {
      system: 'nova' as const,
      files: [
        {
          name: 'nova.conf',
          text: '[pci]\ndevice_spec = {"address": "0000:00:1f.2"}\nalias = {"name": "disk", "vendor_id": "8086", "product_id": "2922", "numa_policy": "legacy"}\n',
        },
      ],
    }
    const requests = [{ vm: 'a', needs: [{ resource: 'disk', count: 1 }] }]
    const { placed } = northbridge.planPolicy({ platforms: ['one'], policy: nova, requests })
    expect(placed[0]!.kernelRefuses[0]!.text).toContain(
      '0000:00:1f.0 in the same IOMMU group 2 belongs to host driver lpc_ich',
    )
    const before = hashes(northbridge)
    const error = refusalOf(() =>
      northbridge.applyPolicy({ platforms: ['one'], policy: nova, requests, create: CREATE }),
    )
    expect(error.message).toContain('nova grants what the kernel refuses')
    expect(hashes(northbridge)).toEqual(before)
  })

  it('plans by the kernel alone what the kernel then does, for every function of a machine', () => {
    const northbridge = world('one')
    const platform = 'one'
    const linux = { system: 'linux-vfio' as const, files: [] }
    const refused: string[] = []
    const kernelAllows = (address: string): boolean => {
      try {
        northbridge.attach({ platform, vm: 'a', function: address })
        return true
      } catch (error) {
        if (!(error instanceof NorthbridgeError)) throw error
        refused.push(address)
        return false
      }
    }
    const functions = northbridge.functions({ platform })
    for (const { address } of functions) {
      const requests = [{ vm: 'a', needs: [{ resource: address, count: 1 }] }]
      const { placed } = northbridge.planPolicy({ platforms: ['one'], policy: linux, requests })
      northbridge.createVm({ platform, name: 'a', ...CREATE })
      expect([address, placed.length === 1]).toEqual([address, kernelAllows(address)])
      northbridge.deleteVm({ platform, vm: 'a' })
    }
    expect(refused.length).toBeLessThan(functions.length)
    expect(refused).toContain('0000:00:01.0')
  })

  it('leaves the state, the time and the log as they were where only the doing shows that memory runs out', () => {
    let undone = 0
    // All functions of a machine share its address space: each machine needs tables of its own.
    const machines = ['a', 'b', 'c', 'd']
    for (let spare = 0; spare < 64; spare += 8) {
      const context = installation()
      const northbridge = <Id extends OperationId>(id: Id, input: InputOf<Id>): OutputOf<Id> =>
        drive(execute(context, id, input), () => false)
      northbridge('createPlatform', { topology: 'two-socket-82599', name: 'one' })
      const { running } = context.platforms.get('one')
      useUp(running.host.memory, machines.length * CREATE.memoryMiB * 256 + spare)
      const followed: string[] = []
      running.engine.trace.follow(({ message }) => followed.push(message))
      const emit = vi.spyOn(running.engine.trace, 'emit')
      const view = () => ({
        functions: northbridge('functions', { platform: 'one' }),
        vms: northbridge('vms', { platform: 'one' }),
        free: running.host.memory.freePages,
        hash: running.stateHash(),
        events: northbridge('events', { platform: 'one' }),
      })
      const before = view()
      try {
        northbridge('applyPolicy', {
          platforms: ['one'],
          policy: VFS,
          create: CREATE,
          requests: machines.map(vm => ({ vm, needs: [{ resource: 'vf', count: 2 }] })),
        })
      } catch (error) {
        expect(error).toMatchObject({ code: 'outOfMemory' })
        expect(view()).toEqual(before)
        expect(followed).toEqual([])
        if (emit.mock.calls.some(([, message]) => message.startsWith('a is created'))) undone++
      }
    }
    expect(undone).toBeGreaterThan(0)
  })

  it('finds machines where they run', () => {
    const northbridge = world('one', 'two')
    northbridge.createVm({ platform: 'two', name: 'a', ...CREATE })
    const requests = [{ vm: 'a', needs: [{ resource: 'vf', count: 1 }] }]
    const { placed } = northbridge.applyPolicy({ platforms: ['one', 'two'], policy: VFS, requests })
    expect(placed[0]!.host).toBe('two')
    const elsewhere = [{ vm: 'b', needs: [{ resource: 'vf', count: 1 }] }]
    expect(
      refusalOf(() => northbridge.applyPolicy({ platforms: ['one'], policy: VFS, requests: elsewhere })).code,
    ).toBe('notFound')
  })
})

/** Something else on the host has all memory but so many pages. */
function useUp(memory: PageAllocator, left: number): void {
  for (const { pages } of [...memory.freeExtents]) {
    const surplus = Math.min(pages, memory.freePages - left)
    if (surplus > 0) memory.allocate(surplus)
  }
}
